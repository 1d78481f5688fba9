"""The judge of five failures: severities, contradictions, the main failure, and what its model is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from judges.asked import decided, exchange, in_turn, texts
from servers.chat_server import chatting
from turnwise.judges.judge import JUDGES, Criterion
from turnwise.judges.severity import FAILURES
from turnwise.judges.verdict import Abstention, Fault, Score

NAME = "failures"
KEYS = {
    "generic": "generic_response",
    "topic_drift": "topic_switching",
    "repetition": "repetition",
    "misunderstanding": "misunderstanding",
    "memory": "lack_of_memory",
}
TALK = exchange(("In Ely, please.", "Gladly."), ("For two.", "Which town?"))


def answer(primary: Any = "lack_of_memory", has: Any = True, **changed: Any) -> dict[str, Any]:
    """A turn with two failures, memory the main one."""
    made: dict[str, Any] = {key: {"present": False, "severity": 0, "reason": "fine"} for key in KEYS.values()}
    made["lack_of_memory"] = {"present": True, "severity": 80, "reason": "Ely was said"}
    made["repetition"] = {"present": True, "severity": 20, "reason": "a bit"}
    made.update(changed)
    return {**made, "overall_assessment": {"has_failure": has, "primary_failure": primary, "explanation": "e"}}


WHOLE = {
    "generic": Score(0.0, "absent: fine"),
    "topic_drift": Score(0.0, "absent: fine"),
    "repetition": Score(20.0, "present: a bit"),
    "misunderstanding": Score(0.0, "absent: fine"),
    "memory": Score(80.0, "present, primary: Ely was said"),
}


def verdicts_on(*answers: Any, dialect: str = "openai") -> tuple[dict[str, Any], int]:
    said = [each if isinstance(each, str) else json.dumps(each) for each in answers]
    with chatting(dialect, in_turn(*said)) as server:
        verdicts, _ = decided(server, NAME, TALK)
    return dict(verdicts), len(server.requests)


def again(verdicts: dict[str, Score]) -> dict[str, Score]:
    return {name: Score(verdict.value, f"{verdict.reason} [asked again]") for name, verdict in verdicts.items()}


def test_its_criteria_are_those_of_the_judges_without_a_model() -> None:
    judge = JUDGES.build(NAME, {"model": "m"})
    assert {criterion.name for criterion in judge.criteria} == set(FAILURES)
    assert {criterion.name: criterion for criterion in judge.criteria} == {
        name: Criterion(name, "severity 0-100", "lower", 0.0, 100.0) for name in FAILURES
    }


@pytest.mark.parametrize("dialect", ["openai", "vllm", "gemini"])
def test_severities_presence_and_the_main_failure_are_kept(dialect: str) -> None:
    assert verdicts_on(answer(), dialect=dialect) == (WHOLE, 1)


def test_no_failure_at_all() -> None:
    clean = {"present": False, "severity": 0, "reason": ""}
    for primary in ("none", "None", None, "no failure"):
        given = answer(primary or "none", False, lack_of_memory=clean, repetition=clean)
        verdicts, asked = verdicts_on(given)
        assert asked == 1
        assert verdicts["memory"] == Score(0.0, "absent")


def test_what_is_shown_and_asked() -> None:
    with chatting("openai", json.dumps(answer())) as server:
        decided(server, NAME, TALK)
    (request,) = server.requests
    (_, system), (_, shown) = texts(request)
    assert shown == (
        '<history>\nuser 1: "In Ely, please."\nagent 1: "Gladly."\n</history>\n\n'
        '<turn>\nuser 2: "For two."\nagent 2: "Which town?"\n</turn>\n\nWhich failures does the answer of agent 2 show?'
    )
    for key in KEYS.values():
        assert f'- "{key}": the answer ' in system
    assert "1 to 33 where it is mild, 34 to 66 where it is moderate and 67 to 100 where it is severe" in system
    schema = request.body["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == [*KEYS.values(), "overall_assessment"]
    assert schema["properties"]["overall_assessment"]["properties"]["primary_failure"]["enum"] == [*KEYS.values(), "none"]


def test_other_spellings_are_read() -> None:
    given = {key.replace("_", " ").title(): value for key, value in answer().items()}
    given["Lack Of Memory"] = {"Present": "true", "Severity": "80%", "explanation": "Ely was said"}
    given["Overall Assessment"] = {"Has Failure": "yes", "Primary Failure": "Lack of memory"}
    assert verdicts_on(f"```json\n{json.dumps(given)}\n```") == (WHOLE, 1)
    named = {name: answer()[key] for name, key in KEYS.items()}
    assert verdicts_on({**named, "overall_assessment": {"has_failure": True, "primary_failure": "memory"}}) == (WHOLE, 1)


@pytest.mark.parametrize(
    ("broken", "cause", "words"),
    [
        (
            {"present": True, "severity": 0, "reason": "r"},
            "contradiction",
            '"lack_of_memory" is present and yet has the severity 0',
        ),
        (
            {"present": False, "severity": 40, "reason": "r"},
            "contradiction",
            '"lack_of_memory" is absent and yet has the severity 40',
        ),
        (
            {"present": True, "severity": 120},
            "out-of-range",
            '"severity" of "lack_of_memory" is 120, which is not within 0 to 100',
        ),
        ({"present": True}, "parse", '"severity" of "lack_of_memory" is missing'),
        ({"present": False}, "parse", '"severity" of "lack_of_memory" is missing'),
        ({"severity": 40}, "parse", '"present" of "lack_of_memory" is missing'),
        ({"present": 1, "severity": 40}, "parse", '"present" of "lack_of_memory" is 1, expected true or false'),
        ({"present": True, "severity": "severe"}, "parse", '"severity" of "lack_of_memory" is "severe", which is not a number'),
        (80, "parse", '"lack_of_memory" is not an object with present and severity'),
        (None, "parse", '"lack_of_memory" is missing'),
    ],
)
def test_a_failure_that_is_told_wrongly_is_asked_again_and_then_a_fault(broken: Any, cause: str, words: str) -> None:
    given = answer("repetition", lack_of_memory=broken)
    with chatting("openai", json.dumps(given)) as server:
        verdicts, _ = decided(server, NAME, TALK)
    assert len(server.requests) == 2
    assert f"\n- {words}\n" in server.requests[1].said
    memory = verdicts["memory"]
    assert isinstance(memory, Fault) and memory.cause == cause and memory.detail.startswith(words)
    assert verdicts["repetition"] == Score(20.0, "present, primary: a bit")
    assert verdicts["generic"] == WHOLE["generic"]
    assert verdicts_on(given, answer()) == (again(WHOLE), 2)


def test_a_main_failure_that_is_absent_is_a_contradiction_of_that_failure() -> None:
    verdicts, asked = verdicts_on(answer("topic_switching"))
    assert asked == 2
    drift = verdicts.pop("topic_drift")
    assert isinstance(drift, Fault) and drift.cause == "contradiction"
    assert drift.detail.startswith('"topic_switching" is absent and yet named as the primary failure; the second answer was: {')
    assert verdicts["memory"] == Score(80.0, "present, primary unclear: Ely was said")
    assert verdicts["misunderstanding"] == WHOLE["misunderstanding"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer("none"), '"primary_failure" is "none" although a failure is present'),
        (answer("rudeness"), '"primary_failure" is not one of the five failures or "none"'),
        (answer(7), '"primary_failure" is not one of the five failures or "none"'),
        ({**answer(), "overall_assessment": None}, '"overall_assessment" is missing'),
    ],
)
def test_an_unclear_main_failure_is_asked_again_and_costs_no_severity(given: Any, words: str) -> None:
    with chatting("openai", json.dumps(given)) as server:
        verdicts, _ = decided(server, NAME, TALK)
    assert len(server.requests) == 2
    assert f"\n- {words}\n" in server.requests[1].said
    assert verdicts == {
        **WHOLE,
        "repetition": Score(20.0, "present, primary unclear: a bit"),
        "memory": Score(80.0, "present, primary unclear: Ely was said"),
    }
    assert verdicts_on(given, answer()) == (again(WHOLE), 2)


def test_whether_there_is_a_failure_must_fit() -> None:
    for has in (False, "maybe", None):
        verdicts, asked = verdicts_on(answer(has=has))
        assert (verdicts, asked) == (WHOLE, 2)


def test_a_refusal_in_words_never_improves_the_agent() -> None:
    verdicts, asked = verdicts_on("I cannot assess this conversation.")
    assert asked == 2
    assert {verdict.cause for verdict in verdicts.values()} == {"parse"}


def test_a_reply_nobody_understood_is_not_judged() -> None:
    with chatting("openai", json.dumps(answer())) as server:
        verdicts, _ = decided(server, NAME, exchange(("Hi.", "")))
    assert not server.requests
    assert verdicts == dict.fromkeys(KEYS, Abstention("no word of the reply was understood"))
