"""Judges: every path of tiny lattices, and Viterbi node by node on larger ones."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_lmkd.alignment.lattice import (
    best_path,
    emission_scores,
    gather_path,
    path_of_hypothesis,
)

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    ),
]


def score_of(path, blanks, labels):
    """Score of a path given as its nodes, each left towards the next."""
    end = (len(blanks), len(blanks[0]) - 1)
    score = 0.0
    for (t, u), after in zip(path, [*path[1:], end]):
        if after == (t + 1, u):
            score += blanks[t][u]
        else:
            assert after == (t, u + 1)
            score += labels[t][u]
    return score


def best_of_all(blanks, labels):
    frames, length = len(blanks), len(blanks[0]) - 1
    return max(
        score_of(nodes_of(emissions, frames), blanks, labels)
        for emissions in itertools.combinations_with_replacement(range(frames), length)
    )


def nodes_of(emissions, frames):
    """Walk: at each frame emit what it emits, then a blank."""
    path, u = [], 0
    for t in range(frames):
        for _ in range(emissions.count(t)):
            path.append((t, u))
            u += 1
        path.append((t, u))
    return path


def viterbi(blanks, labels):
    best = {}
    for t, u in itertools.product(range(len(blanks)), range(len(blanks[0]))):
        best[t, u] = max(
            best[t - 1, u] + blanks[t - 1][u] if t else -float("inf"),
            best[t, u - 1] + labels[t][u - 1] if u else -float("inf"),
            -float("inf") if t or u else 0.0,
        )
    return best[t, u] + blanks[t][u]


@st.composite
def lattices(draw, most_frames, most_labels):
    batch = draw(st.integers(1, 4))
    frames = [draw(st.integers(1, most_frames)) for _ in range(batch)]
    labels = [draw(st.integers(0, most_labels)) for _ in range(batch)]
    margin = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    shape = (batch, max(frames) + margin[0], max(labels) + margin[1] + 1)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scores = torch.randn(2, *shape, generator=generator, dtype=torch.double)
    if draw(st.booleans()):
        scores = scores.round()  # ties
    for b, (t, u) in enumerate(zip(frames, labels)):
        scores[:, b, t:], scores[:, b, :, u + 1 :] = float("nan"), float("nan")
        scores[1, b, :, u:] = float("inf")
    return scores[0], scores[1, ..., :-1], torch.tensor(frames), torch.tensor(labels)


def check(batch, judge):
    blank_scores, label_scores, frames, labels = batch
    path_t, path_u, path_lengths = best_path(*batch)
    assert path_lengths.equal(frames + labels)
    assert path_t.shape == path_u.shape == (len(frames), int(path_lengths.max()))
    assert path_t.dtype == path_u.dtype == torch.int64
    for b, (t, u) in enumerate(zip(frames.tolist(), labels.tolist())):
        assert path_t[b, t + u :].eq(-1).all() and path_u[b, t + u :].eq(-1).all()
        path = list(zip(path_t[b, : t + u].tolist(), path_u[b, : t + u].tolist()))
        assert path[0] == (0, 0)
        scores = blank_scores[b, :t, : u + 1].tolist(), label_scores[b, :t, :u].tolist()
        assert score_of(path, *scores) == pytest.approx(judge(*scores), abs=1e-9)


@settings(deadline=None, max_examples=80)
@given(lattices(most_frames=5, most_labels=4))
def test_the_best_of_all_paths(batch):
    check(batch, best_of_all)


@settings(deadline=None, max_examples=25)
@given(lattices(most_frames=25, most_labels=12))
def test_viterbi_node_by_node(batch):
    check(batch, viterbi)


@settings(deadline=None, max_examples=15)
@given(lattices(most_frames=5, most_labels=3))
def test_the_judges_agree(batch):
    for blanks, labels, t, u in zip(*batch):
        scores = blanks[:t, : u + 1].tolist(), labels[:t, :u].tolist()
        assert viterbi(*scores) == pytest.approx(best_of_all(*scores))


@settings(deadline=None, max_examples=25)
@given(lattices(most_frames=4, most_labels=3))
def test_a_score_for_each_label_gives_every_path_its_sum(batch):
    w, base = emission_scores(*batch)
    for b, (t, u) in enumerate(zip(*(lengths.tolist() for lengths in batch[2:]))):
        scores = batch[0][b, :t, : u + 1].tolist(), batch[1][b, :t, :u].tolist()
        for emissions in itertools.combinations_with_replacement(range(t), u):
            got = base[b] + sum(w[v, b, s] for v, s in enumerate(emissions))
            wanted = score_of(nodes_of(emissions, t), *scores)
            assert got.item() == pytest.approx(wanted, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=4).flatmap(
        lambda frames: st.tuples(
            st.just(frames),
            st.tuples(
                *(
                    st.lists(st.integers(0, t - 1), max_size=5).map(sorted)
                    for t in frames
                )
            ),
        )
    )
)
def test_the_path_of_a_hypothesis(batch):
    frames, hypotheses = batch
    labels = torch.tensor([len(emissions) for emissions in hypotheses])
    padded = torch.full((len(frames), int(labels.max()) + 1), -1)
    for row, emissions in zip(padded, hypotheses):
        row[: len(emissions)] = torch.tensor(emissions)
    path_t, path_u, path_lengths = path_of_hypothesis(
        padded, torch.tensor(frames), labels
    )
    for b, emissions in enumerate(hypotheses):
        got = torch.stack([path_t[b], path_u[b]], -1)[: path_lengths[b]].tolist()
        assert [tuple(node) for node in got] == nodes_of(emissions, frames[b])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.half, torch.float])
def test_half_precision_and_no_gradient(dtype, device):
    """Sums over 3000 frames still see the difference of one frame."""
    blanks = torch.full((1, 3000, 2), -1.0, dtype=dtype, device=device)
    labels = torch.full((1, 3000, 1), -1.0, dtype=dtype, device=device)
    labels[0, 2000] = -0.99
    labels.requires_grad_()
    path_t, path_u, _ = best_path(
        blanks, labels, torch.tensor([3000]), torch.tensor([1])
    )
    assert path_t.device == labels.device
    assert path_u[0].tolist() == [0] * 2001 + [1] * 1000
    assert path_t[0, 2000] == path_t[0, 2001] == 2000


def test_gathered_states_give_the_lattices_nodes():
    generator = torch.Generator().manual_seed(0)
    encoder_out = torch.randn(2, 7, 3, generator=generator).requires_grad_()
    predictor_out = torch.randn(2, 4, 3, generator=generator).requires_grad_()
    lattice = encoder_out.unsqueeze(2) * predictor_out.unsqueeze(1)
    path_t, path_u, lengths = path_of_hypothesis(
        torch.tensor([[0, 2, 6], [3, 3, -1]]),
        torch.tensor([7, 4]),
        torch.tensor([3, 2]),
    )
    states, predicted = gather_path(encoder_out, predictor_out, path_t, path_u)
    nodes = states * predicted
    for b, length in enumerate(lengths):
        at = path_t[b, :length], path_u[b, :length]
        assert torch.equal(nodes[b, :length], lattice[b][at])
    leaves = (encoder_out, predictor_out)
    for got, wanted in zip(
        torch.autograd.grad(nodes[0].sum(), leaves, retain_graph=True),
        torch.autograd.grad(lattice[0][path_t[0], path_u[0]].sum(), leaves),
    ):
        torch.testing.assert_close(got, wanted)
