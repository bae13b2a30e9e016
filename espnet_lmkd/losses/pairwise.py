"""Distances of all frames and labels from a language model's vectors of the labels."""

import torch

from espnet_lmkd.losses.regression import DISTANCES

# Differences of frames and labels that may lie in memory at a time.
AT_ONCE = 2**22


def pairwise_distances(
    frames: torch.Tensor,
    projection: torch.Tensor,
    labels: torch.Tensor,
    targets: torch.Tensor,
    distance: str,
) -> torch.Tensor:
    """Distance of every frame's and label's sum from the label's target.

    d(P h_t + b_u, e_u) as of `DISTANCES`, without a (B, T, L, E) tensor and without the
    frames' (B, T, E) either; but for l1, with G = P^T P and c_u = b_u - e_u,
    |P h + c|^2 = h . G h + |c|^2 + 2 h . P^T c,  and cosines likewise

    A square is the difference of its terms, so its error is that of float32 on the
    largest of them, however small the distance is.

    Args:
        frames: (B, T, D), h.
        projection: (E, D), P.
        labels: (B, L, E), b.
        targets: (B, L, E), e; no gradient reaches them.
        distance: `mse`, `cos` or `l1`.

    Returns:
        (B, T, L) float32, or float64 for a float64 projection, from 0.

    Example:
        >>> h, b = torch.tensor([[[0.0, 1], [2, 1]]]), torch.tensor([[[1.0, 0]]])
        >>> e = torch.tensor([[[1.0, 1]]])
        >>> pairwise_distances(h, torch.eye(2), b, e, "mse")
        tensor([[[0.],
                 [2.]]])
    """
    assert distance in DISTANCES
    with torch.autocast(frames.device.type, enabled=False):
        dtype = torch.promote_types(projection.dtype, torch.float32)
        inputs = (frames, projection, labels, targets.detach())
        return _PAIRWISE[distance](*(x.to(dtype) for x in inputs))


def _mse(frames, projection, labels, targets):
    return _square(frames, projection, labels - targets) / targets.shape[2]


def _cos(frames, projection, labels, targets):
    product = frames @ (targets @ projection).mT
    product = product + (labels * targets).sum(2).unsqueeze(1)
    least = torch.finfo(frames.dtype).eps  # a gradient that stays finite at a sum of 0
    norms = _square(frames, projection, labels).clamp(min=least).sqrt()
    cosines = product / (norms * targets.norm(dim=2).unsqueeze(1) + least)
    return (1 - cosines).clamp(min=0.0)


def _l1(frames, projection, labels, targets):
    return _L1.apply(frames, projection, targets - labels) / targets.shape[2]


class _L1(torch.autograd.Function):
    """Sum of absolute differences, a few projected frames at a time, also backward.

    torch's own backward pass on CUDA holds the differences of all pairs, and to
    checkpoint it in pieces would compute them a third time.
    """

    @staticmethod
    def forward(ctx, frames, projection, wanted):
        wanted = wanted.contiguous()
        ctx.save_for_backward(frames, projection, wanted)
        pieces = [
            torch.cdist(piece @ projection.T, wanted, p=1.0)
            for piece in frames.split(_step(wanted), dim=1)
        ]
        return torch.cat(pieces, dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        frames, projection, wanted = ctx.saved_tensors
        of_frames = torch.empty_like(frames)
        of_projection = torch.zeros_like(projection)
        of_wanted = torch.zeros_like(wanted)
        distance_backward = torch.ops.aten._cdist_backward
        step = _step(wanted)
        for piece, own, out in zip(
            frames.split(step, dim=1),
            grad.split(step, dim=1),
            of_frames.split(step, dim=1),
        ):
            projected, own = piece @ projection.T, own.contiguous()
            turned = own.mT.contiguous()  # for p = 1 the distances are not read
            of_wanted += distance_backward(turned, wanted, projected, 1.0, turned)
            of_projected = distance_backward(own, projected, wanted, 1.0, own)
            out.copy_(of_projected @ projection)
            of_projection += of_projected.flatten(0, 1).T @ piece.flatten(0, 1)
        return of_frames, of_projection, of_wanted


def _step(wanted):
    return max(1, AT_ONCE // max(1, wanted.numel()))


def _square(frames, projection, others):
    """Return |P h_t + c_u|^2."""
    product = 2 * frames @ (others @ projection).mT + others.square().sum(2)[:, None]
    squares = (frames @ (projection.T @ projection) * frames).sum(2)
    return (product + squares.unsqueeze(2)).clamp(min=0.0)


_PAIRWISE = {"mse": _mse, "cos": _cos, "l1": _l1}
