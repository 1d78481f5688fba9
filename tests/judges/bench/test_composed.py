"""`naturalness` and `consistency` as judges; the arithmetic is in tests/judges/test_judges_composition.py."""

from __future__ import annotations

import msgspec
import pytest

from judges.judging import Open, Talk
from turnwise.judges.judge import JUDGES, Exchange, Judge
from turnwise.judges.verdict import Abstention, Fault, Score, Verdict

PARTS = {"naturalness": {"repetition", "generic"}, "consistency": {"topic_drift", "misunderstanding", "memory", "repetition"}}


def _decided(sitting: Open, talk: Talk, name: str, **verdicts: Verdict) -> Verdict:
    exchange: Exchange = msgspec.structs.replace(talk("Hello.", "Hello."), verdicts=verdicts)
    return sitting(name).decide(exchange)[name]


@pytest.mark.parametrize("name", PARTS)
def test_needs_are_declared(name: str) -> None:
    judge: Judge = JUDGES.build(name)
    assert set(judge.needs) == PARTS[name]
    assert (judge.criteria[0].unit, judge.criteria[0].better) == ("points of 100", "higher")


@pytest.mark.parametrize("name", PARTS)
def test_each_part_lowers_it(name: str, sitting: Open, talk: Talk) -> None:
    clean: dict[str, Verdict] = {part: Score(0.0) for part in PARTS[name]}
    assert _decided(sitting, talk, name, **clean) == Score(100.0, "no failure found")
    for part in PARTS[name]:
        mild = _decided(sitting, talk, name, **{**clean, part: Score(30.0)})
        severe = _decided(sitting, talk, name, **{**clean, part: Score(90.0)})
        assert isinstance(mild, Score) and isinstance(severe, Score)
        assert severe.value < mild.value < 100
        assert part in severe.reason


@pytest.mark.parametrize("name", PARTS)
def test_faults_go_through_and_abstentions_are_borne(name: str, sitting: Open, talk: Talk) -> None:
    clean: dict[str, Verdict] = {part: Score(0.0) for part in PARTS[name]}
    for part in PARTS[name]:
        broken = _decided(sitting, talk, name, **{**clean, part: Fault("timeout")})
        assert isinstance(broken, Fault)
        assert broken.cause == "upstream"
        silent = _decided(sitting, talk, name, **{**clean, part: Abstention("nothing yet")})
        assert silent == Score(100.0, f"no failure found; not judged: {part}")
    none: dict[str, Verdict] = {part: Abstention("nothing yet") for part in PARTS[name]}
    assert isinstance(_decided(sitting, talk, name, **none), Abstention)
