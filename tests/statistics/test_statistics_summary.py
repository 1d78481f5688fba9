"""The summary as a whole: strict JSON, the same bytes every time, and sentences that say what the numbers carry."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from made_results import INSTRUMENTS, judged_results, made_results
from turnwise.agents.agent import Reply
from turnwise.foundation.errors import InputError
from turnwise.judges.verdict import Outcome, Score, Silence
from turnwise.statistics.finding import Finding
from turnwise.statistics.findings import findings
from turnwise.statistics.summary import Options, Summary, summarise
from turnwise.statistics.summary_json import summary_bytes, summary_json
from turnwise.study.results import Results

QUICK = Options(draws=300, flips=500)
TESTS = Path(__file__).resolve().parents[1]


def broken(**options: Any) -> Results:
    return made_results(dialogues=8, fault_share=0.05, abstain_share=0.05, silent_share=0.02, **options)


def texts(summary: Summary, kind: str) -> list[Finding]:
    return [f for f in findings(summary) if f.kind == kind]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_the_promised_keys_are_there_and_the_json_is_strict() -> None:
    made = json.loads(summary_bytes(summarise(broken(mute=("text-only",)), QUICK)), parse_constant=refuse)
    assert made["study"] == "made"
    assert list(made["arms"]) == ["frame", "frame-last-turn", "retrieval", "text-only"]
    for arm in made["arms"].values():
        assert list(arm) == [i.criterion.name for i in INSTRUMENTS]
        for reading in arm.values():
            assert {"mean", "ci", "n", "missing", "by_round", "bounds", "slope"} <= set(reading)
            assert [p["round"] for p in reading["by_round"]] == list(range(1, made["last_round"] + 1))
            assert all(set(p) == {"round", "mean", "ci", "n"} for p in reading["by_round"])
    assert len(made["contrasts"]) == 6 * len(INSTRUMENTS)
    assert {"a", "b", "judge", "difference", "ci", "p", "p_holm", "n"} <= set(made["contrasts"][0])
    total = made["accounting"]
    assert total["planned"] == total["scored"] + total["abstained"] + total["fault"] + total["silent"]
    assert made["arms"]["text-only"]["memory"]["mean"] is None
    assert made["arms"]["text-only"]["memory"]["ci"] is None
    assert made["ranking"][-1] == "text-only"


def test_missing_counts_close_per_arm_and_criterion() -> None:
    results = broken()
    made = summary_json(summarise(results, QUICK))
    planned = sum(len(c.dialogue.rounds()) for c in results.conversations if c.arm == "frame")
    for arm in made["arms"].values():
        for reading in arm.values():
            assert reading["n"] + sum(reading["missing"].values()) == planned


def test_undefined_is_a_word() -> None:
    made = summary_json(summarise(judged_results(lambda arm, d, r: Score(50.0), lengths=[2, 2]), QUICK))
    assert made["correlations"][0]["pairs"] == []
    results = made_results(arms=("frame",), dialogues=3)
    constant = tuple(
        msgspec.structs.replace(
            c, rounds=tuple(msgspec.structs.replace(a, outcomes={**a.outcomes, "overall": Score(3.5)}) for a in c.rounds)
        )
        for c in results.conversations
    )
    made = summary_json(summarise(msgspec.structs.replace(results, conversations=constant), QUICK))
    pairs = [p for p in made["correlations"][0]["pairs"] if "overall" in (p["a"], p["b"])]
    assert pairs
    assert {(p["pearson"], p["spearman"]) for p in pairs} == {("undefined", "undefined")}


def test_the_same_results_give_the_same_bytes_in_any_order_and_process() -> None:
    results = broken()
    expected = summary_bytes(summarise(results, QUICK))
    shuffled = list(results.conversations)
    random.Random(1).shuffle(shuffled)
    assert summary_bytes(summarise(msgspec.structs.replace(results, conversations=tuple(shuffled)), QUICK)) == expected
    code = (
        "import sys; from made_results import made_results; from turnwise.statistics.summary import Options, summarise;"
        "from turnwise.statistics.summary_json import summary_bytes;"
        "results = made_results(dialogues=8, fault_share=0.05, abstain_share=0.05, silent_share=0.02);"
        "sys.stdout.buffer.write(summary_bytes(summarise(results, Options(draws=300, flips=500))))"
    )
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
        assert done.stdout == expected


def test_the_seed_is_the_studys_unless_given() -> None:
    results = made_results(arms=("frame",), dialogues=6)
    other = msgspec.structs.replace(results, study=msgspec.structs.replace(results.study, seed=2))
    assert summarise(results, QUICK).seed != summarise(other, QUICK).seed
    assert summarise(other, msgspec.structs.replace(QUICK, seed=7)).seed == 7


def test_lone_surrogates_of_a_model_do_not_break_the_file() -> None:
    results = msgspec.structs.replace(made_results(arms=("frame",), dialogues=2), notes=("\ud800",))
    made = summary_bytes(summarise(results, QUICK)).decode("utf-8")
    assert "\\ud800" in made and "\ud800" in json.loads(made)["notes"]


def test_nothing_to_summarise_is_said() -> None:
    results = made_results(arms=("frame",), dialogues=2)
    with pytest.raises(InputError, match="nothing to summarise"):
        summarise(msgspec.structs.replace(results, conversations=()), QUICK)
    with pytest.raises(InputError, match="nothing to summarise"):
        summarise(msgspec.structs.replace(results, instruments=()), QUICK)
    with pytest.raises(InputError, match="at least 100 draws"):
        Options(draws=3)


def test_one_dialogue_of_one_round_is_enough() -> None:
    summary = summarise(made_results(arms=("frame", "retrieval"), dialogues=1, rounds=1), QUICK)
    made = summary_json(summary)
    assert made["arms"]["frame"]["consistency"]["ci"] is None
    assert made["arms"]["frame"]["consistency"]["slope"]["all"]["value"] is None
    assert any("no interval from fewer than two dialogues" in f.text for f in findings(summary))


def test_projections_of_the_summary() -> None:
    summary = summarise(made_results(dialogues=3), QUICK)
    assert summary.better("memory") == "lower"
    assert summary.mean("frame", "memory") == summary.arm("frame").criteria["memory"].estimate.mean
    with pytest.raises(InputError, match="no criterion 'charm'"):
        summary.mean("frame", "charm")
    with pytest.raises(KeyError):
        summary.arm("nobody")
    with pytest.raises(KeyError):
        summary.contrast("frame", "nobody", "memory")


def test_the_derived_arm_visibly_loses_the_thread() -> None:
    summary = summarise(made_results(dialogues=12), QUICK)
    (derived,) = texts(summary, "derived")
    assert derived.clear
    assert derived.arms == ("frame-last-turn", "frame")
    assert derived.text.startswith("frame-last-turn differs from frame, from which it was derived: consistency −")
    where = next(f for f in texts(summary, "where") if f.arms == ("frame-last-turn",))
    assert "points worse than in its first round in rounds" in where.text
    assert "n = " in where.text
    failure = next(f for f in texts(summary, "failure") if f.arms == ("frame-last-turn",))
    assert "fails most through memory" in failure.text


def test_twins_are_not_distinguishable() -> None:
    summary = summarise(
        judged_results(lambda arm, d, r: Score(60.0 + 7.0 * ((d + r + (arm == "b")) % 3)), ("a", "b"), [6] * 8), QUICK
    )
    (thread,) = texts(summary, "thread")
    assert not thread.clear
    assert "not distinguishable" in thread.text
    assert "n = 48 turns of 8 dialogues" in thread.text


def test_a_clear_lead_is_said_with_its_interval() -> None:
    summary = summarise(judged_results(lambda arm, d, r: Score((80.0 if arm == "b" else 60.0) + d), ("a", "b"), [4] * 8), QUICK)
    thread = texts(summary, "thread")[0]
    assert thread.clear
    assert thread.text.startswith("b keeps the thread best")
    assert "+20.0 [20.0, 20.0]" in thread.text


def test_a_mute_arm_is_named_last_with_its_cause() -> None:
    summary = summarise(made_results(dialogues=6, mute=("retrieval",)), QUICK)
    last = texts(summary, "thread")[-1]
    assert last.text.startswith("retrieval ranks last: no turn of it could be scored on consistency (silent ")


def test_an_arm_that_leads_by_its_silence_is_called_so() -> None:
    def judging(arm: str, d: int, r: int) -> Outcome:
        return Score(70.0 + d) if arm == "steady" else Score(95.0 + d / 10) if r <= 2 else Silence()

    text = texts(summarise(judged_results(judging, ("seldom", "steady"), [5] * 8), QUICK), "thread")[0].text
    assert text.startswith("steady ranks first by its worst case")
    assert "seldom" in text
    assert "is better" in text


def test_every_finding_on_sound_says_r_and_n() -> None:
    sound = texts(summarise(made_results(dialogues=12), QUICK), "sound")
    assert [f.criterion for f in sound] == ["voice_consistency", "overall"]
    assert all("r = " in f.text and "n = " in f.text for f in sound)
    assert all(f.clear or "not distinguishable" in f.text for f in sound)


def test_departures_from_the_context_policy_are_reported() -> None:
    results = made_results(arms=("frame",), dialogues=2, rounds=2)
    note = "context cut to 1 round by the model's limit"
    first, *rest = results.conversations
    noted = tuple(msgspec.structs.replace(a, reply=Reply("Yes.", notes=(note,))) for a in first.rounds)
    changed = msgspec.structs.replace(results, conversations=(msgspec.structs.replace(first, rounds=noted), *rest))
    summary = summarise(changed, QUICK)
    assert summary.arms[0].departures == {note: 2}
    assert f"frame, 2 turns: {note}." in texts(summary, "missing")[0].text


@pytest.mark.parametrize("seed", range(6))
def test_no_sentence_holds_a_number_that_is_none(seed: int) -> None:
    results = made_results(
        dialogues=1 + seed, rounds=(1, 4), seed=seed, fault_share=0.4, abstain_share=0.3, silent_share=0.2, mute=("frame",)
    )
    for finding in findings(summarise(results, QUICK)):
        assert "nan" not in finding.text.lower().split()
        assert "None" not in finding.text
        assert "−0.0 " not in finding.text
