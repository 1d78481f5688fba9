"""The quantities of The Context Trap for a run: round means and their slopes, ratios, and what stands in which column."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from made_panel import GPT, panel_results
from made_results import FAILURES, judged_results, made_results
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Outcome, Score
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import grid_of
from turnwise.statistics.paper import ROUNDS, SEVERITIES, model_pairs, paper
from turnwise.statistics.roles import measure
from turnwise.statistics.summary import Options
from turnwise.statistics.table import tidy
from turnwise.study.results import Instrument
from turnwise.study.study import JudgeChoice

QUICK = Options(draws=200, flips=200, last_round=10)
PAIR = ("Omni-7B (E2E)", "Omni-7B (M)")


def test_round_means_follow_the_arithmetic_of_table_5() -> None:
    results = made_results(("retrieval", "frame"), 9, (5, 12), fault_share=0.05)
    summary, found = paper(results, QUICK)
    assert (found.rounds, summary.last_round) == (10, 10)
    values = grid_of(tidy(results)).of("retrieval", "consistency")[:, :10]
    means = np.nanmean(values, axis=0)
    line = next(line for line in found.lines["consistency"] if line.arm == "retrieval")
    assert [p.mean for p in line.points] == pytest.approx(means)
    assert [p.n for p in line.points] == np.isfinite(values).sum(axis=0).tolist()
    assert line.mean.value == pytest.approx(means.mean())
    assert line.slope.value == pytest.approx(stats.linregress(range(10), means).slope)
    x, y = [], []
    for row in values:
        places = np.flatnonzero(np.isfinite(row))
        x += list(places - places.mean())
        y += list(row[places] - row[places].mean())
    assert line.within.value == pytest.approx(stats.linregress(x, y).slope)
    assert line.drops == tuple(r for r in range(1, 11) if means[0] - means[r - 1] > 10)


def test_intervals_over_rounds_are_those_of_resampled_dialogues() -> None:
    results = made_results(("retrieval",), 12, (8, 8))
    _, found = paper(results, Options(draws=200, flips=200, seed=4, expand=False))
    values = grid_of(tidy(results)).of("retrieval", "naturalness")
    rows = [values[np.repeat(np.arange(12), counts)].mean(axis=0) for counts in Bootstrap(12, 4, 200).counts]
    slopes = [stats.linregress(range(8), row).slope for row in rows]
    line = found.lines["naturalness"][0]
    np.testing.assert_allclose([line.mean.low, line.mean.high], np.percentile(np.mean(rows, axis=1), [2.5, 97.5]))
    np.testing.assert_allclose([line.slope.low, line.slope.high], np.percentile(slopes, [2.5, 97.5]))


def test_a_round_without_a_score_leaves_mean_and_slope_open() -> None:
    _, found = paper(panel_results(arms=("frame",), dialogues=4, rounds=8), QUICK)
    (line,) = found.lines["qwen/consistency"]  # it never answers for round 7
    assert (line.points[6].mean, line.points[6].n) == (None, 0)
    assert (line.mean.value, line.mean.low, line.slope.value) == (None, None, None)
    assert line.within.value is not None


def test_one_dialogue_that_lasts_longer_gives_numbers_without_an_interval() -> None:
    results = judged_results(lambda arm, d, r: Score(50.0 + d + r), lengths=[4, 4, 6])
    _, found = paper(results, QUICK)
    (line,) = found.lines["consistency"]
    assert line.points[5].n == 1
    assert (line.mean.value is not None, line.mean.low, line.slope.low) == (True, None, None)


@pytest.mark.parametrize(
    ("arms", "pairs"),
    [
        (PAIR, {"Omni-7B": PAIR}),
        (("MiMo(M)", "mimo  (e2e)", "GPT (M)"), {"MiMo": ("mimo  (e2e)", "MiMo(M)")}),
        (("a (E2E)", "b (M)"), {}),
        (("(E2E)", "(M)"), {}),
        (("x (E2E) 2", "x (M)"), {}),
    ],
)
def test_pairs_by_name(arms: tuple[str, ...], pairs: dict[str, tuple[str, str]]) -> None:
    assert model_pairs(arms) == pairs


def test_ratios_by_hand_and_by_resampling() -> None:
    results = made_results((*PAIR, "text-only"), 10, (4, 6), fault_share=0.05)
    summary, found = paper(results, Options(draws=200, flips=200, seed=2, expand=False))
    assert list(found.pairs) == ["Omni-7B"]
    assert [r.criterion for r in found.ratios] == [i.criterion.name for i in found.failures[0] if i is not None]
    grid = grid_of(tidy(results))
    above, below = (grid.of(arm, "memory") for arm in PAIR)
    ratio = next(r for r in found.ratios if r.criterion == "memory")
    assert ratio.value == pytest.approx(np.nanmean(above) / np.nanmean(below))
    assert (ratio.n_end_to_end, ratio.n_modular) == (np.isfinite(above).sum(), np.isfinite(below).sum())
    drawn = []
    for counts in Bootstrap(10, 2, 200).counts:
        taken = np.repeat(np.arange(10), counts)
        drawn.append(np.nanmean(above[taken]) / np.nanmean(below[taken]))
    np.testing.assert_allclose([ratio.low, ratio.high], np.percentile(drawn, [2.5, 97.5]))
    assert summary.mean(PAIR[0], "memory") == pytest.approx(np.nanmean(above))


def test_nothing_is_divided_by_nothing() -> None:
    severity = Instrument(Criterion("memory", "severity 0-100", "lower", 0.0, 100.0), "memory", "b2:1")

    def ratio(modular: float | None) -> tuple[float | None, float | None]:
        def judging(arm: str, d: int, r: int) -> Outcome:
            return Score(30.0 if arm == PAIR[0] else 0.0 if modular is None else modular * (d == 0))

        results = judged_results(judging, PAIR, [3] * 4)
        renamed = tuple(
            msgspec.structs.replace(
                c, rounds=tuple(msgspec.structs.replace(a, outcomes={"memory": a.outcomes["consistency"]}) for a in c.rounds)
            )
            for c in results.conversations
        )
        (found,) = paper(msgspec.structs.replace(results, conversations=renamed, instruments=(severity,)), QUICK)[1].ratios
        return found.value, found.high

    assert ratio(None) == (None, None)
    value, high = ratio(40.0)
    assert value == pytest.approx(3.0)
    assert high is None  # most resamples of the modular arm hold no failure: the ratio has no upper end


def test_columns_by_what_they_measure() -> None:
    results = panel_results(dialogues=3, rounds=4)
    choices = (JudgeChoice("sound_quality"), JudgeChoice("dialogue-quality", label="gpt"))
    _, found = paper(msgspec.structs.replace(results, study=msgspec.structs.replace(results.study, judges=choices)), QUICK)

    def names(instruments: tuple[Instrument, ...]) -> list[str]:
        return [i.criterion.name for i in instruments]

    assert names(found.quality) == ["overall"]
    assert names(found.voice) == ["voice_consistency"]
    assert names(found.intelligibility) == []
    assert names(found.naturalness) == ["naturalness", "gpt/naturalness", "qwen/naturalness"]
    assert names(found.consistency) == ["consistency", "gpt/consistency", "qwen/consistency"]
    assert [i and measure(i) for i in found.failures[0]] == list(SEVERITIES)
    assert set(FAILURES) == {i.criterion.name for i in found.failures[0] if i is not None}
    assert found.by["overall"] == "sound_quality (dnsmos)"  # the default of the judge's option
    assert found.by["gpt/naturalness"] == f"gpt/dialogue_quality ({GPT})"
    assert found.by["naturalness"] == "dialogue_quality"


def test_another_estimator_and_a_judge_that_is_gone_are_named_as_far_as_known() -> None:
    results = made_results(("a",), 2, 2)
    for choice, said in (
        (JudgeChoice("sound_quality", {"estimator": "nisqa"}), "sound_quality (nisqa)"),
        (JudgeChoice("sound_quality:gone"), "sound_quality"),
    ):
        study = msgspec.structs.replace(results.study, judges=(choice,))
        assert paper(msgspec.structs.replace(results, study=study), QUICK)[1].by["overall"] == said


def test_the_quality_of_a_judge_is_what_it_says_overall() -> None:
    results = made_results(("a",), 2, 2)
    points, mos = "points of 100", "MOS 1-5"
    given = [("s/sound_quality", n, mos) for n in ("mos", "noi", "col")]
    given += [("g/audio_quality", n, points) for n in ("audio_naturalness", "audio_clarity", "voice_consistency")]
    instruments = tuple(
        Instrument(Criterion(f"{judge[0]}/{name}", unit, "higher", 0.0, 100.0), judge, "b2:1") for judge, name, unit in given
    )
    conversations = tuple(
        msgspec.structs.replace(
            c,
            rounds=tuple(
                msgspec.structs.replace(a, outcomes={i.criterion.name: Score(3.0) for i in instruments}) for a in c.rounds
            ),
        )
        for c in results.conversations
    )
    _, found = paper(msgspec.structs.replace(results, instruments=instruments, conversations=conversations), QUICK)
    assert [i.criterion.name for i in found.quality] == ["s/mos", "g/audio_naturalness"]
    assert [i.criterion.name for i in found.intelligibility] == ["g/audio_clarity"]
    assert [i.criterion.name for i in found.voice] == ["g/voice_consistency"]
    assert found.failures == found.correlations == ()


def test_correlations_are_dialogue_against_sound_whatever_the_order_of_judges() -> None:
    summary, found = paper(panel_results(dialogues=5, rounds=4), QUICK)
    pooled = next(c for c in summary.correlations if c.arm == "pooled within arms" and c.unit == "turns")
    assert [(c.a, c.b) for c in found.correlations[:4]] == [
        ("naturalness", "overall"),
        ("naturalness", "voice_consistency"),
        ("gpt/naturalness", "overall"),
        ("gpt/naturalness", "voice_consistency"),
    ]
    for pair in found.correlations:
        assert pair.pearson == pooled.of(pair.a, pair.b).pearson


def test_ten_rounds_unless_asked_otherwise() -> None:
    assert ROUNDS == 10
    results = made_results(("frame",), 5, (12, 14))
    assert paper(results)[1].rounds == 10
    assert paper(results, Options(last_round=3, draws=100, flips=100))[1].rounds == 3
