"""Means, curves and slopes: known answers, missing parts, and the corners."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from made_results import judged_results, made_results
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Abstention, Fault, Outcome, Score, Silence
from turnwise.statistics.curve import drops, last_round, margin
from turnwise.statistics.estimate import bounds
from turnwise.statistics.grid import UNPLANNED, grid_of
from turnwise.statistics.slope import least_squares
from turnwise.statistics.summary import Options, Summary, rank, summarise
from turnwise.statistics.table import tidy

QUICK = Options(draws=400, flips=500)


def of_rounds(*outcomes: Outcome, dialogues: int = 1) -> Summary:
    return summarise(judged_results(lambda arm, d, r: outcomes[r - 1], lengths=[len(outcomes)] * dialogues), QUICK)


def test_a_fault_is_not_a_zero() -> None:
    """80, 80, a reply that could not be parsed, 80: the mean is 80.00 of three, with one missing; not 60.00."""
    estimate = of_rounds(Score(80.0), Score(80.0), Fault("parse"), Score(80.0)).arm("a").criteria["consistency"].estimate
    assert (estimate.mean, estimate.n, estimate.missing) == (80.0, 3, {"parse": 1})
    assert estimate.bounds == (60.0, 85.0)
    assert (estimate.low, estimate.high) == (None, None)  # one dialogue says nothing about others


def test_two_dialogues_have_an_interval() -> None:
    results = judged_results(lambda arm, d, r: Score(40.0 + 20.0 * d), lengths=[3, 3])
    estimate = summarise(results, QUICK).arm("a").criteria["consistency"].estimate
    assert (estimate.mean, estimate.low, estimate.high, estimate.dialogues) == (50.0, 40.0, 60.0, 2)


def test_nothing_scored_is_none_and_not_a_number() -> None:
    arm = of_rounds(Silence(), Fault("timeout"), Abstention("no voice: text only"), dialogues=3).arm("a")
    reading = arm.criteria["consistency"]
    assert reading.estimate.mean is None
    assert reading.estimate.low is None
    assert reading.estimate.n == 0
    assert reading.estimate.missing == {"abstained: no voice": 3, "silent": 3, "timeout": 3}
    assert reading.estimate.bounds == (0.0, 100.0)
    assert [p.mean for p in reading.curve.all] == [None] * 3
    assert reading.curve.drops == ()
    assert reading.slopes.all.value is None


def test_means_are_over_turns_and_match_the_table() -> None:
    results = made_results(dialogues=9, fault_share=0.1, abstain_share=0.1)
    table, summary = tidy(results), summarise(results, QUICK)
    for (arm, criterion), group in table.group_by("arm", "criterion"):
        estimate = summary.arm(str(arm)).criteria[str(criterion)].estimate
        assert estimate.mean == pytest.approx(group["value"].mean())
        assert estimate.n + estimate.absent == group.height
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.mean <= estimate.high


@pytest.mark.parametrize(("better", "expected"), [("higher", (48.0, 88.0)), ("lower", (88.0, 48.0))])
def test_bounds_put_the_missing_at_the_ends(better: str, expected: tuple[float, float]) -> None:
    criterion = Criterion("c", "points of 100", better, 0.0, 100.0)  # type: ignore[arg-type]
    assert bounds(240.0, 3, 5, criterion) == expected
    assert bounds(240.0, 3, 3, criterion) == (80.0, 80.0)
    assert bounds(0.0, 0, 0, criterion) is None
    assert bounds(2.0, 3, 5, Criterion("c", "seconds", "lower", 0.0)) is None


def test_points_carry_their_own_n() -> None:
    results = judged_results(lambda arm, d, r: Score(10.0 * r), lengths=[2, 2, 4, 4, 4, 4])
    curve = summarise(results, QUICK).arm("a").criteria["consistency"].curve
    assert [(p.round, p.mean, p.n) for p in curve.all] == [(1, 10.0, 6), (2, 20.0, 6)]  # only four reach round 3
    wide = summarise(results, Options(draws=400, last_round=4)).arm("a").criteria["consistency"].curve
    assert [p.n for p in wide.all] == [6, 6, 4, 4]
    assert [p.n for p in wide.constant] == [4] * 4
    assert (wide.dialogues, wide.constant_dialogues) == (6, 4)


def test_the_constant_subset_is_not_fooled_by_who_drops_out() -> None:
    """Weak dialogues are short: the curve over all rises although no dialogue gets better."""
    results = judged_results(lambda arm, d, r: Score(90.0 if d < 6 else 30.0), lengths=[4] * 6 + [2] * 6)
    reading = summarise(results, QUICK).arm("a").criteria["consistency"]
    assert [p.mean for p in reading.curve.all] == [60.0, 60.0, 90.0, 90.0]
    assert [p.mean for p in reading.curve.constant] == [90.0] * 4
    assert reading.slopes.all.value == 0.0
    assert reading.slopes.constant.value == 0.0


@pytest.mark.parametrize(
    ("lengths", "asked", "last"),
    [
        ([4], None, 4),
        ([3, 9], None, 3),
        ([8] * 5 + [6] * 5, None, 8),
        ([12] * 4 + [6] * 20, None, 6),
        ([20] * 9 + [10] * 20, None, 10),  # nine of 29 are not a third
        ([20] * 10 + [10] * 20, None, 20),
        ([4, 6], 9, 6),
        ([4, 6], 5, 5),
        ([], None, 0),
    ],
)
def test_last_round_shown(lengths: list[int], asked: int | None, last: int) -> None:
    assert last_round(np.array(lengths, dtype=np.int64), asked) == last


def test_drops_respect_direction_and_the_exact_margin() -> None:
    assert drops([84.3, 74.3, 74.2, None, 90.0], 10.0) == (3,)
    assert drops([10.0, 20.0, 20.1, 0.0], 10.0, "lower") == (3,)
    assert drops([None, 1.0], 10.0) == ()
    assert drops([3.0, 1.0], None) == ()
    assert margin(Criterion("overall", "MOS 1-5", "higher", 1.0, 5.0), 10.0) == pytest.approx(0.4)
    assert margin(Criterion("wer", "word error rate", "lower", 0.0), 10.0) is None


def test_severities_that_rise_are_falls() -> None:
    memory = (
        summarise(made_results(arms=("frame-last-turn",), dialogues=20, rounds=8), QUICK)
        .arm("frame-last-turn")
        .criteria["memory"]
    )
    assert 8 in memory.curve.drops
    assert memory.slopes.constant.low is not None
    assert memory.slopes.constant.low > 0


def test_slope_against_scipy() -> None:
    summary = summarise(made_results(arms=("retrieval",), dialogues=15, rounds=7), QUICK)
    values = grid_of(tidy(made_results(arms=("retrieval",), dialogues=15, rounds=7))).of("retrieval", "consistency")
    expected = stats.linregress(np.tile(np.arange(1, 8), 15), values.ravel()).slope
    slope = summary.arm("retrieval").criteria["consistency"].slopes
    assert slope.all.value == pytest.approx(expected)
    assert slope.constant.value == pytest.approx(expected)
    assert (slope.all.n, slope.all.dialogues) == (105, 15)
    assert slope.all.low is not None
    assert slope.all.high is not None
    assert slope.all.low < expected < slope.all.high
    assert least_squares(values.mean(axis=0).tolist()) == pytest.approx(expected)


def test_slope_within_dialogues_against_scipy_on_centred_scores() -> None:
    results = made_results(arms=("frame",), dialogues=12, fault_share=0.2)
    values = grid_of(tidy(results)).of("frame", "naturalness")
    x, y = [], []
    for row in values:
        places = np.flatnonzero(np.isfinite(row))
        x += list(places - places.mean())
        y += list(row[places] - row[places].mean())
    slope = summarise(results, QUICK).arm("frame").criteria["naturalness"].slopes.all
    assert slope.value == pytest.approx(stats.linregress(x, y).slope)


def test_grid_holds_what_was_planned_and_nothing_else() -> None:
    grid = grid_of(tidy(judged_results(lambda arm, d, r: Score(r) if r != 2 else Silence(), lengths=[1, 3])))
    assert grid.lengths.tolist() == [1, 3]
    assert (grid.status_of("a", "consistency")[0] == [0, UNPLANNED, UNPLANNED]).all()
    np.testing.assert_array_equal(grid.of("a", "consistency")[1], [1.0, np.nan, 3.0])


def test_a_mute_arm_ranks_last_and_is_not_absent() -> None:
    summary = summarise(made_results(dialogues=6, mute=("text-only",)), QUICK)
    assert summary.ranking[-1] == "text-only"
    assert len(summary.ranking) == 4


def test_an_arm_that_answers_seldom_does_not_rank_above_one_that_always_does() -> None:
    results = judged_results(
        lambda arm, d, r: Score(70.0) if arm == "steady" else Score(95.0) if r == 1 else Silence(), ("seldom", "steady"), [4] * 6
    )
    assert summarise(results, QUICK).ranking == ("steady", "seldom")


def test_without_ends_of_the_scale_the_mean_decides() -> None:
    summary = summarise(made_results(dialogues=5, mute=("frame",)), QUICK)
    order = rank({arm.name: arm.criteria["user_wer"].estimate for arm in summary.arms}, "lower")
    means = [summary.mean(name, "user_wer") for name in order[:-1]]
    assert order[-1] == "frame"
    assert means == sorted(means, key=lambda m: m or 0.0)
