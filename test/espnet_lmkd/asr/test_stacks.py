"""Several distillers on one student: the judge is each of them alone."""

import pytest
import torch
from tiny_student import INTERAED, add_path, run

HIDDEN = dict(target_size=6)
CTC = dict(type="lm_embedding", weight=0.9, conf=dict(HIDDEN, source="ctc"))
STACKS = {
    "ctc: soft labels, D and A": dict(
        encoder_conf=dict(interctc_layer_idx=[2]),
        interctc_weight=0.5,
        distillers=[dict(type="ctc_soft_label", weight=0.3), INTERAED, CTC],
    ),
    "attention: D and A": dict(
        decoder="transformer",
        ctc_weight=0.3,
        distillers=[
            dict(type="attention_alignment", weight=0.3),
            INTERAED,
            dict(type="lm_embedding", weight=0.9, conf=HIDDEN),
        ],
    ),
    "cif: A beside B's two": dict(
        decoder="lmkd_cif",
        ctc_weight=0.3,
        distillers=[
            dict(
                type="acoustic_contrastive",
                weight=0.7,
                conf=dict(HIDDEN, num_negatives=None),
            ),
            dict(
                type="lm_embedding",
                name="linguistic_regression",
                weight=5.0,
                conf=dict(HIDDEN, normalize=False),
            ),
            CTC,
        ],
    ),
    "transducer: A and E": dict(
        decoder="transducer",
        ctc_weight=0.3,
        report_cer=False,
        report_wer=False,
        distillers=[
            dict(type="one_best_path", weight=0.5),
            dict(type="lm_embedding_transducer", weight=0.3, conf=HIDDEN),
        ],
    ),
}


@pytest.fixture(params=STACKS)
def stacked(request, build_model, batch):
    """A student without dropout, its options, and targets of all kinds."""
    student = STACKS[request.param]
    model = build_model(**student).eval()
    batch["teacher_hidden"] = torch.randn(*batch["text"].shape, 6)
    batch["teacher_hidden_lengths"] = batch["text_lengths"].clone()
    if student.get("decoder") == "transducer":
        add_path(model, batch)
    return model, student, batch


def test_the_loss_is_the_sum_of_what_each_has_alone(build_model, stacked):
    model, student, batch = stacked
    loss, stats, gradients = run(model, batch)
    asr, _, wanted = run(build_model(**{**student, "distillers": []}).eval(), batch)
    torch.testing.assert_close(stats["loss_asr"], asr)
    total = asr.clone()
    sums = {name: gradient.clone() for name, gradient in wanted.items()}
    for entry in student["distillers"]:
        alone = build_model(**{**student, "distillers": [entry]}).eval()
        state = model.state_dict()
        alone.load_state_dict({name: state[name] for name in alone.state_dict()})
        _, of_one, with_one = run(alone, batch)
        name = entry.get("name", entry["type"])
        term = stats[f"loss_{name}"]
        assert term > 0
        torch.testing.assert_close(term, of_one[f"loss_{name}"])
        total += entry["weight"] * term
        for key, gradient in with_one.items():
            own = key.startswith("distillers.")
            sums[key] = gradient if own else sums[key] + gradient - wanted[key]
    torch.testing.assert_close(loss, total)
    assert gradients.keys() == sums.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, sums[name], rtol=1e-4, atol=1e-4)


def test_gradients_reach_all_parts_in_training(stacked):
    model, student, batch = stacked
    loss, stats, gradients = run(model.train(), batch)
    terms = [
        entry["weight"] * stats[f"loss_{entry.get('name', entry['type'])}"]
        for entry in student["distillers"]
    ]
    torch.testing.assert_close(loss, stats["loss_asr"] + sum(terms))
    assert gradients.keys() == dict(model.named_parameters()).keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    for name, module in [*model.named_children(), *model.distillers.items()]:
        found = [parameter.grad.abs().sum() for parameter in module.parameters()]
        assert not found or sum(found) > 0, name
