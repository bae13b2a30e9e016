"""Judge: scipy.spatial.distance."""

import numpy as np
import pytest
import scipy.spatial.distance as judge
import torch

from espnet_lmkd.losses.regression import DISTANCES

JUDGES = {
    "mse": lambda p, t: judge.sqeuclidean(p, t) / len(p),
    "l1": lambda p, t: judge.cityblock(p, t) / len(p),
    "cos": judge.cosine,
}


@pytest.fixture(params=sorted(DISTANCES))
def name(request):
    return request.param


def test_against_scipy(name):
    prediction, target = np.random.default_rng(0).normal(size=(2, 4, 3, 7))
    got = DISTANCES[name](torch.tensor(prediction), torch.tensor(target))
    wanted = [
        [JUDGES[name](p, t) for p, t in zip(*rows)] for rows in zip(prediction, target)
    ]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_is_zero_at_the_target_only(name):
    target = torch.randn(3, 5)
    torch.testing.assert_close(
        DISTANCES[name](target, target), torch.zeros(3), atol=1e-6, rtol=0
    )
    assert (DISTANCES[name](target + torch.randn(3, 5), target) > 0.01).all()


def test_no_gradient_reaches_the_target(name):
    prediction, target = torch.randn(2, 3, 5, requires_grad=True).unbind()
    target = target.detach().requires_grad_()
    DISTANCES[name](prediction, target).sum().backward()
    assert target.grad is None


def test_half_precision_comes_out_as_float32(name):
    prediction, target = torch.full((2, 2, 5), 400.0, dtype=torch.half)
    distance = DISTANCES[name](-prediction, target)
    assert distance.dtype == torch.float32 and distance.isfinite().all()


def test_zero_vectors_have_a_finite_gradient(name):
    prediction = torch.zeros(1, 4, requires_grad=True)
    DISTANCES[name](prediction, torch.zeros(1, 4)).sum().backward()
    assert prediction.grad.isfinite().all()
