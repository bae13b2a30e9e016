"""The transducer (RNN-T) loss on lattice scores and on logits, in plain torch."""

from typing import Iterator, Optional, Tuple

import torch

from espnet_lmkd.alignment.lattice import emission_scores
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


def lattice_nll(
    blank_scores: torch.Tensor,
    label_scores: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
    label_bias: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """Negative log-likelihood of all paths through a transducer's lattice.

    Graves, "Sequence Transduction with Recurrent Neural Networks", ICML 2012 workshop,
    arXiv 1211.3711.

    nll = -log sum_{path} exp(sum of its scores),  d nll / d score = -P(arc on the path)

    Args:
        blank_scores: (B, T, U) log-scores of the blank at each node, U = L + 1.
        label_scores: (B, T, L) log-scores of the next label at each node. Scores need
            not be normalised; those below -1e6 count as -1e6.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.
        label_bias: (B, T, L), added to the label scores.

    Returns:
        (B,), summed in float64, in the scores' dtype or float32 if that is wider.

    Example:
        >>> blanks, labels = torch.zeros(1, 3, 2), torch.zeros(1, 3, 1)
        >>> lattice_nll(blanks, labels, torch.tensor([3]), torch.tensor([1])).exp()
        tensor([0.3333])
    """
    dtype = torch.promote_types(blank_scores.dtype, torch.float32)
    label_scores = label_scores.to(dtype)
    if label_bias is not None:
        label_scores = label_scores + label_bias
    return _LatticeNLL.apply(
        blank_scores.to(dtype), label_scores, logit_lengths, target_lengths
    )


@torch.no_grad()
def label_posteriors(
    blank_scores: torch.Tensor,
    label_scores: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
) -> torch.Tensor:
    """Probability that a path through the lattice emits label u at frame t.

    gamma(t, u) = -d nll / d label(t, u),  sum_t gamma(t, u) = 1

    Args:
        blank_scores: (B, T, U) log-scores of the blank at each node, U = L + 1.
        label_scores: (B, T, L) log-scores of the next label at each node.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.

    Returns:
        (B, T, L) without a gradient, in the scores' dtype or float32 if that is wider,
        0 at padding.

    Example:
        >>> blanks, labels = torch.zeros(1, 4, 2), torch.zeros(1, 4, 1)
        >>> label_posteriors(
        ...     blanks, labels, torch.tensor([4]), torch.tensor([1])
        ... ).flatten()
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    _, _, labels = _arc_posteriors(
        blank_scores, label_scores, logit_lengths, target_lengths
    )
    return labels.to(torch.promote_types(label_scores.dtype, torch.float32))


def rnnt_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
    blank: int = 0,
    reduction: str = "mean",
) -> torch.Tensor:
    """Transducer loss on the logits of a whole lattice, with torchaudio's values.

    Graves, "Sequence Transduction with Recurrent Neural Networks", ICML 2012 workshop,
    arXiv 1211.3711. Beside the logits, memory holds their gradient and no second copy.

    -log sum_{path} prod P(arc),  P = softmax(logits)

    Args:
        logits: (B, T, U, V), U = L + 1.
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
        >>> logits = torch.zeros(1, 1, 2, 4)  # label 3, then a blank
        >>> rnnt_loss(
        ...     logits, torch.tensor([[3]]), torch.tensor([1]), torch.tensor([1])
        ... )
        tensor(2.7726)
    """
    if logits.dim() != 4:
        raise InputError(f"logits must be (B, T, U, V), not {tuple(logits.shape)}")
    check_lattice(logits.shape[:3], targets, logit_lengths, target_lengths)
    scores = arc_scores(logits, targets, target_lengths, blank)
    nll = lattice_nll(*scores, logit_lengths, target_lengths)
    return reduce_batch(nll, reduction)


def arc_scores(
    logits: torch.Tensor,
    targets: torch.Tensor,
    target_lengths: torch.Tensor,
    blank: int = 0,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the blank and of the next label at each node of a lattice.

    blank(t, u) = log P(blank | t, u),  label(t, u) = log P(y_{u+1} | t, u)

    Args:
        logits: (B, T, U, V), U = L + 1.
        targets: (B, L) labels other than the blank; padding may hold anything.
        target_lengths: (B,) valid labels, 0..L.
        blank: its id, -V..V-1; negative ones count from the end.

    Returns:
        (B, T, U) and (B, T, L), float32, or float64 for float64 logits; label scores
        at padding have no meaning.

    Raises:
        InputError: a label or the blank is no class, or they are the same.

    Example:
        >>> blanks, labels = arc_scores(
        ...     torch.zeros(1, 3, 2, 4), torch.tensor([[2]]), torch.tensor([1])
        ... )
        >>> blanks.shape, labels.shape
        (torch.Size([1, 3, 2]), torch.Size([1, 3, 1]))
    """
    classes = logits.shape[-1]
    if not -classes <= blank < classes:
        raise InputError(f"blank must be in {-classes}..{classes - 1}, not {blank}")
    blank %= classes
    targets = targets.to(logits.device, torch.long)
    valid = Padded(targets, target_lengths).mask
    wrong = (targets < 0) | (targets >= classes) | (targets == blank)
    if (wrong & valid).any():
        label = targets[wrong & valid][0].item()
        problem = "is the blank" if label == blank else f"is not in 0..{classes - 1}"
        raise InputError(f"targets must be classes other than blank: {label} {problem}")
    return _ArcScores.apply(logits, targets.masked_fill(~valid, 0), blank)


def check_lattice(
    shape: Tuple[int, int, int],
    targets: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
) -> None:
    """Raise an `InputError` unless targets and lengths fit a lattice of (B, T, U)."""
    batch, frames, nodes = shape
    if targets.shape != (batch, nodes - 1):
        raise InputError(
            f"targets must be (B, U - 1) = {(batch, nodes - 1)} for a lattice of "
            f"{nodes} positions, not {tuple(targets.shape)}"
        )
    for name, lengths, least, most in (
        ("logit_lengths", logit_lengths, 1, frames),
        ("target_lengths", target_lengths, 0, nodes - 1),
    ):
        if lengths.shape != (batch,):
            raise InputError(f"{name} must be ({batch},), not {tuple(lengths.shape)}")
        if ((lengths < least) | (lengths > most)).any():
            raise InputError(
                f"{name} must be in {least}..{most}, not {lengths.tolist()}"
            )


def reduce_batch(nll: torch.Tensor, reduction: str) -> torch.Tensor:
    """Reduce (B,) losses as torch does: "mean", "sum" or "none"."""
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f"reduction must be mean, sum or none, not {reduction!r}")
    return nll if reduction == "none" else getattr(nll, reduction)()


def _arc_posteriors(
    blank_scores: torch.Tensor,
    label_scores: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the nll (B,), P(blank arc) (B, T, U) and P(label arc) (B, T, L), float64.

    Forward and backward variables, without what all paths share, are running sums over
    T from label to label, so both directions are one loop over labels:
    forward(t, u+1) = log sum_{s<=t} exp(forward(s, u) + w(s, u))
    """
    scores, base = emission_scores(
        blank_scores, label_scores, logit_lengths, target_lengths
    )
    both = torch.stack([scores, scores.flip(0, 2)], dim=1)
    states = scores.new_zeros(len(both) + 1, *both.shape[1:])
    for u in range(len(both)):
        torch.logcumsumexp(states[u] + both[u], dim=-1, out=states[u + 1])
    total = states[-1, 0, :, -1]
    forward, backward = states[:-1, 0], states[:-1, 1].flip(0, 2)
    labels = (forward + scores + backward - total.unsqueeze(1)).exp()
    no_label = ~Padded(label_scores[:, 0], target_lengths).mask.T
    labels.masked_fill_(no_label.unsqueeze(2), 0.0)
    # At (t, u) with a blank: label u-1 is out at t, label u is not.
    emitted = labels.cumsum(-1)
    blanks = torch.cat([torch.ones_like(states[:1, 0]), emitted])
    blanks[:-1] -= emitted
    blanks.masked_fill_(~Padded(blank_scores, logit_lengths).mask, 0.0)
    return -total - base, blanks.permute(1, 2, 0), labels.permute(1, 2, 0)


class _LatticeNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx, blank_scores, label_scores, logit_lengths, target_lengths):
        nll, *posteriors = _arc_posteriors(
            blank_scores, label_scores, logit_lengths, target_lengths
        )
        ctx.save_for_backward(*(p.to(blank_scores.dtype) for p in posteriors))
        return nll.to(blank_scores.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        blanks, labels = ctx.saved_tensors
        grad = -grad[:, None, None]
        return grad * blanks, grad * labels, None, None


class _ArcScores(torch.autograd.Function):
    """Softmax piece by piece, forwards and backwards, each while it is in the cache."""

    @staticmethod
    def forward(ctx, logits, targets, blank):
        ctx.save_for_backward(logits, targets)
        ctx.blank = blank
        dtype = torch.promote_types(logits.dtype, torch.float32)
        blank_scores = logits.new_empty(logits.shape[:3], dtype=dtype)
        label_scores = torch.empty_like(blank_scores[..., 1:])
        for piece, labels in _pieces(logits, targets):
            log_probs = logits[piece].log_softmax(-1, dtype=dtype)
            blank_scores[piece] = log_probs[..., blank]
            label_scores[piece] = log_probs[:, :-1].gather(-1, labels).squeeze(-1)
        return blank_scores, label_scores

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, blank_grads, label_grads):
        logits, targets = ctx.saved_tensors
        both = blank_grads.clone()
        both[..., :-1] += label_grads
        grads = torch.empty_like(logits)
        for piece, labels in _pieces(logits, targets):
            grad = logits[piece].softmax(-1, dtype=both.dtype)
            grad *= -both[piece].unsqueeze(-1)
            grad[..., ctx.blank] += blank_grads[piece]
            grad[:, :-1].scatter_add_(-1, labels, label_grads[piece].unsqueeze(-1))
            grads[piece] = grad
        silent = blank_grads == 0  # such as padding, where 0 * nan would be nan
        silent[..., :-1] &= label_grads == 0
        grads[silent.nonzero(as_tuple=True)] = 0.0
        return grads, None, None


def _pieces(
    logits: torch.Tensor, targets: torch.Tensor
) -> Iterator[Tuple[Tuple[int, slice], torch.Tensor]]:
    """Yield an index of some frames of one utterance and its labels (t, L, 1) there."""
    batch, frames, nodes, classes = logits.shape
    numbers = 2**18 if logits.device.type == "cpu" else 2**24
    step = max(1, numbers // (nodes * classes))
    for utterance in range(batch):
        labels = targets[utterance].view(1, -1, 1)
        for start in range(0, frames, step):
            piece = slice(start, min(start + step, frames))
            yield (utterance, piece), labels.expand(piece.stop - start, -1, -1)
