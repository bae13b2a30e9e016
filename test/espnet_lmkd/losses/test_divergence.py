"""Judges: scipy, torch.distributions and ESPnet's own label smoothing."""

import importlib

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from espnet_lmkd.losses.divergence import smoothed_cross_entropy, topk_cross_entropy


def test_topk_cross_entropy_against_scipy():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(5, 11))
    ids = np.stack([generator.permutation(11)[:4] for _ in range(5)])
    teacher = scipy.special.log_softmax(generator.normal(size=(5, 4)), axis=-1) - 0.7
    expected = []
    for position in range(5):
        q = np.zeros(11)
        q[ids[position]] = scipy.special.softmax(teacher[position])
        p = scipy.special.softmax(logits[position])
        expected.append(scipy.stats.entropy(q) + scipy.stats.entropy(q, p))
    got = topk_cross_entropy(
        torch.tensor(logits), torch.tensor(ids), torch.tensor(teacher)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_topk_cross_entropy_is_least_when_the_student_is_the_teacher():
    teacher = torch.log_softmax(torch.randn(6, 5, dtype=torch.double), -1)
    ids = torch.arange(5).expand(6, 5)
    least = torch.distributions.Categorical(logits=teacher).entropy()
    torch.testing.assert_close(
        topk_cross_entropy(teacher, ids, teacher), least.float(), rtol=1e-5, atol=1e-5
    )
    other = topk_cross_entropy(teacher + torch.randn(6, 5), ids, teacher)
    assert (other > least).all()


def test_no_gradient_reaches_the_teacher():
    teacher = torch.randn(2, 3, requires_grad=True)
    logits = torch.randn(2, 7, requires_grad=True)
    topk_cross_entropy(logits, torch.tensor([[0, 1, 2]] * 2), teacher).sum().backward()
    assert teacher.grad is None and logits.grad.abs().sum() > 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_smoothed_cross_entropy_is_espnets(smoothing):
    moved = "nets.pytorch_backend.transformer.label_smoothing_loss"
    try:
        module = importlib.import_module(f"espnet2.legacy.{moved}")
    except ModuleNotFoundError:
        module = importlib.import_module(f"espnet.{moved}")
    logits, targets = torch.randn(3, 6, 9), torch.randint(0, 9, (3, 6))
    targets[1, 4:] = -1
    espnets = module.LabelSmoothingLoss(
        size=9, padding_idx=-1, smoothing=smoothing, normalize_length=False
    )
    ours = smoothed_cross_entropy(logits, targets, smoothing) * (targets >= 0)
    torch.testing.assert_close(ours.sum() / 3, espnets(logits, targets))


def test_half_precision_comes_out_as_float32():
    logits = torch.randn(2, 4, dtype=torch.half) * 100
    ids = torch.tensor([[0, 1], [2, 3]])
    loss = topk_cross_entropy(logits, ids, torch.zeros(2, 2, dtype=torch.half))
    assert loss.dtype == torch.float32 and loss.isfinite().all()
    loss = smoothed_cross_entropy(logits, ids[:, 0], 0.1)
    assert loss.dtype == torch.float32 and loss.isfinite().all()
