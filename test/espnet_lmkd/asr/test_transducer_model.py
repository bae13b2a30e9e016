"""A transducer student: stock ESPnet's loss, and what its teacher's path adds."""

import pytest
import torch
from tiny_student import PATH, add_path, run

from espnet_lmkd.errors import InputError

ONE_BEST_PATH = dict(type="one_best_path", weight=0.5)
TRANSDUCERS = [
    dict(ctc_weight=0.0),
    dict(ctc_weight=0.3, report_cer=False, report_wer=False),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("conf", TRANSDUCERS)
def test_a_transducer_is_stock_espnets_without_a_lattice_of_logits(
    build_model, batch, conf, training
):
    sizes, results = [], []
    for name in ("lmkd", "espnet"):
        model = build_model(name, decoder="transducer", **conf).train(training)
        model.joint_network.register_forward_hook(
            lambda module, inputs, logits: sizes.append(logits[..., 0].numel())
        )
        results.append([*run(model, batch), max(sizes)])
        sizes.clear()
    (loss, stats, gradients, nodes), stock = results
    torch.testing.assert_close(loss, stock[0])
    assert stats.keys() == stock[1].keys()
    decoded = not training and conf == TRANSDUCERS[0]
    assert (stats["cer_transducer"] is not None) == decoded
    for key, value in stats.items():
        torch.testing.assert_close(value, stock[1][key])
    assert gradients.keys() == stock[2].keys()
    for name, gradient in gradients.items():
        # Before a normalisation a bias has none but for rounding.
        torch.testing.assert_close(gradient, stock[2][name], rtol=1e-4, atol=1e-5)
    assert nodes < stock[3] / 2


def test_a_multi_blank_transducer_keeps_espnets_loss(build_model, batch):
    model = build_model(decoder="transducer", ctc_weight=0.0)
    model.transducer_multi_blank_durations, given = [2], []
    model.criterion_transducer.register_forward_pre_hook(
        lambda module, inputs: given.append(inputs[0].shape)
    )
    model(**batch)
    assert [len(shape) for shape in given] == [4]


@pytest.mark.parametrize("conf", [*TRANSDUCERS, dict(ctc_weight=0.3)])
def test_a_transducer_learns_along_its_teachers_path(build_model, batch, conf):
    student = dict(decoder="transducer", distillers=[ONE_BEST_PATH], **conf)
    model = build_model(**student)
    assert all(not n.startswith("distillers.") for n, _ in model.named_parameters())
    add_path(model.eval(), batch)
    loss, stats, gradients = run(model.train(), batch)
    assert stats["loss_one_best_path"] > 0 and stats["utterances_clipped"] == 0
    torch.testing.assert_close(
        loss, stats["loss_asr"] + 0.5 * stats["loss_one_best_path"]
    )
    assert gradients.keys() == dict(model.named_parameters()).keys()
    # In validation the error calculator decodes in the same pass.
    stats = run(model.eval(), batch)[1]
    assert stats["loss_one_best_path"] > 0


def test_few_frames_are_clipped_and_more_are_refused(build_model, batch):
    model = build_model(decoder="transducer", distillers=[ONE_BEST_PATH])
    seen = []
    for more in (0, 2, -2):
        add_path(model, batch, more)
        seen.append(run(model, batch)[1])
    assert [int(stats["utterances_clipped"]) for stats in seen] == [0, 3, 3]
    dropped = [stats["nodes_dropped_one_best_path"] > 0 for stats in seen]
    assert dropped == [False, True, False]
    add_path(model, batch, torch.tensor([2, 1, 10]))
    message = r"'utt_c' has (\d+) frames of the teacher and (\d+) of the student"
    with pytest.raises(InputError, match=message + ".*same frame rate"):
        model(**batch)


def test_a_path_of_other_labels_is_refused_and_none_is_fine(build_model, batch):
    model = build_model(decoder="transducer", distillers=[ONE_BEST_PATH])
    add_path(model, batch)
    for name in PATH:
        batch[f"{name}_lengths"][0] = 0
    assert run(model, batch)[1]["without_targets_one_best_path"] == 1
    for name in PATH:
        batch[name] = batch[name][:, :0]
        batch[f"{name}_lengths"][:] = 0
    assert run(model, batch)[1]["loss_one_best_path"] == 0
    add_path(model, batch)
    for name in PATH:
        batch[f"{name}_lengths"][1] -= 1
    with pytest.raises(InputError, match="'utt_b' has 1 labels for 2 tokens.*stage 7"):
        model(**batch)


@pytest.mark.parametrize(
    "entry",
    [
        dict(type="lm_embedding_transducer", weight=1, conf=dict(target_size=6)),
        dict(
            type="lm_embedding",
            weight=1,
            conf=dict(target_size=6, source="predictor"),
        ),
    ],
)
def test_a_transducer_learns_a_language_models_states(build_model, batch, entry):
    model = build_model(decoder="transducer", ctc_weight=0.3, distillers=[entry])
    batch["teacher_hidden"] = torch.randn(*batch["text"].shape, 6)
    batch["teacher_hidden_lengths"] = batch["text_lengths"].clone()
    loss, stats, gradients = run(model, batch)
    term = stats[f"loss_{entry['type']}"]
    assert term > 0
    torch.testing.assert_close(loss, stats["loss_asr"] + term)
    assert gradients.keys() == dict(model.named_parameters()).keys()
    stock = build_model(decoder="transducer", ctc_weight=0.3)
    torch.testing.assert_close(run(stock, batch)[0], stats["loss_asr"])


def test_a_transducer_that_espnet_cannot_decode_is_not_trained(build_model):
    layers = dict(interctc_layer_idx=[2])
    with pytest.raises(InputError, match="decode a transducer with intermediate CTC"):
        build_model(decoder="transducer", encoder_conf=layers, ctc_weight=0.3)


def test_a_method_for_transducers_needs_one(build_model):
    with pytest.raises(InputError, match="needs a transducer student .* NoneType"):
        build_model(distillers=[ONE_BEST_PATH])
