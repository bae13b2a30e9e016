"""Judges: the paper's loop over gathered negatives in float64, and counting."""

import math

import pytest
import torch
from scipy.stats import chisquare

from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.contrastive import contrastive_loss, sample_negatives

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    ),
]


def judge(anchors, keys, negatives, positives, temperature):
    """One anchor after the other, its own key first among the candidates."""
    losses = []
    for anchor, chosen, positive in zip(anchors, negatives, positives):
        candidates = keys[[int(positive), *chosen.nonzero().flatten().tolist()]]
        scores = torch.cosine_similarity(anchor.unsqueeze(0), candidates)
        losses.append(-torch.log_softmax(scores / temperature, 0)[0])
    return torch.stack(losses)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16])
@pytest.mark.parametrize("num_keys", [12, 30])
def test_the_loop_over_gathered_negatives(num_keys, dtype, device):
    generator = torch.Generator().manual_seed(0)
    anchors = torch.randn(12, 8, generator=generator).to(dtype)
    keys = torch.randn(num_keys, 8, generator=generator).to(dtype)
    positives = torch.randperm(num_keys, generator=generator)[:12]
    negatives = sample_negatives(positives, num_keys, 7, generator)
    weights = torch.randn(12, generator=generator)
    wanted_leaf = anchors.double().requires_grad_()
    wanted = judge(wanted_leaf, keys.double(), negatives, positives, 0.1)
    (wanted * weights).sum().backward()

    leaves = [x.to(device).requires_grad_() for x in (anchors, keys)]
    inputs = [x.to(device) for x in (negatives, positives)]
    loss = contrastive_loss(*leaves, *inputs, temperature=0.1)
    (loss * weights.to(device)).sum().backward()
    assert loss.dtype == torch.float32 and loss.shape == (12,)
    torch.testing.assert_close(loss.cpu().double(), wanted, rtol=1e-5, atol=1e-5)
    assert leaves[1].grad is None
    tolerance = 1e-5 if dtype == torch.float else 1e-2
    torch.testing.assert_close(
        leaves[0].grad.cpu().double(), wanted_leaf.grad, rtol=tolerance, atol=tolerance
    )


def test_by_default_all_others_are_negatives_and_the_temperature_is_the_papers():
    anchors, keys = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    others = ~torch.eye(5, dtype=torch.bool)
    loss = contrastive_loss(anchors, keys)
    wanted = judge(anchors.double(), keys.double(), others, range(5), 0.02)
    torch.testing.assert_close(loss.double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_positive_counts_once_also_if_it_is_marked():
    anchors, keys = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    marked = contrastive_loss(anchors, keys, torch.ones(5, 5, dtype=torch.bool))
    assert marked.equal(contrastive_loss(anchors, keys))


def test_keys_of_other_ranks():
    """Two ranks, each with its anchors and all keys, are one large batch."""
    generator = torch.Generator().manual_seed(0)
    anchors, keys = torch.randn(2, 9, 4, generator=generator)
    negatives = sample_negatives(torch.arange(9), 9, 5, generator)
    whole = contrastive_loss(anchors, keys, negatives)
    for rank in (slice(0, 5), slice(5, 9)):
        positives = torch.arange(9)[rank]
        part = contrastive_loss(anchors[rank], keys, negatives[rank], positives)
        torch.testing.assert_close(part, whole[rank])


def test_autocast_does_not_round_similarities():
    anchors, keys = torch.randn(2, 6, 64, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = contrastive_loss(anchors, keys)
    assert loss.equal(contrastive_loss(anchors, keys))


def test_one_anchor_alone_has_nothing_to_tell_apart():
    anchors = torch.randn(1, 3, requires_grad=True)
    negatives = sample_negatives(torch.arange(1), num_keys=1)
    assert not negatives.any()
    loss = contrastive_loss(anchors, torch.randn(1, 3), negatives)
    loss.sum().backward()
    assert loss.tolist() == [0.0] and anchors.grad.tolist() == [[0.0] * 3]


def test_no_anchor_leaves_a_gradient_path():
    anchors = torch.randn(0, 3, requires_grad=True)
    loss = contrastive_loss(
        anchors, torch.randn(0, 3), sample_negatives(torch.arange(0), num_keys=0)
    )
    assert loss.shape == (0,)
    loss.sum().backward()
    assert anchors.grad.shape == (0, 3)


def test_vectors_of_zeros_give_numbers():
    anchors = torch.zeros(4, 3, requires_grad=True)
    loss = contrastive_loss(anchors, torch.zeros(4, 3))
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.full((4,), math.log(4)))
    assert anchors.grad.isfinite().all()


@pytest.mark.parametrize(
    "num_keys, count",
    [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (10, 8), (700, 560), (701, 700)],
)
def test_the_papers_number_of_negatives(num_keys, count):
    positives = torch.arange(num_keys)
    negatives = sample_negatives(positives, num_keys)
    assert negatives.dtype == torch.bool and negatives.shape == (num_keys, num_keys)
    assert negatives.sum(1).eq(count).all() and not negatives.diagonal().any()


@pytest.mark.parametrize("device", DEVICES)
def test_a_seed_fixes_the_negatives(device):
    positives = torch.arange(20, device=device)
    first, second, other = (
        sample_negatives(
            positives, 30, 9, torch.Generator(device=device).manual_seed(seed)
        )
        for seed in (3, 3, 4)
    )
    assert first.device.type == device
    assert first.equal(second) and not first.equal(other)


def test_all_subsets_are_equally_likely():
    """Of 5 keys the positive is out; 2 of the other 4 make 6 subsets."""
    generator = torch.Generator().manual_seed(0)
    positives = torch.full((12000,), 3)
    negatives = sample_negatives(positives, 5, 2, generator)
    subsets = (negatives * 2 ** torch.arange(5)).sum(1)
    kinds, counts = subsets.unique(return_counts=True)
    assert sorted(kinds.tolist()) == [3, 5, 6, 17, 18, 20]
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"anchors": torch.zeros(3, 5)}, r"\(3, 5\) and \(4, 2\)"),
        ({"keys": torch.zeros(2, 2)}, "3 anchors have only 2 keys"),
        ({"positives": torch.zeros(4).long()}, r"positives must be \(3,\).*\(4,\)"),
        ({"negatives": torch.ones(3, 3).bool()}, r"must be \(3, 4\), not \(3, 3\)"),
        ({"temperature": 0.0}, "temperature must be above 0, not 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    inputs = {"anchors": torch.zeros(3, 2), "keys": torch.zeros(4, 2), **changes}
    with pytest.raises(InputError, match=said):
        contrastive_loss(**inputs)
