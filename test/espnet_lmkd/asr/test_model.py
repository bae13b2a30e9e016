"""The judge is stock ESPnet: same loss, gradients and parameter names."""

import copy

import pytest
import torch
from tiny_student import DECODER, INTERAED

from espnet_lmkd.distillers.abs_distiller import AbsDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


def run(model, batch, seed=0):
    torch.manual_seed(seed)
    batch = {k: v.clone() if torch.is_tensor(v) else v for k, v in batch.items()}
    loss, stats, weight = model(**batch)
    model.zero_grad()
    loss.sum().backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return loss.detach(), stats, gradients


STUDENTS = [
    dict(),
    dict(encoder_conf=dict(interctc_layer_idx=[2]), interctc_weight=0.5),
    dict(
        encoder_conf=dict(interctc_layer_idx=[2], interctc_use_conditioning=True),
        interctc_weight=0.5,
    ),
    dict(decoder="transformer", ctc_weight=0.3, lsm_weight=0.1),
]


@pytest.mark.parametrize("conf", STUDENTS)
def test_without_distillers_it_is_stock_espnet(build_model, batch, conf):
    ours, stock = build_model("lmkd", **conf), build_model("espnet", **conf)
    assert list(ours.state_dict()) == list(stock.state_dict())
    loss, stats, gradients = run(ours, batch)
    stock_loss, stock_stats, stock_gradients = run(stock, batch)
    assert torch.equal(loss, stock_loss) and stats.keys() == stock_stats.keys()
    assert gradients.keys() == stock_gradients.keys()
    assert all(torch.equal(gradients[k], stock_gradients[k]) for k in gradients)


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
        torch.testing.assert_close(gradient, stock[2][name], rtol=1e-4, atol=1e-6)
    assert nodes < stock[3] / 2


def test_a_multi_blank_transducer_keeps_espnets_loss(build_model, batch):
    model = build_model(decoder="transducer", ctc_weight=0.0)
    model.transducer_multi_blank_durations, given = [2], []
    model.criterion_transducer.register_forward_pre_hook(
        lambda module, inputs: given.append(inputs[0].shape)
    )
    model(**batch)
    assert [len(shape) for shape in given] == [4]


@pytest.mark.parametrize("conf", STUDENTS[:3])
def test_a_distiller_adds_its_weighted_loss_and_only_its_own_names(
    build_model, batch, conf
):
    model = build_model(distillers=[INTERAED], **conf).eval()
    stock = build_model("espnet", **conf).eval()
    extra = set(model.state_dict()) - set(stock.state_dict())
    assert extra and all(name.startswith("distillers.") for name in extra)
    stock.load_state_dict(
        {k: v for k, v in model.state_dict().items() if k not in extra}
    )
    loss, stats, _ = run(model, batch)
    stock_loss, _, _ = run(stock, batch)
    torch.testing.assert_close(stats["loss_asr"], stock_loss)
    torch.testing.assert_close(loss, stock_loss + 0.5 * stats["loss_interaed"])
    assert stats["acc_interaed"].numel() == 1


HYBRID = dict(decoder="transformer", ctc_weight=0.3)


@pytest.mark.parametrize(
    "type_name, conf, student",
    [
        ("lm_embedding", dict(target_size=6), HYBRID),
        ("lm_embedding", dict(target_size=6, source="ctc"), STUDENTS[2]),
        ("ctc_soft_label", {}, STUDENTS[2]),
    ],
)
def test_every_distiller_trains_within_its_student(
    build_model, batch, type_name, conf, student
):
    batch["teacher_hidden"] = torch.randn(3, 4, 6)
    batch["teacher_hidden_lengths"] = batch["text_lengths"].clone()
    entry = dict(type=type_name, weight=0.5, conf=conf)
    model = build_model(distillers=[entry], **student)
    loss, stats, gradients = run(model, batch)
    assert stats[f"loss_{type_name}"] > 0
    assert stats[f"tokens_without_alignment_{type_name}"] == 0
    torch.testing.assert_close(
        loss, stats["loss_asr"] + 0.5 * stats[f"loss_{type_name}"]
    )
    assert gradients.keys() == dict(model.named_parameters()).keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_the_loss_is_a_sum_over_tokens_by_batch_size(build_model, batch):
    """So that the mean over ranks is what one process with the whole batch has."""
    model = build_model(distillers=[INTERAED]).eval()
    # ESPnet's convolutions see padded frames, so only equal lengths compare exactly.
    batch["speech_lengths"][:] = 60
    with torch.no_grad():
        whole = model(**copy.deepcopy(batch))[1]["loss_interaed"]
        parts = []
        for index in range(3):
            one = {k: v[index : index + 1] for k, v in batch.items()}
            parts.append(model(**copy.deepcopy(one))[1]["loss_interaed"])
    torch.testing.assert_close(whole, torch.stack(parts).mean(0))


def test_validation_without_targets_and_training_without_them(build_model, batch):
    model = build_model(distillers=[INTERAED])
    plain = {k: v for k, v in batch.items() if not k.startswith("teacher_")}
    model.eval()(**copy.deepcopy(plain))
    with pytest.raises(InputError, match="teacher_topk_ids"):
        model.train()(**plain)


def test_an_utterance_without_targets_is_counted(build_model, batch):
    model = build_model(distillers=[INTERAED])
    for key in ("teacher_topk_ids_lengths", "teacher_topk_log_probs_lengths"):
        batch[key][1] = 0
    _, stats, _ = run(model, batch)
    assert stats["without_targets_interaed"].item() == 1


def test_targets_of_another_length_name_the_utterance(build_model, batch):
    model = build_model(distillers=[INTERAED])
    batch["teacher_topk_ids_lengths"][2] = 2
    with pytest.raises(InputError, match="'utt_c' has 2 rows for 3 tokens"):
        model(**batch)


ONE_BEST_PATH = dict(type="one_best_path", weight=0.5)
PATH = ("teacher_path", "teacher_path_topk_ids", "teacher_path_topk_log_probs")


def add_path(model, batch, more_frames=0):
    """Add targets of a teacher that emits all labels at once, on the last frame."""
    _, frames = model.encode(batch["speech"], batch["speech_lengths"])
    sizes = zip((frames + more_frames).tolist(), batch["text_lengths"].tolist())
    path = [
        torch.tensor([(t, 0) for t in range(T)] + [(T - 1, u + 1) for u in range(L)])
        for T, L in sizes
    ]
    lengths = torch.tensor([len(nodes) for nodes in path])
    ids = [torch.arange(6).view(1, 6).repeat(n, 1) for n in lengths]
    log_probs = [torch.full((n, 6), -2.0) for n in lengths]
    for name, rows in zip(PATH, (path, ids, log_probs)):
        # As ESPnet's collate function pads.
        value = 0.0 if rows[0].is_floating_point() else -1
        padded = torch.nn.utils.rnn.pad_sequence(rows, True, padding_value=value)
        batch.update({name: padded, f"{name}_lengths": lengths.clone()})


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


def test_a_transducer_that_espnet_cannot_decode_is_not_trained(build_model):
    layers = dict(interctc_layer_idx=[2])
    with pytest.raises(InputError, match="decode a transducer with intermediate CTC"):
        build_model(decoder="transducer", encoder_conf=layers, ctc_weight=0.3)


def test_a_method_for_transducers_needs_one(build_model):
    with pytest.raises(InputError, match="needs a transducer student .* NoneType"):
        build_model(distillers=[ONE_BEST_PATH])


def test_a_non_finite_term_names_the_utterance(build_model, batch):
    model = build_model(distillers=[INTERAED])
    batch["teacher_topk_log_probs"][1] = float("nan")
    with pytest.raises(InputError, match=r"loss_interaed .* \['utt_b'\]"):
        model(**batch)


class ConfidencePenaltyDistiller(AbsDistiller):
    """A method from outside the pack, in one class."""

    taps = ("ctc_logits",)

    def __init__(self, student):
        super().__init__()

    def forward(self, student, teacher):
        logits = student["ctc_logits"]
        log_probs = logits.data.float().log_softmax(-1)
        negative_entropy = (log_probs.exp() * log_probs).sum(-1) * logits.mask
        return negative_entropy.sum(1), {}


def test_a_dotted_path_brings_a_method_from_outside(build_model, batch):
    name = f"{__name__}.ConfidencePenaltyDistiller"
    model = build_model(distillers=[dict(type=name, name="penalty", weight=0.1)])
    _, stats, _ = run(model.eval(), batch)
    with torch.no_grad():
        encoded, lengths = model.encode(batch["speech"], batch["speech_lengths"])
        probs = torch.distributions.Categorical(logits=model.ctc.ctc_lo(encoded))
    entropy = (probs.entropy() * Padded(encoded, lengths).mask).sum() / 3
    torch.testing.assert_close(stats["loss_penalty"].squeeze(), -entropy)


def test_two_distillers_stack(build_model, batch):
    model = build_model(
        distillers=[
            INTERAED,
            dict(INTERAED, name="final", conf=dict(decoder_conf=DECODER), weight=0.25),
        ]
    ).eval()
    loss, stats, _ = run(model, batch)
    expected = stats["loss_asr"] + 0.5 * stats["loss_interaed"]
    torch.testing.assert_close(loss, expected + 0.25 * stats["loss_final"])


def test_weight_ramp_survives_a_resume(build_model, batch):
    ramp = dict(start=0.0, end=1.0, batches=4)
    model = build_model(distillers=[dict(INTERAED, weight=ramp)])
    entry = model.distillers["interaed"]
    seen = []
    for _ in range(3):
        seen.append(entry.weight())
        run(model, batch)
    assert seen == [0.0, 0.25, 0.5]
    resumed = build_model(distillers=[dict(INTERAED, weight=ramp)])
    resumed.load_state_dict(model.state_dict())
    assert resumed.distillers["interaed"].weight() == 0.75


@pytest.mark.parametrize(
    "entries, message",
    [
        ([dict(type="interead")], "unknown distiller type 'interead'; choose one of"),
        ([dict(name="x")], "needs 'type'"),
        ([INTERAED, INTERAED], "two distillers are called 'interaed'"),
        ([dict(type="interaed", conf=dict(layer=2))], "has no option"),
        ([dict(type="interaed", conf=dict(layers=[4]))], "not within 1..3"),
        ([dict(type="interaed", weight=dict(end=1))], "exactly the keys"),
        ([dict(type="lm_embedding", conf=dict(target_size=6))], "choose source 'ctc'"),
        ([dict(type="no.such.Thing")], "cannot be imported"),
        ([dict(type="torch.nn.Linear")], "no AbsDistiller subclass"),
    ],
)
def test_a_wrong_configuration_says_what_is_right(build_model, entries, message):
    with pytest.raises(InputError, match=message):
        build_model(distillers=entries)
