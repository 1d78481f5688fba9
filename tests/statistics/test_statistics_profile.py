"""Failure profiles, roles of criteria, latency percentiles."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from made_results import FAILURES, INSTRUMENTS, made_results
from turnwise.judges.judge import Criterion
from turnwise.statistics.grid import grid_of
from turnwise.statistics.latency import PERCENTILES, STAGES, latencies
from turnwise.statistics.profile import causes, primary
from turnwise.statistics.roles import roles_of
from turnwise.statistics.summary import Options, summarise
from turnwise.statistics.table import ABSTAINED, FAULT, SCORED, SILENT, tidy
from turnwise.study.results import Instrument

QUICK = Options(draws=300, flips=500)
NAN = float("nan")


@pytest.mark.parametrize(
    ("severities", "status", "found"),
    [
        ((80.0, 20.0), (SCORED, SCORED), 0),
        ((20.0, 34.0), (SCORED, SCORED), 1),
        ((50.0, 50.0), (SCORED, SCORED), 0),  # the first in order
        ((33.0, 0.0), (SCORED, SCORED), -1),  # mild is not a failure to blame
        ((NAN, 60.0), (ABSTAINED, SCORED), 1),
        ((NAN, 0.0), (ABSTAINED, SCORED), -1),
        ((NAN, 60.0), (FAULT, SCORED), -2),
        ((NAN, NAN), (ABSTAINED, ABSTAINED), -2),
        ((NAN, NAN), (SILENT, SILENT), -2),
    ],
)
def test_primary_failure(severities: tuple[float, float], status: tuple[int, int], found: int) -> None:
    given = primary(np.array(severities).reshape(2, 1, 1), np.array(status, dtype=np.int8).reshape(2, 1, 1))
    assert given.item() == found


def test_profiles_count_every_turn_once() -> None:
    results = made_results(dialogues=10, fault_share=0.05, abstain_share=0.05, silent_share=0.05)
    summary, grid = summarise(results, QUICK), grid_of(tidy(results))
    for arm in summary.arms:
        assert sum(f.primary for f in arm.profile.failures) + arm.profile.none == arm.profile.turns
        named = causes(grid, FAILURES, arm.name)[grid.status_of(arm.name, "memory") >= 0]
        assert (named != "unknown").sum() - (named == "silent").sum() == arm.profile.turns
        assert (named == "memory").sum() == next(f.primary for f in arm.profile.failures if f.failure == "memory")
        for failure in arm.profile.failures:
            values = grid.of(arm.name, failure.failure)
            scored = values[np.isfinite(values)]
            assert failure.above_mild.mean == pytest.approx((scored > 33.0).mean())
            assert failure.severity.mean == pytest.approx(scored.mean())


def test_the_forgetful_arm_fails_through_memory() -> None:
    profile = summarise(made_results(dialogues=12), QUICK).arm("frame-last-turn").profile
    assert max(profile.failures, key=lambda f: f.primary).failure == "memory"


def test_a_run_without_failure_judges_has_an_empty_profile() -> None:
    results = made_results(arms=("frame",), dialogues=3)
    kept = tuple(i for i in INSTRUMENTS if i.judge != "failures")
    summary = summarise(msgspec.structs.replace(results, instruments=kept), QUICK)
    assert summary.roles.failures == ()
    assert summary.arms[0].profile.failures == ()
    assert summary.arms[0].profile.turns == 0


def instrument(name: str, judge: str = "j", unit: str = "points of 100") -> Instrument:
    return Instrument(Criterion(name, unit, "higher", 0.0, 100.0), judge, "1")


def test_roles_by_name_unit_and_judge() -> None:
    roles = roles_of(INSTRUMENTS)
    assert roles.thread == "consistency"
    assert roles.sense == ("consistency", "naturalness")
    assert roles.failures == FAILURES
    assert roles.sound == ("voice_consistency", "overall")


def test_roles_know_what_others_call_the_failures() -> None:
    names = ("lack_of_memory", "Topic-Switching", "generic_response", "repetition")
    roles = roles_of([instrument(n) for n in names] + [instrument("noise", "sound_quality"), instrument("ovrl", unit="MOS 1-5")])
    assert roles.thread is None
    assert roles.failures == ("repetition", "generic_response", "Topic-Switching", "lack_of_memory")
    assert roles.sound == ("noise", "ovrl")


def test_a_run_without_a_thread_criterion_is_summarised_without_survival() -> None:
    results = made_results(dialogues=3)
    kept = tuple(i for i in INSTRUMENTS if i.judge != "dialogue_quality")
    summary = summarise(msgspec.structs.replace(results, instruments=kept), QUICK)
    assert summary.survival is None
    assert summary.ranking == tuple(arm.name for arm in summary.arms)


def test_latency_percentiles_against_numpy() -> None:
    results = made_results(dialogues=6, silent_share=0.1)
    found = {(t.arm, t.stage): t for t in latencies(results)}
    assert list(found) == [(arm.name, stage) for arm in results.study.arms for stage in STAGES]
    replies = [a.reply for c in results.conversations if c.arm == "frame" for a in c.rounds]
    seconds = [r.timings.speak for r in replies if r is not None and r.timings.speak is not None]
    speak = found["frame", "speak"]
    assert [speak.p50, speak.p90, speak.p95, speak.p99] == pytest.approx(np.percentile(seconds, PERCENTILES).tolist())
    assert speak.n == len(seconds)
    assert speak.n + speak.absent == len(replies)
    assert speak.slowest == max(seconds)


def test_a_stage_that_never_ran_has_no_percentiles() -> None:
    found = [t for t in latencies(made_results(dialogues=2, mute=("frame",))) if t.arm == "frame"]
    assert {(t.n, t.p50, t.p99, t.slowest) for t in found} == {(0, None, None, None)}
