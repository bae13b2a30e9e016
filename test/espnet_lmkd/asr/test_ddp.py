"""Two spawned processes train as one process does with the whole batch."""

import socket

import pytest
import torch
import torch.distributed
from tiny_student import DECODER, INTERAED, add_path, make_batch

HIDDEN = dict(target_size=6)
RANKS = slice(0, 2), slice(2, 3)  # utterances of each
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


def gradients(model):
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def worker(rank, port, students, out):
    """A spawned child sees only what importing the task registers."""
    from espnet_lmkd.asr.task import ASRKDTask

    torch.distributed.init_process_group(
        "gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    results = {}
    for name, (config, state, batches) in students.items():
        model = ASRKDTask.build_model(config).eval()
        model.load_state_dict(state)
        model = torch.nn.parallel.DistributedDataParallel(
            model, find_unused_parameters=True
        )
        loss, stats, weight = model(**batches[rank])
        # ESPnet's trainer weighs the ranks by their batch sizes.
        (loss * weight / 3 * 2).sum().backward()
        results[name] = sorted(stats), gradients(model.module)
    torch.save(results, f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


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
    """Return what one process and what two find, of every student."""
    out, students, expected = tmp_path_factory.mktemp("ddp"), {}, {}
    for name, student in STUDENTS.items():
        model = build_model(**student).eval()
        whole = add_targets(name, model, make_batch())
        parts = [{k: v[part] for k, v in whole.items()} for part in RANKS]
        students[name] = build_model.last_args, model.state_dict(), parts
        loss, stats, _ = model(**whole)
        loss.sum().backward()
        expected[name] = sorted(stats), gradients(model)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(worker, (port, students, str(out)), nprocs=2)
    return expected, [torch.load(out / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", STUDENTS)
def test_gradients_of_two_ranks_are_those_of_one_process(trained, name):
    """Uneven ranks, and the one utterance of the second has no targets."""
    expected, ranks = trained
    stats, gradients_of_one = expected[name]
    for rank in ranks:
        assert rank[name][0] == stats
        assert rank[name][1].keys() == gradients_of_one.keys()
        for key, gradient in gradients_of_one.items():
            torch.testing.assert_close(
                rank[name][1][key], gradient, rtol=1e-4, atol=1e-5
            )
