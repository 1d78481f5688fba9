"""Correlations against scipy, pooling within arms, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from made_results import made_results
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.correlation import POOLED, Correlations, correlations, pearson, ranks, spearman
from turnwise.statistics.grid import Floats, Grid, grid_of
from turnwise.statistics.table import tidy


def of(found: tuple[Correlations, ...], arm: str, unit: str = "turns") -> Correlations:
    return next(c for c in found if (c.arm, c.unit) == (arm, unit))


def made_grid(values: Floats) -> Grid:
    """[arm, criterion, dialogue, round] as a grid."""
    arms, criteria, dialogues, _ = values.shape
    return Grid(
        tuple(f"arm{k}" for k in range(arms)),
        tuple(f"c{k}" for k in range(criteria)),
        tuple(f"d{k:03d}" for k in range(dialogues)),
        values,
        np.where(np.isfinite(values), 0, 2).astype(np.int8),
    )


def test_turns_and_dialogue_means_against_scipy() -> None:
    grid = grid_of(tidy(made_results(dialogues=15, fault_share=0.1)))
    found = correlations(grid, Bootstrap(15, 1, 300))
    for arm in grid.arms:
        for a, b in (("consistency", "memory"), ("consistency", "overall"), ("naturalness", "user_wer")):
            x, y = grid.of(arm, a).ravel(), grid.of(arm, b).ravel()
            both = np.isfinite(x) & np.isfinite(y)
            pair = of(found, arm).of(b, a)
            assert pair.n == both.sum()
            assert pair.pearson == pytest.approx(stats.pearsonr(x[both], y[both]).statistic)
            assert pair.spearman == pytest.approx(stats.spearmanr(x[both], y[both]).statistic)
            means = [np.nanmean(grid.of(arm, c), axis=1) for c in (a, b)]
            assert of(found, arm, "dialogues").of(a, b).pearson == pytest.approx(stats.pearsonr(*means).statistic)


def test_pooling_takes_each_arms_level_out() -> None:
    """Better arms are better at both criteria, and within an arm they have nothing to do with each other."""
    generator = np.random.default_rng(2)
    values = generator.normal(size=(3, 2, 40, 6)) + 10.0 * np.arange(3)[:, None, None, None]
    found = correlations(made_grid(values), Bootstrap(40, 1, 500))
    pooled = of(found, POOLED).of("c0", "c1")
    naive = stats.pearsonr(values[:, 0].ravel(), values[:, 1].ravel()).statistic
    assert naive > 0.9
    assert pooled.pearson is not None
    assert abs(pooled.pearson) < 0.1
    assert pooled.spearman is not None
    assert abs(pooled.spearman) < 0.1
    centred = [values[:, k] - values[:, k].mean(axis=(1, 2), keepdims=True) for k in (0, 1)]
    assert pooled.pearson == pytest.approx(stats.pearsonr(*(c.ravel() for c in centred)).statistic)
    assert pooled.low is not None
    assert pooled.high is not None
    assert pooled.low < 0.0 < pooled.high


def test_interval_is_that_of_the_resampled_coefficient() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(1, 1, 30, 5))
    values = np.concatenate([x, 0.6 * x + generator.normal(size=x.shape)], axis=1)
    values[0, 0, 3, 2] = np.nan
    bootstrap = Bootstrap(30, 1, 400, expand=False)
    pair = of(correlations(made_grid(values), bootstrap), "arm0").of("c0", "c1")
    drawn = []
    for counts in bootstrap.counts:
        taken = np.repeat(np.arange(30), counts)
        a, b = values[0, 0, taken].ravel(), values[0, 1, taken].ravel()
        both = np.isfinite(a)
        drawn.append(np.corrcoef(a[both], b[both])[0, 1])
    np.testing.assert_allclose([pair.low, pair.high], np.percentile(drawn, [2.5, 97.5]), rtol=1e-9)


def test_a_constant_series_is_undefined() -> None:
    values = np.random.default_rng(1).normal(size=(2, 3, 10, 4))
    values[:, 1] = 0.1 + 0.2  # in every arm
    values[0, 2] = 7.0  # in one arm only
    found = correlations(made_grid(values), Bootstrap(10, 1, 300))
    for arm in ("arm0", "arm1", POOLED):
        pair = of(found, arm).of("c0", "c1")
        assert (pair.pearson, pair.spearman, pair.low, pair.high, pair.n) == (None, None, None, None, 80 if arm == POOLED else 40)
    assert of(found, "arm0").of("c0", "c2").pearson is None
    assert of(found, POOLED).of("c0", "c2").pearson is not None


def test_fewer_than_three_pairs_are_undefined() -> None:
    values = np.full((1, 2, 3, 2), np.nan)
    values[0, :, 0, :] = [[1.0, 2.0], [3.0, 5.0]]
    pair = of(correlations(made_grid(values), Bootstrap(3, 1, 300)), "arm0").of("c0", "c1")
    assert (pair.pearson, pair.spearman, pair.n) == (None, None, 2)


def test_arms_without_any_score_are_passed_over() -> None:
    grid = grid_of(tidy(made_results(dialogues=4, mute=("frame",))))
    found = correlations(grid, Bootstrap(4, 1, 300))
    assert of(found, "frame").of("consistency", "memory").n == 0
    assert of(found, POOLED).of("consistency", "memory").pearson is not None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_ranks_against_scipy(values: list[int]) -> None:
    series = np.array(values, dtype=float)
    np.testing.assert_array_equal(ranks(series), stats.rankdata(series))


def test_two_series_alone() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert pearson(x, x) == pytest.approx(1.0)
    assert spearman(x, -(x**3)) == pytest.approx(-1.0)
    assert pearson(x, np.full(4, 0.3)) is None
    assert spearman(x[:2], x[:2]) is None


def test_an_unknown_pair_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Correlations("a", "turns", ()).of("c0", "c1")
