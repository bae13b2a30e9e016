"""Judges: every path of tiny lattices, and the textbook recursion on larger ones."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_lmkd.alignment.ctc import ctc_align, token_means

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    ),
]


def collapse(path, blank):
    return [token for token, _ in itertools.groupby(path) if token != blank]


def frames_needed(text):
    return len(text) + sum(a == b for a, b in zip(text, text[1:]))


def best_of_all(scores, text, blank):
    """Score of the best path, of all V^T written out; None where none fits."""
    classes = range(len(scores[0])) if scores else ()
    return max(
        (
            sum(scores[t][token] for t, token in enumerate(path))
            for path in itertools.product(classes, repeat=len(scores))
            if collapse(path, blank) == text
        ),
        default=None,
    )


def textbook(scores, text, blank):
    """The same by the recursion of the forced alignment, state by state."""
    labels = [blank]
    for token in text:
        labels += [token, blank]
    best = {0: 0.0}  # of the frames so far, by state
    for frame in scores:
        reached = {}
        for state, label in enumerate(labels):
            sources = [state, state - 1]
            if label != blank and state > 1 and labels[state - 2] != label:
                sources.append(state - 2)
            scored = [best[source] for source in sources if source in best]
            if scored:
                reached[state] = max(scored) + frame[label]
        best = reached
    ends = [best[s] for s in (len(labels) - 1, len(labels) - 2) if s in best]
    return max(ends, default=None)


@st.composite
def batches(draw, most_frames, most_tokens, most_classes):
    classes = draw(st.integers(2, most_classes))
    blank = draw(st.integers(0, classes - 1))
    tokens = st.sampled_from([v for v in range(classes) if v != blank])
    texts = draw(
        st.lists(st.lists(tokens, max_size=most_tokens), min_size=1, max_size=4)
    )
    lengths = [draw(st.integers(0, most_frames)) for _ in texts]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (len(texts), max(lengths) + draw(st.integers(0, 2)), classes)
    scores = torch.randn(shape, generator=generator, dtype=torch.double)
    if draw(st.booleans()):
        scores = scores.round()  # ties
    return scores.log_softmax(-1), lengths, texts, blank


def pad(texts, value=99):
    longest = max(map(len, texts))
    return (
        torch.tensor([text + [value] * (longest - len(text)) for text in texts])
        .view(len(texts), longest)
        .long()
    )


def check(batch, judge):
    log_probs, lengths, texts, blank = batch
    text_lengths = torch.tensor([len(text) for text in texts])
    positions, aligned = ctc_align(
        log_probs, torch.tensor(lengths), pad(texts), text_lengths, blank
    )
    assert positions.shape == log_probs.shape[:2] and positions.dtype == torch.int64
    for index, (length, text) in enumerate(zip(lengths, texts)):
        emitted, padding = positions[index, :length].tolist(), positions[index, length:]
        assert (padding == -1).all()
        assert aligned[index] == (frames_needed(text) <= length)
        scores = log_probs[index, :length].tolist()
        wanted = judge(scores, text, blank)
        if wanted is None:
            assert not aligned[index] and set(emitted) <= {-1}
            continue
        path = [blank if u < 0 else text[u] for u in emitted]
        # Each token by its own frames, in order, and none left out.
        assert collapse(emitted, -1) == list(range(len(text)))
        assert collapse(path, blank) == text
        got = sum(scores[t][token] for t, token in enumerate(path))
        assert got == pytest.approx(wanted, abs=1e-9)


@settings(deadline=None, max_examples=150)
@given(batches(most_frames=5, most_tokens=4, most_classes=3))
def test_the_best_of_all_paths(batch):
    check(batch, best_of_all)


@settings(deadline=None, max_examples=40)
@given(batches(most_frames=30, most_tokens=9, most_classes=6))
def test_the_textbook_recursion(batch):
    check(batch, textbook)


@settings(deadline=None, max_examples=20)
@given(batches(most_frames=5, most_tokens=3, most_classes=3))
def test_the_judges_agree(batch):
    log_probs, lengths, texts, blank = batch
    for scores, length, text in zip(log_probs, lengths, texts):
        frames = scores[:length].tolist()
        wanted = best_of_all(frames, text, blank)
        assert textbook(frames, text, blank) == (wanted and pytest.approx(wanted))


def align(scores, text, **options):
    """One utterance that fills its tensors."""
    scores = torch.as_tensor(scores)
    return ctc_align(
        scores[None],
        torch.tensor([len(scores)]),
        torch.tensor([text]).long(),
        torch.tensor([len(text)]),
        **options,
    )


@pytest.mark.parametrize(
    "frames, text, positions, fits",
    [
        (1, [2], [0], True),
        (1, [], [-1], True),
        (3, [], [-1, -1, -1], True),
        (1, [2, 1], [-1], False),
        (2, [1, 1], [-1, -1], False),
        (3, [1, 1], [0, -1, 1], True),
        (0, [], [], True),
        (0, [1], [], False),
    ],
)
def test_the_smallest_cases(frames, text, positions, fits):
    got, aligned = align(torch.zeros(frames, 3), text)
    assert got[0].tolist() == positions and aligned.tolist() == [fits]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_not_finite_costs_its_own_utterance_only(bad):
    scores = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    lengths, text = torch.tensor([9, 9]), torch.tensor([[1, 2], [1, 2]])
    expected, _ = ctc_align(scores, lengths, text, torch.tensor([2, 2]))
    scores[0, 1] = bad
    got, aligned = ctc_align(scores, lengths, text, torch.tensor([2, 2]))
    assert aligned.tolist() == [False, True]
    assert got[0].tolist() == [-1] * 9 and got[1].equal(expected[1])


def test_an_impossible_class_is_avoided():
    scores = torch.zeros(4, 3)
    scores[[0, 3], 1] = -torch.inf  # token 1 in the middle only
    scores[1:3, 0] = -1.0
    assert align(scores, [1])[0].tolist() == [[-1, 0, 0, -1]]


def test_logits_align_as_log_probabilities_do():
    logits = torch.randn(3, 20, 7, generator=torch.Generator().manual_seed(0)) * 4
    lengths, text_lengths = torch.tensor([20, 13, 17]), torch.tensor([5, 3, 4])
    text = torch.randint(1, 7, (3, 5), generator=torch.Generator().manual_seed(1))
    got, _ = ctc_align(logits, lengths, text, text_lengths)
    probs, _ = ctc_align(logits.log_softmax(-1), lengths, text, text_lengths)
    assert got.equal(probs)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.float])
def test_sums_are_of_float32_at_least(dtype, device):
    """In half precision the sum over 3000 frames would no longer see a difference."""
    scores = torch.full((3000, 2), -1.0, dtype=dtype, device=device)
    scores[2000, 1] = -0.99
    (positions,), _ = ctc_align(
        scores[None],
        torch.tensor([3000]),
        torch.tensor([[1]], device=device),
        torch.tensor([1]),
    )
    assert positions[2000] == 0


@pytest.mark.parametrize("device", DEVICES)
def test_no_gradient_and_the_scores_are_left_alone(device):
    scores = torch.randn(2, 6, 4, device=device, requires_grad=True)
    before = scores.detach().clone()
    text = torch.tensor([[1, 2], [3, -1]], device=device)
    positions, aligned = ctc_align(
        scores, torch.tensor([6, 4]), text, torch.tensor([2, 1])
    )
    assert not positions.requires_grad and positions.device == scores.device
    assert torch.equal(scores, before) and aligned.all()


def test_token_means_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(3, 8, 5, generator=generator)
    positions = torch.randint(-1, 4, (3, 8), generator=generator)
    got = token_means(frames, positions, 4)
    for b, u in itertools.product(range(3), range(4)):
        mine = [frames[b, t] for t in range(8) if positions[b, t] == u]
        wanted = sum(mine) / len(mine) if mine else torch.zeros(5)
        torch.testing.assert_close(got[b, u], wanted)


def test_token_means_stay_float32_under_autocast():
    frames = torch.full((1, 3, 2), 1.001)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = token_means(frames, torch.tensor([[0, 0, 0]]), 1)
    torch.testing.assert_close(got, torch.full((1, 1, 2), 1.001))
