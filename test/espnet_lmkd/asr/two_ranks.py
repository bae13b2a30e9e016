"""The gradients of a batch, of one process and of two that share it unevenly."""

import copy
import os
import socket

import torch
import torch.distributed

RANKS = slice(0, 2), slice(2, 3)  # utterances of each


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
    torch.distributed.barrier()
    # Taking the group apart would wait, now and then for ever: it holds the interpreter
    # while a thread of gloo wants it to let go of its last work.
    os._exit(0)


def train(students, out):
    """Return what one process finds and what each of two does, for every student.

    Args:
        students: name -> what `ASRKDTask.build_model` takes, the model in eval mode and
            a batch of three utterances.
        out: folder.

    Returns:
        name -> (names of the stats, gradients), of one process and of the two.
    """
    alone, shared = {}, {}
    for name, (config, model, batch) in students.items():
        # ESPnet normalises features in place.
        parts = [{k: copy.deepcopy(v[r]) for k, v in batch.items()} for r in RANKS]
        shared[name] = config, model.state_dict(), parts
        loss, stats, _ = model(**batch)
        loss.sum().backward()
        alone[name] = sorted(stats), gradients(model)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(worker, (port, shared, str(out)), nprocs=2)
    return alone, [torch.load(out / f"{rank}.pt") for rank in (0, 1)]


def check(trained, name):
    """Compare the ranks with the one process."""
    alone, ranks = trained
    stats, expected = alone[name]
    for rank in ranks:
        assert rank[name][0] == stats
        assert rank[name][1].keys() == expected.keys()
        for key, gradient in expected.items():
            torch.testing.assert_close(
                rank[name][1][key], gradient, rtol=1e-4, atol=1e-5
            )
