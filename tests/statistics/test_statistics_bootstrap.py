"""Intervals: against scipy, against theory, and in the corners where there is none."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import Floats
from turnwise.statistics.quantile import normal_cdf, t_cdf, t_quantile


def clustered(dialogues: int, columns: int, seed: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    scores = generator.normal(70, 8, (dialogues, columns, 1)) + generator.normal(0, 10, (dialogues, columns, 6))
    scored = generator.random(scores.shape) > 0.1
    return np.where(scored, scores, 0.0).sum(axis=2), scored.sum(axis=2).astype(float)


def test_plain_percentile_agrees_with_scipy() -> None:
    above, below = clustered(60, 3, 1)
    low, high = Bootstrap(60, 5, draws=20_000, expand=False).ratio_interval(above, below)
    for k in range(3):
        theirs = stats.bootstrap(
            (above[:, k], below[:, k]),
            lambda x, y, axis: x.sum(axis=axis) / y.sum(axis=axis),
            n_resamples=20_000,
            paired=True,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(2),
        ).confidence_interval
        width = theirs.high - theirs.low
        assert abs(low[k] - theirs.low) < 0.04 * width
        assert abs(high[k] - theirs.high) < 0.04 * width


def test_the_same_draws_give_numpys_percentiles() -> None:
    above, below = clustered(25, 150, 3)  # more columns than are resampled at a time
    bootstrap = Bootstrap(25, 7, draws=500, expand=False)
    low, high = bootstrap.ratio_interval(above, below)
    counts = bootstrap.counts.astype(float)
    drawn = (counts @ above) / (counts @ below)
    np.testing.assert_allclose([low, high], np.percentile(drawn, [2.5, 97.5], axis=0), rtol=1e-12)


def test_each_draw_takes_as_many_dialogues_as_there_are() -> None:
    counts = Bootstrap(30, 1, draws=4000).counts
    assert (counts.sum(axis=1) == 30).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.08)
    np.testing.assert_allclose(counts.var(axis=0), 29 / 30, atol=0.12)


def test_seed_decides_and_nothing_else() -> None:
    above, below = clustered(20, 2, 1)
    one, same, other = (Bootstrap(20, seed, 300).ratio_interval(above, below) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    code = "from turnwise.statistics.bootstrap import Bootstrap; print(Bootstrap(20, 1, 300).counts.tobytes().hex()[:4000])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == Bootstrap(20, 1, 300).counts.tobytes().hex()[:4000]


@pytest.mark.parametrize("dialogues", [0, 1])
def test_fewer_than_two_dialogues_have_no_interval(dialogues: int) -> None:
    low, high = Bootstrap(dialogues, 1, 200).ratio_interval(np.ones((dialogues, 2)), np.ones((dialogues, 2)))
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_only_dialogues_with_scores_count() -> None:
    above, below = np.zeros((10, 2)), np.zeros((10, 2))
    below[0, 0] = above[0, 0] = 1.0
    below[:2, 1], above[:2, 1] = 1.0, (3.0, 5.0)
    low, high = Bootstrap(10, 1, 2000).ratio_interval(above, below)
    assert np.isnan(low[0])
    assert (low[1], high[1]) == (3.0, 5.0)


def test_a_constant_has_an_interval_of_no_width() -> None:
    low, high = Bootstrap(12, 1, 500).ratio_interval(np.full((12, 1), 6.0), np.full((12, 1), 2.0))
    assert (low[0], high[0]) == (3.0, 3.0)


def test_intervals_widen_for_few_dialogues_as_students_does() -> None:
    """For a plain mean the expanded interval is as wide as Student's; the plain one is shorter."""
    values = np.random.default_rng(4).normal(50, 10, 12)
    ones = np.ones((12, 1))
    ends = {e: Bootstrap(12, 1, 20_000, expand=e).ratio_interval(values[:, None], ones) for e in (True, False)}
    width = {e: float(high[0] - low[0]) for e, (low, high) in ends.items()}
    student = 2 * stats.t.ppf(0.975, 11) * values.std(ddof=1) / math.sqrt(12)
    assert width[True] == pytest.approx(student, rel=0.05)
    assert width[False] < 0.93 * student


@pytest.mark.parametrize(("dialogues", "least"), [(8, 0.90), (30, 0.92)])
def test_coverage(dialogues: int, least: float) -> None:
    """Of 600 studies with a known mean, about 95 % of the intervals hold it (two errors of the share are 0.018)."""
    generator = np.random.default_rng(11)
    studies = 600
    lengths = generator.integers(4, 9, size=(dialogues, studies))
    level = generator.normal(0.0, 8.0, size=(dialogues, studies))
    above = lengths * (70.0 + level) + np.sqrt(lengths) * generator.normal(0.0, 12.0, size=(dialogues, studies))
    low, high = Bootstrap(dialogues, 3, 1000).ratio_interval(above, lengths.astype(float))
    covered = float(((low <= 70.0) & (high >= 70.0)).mean())
    assert least <= covered <= 0.975


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 11, 30, 57, 200, 201, 999])
def test_students_t_against_scipy(freedom: int) -> None:
    for p in (0.001, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9995):
        assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-7, abs=1e-9)
    for t in (-3.0, -0.2, 0.0, 1.5, 8.0):
        assert t_cdf(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), abs=1e-12)


def test_normal_and_refused_quantiles() -> None:
    assert normal_cdf(-9.0) == pytest.approx(stats.norm.cdf(-9.0), rel=1e-9)
    with pytest.raises(ValueError, match="share within"):
        t_quantile(1.0, 3)
    with pytest.raises(ValueError, match="degree of freedom"):
        t_quantile(0.9, 0)
