"""Time and memory of a step, alike in all benchmarks.

Time is CPU seconds of this process with one thread, so that a busy machine changes
little, and the clock's with more or on CUDA. Memory is the peak above what was there
before the step: on a CPU that of the resident set, in a process of its own (Linux
forgets the peak so far when told so through /proc), on CUDA that of the allocator.
"""

import ctypes
import gc
import multiprocessing
import statistics
import time
from pathlib import Path

import torch
from tqdm import trange


def seconds(step, device="cpu", repeats=1):
    """Mean time of a step."""
    on_cuda = torch.device(device).type == "cuda"
    alone = torch.get_num_threads() == 1 and not on_cuda
    clock = time.process_time if alone else time.perf_counter
    if on_cuda:
        torch.cuda.synchronize()
    started = clock()
    for _ in range(repeats):
        step()
    if on_cuda:
        torch.cuda.synchronize()
    return (clock() - started) / repeats


def medians(steps, rounds):
    """Time steps in turn: after one to warm up, as many as take 50 ms."""
    spent = {name: [] for name in steps}
    for _ in trange(rounds, desc="rounds"):
        for name, step in steps.items():
            repeats = max(1, int(0.05 / seconds(step)))
            spent[name].append(seconds(step, repeats=repeats))
    return {name: statistics.median(times) for name, times in spent.items()}


def random_batch(batch_size, utterance_seconds, device="cpu"):
    """Speech and text of a transducer's training, of 300 BPE tokens."""
    length = int(3.5 * utterance_seconds)  # of read speech
    batch = {
        "speech": torch.randn(batch_size, 16_000 * utterance_seconds),
        "speech_lengths": torch.full((batch_size,), 16_000 * utterance_seconds),
        "text": torch.randint(2, 299, (batch_size, length)),
        "text_lengths": torch.full((batch_size,), length),
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


def ratio(values, others):
    """Median of the ratios of neighbours in time: a busy machine changes both."""
    return statistics.median(x / y for x, y in zip(values[1:], others[1:]))


def step_table(models, batch, rounds, device="cpu"):
    """Print a training step's time for each {name: (model, targets)}, the first's 1."""
    spent = {name: [] for name in models}
    for _ in trange(rounds + 1, desc="training step"):  # the first warms up
        for name, (model, targets) in models.items():

            def step():
                copies = {key: value.clone() for key, value in batch.items()}
                model.zero_grad()
                model(**copies, **targets)[0].backward()

            spent[name].append(seconds(step, device))
    first = next(iter(spent))
    print(f"\n| training step ({device}) | s | / {first} |\n|---|---:|---:|")
    for name, values in spent.items():
        median = statistics.median(values[1:])
        print(f"| {name} | {median:.3f} | {ratio(values, spent[first]):.3f} |")


def extra_memory(make, small, args, device="cpu"):
    """Peak of the step `make(*args)` above what was there before it, in bytes.

    A step of `make(*small)` comes first: libraries and what they set up.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_extra_memory, (make, small, args, device))


def _extra_memory(make, small, args, device):
    torch.set_num_threads(1)
    make(*small)()
    step = make(*args)
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    ctypes.CDLL(None).malloc_trim(0)  # what making the step has left
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    step()
    return _resident("VmHWM") - before


def _resident(key):
    """VmRSS (now) or VmHWM (peak) of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return 1024 * int(line.split()[1])
