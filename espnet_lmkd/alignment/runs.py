"""Neighbouring frames of equal label as one."""

from typing import Optional

import torch
from torch.nn.functional import pad

from espnet_lmkd.padded import Padded


def merge_runs(
    frames: Padded, labels: torch.Tensor, dropped: Optional[int] = None
) -> Padded:
    """Replace neighbouring frames of equal label by their mean.

    Args:
        frames: (B, T, D).
        labels: (B, T) of any integers.
        dropped: frames of this label are left out.

    Returns:
        (B, R, D), a vector for each run.

    Example:
        >>> frames = Padded(torch.tensor([[[1.0], [3.0], [5.0]]]), torch.tensor([3]))
        >>> merge_runs(frames, torch.tensor([[7, 7, 0]])).data.tolist()
        [[[2.0], [5.0]]]
        >>> merge_runs(frames, torch.tensor([[7, 7, 0]]), dropped=0).data.tolist()
        [[[2.0]]]
    """
    data, kept = frames.data, frames.mask
    if dropped is not None:
        kept = kept & (labels != dropped)
    starts = pad(labels[:, 1:] != labels[:, :-1], (1, 0), value=True) & kept
    lengths = starts.sum(1)
    # The runs count from 1; 0 collects what is no part of any.
    runs = starts.cumsum(1).masked_fill(~kept, 0)
    shape = (len(data), int(lengths.max()) + 1)
    sizes = data.new_zeros(shape, dtype=torch.float32)
    sizes.scatter_add_(1, runs, torch.ones_like(runs, dtype=torch.float32))
    sums = data.new_zeros((*shape, data.shape[2]), dtype=torch.float32)
    where = runs.unsqueeze(2).expand_as(data)
    sums = sums.scatter_add(1, where, data.masked_fill(~kept.unsqueeze(2), 0.0).float())
    means = sums / sizes.clamp(min=1.0).unsqueeze(2)
    return Padded(means[:, 1:].to(data.dtype), lengths)
