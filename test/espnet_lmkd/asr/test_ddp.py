"""Two spawned processes train as one process does with the whole batch."""

import pytest
import torch
from tiny_student import DECODER, INTERAED, add_path, make_batch
from two_ranks import check, train

HIDDEN = dict(target_size=6)
STUDENTS = {
    "ctc": dict(
        distillers=[
            INTERAED,
            dict(
                type="interaed_wordpiece",
                conf=dict(vocab_size=12, sos=0, eos=1, decoder_conf=DECODER),
            ),
            dict(type="ctc_soft_label", weight=0.3),
            dict(type="lm_embedding", conf=dict(HIDDEN, source="ctc")),
        ]
    ),
    "attention": dict(
        decoder="transformer",
        ctc_weight=0.3,
        distillers=[dict(type="lm_embedding", conf=HIDDEN)],
    ),
    "cif": dict(
        decoder="lmkd_cif",
        ctc_weight=0.3,
        distillers=[
            dict(
                type="acoustic_contrastive",
                conf=dict(HIDDEN, num_negatives=None, across_ranks=True),
            ),
            dict(type="lm_embedding", conf=dict(HIDDEN, normalize=False)),
        ],
    ),
    "transducer": dict(
        decoder="transducer",
        ctc_weight=0.3,
        report_cer=False,
        report_wer=False,
        distillers=[
            dict(type="one_best_path", weight=0.5),
            dict(type="lm_embedding_transducer", conf=HIDDEN),
            dict(
                type="lm_embedding",
                name="predictor",
                conf=dict(HIDDEN, source="predictor"),
            ),
        ],
    ),
}


def add_targets(name, model, batch):
    """Add random targets of each method to two of the three utterances."""
    batch["speech_lengths"][:] = 60  # ESPnet's convolutions see the padding
    rows = batch["text_lengths"] + (name == "cif")
    if name == "ctc":
        batch["teacher_tokens"] = batch["text"].clamp(min=2)[..., None]
        for kind in ("ids", "log_probs"):
            batch[f"teacher_tokens_topk_{kind}"] = batch[f"teacher_topk_{kind}"]
    batch["teacher_hidden"] = torch.randn(3, int(rows.max()), 6)
    if name == "transducer":
        add_path(model, batch)
    for target in [key for key in batch if key.startswith("teacher_")]:
        if not target.endswith("_lengths"):
            lengths = batch.setdefault(f"{target}_lengths", rows.clone())
            lengths[2] = 0
    return batch


@pytest.fixture(scope="module")
def trained(build_model, tmp_path_factory):
    students = {}
    for name, student in STUDENTS.items():
        model = build_model(**student).eval()
        batch = add_targets(name, model, make_batch())
        students[name] = build_model.last_args, model, batch
    return train(students, tmp_path_factory.mktemp("ddp"))


@pytest.mark.parametrize("name", STUDENTS)
def test_gradients_of_two_ranks_are_those_of_one_process(trained, name):
    """Uneven ranks, and the one utterance of the second has no targets."""
    check(trained, name)
