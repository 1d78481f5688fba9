"""Turns until the thread is lost: by hand, against statsmodels, and the meaning of silence, faults and abstentions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from made_results import judged_results, made_results
from turnwise.judges.verdict import Abstention, Fault, Outcome, Score, Silence
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import grid_of
from turnwise.statistics.summary import Options, SurvivalStudy, summarise
from turnwise.statistics.survival import kaplan_meier, log_rank, watch
from turnwise.statistics.table import tidy

QUICK = Options(draws=400, flips=999)
GOOD, BAD = Score(80.0), Score(20.0)


def survived(*dialogues: list[Outcome], last: int | None = None) -> SurvivalStudy:
    results = judged_results(lambda arm, d, r: dialogues[d][r - 1], lengths=[len(d) for d in dialogues])
    found = summarise(results, Options(draws=400, flips=999, last_round=last)).survival
    assert found is not None
    return found


def made_watch(n: int, seed: int, hazard: float = 0.25, rounds: int = 8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    loss, end = generator.geometric(hazard, n), generator.integers(3, rounds + 1, n)
    return np.minimum(loss, end), loss <= end


def test_by_hand() -> None:
    """Losses at rounds 1, 2, 2 and 4; one dialogue ends after round 2, one after round 4, both with the thread."""
    study = survived(
        [BAD, GOOD, GOOD, GOOD], [GOOD, BAD, BAD, GOOD], [GOOD, BAD], [GOOD, GOOD, GOOD, BAD], [GOOD, GOOD], [GOOD] * 4, last=4
    )
    (arm,) = study.arms
    assert [(s.at_risk, s.lost, s.censored) for s in arm.steps] == [(6, 1, 0), (5, 2, 1), (2, 0, 0), (2, 1, 1)]
    assert [s.kept for s in arm.steps] == pytest.approx([5 / 6, 1 / 2, 1 / 2, 1 / 4])
    assert arm.median == 2
    assert arm.kept_rounds == pytest.approx(1 + 5 / 6 + 1 / 2 + 1 / 2)
    assert arm.first_lost == {"made-0000": 1, "made-0001": 2, "made-0002": 2, "made-0003": 4}
    error = arm.steps[1].error
    assert error == pytest.approx(0.5 * math.sqrt(1 / (6 * 5) + 2 / (5 * 3)))


def test_curve_and_greenwood_against_statsmodels() -> None:
    time, event = made_watch(60, 1)
    theirs = SurvfuncRight(time, event)
    ours = {s.round: s for s in kaplan_meier(time, event, 8)}
    for t, kept, error in zip(theirs.surv_times, theirs.surv_prob, theirs.surv_prob_se, strict=True):
        assert ours[t].kept == pytest.approx(kept)
        if kept > 0:
            assert ours[t].error == pytest.approx(error)
            step = ours[t]
            assert step.low is not None
            assert step.high is not None
            assert 0.0 <= step.low <= step.kept <= step.high <= 1.0


def test_log_rank_against_statsmodels() -> None:
    one, two = made_watch(40, 2, 0.15), made_watch(50, 3, 0.35)
    chi_square, p, *_ = log_rank(*one, *two)
    theirs = survdiff(np.concatenate([one[0], two[0]]), np.concatenate([one[1], two[1]]), np.repeat([0, 1], [40, 50]))
    assert chi_square == pytest.approx(theirs[0])
    assert p == pytest.approx(theirs[1])


def test_contributions_sum_to_observed_minus_expected() -> None:
    one, two = made_watch(30, 4), made_watch(30, 5)
    *_, parts_one, parts_two = log_rank(*one, *two)
    assert parts_one.sum() == pytest.approx(-parts_two.sum())


def test_paired_test_sees_what_the_unpaired_one_misses() -> None:
    """Dialogues differ much, and b always loses the thread one round before a."""
    losses = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]

    def judging(arm: str, d: int, r: int) -> Outcome:
        return BAD if r >= losses[d] - (arm == "b") else GOOD

    study = summarise(judged_results(judging, ("a", "b"), [12] * 10), QUICK).survival
    assert study is not None
    (test,) = study.tests
    assert test.p is not None
    assert test.p > 0.3
    assert test.p_paired is not None
    assert test.p_paired < 0.01
    assert test.p_holm == test.p_paired
    assert (test.difference, test.low, test.high) == (pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0))


def test_arms_that_lose_the_same_threads_do_not_differ() -> None:
    def judging(arm: str, d: int, r: int) -> Outcome:
        return Score(20.0 if r == 2 + d % 3 else 90.0)

    survival = summarise(judged_results(judging, ("a", "b"), [5] * 8), QUICK).survival
    assert survival is not None
    (test,) = survival.tests
    assert test.chi_square == pytest.approx(0.0, abs=1e-9)
    assert (test.p_paired, test.p_holm, test.difference) == (1.0, 1.0, 0.0)


def test_silence_loses_the_thread_fault_censors_abstention_watches_on() -> None:
    study = survived(
        [GOOD, Silence(), GOOD], [GOOD, Fault("timeout"), BAD], [Abstention("nothing yet"), GOOD, BAD], [Fault("parse"), BAD, BAD]
    )
    (arm,) = study.arms
    assert arm.first_lost == {"made-0000": 2, "made-0002": 3}
    assert arm.dialogues == 3  # the last was never watched
    assert [(s.at_risk, s.lost, s.censored) for s in arm.steps] == [(3, 0, 1), (2, 1, 0), (1, 1, 0)]
    assert arm.causes == {"silent": 1, "unknown": 1}


def test_watch_respects_direction() -> None:
    values, status = np.array([[10.0, 60.0, 10.0]]), np.zeros((1, 3), dtype=np.int8)
    assert watch(values, status, 50.0, "lower")[0].tolist() == [2]
    time, event = watch(values, status, 5.0, "higher")
    assert (time.tolist(), event.tolist()) == ([3], [False])


def test_never_lost_has_no_median_and_the_whole_horizon() -> None:
    (arm,) = survived([GOOD] * 4, [GOOD] * 4).arms
    assert (arm.lost, arm.median, arm.kept_rounds, arm.kept_low, arm.kept_high) == (0, None, 4.0, 4.0, 4.0)
    assert {(s.low, s.high, s.error) for s in arm.steps} == {(1.0, 1.0, 0.0)}


def test_all_lost_at_once() -> None:
    (arm,) = survived([BAD] * 3, [BAD] * 3).arms
    assert (arm.median, arm.kept_rounds) == (1, 1.0)
    assert [(s.kept, s.at_risk) for s in arm.steps] == [(0.0, 2), (0.0, 0), (0.0, 0)]
    assert arm.steps[2].error is None


def test_a_mute_arm_loses_every_thread_at_once() -> None:
    study = summarise(made_results(dialogues=5, mute=("retrieval",)), QUICK).survival
    assert study is not None
    mute = next(arm for arm in study.arms if arm.arm == "retrieval")
    assert (mute.lost, mute.median, mute.kept_rounds, mute.causes) == (5, 1, 1.0, {"silent": 5})


def test_arms_never_watched_have_no_curve_but_are_there() -> None:
    study = survived([Fault("timeout")] * 2, [Fault("timeout")] * 2)
    (arm,) = study.arms
    assert (arm.dialogues, arm.lost, arm.kept_rounds, arm.kept_low, arm.median) == (0, 0, None, None, None)


def test_greenwood_band_covers_the_known_curve() -> None:
    """Of 400 studies of 80 dialogues with a hazard of 0.2 per round, the 95 % band holds 0.8^3 at round 3 in 93 to 97.5 %."""
    covered = 0
    for seed in range(400):
        step = kaplan_meier(*made_watch(80, 1000 + seed, hazard=0.2), 3)[2]
        assert step.low is not None
        assert step.high is not None
        covered += step.low <= 0.8**3 <= step.high
    assert 0.93 <= covered / 400 <= 0.975


def test_restricted_mean_interval_is_that_of_the_resampled_curve() -> None:
    results = made_results(arms=("frame-last-turn",), dialogues=20, rounds=8)
    grid = grid_of(tidy(results))
    options = Options(draws=300, flips=999, seed=3, expand=False)
    study = summarise(results, options).survival
    assert study is not None
    time, event = watch(
        grid.of("frame-last-turn", "consistency"), grid.status_of("frame-last-turn", "consistency"), 50.0, "higher"
    )
    drawn = []
    for counts in Bootstrap(20, 3, 300).counts:
        taken = np.repeat(np.arange(20), counts)
        kept = [1.0] + [s.kept for s in kaplan_meier(time[taken], event[taken], 8)]
        drawn.append(sum(kept[:8]))
    np.testing.assert_allclose([study.arms[0].kept_low, study.arms[0].kept_high], np.percentile(drawn, [2.5, 97.5]))
