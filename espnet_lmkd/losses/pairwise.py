"""Distances between sums of frame and label vectors and a teacher's, for all pairs."""

import torch

from espnet_lmkd.losses.regression import DISTANCES

# Differences of vectors, as numbers, that may lie in memory at a time.
AT_ONCE = 2**24


def pairwise_distances(
    frames: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor, distance: str
) -> torch.Tensor:
    """Distance of every frame's and label's sum from the label's target.

    d(a_t + b_u, e_u) as of `DISTANCES`, without a (B, T, L, E) tensor: squares and
    cosines are expanded, e.g. |a + b - e|^2 = |a|^2 + |b - e|^2 + 2 a . (b - e)

    A square is the difference of its terms, so its error is that of float32 on the
    largest of them: 1e-6 of |a|^2 + |b - e|^2, however small the distance is.

    Args:
        frames: (B, T, E), a.
        labels: (B, L, E), b.
        targets: (B, L, E), e; no gradient reaches them.
        distance: `mse`, `cos` or `l1`.

    Returns:
        (B, T, L) float32, or float64 for float64 frames, from 0.

    Example:
        >>> a, b = torch.tensor([[[0.0, 1], [2, 1]]]), torch.tensor([[[1.0, 0]]])
        >>> pairwise_distances(a, b, torch.tensor([[[1.0, 1]]]), "mse")
        tensor([[[0.],
                 [2.]]])
    """
    assert distance in DISTANCES
    with torch.autocast(frames.device.type, enabled=False):
        dtype = torch.promote_types(frames.dtype, torch.float32)
        frames, labels = frames.to(dtype), labels.to(dtype)
        return _PAIRWISE[distance](frames, labels, targets.detach().to(dtype))


def _mse(frames, labels, targets):
    return _square(frames, labels - targets) / targets.shape[2]


def _cos(frames, labels, targets):
    product = frames @ targets.mT + (labels * targets).sum(2).unsqueeze(1)
    norms = targets.norm(dim=2).unsqueeze(1)
    least = torch.finfo(frames.dtype).eps  # a gradient that stays finite at a sum of 0
    return 1 - product / (
        _square(frames, labels).clamp(min=least).sqrt() * norms + least
    )


def _l1(frames, labels, targets):
    # Chunks, since the backward pass of torch's on CUDA holds all differences.
    step = max(1, AT_ONCE // max(1, labels.numel()))
    wanted = targets - labels
    pieces = [torch.cdist(piece, wanted, p=1.0) for piece in frames.split(step, dim=1)]
    return torch.cat(pieces, dim=1) / targets.shape[2]


def _square(frames, others):
    """Return |a_t + c_u|^2."""
    product = torch.baddbmm(
        others.square().sum(2).unsqueeze(1), frames, others.mT, alpha=2.0
    )
    return (product + frames.square().sum(2).unsqueeze(2)).clamp(min=0.0)


_PAIRWISE = {"mse": _mse, "cos": _cos, "l1": _l1}
