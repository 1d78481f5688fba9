"""Through which failure the thread is lost: by hand, against statsmodels, and as parts of the survival curve."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight

from made_results import made_results
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.incidence import aalen_johansen, incidences
from turnwise.statistics.summary import Options, summarise
from turnwise.statistics.summary_json import summary_json
from turnwise.statistics.survival import kaplan_meier

QUICK = Options(draws=300, flips=500)


def made(n: int, seed: int, rounds: int = 9) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Two causes with hazards of their own, dialogues of different lengths."""
    generator = np.random.default_rng(seed)
    memory, topic, end = generator.geometric(0.15, n), generator.geometric(0.08, n), generator.integers(3, rounds + 1, n)
    time = np.minimum(np.minimum(memory, topic), end)
    event = np.minimum(memory, topic) <= end
    return time, event, [("memory" if m <= t else "topic") if e else "" for m, t, e in zip(memory, topic, event, strict=True)]


def test_by_hand() -> None:
    """Six dialogues: memory at 1, topic at 2, one ends after 2, memory at 3, topic at 4, one keeps the thread to the end."""
    time, event = np.array([1, 2, 2, 3, 4, 4]), np.array([True, True, False, True, True, False])
    cause = ["memory", "topic", "", "memory", "topic", ""]
    bootstrap = Bootstrap(6, 1, 200)
    found = {i.cause: [s.incidence for s in i.steps] for i in incidences(time, event, cause, 4, bootstrap)}
    kept = [5 / 6, 5 / 6 * 4 / 5, 5 / 6 * 4 / 5 * 2 / 3]
    memory = [1 / 6, 1 / 6, 1 / 6 + kept[1] / 3, 1 / 6 + kept[1] / 3]
    topic = [0.0, kept[0] / 5, kept[0] / 5, kept[0] / 5 + kept[2] / 2]
    assert found["memory"] == pytest.approx(memory)
    assert found["topic"] == pytest.approx(topic)


@pytest.mark.parametrize("seed", range(4))
def test_against_statsmodels_and_the_survival_curve(seed: int) -> None:
    time, event, cause = made(80, seed)
    codes = np.array([{"": 0, "memory": 1, "topic": 2}[c] for c in cause])
    theirs = CumIncidenceRight(time, codes)
    found = {i.cause: [s.incidence for s in i.steps] for i in incidences(time, event, cause, 9, Bootstrap(80, 1, 100))}
    for number, name in ((1, "memory"), (2, "topic")):
        for t, share in zip(theirs.times, theirs.cinc[number - 1], strict=True):
            assert found[name][int(t) - 1] == pytest.approx(share)
    lost = [1.0 - step.kept for step in kaplan_meier(time, event, 9)]
    assert np.add(found["memory"], found["topic"]) == pytest.approx(lost)


def test_counting_alone_would_say_something_else() -> None:
    """Most dialogues end early with the thread: of those that could lose it by memory later, few were watched."""
    time = np.array([1] * 6 + [2, 2])
    event = np.array([False] * 6 + [True, False])
    (memory,) = incidences(time, event, [""] * 6 + ["memory", ""], 2, Bootstrap(8, 1, 100))
    assert memory.steps[-1].incidence == pytest.approx(0.5)  # not 1 of 8


def test_bands_are_those_of_resampled_dialogues() -> None:
    time, event, cause = made(25, 7)
    mine = event & (np.array(cause) == "memory")
    bootstrap = Bootstrap(25, 3, 300, expand=False)
    (found,) = [i for i in incidences(time, event, cause, 6, bootstrap) if i.cause == "memory"]
    drawn = []
    for counts in bootstrap.counts:
        taken = np.repeat(np.arange(25), counts)
        drawn.append(aalen_johansen(time[taken], event[taken], mine[taken], 6)[0])
    np.testing.assert_allclose([s.low for s in found.steps], np.percentile(drawn, 2.5, axis=0), atol=1e-12)
    np.testing.assert_allclose([s.high for s in found.steps], np.percentile(drawn, 97.5, axis=0), atol=1e-12)


def test_causes_after_the_horizon_and_dialogues_never_watched_have_no_share() -> None:
    bootstrap = Bootstrap(2, 1, 100)
    assert incidences(np.array([5, 2]), np.array([True, False]), ["memory", ""], 3, bootstrap) == ()
    assert incidences(np.array([0, 0]), np.array([False, False]), ["", ""], 3, bootstrap) == ()


def test_a_study_tells_it_for_every_arm() -> None:
    summary = summarise(made_results(dialogues=12, rounds=8, mute=("retrieval",)), QUICK)
    assert summary.survival is not None
    for arm in summary.survival.arms:
        shares = [sum(i.steps[t].incidence for i in arm.incidence) for t in range(len(arm.steps))]
        assert shares == pytest.approx([1.0 - step.kept for step in arm.steps])
    mute = next(arm for arm in summary.survival.arms if arm.arm == "retrieval")
    assert [(i.cause, i.steps[0].incidence, i.steps[0].low) for i in mute.incidence] == [("silent", 1.0, 1.0)]
    told = summary_json(summary)["survival"]["arms"]
    assert told[2]["incidence"][0]["steps"][0] == {"round": 1, "incidence": 1.0, "ci": [1.0, 1.0]}
