"""Judge: the paper's loop, frame by frame, in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_lmkd.alignment.cif import integrate_and_fire

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    ),
]


def scaled(alpha, target=None):
    """Integer weights, and how much of them is a token."""
    unit = max(weight.as_integer_ratio()[1] for weight in alpha)
    weights = [int(Fraction(weight) * unit) for weight in alpha]
    if target is None:
        return weights, unit
    if not any(weights):
        weights = [1] * len(weights)
    return [weight * target for weight in weights], sum(weights)


def fire(weights, unit, threshold=None):
    """For each token the shares of its frames; a tail only with a threshold."""
    tokens, token, missing = [], {}, unit
    for t, weight in enumerate(weights):
        while weight >= missing:
            token[t] = missing / unit
            tokens.append(token)
            weight, token, missing = weight - missing, {}, unit
        token[t] = weight / unit
        missing -= weight
    if threshold is not None and (unit - missing) / unit >= threshold:
        tokens.append(token)
    return tokens


def vectors_of(tokens, hidden):
    rows = [
        sum((share * hidden[t] for t, share in token.items()), 0 * hidden[0])
        for token in tokens
    ]
    return torch.stack(rows) if rows else hidden[:0]


@st.composite
def batches(draw):
    """Padded states and weights, lengths, target lengths or None, and a threshold."""
    size = draw(st.integers(1, 4))
    lengths = [draw(st.integers(1, 12)) for _ in range(size)]
    shape = (size, max(lengths) + draw(st.integers(0, 2)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    hidden = torch.randn(*shape, 3, generator=generator, dtype=torch.double)
    alpha = torch.rand(shape, generator=generator, dtype=torch.double)
    if draw(st.booleans()):
        alpha = alpha.mul(4).round() / 4  # many ends of frames are ends of tokens
    for b, length in enumerate(lengths):
        alpha[b] *= draw(st.sampled_from([0, 1e-9, 0.5, 1, 4]))
        alpha[b, length:], hidden[b, length:] = float("nan"), float("nan")
    targets = st.lists(st.integers(0, 9), min_size=size, max_size=size)
    targets = draw(st.none() | targets.map(torch.tensor))
    threshold = draw(st.sampled_from([0.25, 0.5, 1.0, 2.0]))
    return hidden, alpha, torch.tensor(lengths), targets, threshold


@pytest.mark.parametrize("device", DEVICES)
@settings(deadline=None, max_examples=80)
@given(batch=batches())
def test_the_papers_loop(device, batch):
    hidden, alpha, lengths, targets, threshold = batch
    output = integrate_and_fire(
        hidden.to(device), alpha.to(device), lengths, targets, threshold
    )
    assert {x.device.type for x in output} == {device}
    vectors, numbers, boundaries = (x.cpu() for x in output)
    assert numbers.dtype == torch.long and boundaries.dtype == torch.float
    assert vectors.shape == (len(lengths), int(numbers.max()), 3)
    assert boundaries.shape == vectors.shape[:2]
    if targets is not None:
        assert numbers.equal(targets)
    for b, length in enumerate(lengths):
        target = None if targets is None else int(targets[b])
        weights, unit = scaled(alpha[b, :length].tolist(), target)
        tokens = fire(weights, unit, threshold if targets is None else None)
        assert numbers[b] == len(tokens)
        wanted = torch.zeros_like(vectors[b])
        wanted[: len(tokens)] = vectors_of(tokens, hidden[b, :length])
        torch.testing.assert_close(vectors[b], wanted, rtol=0, atol=1e-9)

        axis = np.cumsum([0.0, *(weight / unit for weight in weights)])
        ends = boundaries[b, : len(tokens)].double().numpy()
        reached = np.interp(ends, np.arange(len(axis)), axis)
        wanted = np.minimum(np.arange(len(tokens)) + 1, axis[-1])
        np.testing.assert_allclose(reached, wanted, atol=1e-5)
        assert (np.diff(ends, prepend=0.0) >= 0).all() and (ends <= int(length)).all()
        assert not boundaries[b, len(tokens) :].any()


@pytest.mark.parametrize("rate", [0.3, 3.0])
@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16, torch.half])
def test_no_token_is_lost_in_long_batches(dtype, rate):
    """The weights of a token add up to 1, so frames of ones make tokens of ones."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 4001, (64,), generator=generator)
    alpha = torch.rand(64, 4000, generator=generator)
    alpha[::2] *= 1e-6
    alpha[::3, ::2] = 0.0
    alpha[7] = 0.0
    targets = (lengths * rate * torch.rand(64, generator=generator)).long()
    ones = torch.ones(64, 4000, 1, dtype=dtype)
    output = integrate_and_fire(ones, alpha.to(dtype), lengths, targets)
    assert output.lengths.equal(targets) and output.vectors.dtype == dtype
    wanted = torch.arange(int(targets.max())) < targets.unsqueeze(1)
    torch.testing.assert_close(
        output.vectors.squeeze(2), wanted.to(dtype), rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("number", [1, 3, 1000])
def test_float32_is_precise_on_long_utterances(number):
    torch.manual_seed(0)
    hidden, alpha = torch.randn(1, 4000, 8), torch.rand(1, 4000)
    target, grad = torch.tensor([number]), torch.randn(1, number, 8)
    results = []
    for dtype in (torch.float, torch.double):
        leaves = [x.to(dtype, copy=True).requires_grad_() for x in (hidden, alpha)]
        vectors = integrate_and_fire(*leaves, target_lengths=target).vectors
        vectors.backward(grad.to(dtype))
        results.append([vectors.detach(), *(leaf.grad for leaf in leaves)])
    tokens = fire(*scaled(alpha[0].tolist(), number))
    results[1][0] = vectors_of(tokens, hidden[0].double()).unsqueeze(0)
    for got, wanted in zip(*results):
        assert (got.double() - wanted).abs().max() <= 1e-6 * wanted.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half])
def test_half_precision_sums_in_float32(dtype):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 50, 8, generator=generator).to(dtype)
    alpha = torch.rand(2, 50, generator=generator).to(dtype)
    targets = torch.tensor([3, 2])
    grad = torch.randn(2, 3, 8, generator=generator).to(dtype)
    results = []
    for wide in (dtype, torch.double):
        leaves = [x.to(wide, copy=True).requires_grad_() for x in (hidden, alpha)]
        vectors = integrate_and_fire(*leaves, target_lengths=targets).vectors
        vectors.backward(grad.to(wide))
        results.append([vectors.detach(), *(leaf.grad for leaf in leaves)])
    for got, wanted in zip(*results):
        assert got.dtype == dtype
        error = (got.double() - wanted).abs()
        # That of rounding the result, and of float32 where terms cancel.
        assert (error <= torch.finfo(dtype).eps / 2 * wanted.abs() + 1e-5).all()


@pytest.mark.parametrize("targets", [None, torch.tensor([3, 0, 9, 1])])
def test_gradcheck(targets):
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(4, 7, 2, generator=generator).double().requires_grad_()
    alpha = torch.rand(4, 7, generator=generator).double().requires_grad_()
    lengths = torch.tensor([7, 3, 5, 1])
    if targets is None:  # tails of all kinds
        numbers = integrate_and_fire(hidden, alpha, lengths).lengths
        sums = alpha.cumsum(1).gather(1, lengths.unsqueeze(1) - 1).squeeze(1)
        assert (numbers > sums).any() and (numbers < sums).any()
    assert torch.autograd.gradcheck(
        lambda *states: integrate_and_fire(*states, lengths, targets).vectors,
        (hidden, alpha),
    )


@pytest.mark.parametrize("longest", [40, 900])
@pytest.mark.parametrize("targets", [None, torch.tensor([9, 4, 0])])
def test_an_utterance_does_not_depend_on_its_batch(targets, longest):
    torch.manual_seed(0)
    states, weights = torch.randn(3, longest, 65), torch.rand(3, longest)
    lengths = torch.tensor([longest, 17, 5])
    for b, length in enumerate(lengths):
        states[b, length:], weights[b, length:] = float("nan"), -1.0
    leaves = [states.requires_grad_(), weights.requires_grad_()]
    beside = integrate_and_fire(*leaves, lengths, targets)
    beside.vectors.square().sum().backward()
    for b, length in enumerate(lengths):
        one = [
            x.detach()[b : b + 1, :length].clone().requires_grad_()
            for x in (states, weights)
        ]
        target = None if targets is None else targets[b : b + 1]
        alone = integrate_and_fire(*one, target_lengths=target)
        number = int(alone.lengths)
        assert number == beside.lengths[b]
        assert alone.vectors[0].equal(beside.vectors[b, :number])
        assert alone.boundaries[0].equal(beside.boundaries[b, :number])
        assert not beside.vectors[b, number:].any()
        alone.vectors.square().sum().backward()
        assert one[0].grad[0].equal(states.grad[b, :length])
        wanted = weights.grad[b, :length]  # differences of large products
        assert (one[1].grad[0] - wanted).abs().max() <= 2e-6 * wanted.abs().max()
        assert not states.grad[b, length:].any() and not weights.grad[b, length:].any()


def test_silence_is_shared_by_its_frames():
    hidden = torch.tensor([[[1.0], [3], [5], [9], [float("nan")]]]).requires_grad_()
    alpha = torch.zeros(1, 5, requires_grad=True)
    lengths = torch.tensor([4])
    output = integrate_and_fire(hidden, alpha, lengths, torch.tensor([2]))
    assert output.vectors.flatten().tolist() == [2.0, 7.0]
    assert output.boundaries.tolist() == [[2.0, 4.0]]
    output.vectors.sum().backward()
    assert alpha.grad.tolist() == [[0.0] * 5]
    assert hidden.grad.flatten().tolist() == [0.5] * 4 + [0.0]
    assert integrate_and_fire(hidden, alpha, lengths).lengths.tolist() == [0]


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("targets", [None, torch.tensor([0, 0])])
def test_no_token_leaves_a_gradient_path(targets):
    hidden = torch.randn(2, 3, 2, requires_grad=True)
    alpha = torch.full((2, 3), 0.1, requires_grad=True)
    lengths = torch.tensor([3, 0])
    output = integrate_and_fire(hidden, alpha, lengths, targets)
    assert output.vectors.shape == (2, 0, 2) and output.lengths.tolist() == [0, 0]
    with torch.autograd.detect_anomaly():  # no nan on the way either
        output.vectors.sum().backward()
    assert not hidden.grad.any() and not alpha.grad.any()


def test_memory_is_linear():
    """The weights of all frames in all tokens would take 4 TB."""
    hidden = torch.ones(2, 10**6, 1, requires_grad=True)
    targets = torch.tensor([5 * 10**5, 10**5])
    output = integrate_and_fire(hidden, torch.rand(2, 10**6), target_lengths=targets)
    output.vectors.sum().backward()
    torch.testing.assert_close(hidden.grad.sum((1, 2)), targets.float())


def test_autocast_changes_nothing():
    hidden, alpha = torch.randn(2, 30, 4), torch.rand(2, 30)
    targets = torch.tensor([7, 9])
    wanted = integrate_and_fire(hidden, alpha, target_lengths=targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = integrate_and_fire(hidden, alpha, target_lengths=targets)
    assert got.vectors.dtype == torch.float and got.vectors.equal(wanted.vectors)
