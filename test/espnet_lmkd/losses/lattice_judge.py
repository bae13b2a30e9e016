"""Transducer lattices judged by every path written out and by the plain recursion."""

import itertools
import math

import torch


def log_add(*values):
    top = max(values)
    if top == -math.inf:
        return top
    return top + math.log(sum(math.exp(value - top) for value in values))


def paths(frames, labels):
    """Every path as its arcs: (is it a label?, t, u)."""
    # The last arc is a blank; labels take any of the places before it.
    places = range(frames + labels - 1)
    for chosen in itertools.combinations(places, labels):
        t, u, arcs = 0, 0, []
        for place in range(frames + labels):
            is_label = place in chosen
            arcs.append((is_label, t, u))
            t, u = t + (not is_label), u + is_label
        yield arcs


def enumerated(blanks, labels):
    """Nll and posteriors of blank and label arcs, from lists of one utterance."""
    frames, nodes = len(blanks), len(blanks[0])
    scored = []
    for arcs in paths(frames, nodes - 1):
        score = sum((labels if kind else blanks)[t][u] for kind, t, u in arcs)
        scored.append((score, arcs))
    total = log_add(*(score for score, _ in scored))
    posteriors = [
        [[0.0] * nodes for _ in blanks],
        [[0.0] * (nodes - 1) for _ in blanks],
    ]
    for score, arcs in scored:
        for kind, t, u in arcs:
            posteriors[kind][t][u] += math.exp(score - total)
    return -total, *posteriors


def recursion(blanks, labels):
    """The same by forward and backward variables, node by node."""
    frames, nodes = len(blanks), len(blanks[0])
    alpha, beta = {(0, 0): 0.0}, {(frames, nodes - 1): 0.0}
    none = -math.inf
    for t in range(frames):
        for u in range(nodes):
            if (t, u) != (0, 0):
                alpha[t, u] = log_add(
                    alpha[t - 1, u] + blanks[t - 1][u] if t > 0 else none,
                    alpha[t, u - 1] + labels[t][u - 1] if u > 0 else none,
                )
    for t in reversed(range(frames)):
        for u in reversed(range(nodes)):
            beta[t, u] = log_add(
                beta.get((t + 1, u), none) + blanks[t][u],
                beta[t, u + 1] + labels[t][u] if u < nodes - 1 else none,
            )
    total = beta[0, 0]
    blank_posteriors = [
        [
            math.exp(alpha[t, u] + blanks[t][u] + beta.get((t + 1, u), none) - total)
            for u in range(nodes)
        ]
        for t in range(frames)
    ]
    label_posteriors = [
        [
            math.exp(alpha[t, u] + labels[t][u] + beta[t, u + 1] - total)
            for u in range(nodes - 1)
        ]
        for t in range(frames)
    ]
    return -total, blank_posteriors, label_posteriors


def rnnt_judge(logits, targets, logit_lengths, target_lengths, blank):
    """Losses (B,) and the gradient of their sum by the recursion, in float64."""
    logits = logits.detach().double().requires_grad_()
    losses, surrogate = [], (logits * 0).sum()
    for b, (frames, length) in enumerate(zip(logit_lengths, target_lengths)):
        log_probs = logits[b, :frames, : length + 1].log_softmax(-1)
        blanks = log_probs[..., blank]
        labels = log_probs[:, torch.arange(length), targets[b, :length].long()]
        nll, *posteriors = recursion(blanks.tolist(), labels.tolist())
        losses.append(nll)
        for scores, posterior in zip((blanks, labels), posteriors):
            posterior = torch.tensor(posterior, dtype=torch.double)
            surrogate = surrogate - (scores * posterior.view_as(scores)).sum()
    surrogate.backward()
    return torch.tensor(losses, dtype=torch.double), logits.grad


def random_lattice(shape, classes, blank, seed=0, dtype=torch.float):
    """Logits (*shape, V) and targets (B, L) without the blank."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(*shape, classes, generator=generator, dtype=dtype) * 3
    targets = torch.randint(
        1, classes, (shape[0], shape[2] - 1), generator=generator
    )  # steps from the blank to another class
    return logits, (targets + blank) % classes


def random_scores(shape, seed, dtype=torch.double):
    """Scores of blanks (B, T, U) and labels (B, T, L), not normalised."""
    generator = torch.Generator().manual_seed(seed)
    blanks = torch.randn(shape, generator=generator, dtype=dtype) * 3 - 2
    return blanks, torch.randn_like(blanks[..., 1:]) * 3 - 2
