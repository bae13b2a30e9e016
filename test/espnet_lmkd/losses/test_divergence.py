"""Judges: scipy, torch.distributions and ESPnet's own label smoothing."""

import importlib

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from espnet_lmkd.losses.divergence import (
    smoothed_cross_entropy,
    topk_cross_entropy,
    topk_rest_kl,
)


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
    ids = torch.tensor([[0, 1, 2]] * 2)
    topk_cross_entropy(logits, ids, teacher).sum().backward()
    topk_rest_kl(logits, ids, teacher.log_softmax(-1)).sum().backward()
    assert teacher.grad is None and logits.grad.abs().sum() > 0


def collapsed(probs, ids):
    """A distribution over the given classes and all others together."""
    kept = [int(k) for k in ids if k >= 0]
    others = [k for k in range(len(probs)) if k not in kept]
    values = [probs[kept], probs[others].sum(0, keepdim=True)]
    return torch.distributions.Categorical(torch.cat(values))


@pytest.mark.parametrize("known", [0, 1, 3, 7])
def test_topk_rest_kl_is_that_of_the_collapsed_distributions(known):
    """Of 8 classes; the teacher's rest is as small as a confident teacher's."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 8, generator=generator, dtype=torch.double) * 3
    logits.requires_grad_()
    teacher = torch.randn(5, 8, generator=generator, dtype=torch.double) * 6
    teacher = teacher.log_softmax(-1)
    log_probs, ids = teacher.topk(known)
    # Padding among the classes: its log-probability of 0 would be probability 1.
    ids = torch.cat([torch.full((5, 1), -1), ids], dim=1)
    log_probs = torch.cat([torch.zeros(5, 1), log_probs], dim=1)
    got = topk_rest_kl(logits, ids, log_probs)
    wanted = torch.stack(
        [
            torch.distributions.kl_divergence(
                collapsed(q, chosen), collapsed(p, chosen)
            )
            for q, p, chosen in zip(teacher.exp(), logits.softmax(-1), ids)
        ]
    )
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted.float(), rtol=1e-5, atol=1e-6)
    gradients = (
        torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]
        for loss in (got, wanted)
    )
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_topk_rest_kl_of_all_classes_is_the_whole_divergence():
    """Also of stored values, which are rounded down and sum to less than 1."""
    logits, teacher = torch.randn(5, 8) * 3, torch.randn(5, 8) * 3
    teacher = teacher.double().log_softmax(-1)
    log_probs, ids = teacher.topk(8)
    wanted = torch.distributions.kl_divergence(
        *(torch.distributions.Categorical(logits=x) for x in (teacher, logits))
    ).float()
    torch.testing.assert_close(topk_rest_kl(logits, ids, log_probs), wanted)
    stored = topk_rest_kl(logits, ids, log_probs - 1e-3)
    torch.testing.assert_close(stored, wanted)
    logits.requires_grad_()
    topk_rest_kl(logits, ids, log_probs).sum().backward()
    assert logits.grad.isfinite().all()


def test_topk_rest_kl_is_0_for_the_teacher_itself_and_only_then():
    teacher = torch.randn(6, 9, dtype=torch.double).log_softmax(-1)
    log_probs, ids = teacher.topk(4)
    same = topk_rest_kl(teacher, ids, log_probs)
    torch.testing.assert_close(same, torch.zeros(6), rtol=0, atol=1e-6)
    assert (topk_rest_kl(teacher + torch.randn(6, 9), ids, log_probs) > 1e-4).all()
    # What the rest is made of does not matter.
    moved = teacher.clone()
    others = teacher.argsort(-1)[:, :5]
    moved.scatter_(1, others, teacher.gather(1, others.flip(1)))
    torch.testing.assert_close(
        topk_rest_kl(moved, ids, log_probs), torch.zeros(6), rtol=0, atol=1e-6
    )


def test_topk_rest_kl_of_extremes_is_finite():
    """A certain teacher, sums above 1 by rounding, half precision, and no rows."""
    logits = torch.tensor([[80.0, -80.0, 0.0]] * 2, dtype=torch.half)
    logits.requires_grad_()
    ids = torch.tensor([[1, 0], [0, 2]])
    log_probs = torch.tensor([[0.0, -1e-4], [-6e-8, -100.0]])
    loss = topk_rest_kl(logits, ids, log_probs)
    assert loss.dtype == torch.float32 and loss.isfinite().all()
    loss.sum().backward()
    assert logits.grad.isfinite().all()
    none = topk_rest_kl(logits[:0], ids[:0], log_probs[:0])
    assert none.shape == (0,)


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
