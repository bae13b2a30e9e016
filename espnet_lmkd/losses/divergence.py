"""Cross entropies between a student's logits and hard, smoothed or truncated targets.

All functions compute in float32 whatever comes in and return one value a position,
so that the caller masks and sums.
"""

import math

import torch

# Stands for log 0: its exponential is 0, and products of both are no nan.
NOTHING = -1e4


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


def topk_rest_kl(
    logits: torch.Tensor, topk_ids: torch.Tensor, topk_log_probs: torch.Tensor
) -> torch.Tensor:
    """KL divergence from a teacher known by its k best classes, the rest being one.

    sum_k q_k (log q_k - log p_k) + q_rest (log q_rest - log p_rest)
    q_rest = 1 - sum_k q_k,  p_rest = sum of all other classes of p = softmax(logits)

    Yang, Li and Woodland, ICASSP 2022, arXiv 2110.03334, have all classes of the
    teacher: K = V. Two classes and the rest are the three of Panchapagesan et al.,
    ICASSP 2021, arXiv 2011.06110.

    Args:
        logits: (..., V) student scores.
        topk_ids: (..., K) different classes in 0..V-1; negative ones are none.
        topk_log_probs: (..., K) teacher log-probabilities of these classes, of sum 1 at
            most; no gradient reaches them. Where no class is left for the rest they are
            normalised.

    Returns:
        (...) float32, 0 where the student gives these classes the same probabilities.

    Example:
        >>> half = torch.tensor([[0.5]]).log()
        >>> topk_rest_kl(torch.zeros(1, 4), torch.tensor([[2]]), half)
        tensor([0.1438])
    """
    return _TopkRestKL.apply(logits, topk_ids, topk_log_probs.detach())


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


class _TopkRestKL(torch.autograd.Function):
    """As few tensors of all classes as there can be: they are the time and the memory.

    d KL / d logit_v = p_v - q_v of a known class, p_v - q_rest p_v / p_rest of others
    """

    @staticmethod
    def forward(ctx, logits, topk_ids, topk_log_probs):
        padding = topk_ids < 0
        known = (~padding).sum(-1, keepdim=True)
        no_rest = known == logits.shape[-1]
        # Padding repeats another class of its row, where there is one.
        ids = torch.where(padding, topk_ids.amax(-1, keepdim=True), topk_ids).clamp(0)
        # In float64, since a confident teacher's rest is a small difference.
        log_q = topk_log_probs.double().masked_fill(padding, NOTHING)
        log_q = torch.where(no_rest, log_q.log_softmax(-1), log_q)
        q = log_q.exp()
        q_rest = (1 - q.sum(-1, keepdim=True)).clamp(min=0).masked_fill(no_rest, 0)

        log_p = logits.log_softmax(-1, dtype=torch.float32)
        picked = log_p.gather(-1, ids)
        log_p.scatter_(-1, ids, picked.masked_fill(known > 0, -torch.inf))
        rest = log_p.logsumexp(-1, keepdim=True).masked_fill(no_rest, 0)
        ctx.save_for_backward(
            log_p,
            ids,
            (picked.exp() - q.float()).masked_fill(padding, 0),
            rest,
            (rest.exp() - q_rest).float(),
        )
        ctx.dtype = logits.dtype
        divergence = torch.xlogy(q_rest, q_rest) - q_rest * rest
        divergence += (q * (log_q - picked)).sum(-1, keepdim=True)
        return divergence.squeeze(-1).float()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        log_p, ids, of_known, rest, of_rest = ctx.saved_tensors
        grad = grad.unsqueeze(-1)
        grads = (log_p - rest).exp_().mul_(of_rest * grad)
        grads.scatter_add_(-1, ids, of_known * grad)
        return grads.to(ctx.dtype), None, None
