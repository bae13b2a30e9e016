"""Integrate-and-fire beside torch-cif and FunASR: tokens, errors, time, memory.

    pip install --no-deps torch-cif funasr  # what they need here, torch, is there
    python3 benchmarks/cif.py               # half an hour on a busy core

Time is forward and backward, from hidden states and weights to the gradients of both,
the median of interleaved rounds of at least 50 ms; memory is what they take above the
inputs, gradients included (measure.py). The floor is the time in which memory moves
what has to move: hidden states twice, their gradient, vectors and theirs, at the speed
of a copy of the hidden states in the same rounds.

Values are judged by the plain loop in float64. The number of tokens is that of vectors
which are not zero; errors are relative to the largest value of an utterance, where the
number is right.
"""

import argparse
import importlib
import importlib.util
import os
import sys
import types

import torch
from measure import extra_memory, medians
from tqdm import tqdm, trange

from espnet_lmkd.alignment.cif import integrate_and_fire

LOOP = "FunASR cif (loop)"
COPY = "copy of the hidden states"
SMALL, LARGE = (16, 250, 256), (32, 1000, 512)


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--utterances", type=int, default=200, help="beside peers")
    parser.add_argument("--sweep", type=int, default=10000, help="utterances a dtype")
    return parser


def ours(hidden, alpha, lengths, target_lengths):
    return integrate_and_fire(hidden, alpha, lengths, target_lengths).vectors


def padding(alpha, lengths):
    return torch.arange(alpha.shape[1], device=alpha.device) >= lengths.unsqueeze(1)


def torch_cif(hidden, alpha, lengths, target_lengths):
    function = importlib.import_module("torch_cif").cif_function
    (vectors,) = function(
        hidden,
        alpha,
        padding_mask=padding(alpha, lengths),
        target_lengths=target_lengths,
        unbound_alpha=True,
    )["cif_out"]
    return vectors


def funasr(name):
    """One of FunASR's functions with the scaling that its predictors put before."""

    def step(hidden, alpha, lengths, target_lengths):
        if "funasr" not in sys.modules:
            # Its __init__ would import all of it, and all that this needs.
            package = types.ModuleType("funasr")
            spec = importlib.util.find_spec("funasr")
            package.__path__ = list(spec.submodule_search_locations)
            sys.modules["funasr"] = package
        predictor = importlib.import_module("funasr.models.paraformer.cif_predictor")
        alpha = alpha.masked_fill(padding(alpha, lengths), 0.0)
        alpha = alpha * (target_lengths / alpha.sum(1)).unsqueeze(1)
        return getattr(predictor, name)(hidden, alpha, 1.0)[0]

    return step


ROWS = {
    "ours": ours,
    "torch-cif": torch_cif,
    "FunASR cif_v1": funasr("cif_v1"),
    LOOP: funasr("cif"),
}


def judge(hidden, alpha, tokens):
    """Integrate and fire one utterance frame by frame, in float64."""
    hidden, alpha = hidden.double(), alpha.double()
    if not alpha.any():
        alpha = torch.ones_like(alpha)
    places, shares, missing = [], [], 1.0
    for t, weight in enumerate((alpha * (tokens / alpha.sum())).tolist()):
        while weight >= missing:
            places.append(t)
            shares.append(missing)
            places.append(-1)
            shares.append(0.0)
            weight, missing = weight - missing, 1.0
        places.append(t)
        shares.append(weight)
        missing -= weight
    places = torch.tensor(places)
    token = (places == -1).cumsum(0).clamp(max=tokens - 1)
    weighted = torch.tensor(shares).double().unsqueeze(1) * hidden[places]
    return hidden.new_zeros(tokens, hidden.shape[1]).index_add(0, token, weighted)


def make_utterance(kind, longest, dtype, generator):
    """Hidden states, weights and the number of tokens of a random utterance."""
    frames = int(torch.randint(1, longest + 1, (), generator=generator))
    hidden = torch.randn(frames, 8, generator=generator)
    alpha = torch.rand(frames, generator=generator)
    rate = 0.02 + 0.3 * float(torch.rand((), generator=generator))  # tokens a frame
    if kind == "large":
        rate *= 10
    if kind == "near zero":
        alpha *= 1e-6
        if torch.rand((), generator=generator) < 0.1:
            alpha.zero_()
    return hidden.to(dtype), alpha.to(dtype), max(1, int(rate * frames))


def compare(function, utterances):
    """Run a padded batch; one (wrong number, fails, error) for each utterance."""
    hidden, alpha = (
        torch.nn.utils.rnn.pad_sequence(list(tensors), batch_first=True)
        for tensors in list(zip(*utterances))[:2]
    )
    lengths = torch.tensor([len(utterance[1]) for utterance in utterances])
    tokens = torch.tensor([utterance[2] for utterance in utterances])
    try:
        batch = function(hidden, alpha, lengths, tokens).double()
    except Exception:  # whatever a peer raises is what the table counts
        return [(0, 1, 0.0)] * len(utterances)
    results = []
    for vectors, (h, a, number) in zip(batch, utterances):
        error = 0.0
        fails = not vectors.isfinite().all()
        wrong = not fails and int(vectors.abs().sum(1).gt(0).sum()) != number
        if not fails and not wrong:
            wanted = judge(h, a, number)
            error = float((vectors[:number] - wanted).abs().max() / wanted.abs().max())
        results.append((wrong, fails, error))
    return results


def print_correctness(title, rows):
    """Print one row for each ((kind, dtype, name), results)."""
    print(f"\n| {title} | dtype | | utterances | wrong number | fails | error |")
    print("|---|---|---|---:|---:|---:|---:|")
    for (kind, dtype, name), results in rows:
        wrong, fails, errors = zip(*results)
        dtype = str(dtype).split(".")[1]
        error = f"{max(errors):.1e}" if any(errors) else ""
        print(
            f"| {kind} | {dtype} | {name} | {len(results)} | {sum(wrong)} |"
            f" {sum(fails)} | {error} |",
            flush=True,
        )


def correctness(names, number):
    """Each utterance alone, ours and the peers."""
    kinds = [(kind, torch.float32) for kind in ("ordinary", "large", "near zero")]
    for kind, dtype in tqdm([*kinds, ("ordinary", torch.half)], desc="kinds"):
        for name in names:
            generator = torch.Generator().manual_seed(0)
            results = []
            for _ in range(number):
                one = make_utterance(kind, 300, dtype, generator)
                results += compare(ROWS[name], [one])
            yield (kind, dtype, name), results


def sweep(number, batch=16):
    """Ours alone, in padded batches of very different lengths and kinds."""
    kinds = ("ordinary", "large", "near zero")
    for dtype in (torch.float32, torch.bfloat16, torch.half):
        generator = torch.Generator().manual_seed(1)
        results = []
        for start in trange(0, number, batch, desc=str(dtype)):
            utterances = [
                make_utterance(kinds[i % len(kinds)], 4000, dtype, generator)
                for i in range(start, min(start + batch, number))
            ]
            results += compare(ours, utterances)
        yield ("all kinds, to 4000 frames", dtype, "ours"), results


def make_step(name, size, ragged):
    """One forward and backward pass, a token every four frames; or a copy of hidden."""
    batch, frames, width = size
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(size, generator=generator).requires_grad_()
    alpha = torch.rand(batch, frames, generator=generator).requires_grad_()
    grad = torch.randn(batch, frames // 4, width, generator=generator)
    shortest = frames // 10 if ragged else frames
    lengths = torch.linspace(frames, shortest, batch).long()
    copied = torch.empty_like(hidden, requires_grad=False) if name == COPY else None

    def step():
        if name == COPY:
            return copied.copy_(hidden.detach())
        hidden.grad = alpha.grad = None
        vectors = ROWS[name](hidden, alpha, lengths, lengths // 4)
        most = min(vectors.shape[1], grad.shape[1])
        vectors[:, :most].backward(grad[:, :most])

    return step


def speed(names, size, threads, rounds, ragged=False):
    """Print a row for each name."""
    torch.set_num_threads(threads)
    steps = {name: make_step(name, size, ragged) for name in [*names, COPY]}
    times = medians(steps, rounds)
    batch, frames, width = size
    # A copy reads and writes hidden states; here three of these and two of vectors.
    floor = times.pop(COPY) * (3 + 2 / 4) / 2
    fastest = min(times[name] for name in names[1:])
    title = f"B{batch} T{frames} D{width}"
    title += f", lengths {frames // 10} to {frames}" if ragged else ""
    print(
        f"\n| {title}, {threads} thread{'s'[: threads - 1]} | ms | / fastest peer |",
        end="",
    )
    print(" / floor | peak +MB |\n|---|---:|---:|---:|---:|")
    for name, value in times.items():
        small = name, (1, 8, 8), False
        extra = extra_memory(make_step, small, (name, size, ragged))
        print(
            f"| {name} | {1e3 * value:.2f} | {value / fastest:.3f} |"
            f" {value / floor:.1f} | {extra / 1e6:.0f} |",
            flush=True,
        )


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    absent = [x for x in ("torch_cif", "funasr") if not importlib.util.find_spec(x)]
    if absent:
        sys.exit(
            f"error: {' and '.join(absent)} cannot be imported; "
            "pip install --no-deps torch-cif funasr"
        )
    torch.set_num_threads(1)
    print_correctness("alone", correctness(list(ROWS), args.utterances))
    print_correctness("in batches of 16", sweep(args.sweep))
    speed(list(ROWS), SMALL, 1, args.rounds)
    few = [name for name in ROWS if name != LOOP]  # the loop takes 20 s at this size
    speed(few, LARGE, 1, args.rounds)
    speed(few, LARGE, 1, args.rounds, ragged=True)
    speed(few, SMALL, os.cpu_count(), args.rounds)
    speed(few, LARGE, os.cpu_count(), args.rounds)


if __name__ == "__main__":
    main()
