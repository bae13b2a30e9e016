"""Judge: the dense (B, T, L, E) tensor in float64."""

import pytest
import torch

from espnet_lmkd.losses.pairwise import pairwise_distances
from espnet_lmkd.losses.regression import DISTANCES

DENSE = {
    "mse": lambda x, e: (x - e).square().mean(-1),
    "l1": lambda x, e: (x - e).abs().mean(-1),
    "cos": lambda x, e: 1 - torch.cosine_similarity(x, e, dim=-1),
}


def inputs(width=768, near=1.0, dtype=torch.float):
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.double)

    h, p = random(2, 11, 20), random(width, 20) / 4
    b, e = random(2, 5, width), random(2, 5, width)
    e = b + (h @ p.T)[:, 3:4] + near * e  # targets that a prediction gets near
    return [x.to(dtype).requires_grad_() for x in (h, p, b, e)]


@pytest.mark.parametrize("distance", DENSE)
@pytest.mark.parametrize("near", [1.0, 0.1])
def test_equal_to_the_dense_tensor(distance, near):
    single, double = inputs(near=near), inputs(near=near, dtype=torch.double)
    got = pairwise_distances(*single, distance)
    h, p, b, e = double
    wanted = DENSE[distance]((h @ p.T).unsqueeze(2) + b.unsqueeze(1), e.unsqueeze(1))
    torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-7)
    weights = torch.rand_like(wanted)
    (got * weights).sum().backward()
    (wanted * weights).sum().backward()
    for mine, judge in zip(single[:3], double[:3]):
        error = (mine.grad.double() - judge.grad).norm() / judge.grad.norm()
        assert error < 1e-5
    assert single[3].grad is None


@pytest.mark.parametrize("distance", DENSE)
def test_it_knows_the_distances_of_single_pairs(distance):
    h, p, b, e = (x.detach() for x in inputs(width=8))
    got = pairwise_distances(h, p, b, e, distance)
    wanted = DISTANCES[distance](h[:, 3, None] @ p.T + b, e)
    torch.testing.assert_close(got[:, 3], wanted)


@pytest.mark.parametrize("distance", DENSE)
def test_sums_of_zero_and_exact_hits_have_finite_gradients(distance):
    a = torch.zeros(1, 2, 4, requires_grad=True)
    b = torch.tensor([[[0.0] * 4, [1.0] * 4]], requires_grad=True)
    e = torch.ones(1, 2, 4)
    pairwise_distances(a, torch.eye(4), b, e, distance).sum().backward()
    assert a.grad.isfinite().all() and b.grad.isfinite().all()


def test_costs_are_never_below_zero():
    # The expected cost of paths takes their logarithm.
    e = torch.nn.functional.normalize(inputs()[3].detach(), dim=2)
    for scale in (1.0, 3.0, 1e3):
        zero = torch.zeros(2, 4, 768)
        for distance in DENSE:
            found = pairwise_distances(zero, torch.eye(768), scale * e, e, distance)
            assert (found >= 0).all()


def test_chunks_change_nothing(monkeypatch):
    def values_and_gradients():
        given = inputs()
        distances = pairwise_distances(*given, "l1")
        (distances * torch.arange(11.0).sin()[:, None]).sum().backward()
        return [distances.detach(), *(x.grad for x in given[:3])]

    whole = values_and_gradients()
    monkeypatch.setattr("espnet_lmkd.losses.pairwise.AT_ONCE", 1)
    for got, wanted in zip(values_and_gradients(), whole):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_of_l1():
    h, p, b, e = inputs(width=3, dtype=torch.double)
    assert torch.autograd.gradcheck(
        lambda *x: pairwise_distances(*x, e, "l1"), (h, p, b)
    )


def test_no_labels():
    h, p, b, e = inputs()
    for distance in DENSE:
        got = pairwise_distances(h, p, b[:, :0], e[:, :0], distance)
        assert got.shape == (2, 11, 0)
        got.sum().backward()


def test_autocast_does_not_reach_it():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = pairwise_distances(*inputs(), "mse")
    torch.testing.assert_close(got, pairwise_distances(*inputs(), "mse"))
