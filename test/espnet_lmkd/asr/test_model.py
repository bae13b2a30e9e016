"""The judge is stock ESPnet: same loss, gradients and parameter names."""

import copy

import pytest
import torch
from tiny_student import DECODER, INTERAED, run

from espnet_lmkd.distillers.abs_distiller import AbsDistiller
from espnet_lmkd.distillers.weighted import TAKEN
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

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


def test_what_is_frozen_stays_as_it_is(build_model, batch):
    """Also the statistics of batch normalisation, which are no parameters."""
    model = build_model(decoder="transformer", ctc_weight=0.3, lsm_weight=0.1)
    model.encoder.requires_grad_(False)
    before = copy.deepcopy(model.encoder.state_dict())
    loss, _, gradients = run(model.train(), batch)
    assert gradients and model.decoder.training and not model.encoder.training
    after = model.encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert model.encoder.requires_grad_(True) and model.train().encoder.training


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
        ([dict(INTERAED, name="ctc")], "loss_ctc is the recogniser's own in the logs"),
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


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("conf", [*STUDENTS, dict(decoder="transducer")])
def test_no_distiller_has_a_name_under_which_espnet_logs(
    build_model, batch, conf, training
):
    stats = run(build_model("espnet", **conf).train(training), batch)[1]
    names = {key.partition("_")[2] for key in ("loss_asr", *stats)} - {""}
    assert names and all(TAKEN.fullmatch(name) for name in names), names


def test_validation_asks_those_that_have_what_they_need(build_model, batch):
    """Teachers' targets are there for training; a student's own CTC always."""
    own = dict(type="attention_alignment", weight=0.5)
    taught = dict(type="lm_embedding", conf=dict(target_size=6))
    students = [
        build_model(decoder="transformer", ctc_weight=0.3, distillers=distillers)
        for distillers in ([own], [own, taught])
    ]
    stats = [run(student.eval(), batch)[1] for student in students]
    assert stats[0].keys() == stats[1].keys()
    assert "loss_attention_alignment" in stats[0]
    for values in stats:
        expected = values["loss_asr"] + 0.5 * values["loss_attention_alignment"]
        torch.testing.assert_close(values["loss"], expected)
    with pytest.raises(InputError, match="teacher_hidden"):
        students[1].train()(**batch)
