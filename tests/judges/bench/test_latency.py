"""Latency: what was measured is given back, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from turnwise.agents.agent import Timings
from turnwise.dialogues.dialogue import Turn
from turnwise.judges.judge import JUDGES, Bench, Exchange, Spoken
from turnwise.judges.verdict import Abstention, Score
from turnwise.speech.clip_store import ClipStore

STAGES = ("hear", "think", "speak", "first_audio")


def verdicts(tmp_path: Path, timings: Timings, *earlier: Timings) -> dict[str, object]:
    said = enumerate((*earlier, timings), start=1)
    rounds = tuple(Spoken(n, Turn("user", "Hi."), None, None, "Hi.", "Hi.", None, taken) for n, taken in said)
    return dict(JUDGES.build("latency").open(Bench(ClipStore(tmp_path))).decide(Exchange("d", "", (), rounds)))


def test_its_examples(tmp_path: Path) -> None:
    judge = JUDGES.build("latency")
    sitting = judge.open(Bench(ClipStore(tmp_path)))
    for exchange, expected in judge.examples:
        assert sitting.decide(exchange) == expected


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_is_its_own(tmp_path: Path, stage: str) -> None:
    found = verdicts(tmp_path, Timings(**{stage: 0.125}))
    assert found.pop(f"{stage}_seconds") == Score(0.125)
    assert len(found) == 3 and all(isinstance(verdict, Abstention) for verdict in found.values())


def test_the_turn_under_judgement_counts_not_an_earlier_one(tmp_path: Path) -> None:
    assert verdicts(tmp_path, Timings(think=1.0), Timings(think=9.0))["think_seconds"] == Score(1.0)


def test_zero_is_a_time_and_no_time_is_not_zero(tmp_path: Path) -> None:
    found = verdicts(tmp_path, Timings(hear=0.0))
    assert found["hear_seconds"] == Score(0.0)
    assert isinstance(found["think_seconds"], Abstention)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.1])
def test_what_is_no_duration_is_no_score(tmp_path: Path, wrong: float) -> None:
    assert isinstance(verdicts(tmp_path, Timings(speak=wrong))["speak_seconds"], Abstention)


def test_criteria_are_seconds_and_lower_is_better() -> None:
    found = {(c.name, c.unit, c.better) for c in JUDGES.build("latency").criteria}
    assert found == {(f"{stage}_seconds", "seconds", "lower") for stage in STAGES}
