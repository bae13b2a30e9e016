"""Intervals are judged by scipy, a plain loop and simulated experiments."""

import math

import numpy as np
import pytest
from scipy import stats

from espnet_lmkd.scoring.bootstrap import draw_weights, relative_change


def simulate(rng, speakers=20, utterances=10, change=-0.2, taste=0.0):
    """Return errors of a system, of the baseline, and speakers.

    Speakers differ in difficulty and, by `taste`, in what the system does to them.
    """
    rate = np.repeat(rng.gamma(2.0, 1.0, speakers), utterances)
    factor = rng.lognormal(-(taste**2) / 2, taste, speakers)
    base = rng.poisson(rate)
    system = rng.poisson(rate * (1 + change) * np.repeat(factor, utterances))
    return system[None], base[None], np.repeat(np.arange(speakers), utterances)


def test_equals_scipy_where_every_speaker_has_one_utterance():
    rng = np.random.default_rng(1)
    system, base, speakers = simulate(rng, speakers=150, utterances=1)
    ours = relative_change(system, base, speakers, draws=40_000)
    judge = stats.bootstrap(
        (system[0], base[0]),
        lambda s, b, axis: s.sum(axis) / b.sum(axis) - 1,
        paired=True,
        method="percentile",
        n_resamples=40_000,
        rng=2,
    ).confidence_interval
    assert ours.relative == pytest.approx(system.sum() / base.sum() - 1)
    assert ours.low == pytest.approx(judge.low, abs=0.01)
    assert ours.high == pytest.approx(judge.high, abs=0.01)


def test_draws_are_those_of_a_plain_loop():
    """Mean and covariance of the weights of a two-level draw, loop and vectors."""
    speakers = ["a", "a", "a", "b", "c", "c"]
    rng = np.random.default_rng(0)
    loop = np.zeros((20_000, 6))
    for draw in loop:
        for speaker in rng.choice(["a", "b", "c"], 3):
            own = [i for i, name in enumerate(speakers) if name == speaker]
            for index in rng.choice(own, len(own)):
                draw[index] += 1
    ours = draw_weights(speakers, 20_000, np.random.default_rng(1))
    np.testing.assert_allclose(ours.mean(0), loop.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(ours.T), np.cov(loop.T), atol=0.12)


@pytest.mark.parametrize(
    "speakers, utterances, taste", [(20, 10, 0.2), (20, 60, 0.2), (5, 40, 0.2)]
)
def test_interval_covers_the_truth(speakers, utterances, taste):
    """At least about 95 %; drawing at two levels errs on the safe side."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(150):
        data = simulate(rng, speakers, utterances, taste=taste)
        change = relative_change(*data, draws=400)
        covered += change.low <= -0.2 <= change.high
    assert covered / 150 >= 0.9


def test_no_difference_is_not_found():
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(100):
        system, base, speakers = simulate(rng, change=0.0)
        found += relative_change(system, base, speakers, draws=500).high < 0
    assert found <= 7  # 2.5 expected


def test_seeds_widen_the_interval_unless_the_models_are_the_same():
    rng = np.random.default_rng(5)
    system, base, speakers = simulate(rng)
    seeds = np.concatenate([base + extra for extra in (0, 1, 2)])
    other = np.concatenate([base + extra for extra in (0, 1, 2)])
    same = relative_change(seeds, other, speakers, same_models=True)
    assert same == (0.0, 0.0, 0.0, 0.5)
    apart = relative_change(seeds, other, speakers)
    assert apart.low < -0.2 and apart.high > 0.2
    assert apart.p_better == pytest.approx(0.5, abs=0.05)


def test_a_perfect_baseline_has_no_relative_change():
    change = relative_change(np.ones((1, 3)), np.zeros((1, 3)), ["a", "a", "b"])
    assert math.isnan(change.relative) and change.p_better == 0.0


def test_is_deterministic():
    rng = np.random.default_rng(6)
    data = simulate(rng)
    assert relative_change(*data) == relative_change(*data)
