"""Judges: every path written out, finite differences, the loss with a small bias."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lattice_judge import paths, random_scores

from espnet_lmkd.losses.path_cost import expected_path_cost
from espnet_lmkd.losses.transducer import lattice_nll


def enumerated_cost(blanks, labels, costs):
    """Mean cost of the paths of one utterance, by torch's own softmax over them."""
    scores, path_costs = [], []
    for arcs in paths(len(blanks), labels.shape[1]):
        scores.append(sum((labels if kind else blanks)[t, u] for kind, t, u in arcs))
        emitted = [costs[t, u] for kind, t, u in arcs if kind]
        path_costs.append(sum(emitted, torch.zeros_like(blanks[0, 0])))
    return torch.stack(scores).softmax(0) @ torch.stack(path_costs)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=3)
)
def test_value_and_gradients_of_every_path(sizes):
    frames, lengths = (torch.tensor(x) for x in zip(*sizes))
    shape = (len(sizes), int(frames.max()) + 1, int(lengths.max()) + 2)
    scores = random_scores(shape, seed=len(str(sizes)) + int(frames.sum()))
    costs = torch.randn_like(scores[1]).square()
    costs[0, 0] = 0.0  # nothing at all must be fine in the log domain
    got, wanted = ([x.clone().requires_grad_() for x in (*scores, costs)] for _ in "12")
    expected = expected_path_cost(*got, frames, lengths)
    judged = torch.stack(
        [
            enumerated_cost(
                *(x[b, :t, : length + (i == 0)] for i, x in enumerate(wanted))
            )
            for b, (t, length) in enumerate(sizes)
        ]
    )
    torch.testing.assert_close(expected, judged, rtol=1e-9, atol=1e-9)
    weights = torch.randn_like(judged)
    (expected * weights).sum().backward()
    (judged * weights).sum().backward()
    for mine, judge in zip(got, wanted):
        gradient = torch.zeros_like(judge) if judge.grad is None else judge.grad
        torch.testing.assert_close(mine.grad, gradient, rtol=1e-8, atol=1e-9)


def test_it_is_the_slope_of_the_loss_with_a_bias():
    scores = random_scores((2, 30, 9), seed=1)
    costs = torch.rand_like(scores[1]) * 3
    lengths = torch.tensor([30, 22]), torch.tensor([8, 5])
    step = 1e-5
    up, down = (lattice_nll(*scores, *lengths, -r * costs) for r in (step, -step))
    torch.testing.assert_close(
        expected_path_cost(*scores, costs, *lengths),
        (up - down) / (2 * step),
        rtol=1e-7,
        atol=0,
    )


def test_long_lattices_stay_exact_in_float32():
    blanks, labels = random_scores((1, 2000, 101), seed=2)
    costs = torch.rand_like(labels)
    lengths = torch.tensor([2000]), torch.tensor([100])
    double = [x.clone().requires_grad_() for x in (blanks, labels, costs)]
    single = [x.float().requires_grad_() for x in (blanks, labels, costs)]
    for inputs in (double, single):
        expected_path_cost(*inputs, *lengths).sum().backward()
    assert single[0].grad.dtype == torch.float
    for mine, judge in zip(single, double):
        torch.testing.assert_close(mine.grad.double(), judge.grad, rtol=1e-3, atol=1e-5)
