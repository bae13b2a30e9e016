"""Cross entropies between a student's logits and hard, smoothed or truncated targets.

All functions compute in float32 whatever comes in and return one value a position,
so that the caller masks and sums.
"""

import math

import torch


def topk_cross_entropy(
    logits: torch.Tensor, topk_ids: torch.Tensor, topk_log_probs: torch.Tensor
) -> torch.Tensor:
    """Cross entropy against a teacher's k best classes, renormalised among themselves.

    -sum_k q_k log p(id_k),  q = softmax(topk_log_probs),  p = softmax(logits)

    Args:
        logits: (..., V) student scores.
        topk_ids: (..., K) classes in 0..V-1; positions to be masked may hold anything.
        topk_log_probs: (..., K) teacher log-probabilities of these classes; no gradient
            reaches them.

    Returns:
        (...) float32; its minimum is the entropy of q.

    Example:
        >>> topk_cross_entropy(
        ...     torch.zeros(1, 4), torch.tensor([[1, 3]]), torch.zeros(1, 2)
        ... )
        tensor([1.3863])
    """
    logits = logits.float()
    probs = torch.softmax(topk_log_probs.detach().float(), dim=-1)
    # Padding holds -1; the caller masks these positions, any valid index will do.
    picked = logits.gather(-1, topk_ids.clamp(min=0))
    return logits.logsumexp(-1) - (probs * picked).sum(-1)


def smoothed_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """KL divergence of the student from a smoothed one-hot, as ESPnet's attention loss.

    KL(q || p),  q(y) = 1 - s,  q(v != y) = s / (V - 1)

    Args:
        logits: (..., V) student scores.
        targets: (...) classes; negative ones (padding) give a meaningless value.
        smoothing: s in [0, 1).

    Returns:
        (...) float32.

    Example:
        >>> smoothed_cross_entropy(torch.zeros(1, 4), torch.tensor([2]), 0.0)
        tensor([1.3863])
    """
    log_probs = torch.log_softmax(logits.float(), dim=-1)
    classes = log_probs.shape[-1]
    target = log_probs.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    cross_entropy = -(1 - smoothing) * target
    if smoothing == 0.0:
        return cross_entropy
    other = smoothing / (classes - 1)
    negative_entropy = (1 - smoothing) * math.log(1 - smoothing)
    negative_entropy += smoothing * math.log(other)
    return negative_entropy + cross_entropy - other * (log_probs.sum(-1) - target)
