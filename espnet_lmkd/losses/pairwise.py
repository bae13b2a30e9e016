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

    d(P h_t + b_u, e_u) as of `DISTANCES`, without a (B, T, L, E) tensor and, but for
    l1, without the frames' (B, T, E) either: with G = P^T P and c_u = b_u - e_u,
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
    distances = _L1.apply(frames @ projection.T, targets - labels)
    return distances / targets.shape[2]


class _L1(torch.autograd.Function):
    """Sum of absolute differences, a few frames at a time.

    torch's own backward pass on CUDA holds the differences of all pairs, and to
    checkpoint it in pieces would compute them a third time.
    """

    @staticmethod
    def forward(ctx, frames, wanted):
        wanted = wanted.contiguous()
        ctx.save_for_backward(frames, wanted)
        distances = [torch.cdist(p, wanted, p=1.0) for p in _pieces(frames, wanted)]
        return torch.cat(distances, dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        frames, wanted = ctx.saved_tensors
        of_frames, of_wanted = torch.empty_like(frames), torch.zeros_like(wanted)
        backward = torch.ops.aten._cdist_backward
        begin = 0
        for piece in _pieces(frames, wanted):
            part = slice(begin, begin + piece.shape[1])
            own = grad[:, part].contiguous()  # for p = 1 the distances are not read
            of_frames[:, part] = backward(own, piece, wanted, 1.0, own)
            turned = own.mT.contiguous()
            of_wanted += backward(turned, wanted, piece, 1.0, turned)
            begin = part.stop
        return of_frames, of_wanted


def _pieces(frames, wanted):
    """Yield contiguous pieces (B, t, E) of the frames."""
    step = max(1, AT_ONCE // max(1, wanted.numel()))
    for piece in frames.split(step, dim=1):
        yield piece.contiguous()


def _square(frames, projection, others):
    """Return |P h_t + c_u|^2."""
    product = 2 * frames @ (others @ projection).mT + others.square().sum(2)[:, None]
    squares = (frames @ (projection.T @ projection) * frames).sum(2)
    return (product + squares.unsqueeze(2)).clamp(min=0.0)


_PAIRWISE = {"mse": _mse, "cos": _cos, "l1": _l1}
