"""Judges: every path of tiny lattices, the plain recursion in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lattice_judge import (
    enumerated,
    random_lattice,
    random_scores,
    recursion,
    rnnt_judge,
)

from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.transducer import (
    arc_scores,
    label_posteriors,
    lattice_nll,
    rnnt_loss,
)

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    ),
]


@st.composite
def sizes(draw, most_frames, most_labels):
    """Lengths of a ragged batch, the shape of its lattice and a seed."""
    batch = draw(st.integers(1, 4))
    frames = [draw(st.integers(1, most_frames)) for _ in range(batch)]
    labels = [draw(st.integers(0, most_labels)) for _ in range(batch)]
    margin = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    shape = (batch, max(frames) + margin[0], max(labels) + margin[1] + 1)
    return torch.tensor(frames), torch.tensor(labels), shape, draw(st.integers(0, 99))


def check_scores(batch, judge):
    frames, labels, shape, seed = batch
    blanks, label_scores = (x.requires_grad_() for x in random_scores(shape, seed))
    nll = lattice_nll(blanks, label_scores, frames, labels)
    weights = torch.randn_like(nll)
    (nll * weights).sum().backward()
    gammas = label_posteriors(blanks, label_scores, frames, labels)
    for b, (t, u) in enumerate(zip(frames.tolist(), labels.tolist())):
        wanted, blank_posteriors, posteriors = judge(
            blanks[b, :t, : u + 1].tolist(), label_scores[b, :t, :u].tolist()
        )
        assert nll[b].item() == pytest.approx(wanted, abs=1e-9)
        for got, inside in (
            (-blanks.grad[b] / weights[b], blank_posteriors),
            (-label_scores.grad[b] / weights[b], posteriors),
            (gammas[b], posteriors),
        ):
            whole = torch.zeros_like(got)
            inside = torch.tensor(inside, dtype=torch.double)
            whole[:t, : inside.shape[1]] = inside
            torch.testing.assert_close(got, whole, rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(sizes(most_frames=4, most_labels=3))
def test_every_path_counts(batch):
    check_scores(batch, enumerated)


@settings(deadline=None, max_examples=25)
@given(sizes(most_frames=15, most_labels=9))
def test_the_plain_recursion(batch):
    check_scores(batch, recursion)


@settings(deadline=None, max_examples=60)
@given(
    sizes(most_frames=9, most_labels=5),
    st.integers(2, 6).flatmap(lambda v: st.tuples(st.just(v), st.integers(-v, v - 1))),
)
def test_rnnt_loss_and_its_gradient(batch, classes_and_blank):
    frames, labels, shape, seed = batch
    classes, blank = classes_and_blank
    logits, targets = random_lattice(shape, classes, blank, seed)
    for b, length in enumerate(labels):
        targets[b, length:] = blank - 7  # padding: no class at all
    wanted, grads = rnnt_judge(logits, targets, frames, labels, blank)
    logits.requires_grad_()
    nll = rnnt_loss(logits, targets, frames, labels, blank, reduction="none")
    assert nll.dtype == torch.float32
    torch.testing.assert_close(nll.double(), wanted, rtol=1e-5, atol=1e-5)
    nll.sum().backward()
    torch.testing.assert_close(logits.grad.double(), grads, rtol=0, atol=1e-5)
    for b, (t, u) in enumerate(zip(frames, labels)):
        assert not logits.grad[b, t:].any() and not logits.grad[b, :, u + 1 :].any()


def test_float32_is_precise_on_long_utterances():
    logits, targets = random_lattice((2, 400, 81), 12, 0)
    lengths = torch.tensor([400, 371]), torch.tensor([80, 66])
    wanted, grads = rnnt_judge(logits, targets, *lengths, 0)
    logits.requires_grad_()
    nll = rnnt_loss(logits, targets, *lengths, reduction="none")
    torch.testing.assert_close(nll.double(), wanted, rtol=1e-6, atol=0)
    nll.sum().backward()
    torch.testing.assert_close(logits.grad.double(), grads, rtol=0, atol=1e-5)


def test_gradcheck():
    frames, labels = torch.tensor([4, 2, 1]), torch.tensor([2, 0, 1])
    blanks, label_scores = (x.requires_grad_() for x in random_scores((3, 5, 4), 0))
    bias = torch.randn_like(label_scores).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *scores: lattice_nll(*scores[:2], frames, labels, scores[2]),
        (blanks, label_scores, bias),
    )
    logits, targets = random_lattice((3, 5, 4), 3, 1, dtype=torch.double)
    assert torch.autograd.gradcheck(
        lambda x: rnnt_loss(x, targets, frames, labels, blank=1, reduction="none"),
        logits.requires_grad_(),
    )


def test_posteriors_of_a_label_sum_to_one():
    blanks, label_scores = random_scores((2, 300, 41), 0, torch.float)
    gammas = label_posteriors(
        blanks, label_scores, torch.tensor([300, 120]), torch.tensor([40, 13])
    )
    wanted = torch.zeros(2, 40)
    wanted[0], wanted[1, :13] = 1.0, 1.0
    torch.testing.assert_close(gammas.sum(1), wanted)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_padding_is_never_read(bad):
    lengths = torch.tensor([5, 3]), torch.tensor([1, 2])
    scores = random_scores((2, 5, 3), 0, torch.float)
    for score in scores:
        score[1, 3:] = bad
    scores[0][0, :, 2:], scores[1][0, :, 1:] = bad, bad
    for b, (t, u) in enumerate(zip(*lengths)):
        one = scores[0][b : b + 1, :t, : u + 1], scores[1][b : b + 1, :t, :u]
        inputs = [
            [x.clone().requires_grad_() for x in group] for group in (one, scores)
        ]
        alone = lattice_nll(*inputs[0], t[None], u[None])
        beside = lattice_nll(*inputs[1], *lengths)
        assert alone.isfinite().all() and alone[0] == beside[b]
        alone.sum().backward(), beside[b].backward()
        for small, large in zip(*inputs):
            got = large.grad[b, : small.shape[1], : small.shape[2]]
            assert torch.equal(small.grad[0], got)
            assert large.grad.count_nonzero() == got.count_nonzero()
    logits, targets = random_lattice((2, 5, 3), 4, 0)
    for b, (t, u) in enumerate(zip(*lengths)):
        logits[b, t:], logits[b, :, u + 1 :] = bad, bad
    logits.requires_grad_()
    rnnt_loss(logits, targets, *lengths).backward()
    assert logits.grad.isfinite().all()
    for b, (t, u) in enumerate(zip(*lengths)):
        assert not logits.grad[b, t:].any() and not logits.grad[b, :, u + 1 :].any()
        assert logits.grad[b, :t, : u + 1].ne(0).all()


def test_an_utterance_without_a_number_stays_alone():
    scores = random_scores((2, 4, 3), 0, torch.float)
    scores[0][0, 1, 1] = float("nan")
    nll = lattice_nll(*scores, torch.tensor([4, 4]), torch.tensor([2, 2]))
    assert nll.isnan().tolist() == [True, False]


def test_impossible_arcs_are_avoided_and_leave_numbers():
    blanks, label_scores = random_scores((1, 3, 2), 0, torch.float)
    lengths = torch.tensor([3]), torch.tensor([1])
    label_scores[0, :2] = -torch.inf  # so that only the last frame is left
    blanks[0, :, 1] = -torch.inf
    blanks[0, 2, 1] = -0.5
    nll = lattice_nll(blanks, label_scores, *lengths)
    wanted = -(blanks[0, 0, 0] + blanks[0, 1, 0] + label_scores[0, 2, 0] - 0.5)
    torch.testing.assert_close(nll[0], wanted)
    label_scores[:] = -torch.inf
    label_scores.requires_grad_()
    nll = lattice_nll(blanks, label_scores, *lengths)
    nll.backward()
    assert 1e5 < nll.item() < 1e7 and label_scores.grad.isfinite().all()


def test_a_label_bias_is_a_score():
    blanks, label_scores = random_scores((2, 6, 4), 0)
    bias = torch.randn_like(label_scores).requires_grad_()
    lengths = torch.tensor([6, 5]), torch.tensor([3, 2])
    nll = lattice_nll(blanks, label_scores, *lengths, label_bias=bias)
    torch.testing.assert_close(
        nll, lattice_nll(blanks, label_scores + bias, *lengths), rtol=0, atol=0
    )
    nll.sum().backward()
    gammas = label_posteriors(blanks, label_scores + bias, *lengths)
    torch.testing.assert_close(bias.grad, -gammas)
    half = [x.detach().half() for x in (blanks, label_scores, bias)]
    whole = lattice_nll(half[0].float(), half[1].float() + half[2].float(), *lengths)
    assert torch.equal(lattice_nll(*half[:2], *lengths, half[2]), whole)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_half_precision_counts_in_float32(dtype, device):
    logits, targets = random_lattice((2, 50, 11), 9, 0)
    logits = logits.to(device, dtype)
    lengths = torch.tensor([50, 31]), torch.tensor([10, 4])
    results = []
    for leaf in (logits.clone(), logits.float()):
        leaf.requires_grad_()
        nll = rnnt_loss(leaf, targets, *lengths, reduction="none")
        nll.sum().backward()
        results.append((nll, leaf.grad))
    (nll, grad), (nll32, grad32) = results
    assert nll.dtype == torch.float32 and torch.equal(nll, nll32)
    assert grad.dtype == dtype and torch.equal(grad, grad32.to(dtype))


@pytest.mark.parametrize("device", DEVICES)
def test_pieces_of_any_layout_and_twice_through_the_graph(device):
    """Many pieces, logits that are not contiguous, a graph that is kept."""
    logits, targets = random_lattice((2, 90, 11), 700, 0)
    lengths = torch.tensor([90, 52]), torch.tensor([10, 4])
    wanted, grads = rnnt_judge(logits, targets, *lengths, 0)
    leaf = logits.to(device).requires_grad_()
    turned = leaf.permute(1, 0, 3, 2).contiguous().permute(1, 0, 3, 2)
    before = turned.detach().clone()
    nll = rnnt_loss(turned, targets.to(device), *lengths, reduction="none")
    torch.testing.assert_close(nll.double().cpu(), wanted, rtol=1e-5, atol=0)
    nll.sum().backward(retain_graph=True)
    nll.sum().backward()
    assert torch.equal(turned, before)
    torch.testing.assert_close(leaf.grad.double().cpu(), 2 * grads, rtol=0, atol=1e-5)


def test_only_half_a_gradient_is_asked_for():
    logits, targets = random_lattice((1, 4, 3), 5, 0)
    logits.requires_grad_()
    _, labels = arc_scores(logits, targets, torch.tensor([2]))
    (got,) = torch.autograd.grad(labels.sum(), logits)
    wanted = logits[:, :, :2].log_softmax(-1)
    wanted = wanted.gather(-1, targets[:, None, :, None].expand(1, 4, 2, 1))
    torch.testing.assert_close(got, torch.autograd.grad(wanted.sum(), logits)[0])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"logits": torch.zeros(2, 3, 4)}, "logits must be"),
        ({"targets": torch.ones(2, 3)}, "targets must be"),
        ({"targets": torch.tensor([[1, 0], [1, 1]])}, "0 is the blank"),
        ({"blank": -4}, "1 is the blank"),
        ({"targets": torch.tensor([[1, 1], [5, 1]])}, "5 is not in 0..4"),
        ({"targets": torch.tensor([[1, -1], [1, 1]])}, "-1 is not in 0..4"),
        ({"logit_lengths": torch.tensor([4, 0])}, "logit_lengths must be in 1..4"),
        ({"logit_lengths": torch.tensor([5, 4])}, "logit_lengths must be in 1..4"),
        ({"logit_lengths": torch.tensor([4])}, "logit_lengths must be"),
        ({"target_lengths": torch.tensor([3, 1])}, "target_lengths must be in 0..2"),
        ({"target_lengths": torch.tensor([-1, 1])}, "target_lengths must be in 0..2"),
        ({"blank": 5}, "blank must be in -5..4"),
        ({"reduction": "avg"}, "reduction must be"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arguments = {
        "logits": torch.zeros(2, 4, 3, 5),
        "targets": torch.tensor([[1, 2], [3, -1]]),
        "logit_lengths": torch.tensor([4, 2]),
        "target_lengths": torch.tensor([2, 1]),
    }
    assert rnnt_loss(**arguments).isfinite()
    with pytest.raises(InputError, match=message):
        rnnt_loss(**{**arguments, **change})
