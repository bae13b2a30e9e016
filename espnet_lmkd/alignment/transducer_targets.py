"""What a transducer teacher says at nodes of its lattice, for a student to learn."""

from typing import Tuple, Union

import torch
from torch.nn.functional import pad

from espnet_lmkd.alignment.lattice import best_path, gather_path
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.transducer_joint import arc_scores_from_joint
from espnet_lmkd.padded import Padded

NODES = ("path", "lattice")
COLLAPSED = "collapsed"


@torch.no_grad()
def path_targets(
    joint: torch.nn.Module,
    encoder_out: torch.Tensor,
    predictor_out: torch.Tensor,
    labels: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
    blank: int,
    nodes: str = "path",
    classes: Union[int, str] = 8,
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Probabilities of a teacher's likeliest classes at the nodes of its best path.

    Yang, Li and Woodland, "Knowledge Distillation for Neural Transducers from Large
    Self-Supervised Pre-trained Models", ICASSP 2022, arXiv 2110.03334. Their baseline
    is Panchapagesan et al., "Efficient Knowledge Distillation for RNN-Transducer
    Models", ICASSP 2021, arXiv 2011.06110: `nodes="lattice"`, `classes="collapsed"`.

    path = argmax P(path | labels);  log P(k | t, u) for the best k at each node of it

    Args:
        joint: maps (..., D) and (..., E) to logits (..., V), each node by itself.
        encoder_out: (B, T, D).
        predictor_out: (B, U, E), U = L + 1.
        labels: (B, L) other than the blank; padding may hold anything.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.
        blank: its id, 0..V-1.
        nodes: "path", the forced alignment of the labels, or "lattice", every (t, u).
        classes: how many of the likeliest, 1..V; or "collapsed": the blank and the next
            label, id -1 where the labels are out.

    Returns:
        path (B, N, 2) int64, (t, u) of each node in order of t, then u; its lengths
        (B,), T + L nodes of a path and T (L + 1) of a lattice; ids (B, N, K) int64; and
        their log-probabilities (B, N, K) float32. Padding is -1, -1 and 0.

    Raises:
        InputError: unknown `nodes` or `classes`, or labels that do not fit.

    Example:
        >>> def joint(encoder_out, predictor_out):
        ...     return encoder_out + predictor_out
        >>> path, lengths, ids, log_probs = path_targets(
        ...     joint, torch.zeros(1, 1, 4), torch.zeros(1, 2, 4),
        ...     torch.tensor([[3]]), torch.tensor([1]), torch.tensor([1]), blank=0,
        ...     classes="collapsed",
        ... )
        >>> path.tolist(), ids.tolist()
        ([[[0, 0], [0, 1]]], [[[0, 3], [0, -1]]])
    """
    if nodes not in NODES:
        raise InputError(f"unknown nodes {nodes!r}; choose one of {NODES}")
    if nodes == "path":
        scores = arc_scores_from_joint(
            joint,
            encoder_out,
            predictor_out,
            labels,
            logit_lengths,
            target_lengths,
            blank,
        )
        path_t, path_u, path_lengths = best_path(*scores, logit_lengths, target_lengths)
    else:
        path_t, path_u, path_lengths = _all_nodes(
            logit_lengths.to(labels.device), target_lengths.to(labels.device)
        )
    no_label = ~Padded(labels, target_lengths).mask
    next_labels = pad(labels.masked_fill(no_label, -1), (0, 1), value=-1)
    # The logits of a whole lattice need not be there at a time.
    step = (2**11 if encoder_out.device.type == "cpu" else 2**14) // len(labels) + 1
    ids, log_probs = [], []
    for t, u in zip(path_t.split(step, dim=1), path_u.split(step, dim=1)):
        logits = joint(*gather_path(encoder_out, predictor_out, t, u))
        scored = logits.float().log_softmax(-1)
        if classes == COLLAPSED:
            next_label = next_labels.gather(1, u.clamp(min=0))
            chosen = torch.stack([torch.full_like(u, blank), next_label], dim=2)
        else:
            chosen = scored.topk(_checked(classes, logits.shape[2])).indices
        ids.append(chosen)
        log_probs.append(scored.gather(2, chosen.clamp(min=0)))
    ids = torch.cat(ids, dim=1).masked_fill((path_t < 0).unsqueeze(2), -1)
    log_probs = torch.cat(log_probs, dim=1).masked_fill(ids < 0, 0.0)
    return torch.stack([path_t, path_u], dim=2), path_lengths, ids, log_probs


def _all_nodes(
    logit_lengths: torch.Tensor, target_lengths: torch.Tensor
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return t and u (B, N) of every node of each lattice and their number (B,)."""
    width = target_lengths.unsqueeze(1) + 1
    lengths = logit_lengths * (target_lengths + 1)
    number = torch.arange(int(lengths.max()), device=lengths.device)
    beyond = number >= lengths.unsqueeze(1)
    t, u = number // width, number % width
    return t.masked_fill(beyond, -1), u.masked_fill(beyond, -1), lengths


def _checked(classes: Union[int, str], vocab_size: int) -> int:
    """Return the number of likeliest classes if it is one."""
    if not isinstance(classes, int) or not 1 <= classes <= vocab_size:
        raise InputError(
            f"classes must be 1..{vocab_size} or {COLLAPSED!r}, not {classes!r}"
        )
    return classes
