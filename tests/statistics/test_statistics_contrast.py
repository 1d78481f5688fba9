"""Paired differences, sign flips and Holm, against scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from made_results import judged_results, made_results
from turnwise.judges.verdict import Fault, Score, Silence
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.contrast import contrasts
from turnwise.statistics.grid import grid_of
from turnwise.statistics.permutation import holm, sign_flip
from turnwise.statistics.summary import Options, summarise
from turnwise.statistics.table import tidy

QUICK = Options(draws=400, flips=999)


def scipy_p(parts: np.ndarray, resamples: float = np.inf) -> float:
    found = stats.permutation_test(
        (parts, np.zeros_like(parts)),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(1),
    )
    return float(found.pvalue)


@pytest.mark.parametrize("dialogues", [2, 5, 11])
def test_exact_sign_flips_against_scipy(dialogues: int) -> None:
    parts = np.random.default_rng(dialogues).normal(1.0, 2.0, size=(dialogues, 3))
    ours = sign_flip(parts, seed=1)
    for k in range(3):
        assert ours[k] == pytest.approx(scipy_p(parts[:, k]))


def test_random_sign_flips_against_scipy() -> None:
    parts = np.random.default_rng(9).normal(0.5, 2.0, size=(40, 2))
    ours = sign_flip(parts, seed=1, flips=80_000)
    for k in range(2):
        assert ours[k] == pytest.approx(scipy_p(parts[:, k], 80_000), abs=0.01)
    assert (sign_flip(parts, seed=1) == sign_flip(parts, seed=1)).all()
    assert sign_flip(np.ones((40, 1)), seed=1, flips=500)[0] == 1 / 501  # never 0


def test_differences_equal_but_for_rounding_count_as_equal() -> None:
    parts = np.array([[0.1 + 0.2], [-0.3], [0.3]])
    assert sign_flip(parts, seed=1)[0] == 1.0


def test_no_dialogue_no_p() -> None:
    assert np.isnan(sign_flip(np.zeros((0, 2)), seed=1)).all()
    assert np.isnan(sign_flip(np.zeros((3, 1)), seed=1)).all()


def test_sign_flips_keep_their_level() -> None:
    """Of 400 comparisons of an arm with itself about 5 % fall below 0.05 (two errors: 2.2 %)."""
    parts = np.random.default_rng(5).normal(size=(10, 400))
    assert 0.02 <= float((sign_flip(parts, seed=1) < 0.05).mean()) <= 0.08


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0.0, 1.0)), max_size=9))
def test_holm_against_statsmodels(ps: list[float | None]) -> None:
    ours = holm(ps)
    given_ps = [p for p in ps if p is not None]
    assert [p is None for p in ours] == [p is None for p in ps]
    if given_ps:
        theirs = multipletests(given_ps, method="holm")[1]
        np.testing.assert_allclose([p for p in ours if p is not None], theirs, rtol=1e-12)


def test_only_common_turns_are_compared() -> None:
    """b is silent where a is at its best: unpaired means would favour a by more."""

    def judging(arm: str, d: int, r: int) -> Score | Silence | Fault:
        if arm == "a":
            return Fault("parse") if r == 3 else Score({1: 60.0, 2: 99.0, 4: 70.0}[r])
        return Silence() if r == 2 else Score(50.0)

    summary = summarise(judged_results(judging, ("a", "b"), [4] * 6), QUICK)
    (contrast,) = summary.contrasts
    assert (contrast.difference, contrast.n, contrast.dialogues, contrast.left_out) == (15.0, 12, 6, 12)
    assert (contrast.low, contrast.high) == (15.0, 15.0)
    assert contrast.p == pytest.approx(2 / 2**6)
    assert contrast.clear
    turned = summary.contrast("b", "a", "consistency")
    assert (turned.a, turned.difference, turned.low, turned.high) == ("b", -15.0, -15.0, -15.0)


def test_an_arm_is_not_distinguishable_from_its_twin() -> None:
    summary = summarise(judged_results(lambda arm, d, r: Score(50.0 + d), ("a", "b"), [3] * 5), QUICK)
    (contrast,) = summary.contrasts
    assert (contrast.difference, contrast.p, contrast.p_holm, contrast.clear) == (0.0, 1.0, 1.0, False)


def test_arms_without_common_turns_have_no_difference() -> None:
    summary = summarise(made_results(arms=("frame", "retrieval"), dialogues=4, mute=("retrieval",)), QUICK)
    for contrast in summary.contrasts:
        assert (contrast.difference, contrast.low, contrast.p, contrast.p_holm, contrast.n) == (None, None, None, None, 0)
        assert not contrast.clear


def test_the_family_is_all_pairs_of_one_criterion() -> None:
    summary = summarise(made_results(dialogues=8), QUICK)
    for criterion in ("consistency", "user_wer"):
        family = [c for c in summary.contrasts if c.criterion == criterion]
        assert len(family) == 6
        np.testing.assert_allclose([c.p_holm for c in family], multipletests([c.p for c in family], method="holm")[1])


def test_a_known_difference_is_covered() -> None:
    grid = grid_of(tidy(made_results(dialogues=40, rounds=8, fault_share=0.05)))
    found = contrasts(grid, Bootstrap(40, 1, 1000), seed=2)
    contrast = next(c for c in found if (c.a, c.b, c.criterion) == ("frame", "frame-last-turn", "consistency"))
    assert contrast.low is not None
    assert contrast.high is not None
    assert contrast.low < 6.0 + 6.0 * 3.5 < contrast.high  # level and tilt of the generator over rounds 1 to 8
    assert contrast.clear


def test_one_arm_has_nothing_to_compare() -> None:
    assert summarise(made_results(arms=("frame",), dialogues=2), QUICK).contrasts == ()
