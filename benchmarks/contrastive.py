"""The contrastive loss beside one that gathers the negatives of each anchor.

    python3 benchmarks/contrastive.py  # a few minutes on a busy core, 7 GB

Time is forward and backward on one CPU thread and memory the peak, both measured by
measure.py; the same negatives for both. Drawing them is a row of its own.
"""

import argparse

import torch
from measure import extra_memory, medians
from torch.nn.functional import cosine_similarity, cross_entropy

from espnet_lmkd.losses.contrastive import contrastive_loss, sample_negatives


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs=3, default=[960, 700, 768])
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def gathering(anchors, keys, negatives):
    """The same loss from (N, 1 + K, C) candidates."""
    ids = negatives.nonzero()[:, 1].view(len(keys), -1)
    candidates = torch.cat([keys.unsqueeze(1), keys[ids]], dim=1)
    scores = cosine_similarity(anchors.unsqueeze(1), candidates, dim=2) / 0.02
    return cross_entropy(scores, torch.zeros_like(ids[:, 0]), reduction="none")


ROWS = {"gathered": gathering, "contrastive_loss": contrastive_loss}
SAMPLER = "sample_negatives"


def make_step(name, sizes):
    """A forward and backward pass that returns the loss and the gradient."""
    number, count, width = sizes
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(number, width, generator=generator)
    # Not so near that losses vanish.
    anchors = 0.1 * keys + torch.randn(keys.shape, generator=generator)
    anchors.requires_grad_()
    positives = torch.arange(number)
    negatives = sample_negatives(positives, number, count, generator)

    def step():
        if name == SAMPLER:
            return sample_negatives(positives, number, count)
        anchors.grad = None
        loss = ROWS[name](anchors, keys, negatives)
        loss.sum().backward()
        return loss.detach(), anchors.grad

    return step


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    torch.set_num_threads(1)
    steps = {name: make_step(name, args.sizes) for name in (*ROWS, SAMPLER)}
    for what, *pair in zip(("loss", "gradient"), *(steps[name]() for name in ROWS)):
        error = (pair[0] - pair[1]).abs().max() / pair[0].abs().max()
        print(f"largest difference of the {what}: {error:.1e} of its largest value")
    times = medians(steps, args.rounds)
    title = " ".join(f"{key}{size}" for key, size in zip("NKC", args.sizes))
    print(f"\n| {title} | ms | / gathered | peak +MB | / gathered |")
    print("|---|---:|---:|---:|---:|")
    first = None
    for name, value in times.items():
        small = name, (8, 5, 4)
        extra = extra_memory(make_step, small, (name, args.sizes))
        first = first or (value, extra)
        print(
            f"| {name} | {1e3 * value:.1f} | {value / first[0]:.4f} |"
            f" {extra / 1e6:.0f} | {extra / first[1]:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
