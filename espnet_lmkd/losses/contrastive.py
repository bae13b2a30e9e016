"""The contrastive loss: to tell the right vector of a teacher from others."""

from typing import Optional

import torch
from torch.nn.functional import cross_entropy, normalize

from espnet_lmkd.errors import InputError


def contrastive_loss(
    anchors: torch.Tensor,
    keys: torch.Tensor,
    negatives: Optional[torch.Tensor] = None,
    positives: Optional[torch.Tensor] = None,
    temperature: float = 0.02,
) -> torch.Tensor:
    """Cross entropy of finding an anchor's own key among others by cosine similarity.

    Han, Chen, Shi, Xu and Xu, "Knowledge Transfer from Pre-trained Language Models to
    Cif-based Speech Recognizers via Hierarchical Distillation", Interspeech 2023, arXiv
    2301.13003 (acoustic contrastive distillation). All similarities are one product of
    matrices, in which those that are no negatives are masked.

    loss_i = -log [exp(s_ip) / (exp(s_ip) + sum_{j in negatives(i)} exp(s_ij))],
    s_ij = cos(anchor_i, key_j) / temperature,  p the positive of i

    Args:
        anchors: (N, C) student vectors.
        keys: (M, C) teacher vectors; no gradient reaches them. Those beyond the
            positives, such as another rank's, only serve as negatives.
        negatives: (N, M) bool, as of `sample_negatives`; all keys but the positive if
            None.
        positives: (N,) the key of each anchor, 0..M-1; 0, 1, ..., N-1 if None.
        temperature: above 0.

    Returns:
        (N,) float32, from 0; 0 with a gradient of 0 for an anchor without negatives.

    Raises:
        InputError: shapes or the temperature do not fit.

    Example:
        >>> keys = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> contrastive_loss(torch.tensor([[3.0, 3.0]]), keys)
        tensor([0.6931])
    """
    _check(anchors, keys, negatives, positives, temperature)
    if positives is None:
        positives = torch.arange(len(anchors), device=anchors.device)
    with torch.autocast(anchors.device.type, enabled=False):
        anchors = normalize(anchors.float(), dim=-1)
        logits = anchors @ normalize(keys.detach().float(), dim=-1).T / temperature
    if negatives is not None:
        candidates = negatives.scatter(1, positives.unsqueeze(1), True)
        logits = logits.masked_fill(~candidates, -torch.inf)
    return cross_entropy(logits, positives, reduction="none")


def sample_negatives(
    positives: torch.Tensor,
    num_keys: int,
    count: int = 700,
    generator: Optional[torch.Generator] = None,
) -> torch.Tensor:
    """Draw the same number of negatives for each anchor, without replacement.

    Han et al., arXiv 2301.13003: 700, or int(0.8 M) where there are M <= 700 keys; only
    the anchor's own key is ruled out, so the same word elsewhere may be drawn.

    Args:
        positives: (N,) the key of each anchor, 0..M-1.
        num_keys: M.
        count: of negatives, where there are more keys than that.
        generator: on the device of the positives.

    Returns:
        (N, M) bool, True for a negative; all subsets are equally likely.

    Example:
        >>> negatives = sample_negatives(torch.arange(5), num_keys=5)
        >>> negatives.sum(1), negatives.diagonal().any()
        (tensor([4, 4, 4, 4, 4]), tensor(False))
    """
    if num_keys <= count:
        count = int(0.8 * num_keys)
    shape = (len(positives), num_keys)
    scores = torch.rand(shape, generator=generator, device=positives.device)
    # Above all others: the positive is always among those left out.
    scores.scatter_(1, positives.unsqueeze(1), 2.0)
    left_out = scores.topk(num_keys - count, dim=1, sorted=False).indices
    return scores.new_ones(shape, dtype=torch.bool).scatter_(1, left_out, False)


def _check(anchors, keys, negatives, positives, temperature):
    """Raise an `InputError` unless everything fits."""
    if anchors.dim() != 2 or keys.dim() != 2 or anchors.shape[1] != keys.shape[1]:
        raise InputError(
            "anchors and keys must be (N, C) and (M, C), not "
            f"{tuple(anchors.shape)} and {tuple(keys.shape)}"
        )
    shape = (len(anchors), len(keys))
    if positives is None and shape[0] > shape[1]:
        raise InputError(
            f"{shape[0]} anchors have only {shape[1]} keys: give each one's own as "
            "positives"
        )
    if positives is not None and positives.shape != shape[:1]:
        raise InputError(
            f"positives must be {shape[:1]}, one an anchor, not "
            f"{tuple(positives.shape)}"
        )
    if negatives is not None and negatives.shape != shape:
        raise InputError(f"negatives must be {shape}, not {tuple(negatives.shape)}")
    if not temperature > 0:
        raise InputError(f"temperature must be above 0, not {temperature}")
