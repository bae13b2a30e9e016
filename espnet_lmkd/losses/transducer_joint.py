"""The transducer loss from states, without the logits of a large lattice."""

from typing import Tuple

import torch
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from espnet_lmkd.losses.transducer import (
    arc_scores,
    check_lattice,
    lattice_nll,
    reduce_batch,
)

# Logits of a whole batch that may be kept for the backward pass, 128 MB in float32, and
# about as much for the layer below, which counts where classes are few.
KEPT, HIDDEN = 2**25, 256


def rnnt_loss_from_joint(
    joint: torch.nn.Module,
    encoder_out: torch.Tensor,
    predictor_out: torch.Tensor,
    targets: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
    blank: int = 0,
    reduction: str = "mean",
) -> torch.Tensor:
    """Transducer loss of a joint network that runs on a few frames at a time.

    Graves, "Sequence Transduction with Recurrent Neural Networks", ICML 2012 workshop,
    arXiv 1211.3711.

    rnnt_loss(joint(encoder_out, predictor_out), ...) in O(B T U + KEPT) memory

    Args:
        joint: maps (1, t, 1, D) and (1, 1, u, E) to logits (1, t, u, V), each node by
            itself.
        encoder_out: (B, T, D).
        predictor_out: (B, U, E), U = L + 1.
        targets: (B, L) labels other than the blank; padding may hold anything.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.
        blank: its id, -V..V-1; negative ones count from the end.
        reduction: "mean" and "sum" over the batch, or "none".

    Returns:
        A scalar, or (B,) for "none"; float32, or float64 for float64 logits.

    Raises:
        InputError: shapes, lengths, labels or options that do not fit.

    Example:
        >>> def joint(encoder_out, predictor_out):
        ...     return encoder_out + predictor_out
        >>> rnnt_loss_from_joint(
        ...     joint, torch.zeros(1, 1, 4), torch.zeros(1, 2, 4),
        ...     torch.tensor([[3]]), torch.tensor([1]), torch.tensor([1]),
        ... )
        tensor(2.7726)
    """
    scores = arc_scores_from_joint(
        joint,
        encoder_out,
        predictor_out,
        targets,
        logit_lengths,
        target_lengths,
        blank,
    )
    nll = lattice_nll(*scores, logit_lengths, target_lengths)
    return reduce_batch(nll, reduction)


def arc_scores_from_joint(
    joint: torch.nn.Module,
    encoder_out: torch.Tensor,
    predictor_out: torch.Tensor,
    targets: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
    blank: int = 0,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Scores of a lattice's arcs as of `arc_scores`, for `lattice_nll` and its like.

    The joint network runs on the valid nodes only, some frames of one utterance at a
    time, and again in the backward pass unless the batch has few (KEPT). The
    recomputation is torch's own: it replays autocast and dropout, and the graph hands
    each parameter its whole gradient at once, as hooks (DDP's among them) expect.

    Args:
        joint: maps (1, t, 1, D) and (1, 1, u, E) to logits (1, t, u, V), each node by
            itself.
        encoder_out: (B, T, D).
        predictor_out: (B, U, E), U = L + 1.
        targets: (B, L) labels other than the blank; padding may hold anything.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.
        blank: its id, -V..V-1; negative ones count from the end.

    Returns:
        (B, T, U) and (B, T, L), float32, or float64 for float64 logits, 0 at padding.

    Raises:
        InputError: shapes, lengths or labels that do not fit.

    Example:
        >>> def joint(encoder_out, predictor_out):
        ...     return encoder_out + predictor_out
        >>> blanks, labels = arc_scores_from_joint(
        ...     joint, torch.zeros(1, 3, 4), torch.zeros(1, 2, 4),
        ...     torch.tensor([[3]]), torch.tensor([2]), torch.tensor([1]),
        ... )
        >>> labels
        tensor([[[-1.3863],
                 [-1.3863],
                 [ 0.0000]]])
    """
    frames, nodes = encoder_out.shape[1], predictor_out.shape[1]
    lattice = (len(encoder_out), frames, nodes)
    check_lattice(lattice, targets, logit_lengths, target_lengths)

    def score(states, predicted, labels, length):
        logits = joint(states[None, :, None], predicted[None, None])
        return arc_scores(logits, labels[None], length, blank)

    logit_lengths, label_lengths = logit_lengths.tolist(), target_lengths.tolist()
    # Of one node, with a graph: without, autocast would keep weights that have none.
    size = joint(encoder_out[:1, :1, None], predictor_out[:1, None, :1]).shape[-1]
    valid = sum(t * (length + 1) for t, length in zip(logit_lengths, label_lengths))
    kept = valid * max(size, HIDDEN) <= KEPT
    at_once = 2**11 if encoder_out.device.type == "cpu" else 2**14
    rows = []
    for states, predicted, labels, logit_length, length, target_length in zip(
        encoder_out.unbind(),  # views made at once: their gradients are joined once
        predictor_out.unbind(),
        targets,
        logit_lengths,
        label_lengths,
        target_lengths,
    ):
        predicted = predicted[: length + 1]
        pieces = states[:logit_length].split(max(1, at_once // (length + 1)))
        scored = []
        for piece in pieces:
            inputs = (piece, predicted, labels[:length], target_length[None])
            scored.append(
                score(*inputs)
                if kept
                else checkpoint(score, *inputs, use_reentrant=False)
            )
        margin = (0, nodes - 1 - length, 0, frames - logit_length)
        rows.append([pad(torch.cat(s, dim=1), margin) for s in zip(*scored)])
    blank_scores, label_scores = (torch.cat(scores) for scores in zip(*rows))
    return blank_scores, label_scores
