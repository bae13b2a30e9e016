"""The expected cost of a transducer's paths."""

import torch

from espnet_lmkd.alignment.lattice import emission_scores
from espnet_lmkd.losses.transducer import label_posteriors
from espnet_lmkd.padded import Padded


def expected_path_cost(
    blank_scores: torch.Tensor,
    label_scores: torch.Tensor,
    label_costs: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
) -> torch.Tensor:
    """What the labels of a path through a transducer's lattice cost on average.

    The first-order expectation semiring of Li and Eisner, EMNLP 2009; here its sums
    over paths are running sums over T in the log domain, from label to label.

    E_path[sum_u cost(t_u, u)] = sum_{t,u} gamma(t, u) cost(t, u)
    d E / d label(t, u) = gamma(t, u) (E[cost of paths through the arc] - E)

    It is also the change of `lattice_nll` by a small bias against costly labels:
    E = d lattice_nll(label_bias=-r cost) / d r  at r = 0.

    Args:
        blank_scores: (B, T, U) log-scores of the blank at each node, U = L + 1.
        label_scores: (B, T, L) log-scores of the next label at each node.
        label_costs: (B, T, L), from 0; at padding without meaning, but finite.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.

    Returns:
        (B,), differentiable in scores and costs; float32, or float64 for float64 costs.

    Example:
        >>> blanks, labels = torch.zeros(1, 4, 2), torch.zeros(1, 4, 1)
        >>> costs = torch.tensor([[[0.0], [4], [8], [8]]])
        >>> expected_path_cost(
        ...     blanks, labels, costs, torch.tensor([4]), torch.tensor([1])
        ... )
        tensor([5.])
    """
    dtype = torch.promote_types(label_costs.dtype, torch.float32)
    return _ExpectedPathCost.apply(
        blank_scores,
        label_scores,
        label_costs.to(dtype),
        logit_lengths,
        target_lengths,
    )


class _ExpectedPathCost(torch.autograd.Function):
    @staticmethod
    def forward(ctx, blank_scores, label_scores, costs, logit_lengths, target_lengths):
        lengths = logit_lengths, target_lengths
        posteriors = label_posteriors(
            blank_scores.double(), label_scores.double(), *lengths
        )
        expected = (posteriors * costs.double()).sum((1, 2))
        ctx.save_for_backward(
            blank_scores, label_scores, costs, *lengths, posteriors, expected
        )
        return expected.to(costs.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        blank_scores, label_scores, costs, *lengths, posteriors, expected = (
            ctx.saved_tensors
        )
        grad = grad.double()[:, None, None]
        gradients = [None, None, (grad * posteriors).to(costs.dtype), None, None]
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            through = _costs_through_labels(blank_scores, label_scores, costs, *lengths)
            labels = posteriors * (through - expected[:, None, None])
            # A blank at (t, u) lies on the paths with label u-1 out at t, label u not.
            emitted = torch.nn.functional.pad(labels.cumsum(1), (1, 1))
            blanks = emitted[..., :-1] - emitted[..., 1:]
            blanks *= Padded(blank_scores, lengths[0]).mask[:, :, None]
            gradients[0] = (grad * blanks).to(blank_scores.dtype)
            gradients[1] = (grad * labels).to(label_scores.dtype)
        return tuple(gradients)


def _costs_through_labels(
    blank_scores, label_scores, costs, logit_lengths, target_lengths
) -> torch.Tensor:
    """Return (B, T, L), float64, the expected cost of the paths through each label.

    before(t, u+1) = sum_{s<=t} exp(forward(s, u) + w(s, u) - forward(t, u+1))
                     (before(s, u) + cost(s, u)),  and likewise behind, in reverse
    """
    scores, _ = emission_scores(
        blank_scores, label_scores, logit_lengths, target_lengths
    )
    costs = costs.detach().double()
    valid = Padded(costs[:, 0], target_lengths).mask[:, None]
    costs = (costs * valid).permute(2, 0, 1)
    scores, costs = (torch.stack([x, x.flip(0, 2)], dim=1) for x in (scores, costs))
    state = scores.new_zeros(scores.shape[1:])
    cost = torch.zeros_like(state)  # of the labels before, on average
    before = []
    for score, label_cost in zip(scores, costs):
        before.append(cost)
        arcs = state + score
        state = arcs.logcumsumexp(-1)
        cost = (arcs + (cost + label_cost).log()).logcumsumexp(-1) - state
        cost = cost.exp().masked_fill(state.isneginf(), 0.0)
    before, behind = torch.stack(before).unbind(1) if before else (costs[:, 0],) * 2
    return (before + costs[:, 0] + behind.flip(0, 2)).permute(1, 2, 0)
