from __future__ import annotations

import numpy as np
import pytest

from turnwise.judges.curve import Estimate, area, area_estimate, resampled, share_estimate


@pytest.mark.parametrize("seed", range(5))
def test_area_agrees_with_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 12, 300).astype(float)  # many ties
    failed = draw.random(300) < 0.3
    weights = draw.integers(0, 4, (3, 300)).astype(float)
    assert area(scores, failed)[0] == pytest.approx(metrics.roc_auc_score(failed, scores))
    for row, value in zip(weights, area(scores, failed, weights), strict=True):
        assert value == pytest.approx(metrics.roc_auc_score(failed, scores, sample_weight=row))


def test_area_at_its_ends() -> None:
    failed = np.array([False, False, True, True])
    assert area(np.array([0.0, 1, 2, 3]), failed)[0] == 1
    assert area(np.array([3.0, 2, 1, 0]), failed)[0] == 0
    assert area(np.array([1.0, 1, 1, 1]), failed)[0] == 0.5


def test_undefined_is_none_and_never_a_number() -> None:
    owners, resamples = np.arange(3), resampled(3, 1, 10)
    assert area_estimate(np.zeros(3), np.zeros(3, bool), owners, resamples) == Estimate(None)
    assert area_estimate(np.zeros(3), np.ones(3, bool), owners, resamples) == Estimate(None)
    assert share_estimate(np.zeros(0, bool), np.zeros(0, int), resamples) == Estimate(None)


def test_resamples_draw_as_many_dialogues_as_there_are() -> None:
    counts = resampled(7, 3, 50)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == resampled(7, 3, 50)).all()
    assert (counts != resampled(7, 4, 50)).any()


def test_interval_holds_the_value_and_covers_the_truth() -> None:
    """Normal scores one standard deviation apart have an area of 0.760; dialogues bring noise of their own."""
    covered = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        owners = np.repeat(np.arange(40), 10)
        failed = np.tile(np.arange(10) < 3, 40)
        scores = draw.normal(size=400) + failed
        found = area_estimate(scores, failed, owners, resampled(40, seed, 300))
        assert found.value is not None and found.low is not None and found.high is not None
        assert found.low < found.value < found.high
        covered += found.low <= 0.7602 <= found.high
    assert covered >= 50


def test_share_is_the_plain_share() -> None:
    hits = np.array([True, False, False, True])
    found = share_estimate(hits, np.array([0, 0, 1, 1]), resampled(2, 1, 100))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
