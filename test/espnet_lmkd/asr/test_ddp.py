"""Two spawned processes train as one process does with the whole batch."""

import torch
import torch.distributed
from tiny_student import INTERAED


def gradients(model):
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def worker(rank, port, config, state, batches, out):
    """A spawned child sees only what importing the task registers."""
    from espnet_lmkd.asr.task import ASRKDTask

    torch.distributed.init_process_group(
        "gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    model = ASRKDTask.build_model(config).eval()
    model.load_state_dict(state)
    model = torch.nn.parallel.DistributedDataParallel(
        model, find_unused_parameters=True
    )
    loss, stats, weight = model(**batches[rank])
    # ESPnet's trainer weighs the ranks by their batch sizes.
    (loss * weight / 3 * 2).sum().backward()
    torch.save((sorted(stats), gradients(model.module)), f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_gradients_of_two_ranks_are_those_of_one_process(build_model, batch, tmp_path):
    """Uneven ranks, and the one utterance of the second has no targets."""
    import socket

    model = build_model(distillers=[INTERAED]).eval()
    batch["speech_lengths"][:] = 60
    for key in ("teacher_topk_ids_lengths", "teacher_topk_log_probs_lengths"):
        batch[key][2] = 0
    batches = [
        {k: v[:2] for k, v in batch.items()},
        {k: v[2:] for k, v in batch.items()},
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(
        worker,
        (port, build_model.last_args, model.state_dict(), batches, str(tmp_path)),
        nprocs=2,
    )
    loss, _, _ = model(**batch)
    loss.sum().backward()
    expected = gradients(model)
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert results[0][0] == results[1][0]
    for _, got in results:
        assert got.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-5)
