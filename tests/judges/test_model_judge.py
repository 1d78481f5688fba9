"""Judges that ask a model: what is sent, what is made of every kind of answer, and that a failure is never a number."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from judges.asked import NOWHERE, SEED, decided, exchange, in_turn, texts
from servers.chat_server import Given, Request, chatting
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import BudgetSpent, Remote
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import canonical, fingerprint
from turnwise.foundation.place import place_of
from turnwise.judges.judge import Bench, Criterion, Exchange
from turnwise.judges.model_judge import ModelJudge, Question, model_judge, service
from turnwise.judges.retelling import history, said, turn
from turnwise.judges.score_form import Metric, ScoreForm
from turnwise.judges.verdict import Abstention, Fault, Score
from turnwise.speech.clip_store import ClipStore

TALK = exchange(("Hi there.", "Hello! Seen a film lately?"), ("A comedy.", "Which one?"))
WHOLE = json.dumps({"warmth": {"reason": "kind", "score": 80}, "wit": {"reason": "dry", "score": 30}})
AGAIN = json.dumps({"warmth": {"reason": "kinder", "score": 81}, "wit": {"reason": "drier", "score": 31}})
HALF = json.dumps({"warmth": {"reason": "kind", "score": 80}, "wit": {"reason": "far too dry", "score": 130}})
NEEDED = "Answer again, whole and corrected: the JSON object that was asked for and nothing else."
UNUSED = "An answer to this could not be used:"


def metric(name: str) -> Metric:
    return Metric(Criterion(name, "points of 100", "higher", 0.0, 100.0), name, f"how much {name}.")


FORM = ScoreForm("Assess.", (metric("warmth"), metric("wit")))


def specimen(form: ScoreForm = FORM, **options: Any) -> ModelJudge:
    """A judge of two scores."""
    known = {
        "model": "m",
        "endpoint": "it",
        "temperature": 0.0,
        "most_tokens": None,
        "structured": True,
        "extra": None,
        **options,
    }

    def question(given: Exchange) -> Question:
        if not given.now.agent:
            return Question(None, settled=dict.fromkeys(form.criteria, Abstention("nothing said")))
        return Question(form, (f"{history(given, 'written')}\n{turn(given, 'written')}",))

    criteria = tuple(Criterion(name, "points of 100", "higher", 0.0, 100.0) for name in form.criteria)
    made = service(__file__, **known)
    return model_judge(__file__, version=3, criteria=criteria, service=made, forms=(form,), question=question)


SHOWN = (
    '<history>\nuser 1: "Hi there."\nagent 1: "Hello! Seen a film lately?"\n</history>\n'
    '<turn>\nuser 2: "A comedy."\nagent 2: "Which one?"\n</turn>'
)

# ------------------------------------------------------------------ what is sent


def test_the_request_to_openai_is_exactly_this() -> None:
    with chatting("openai", WHOLE) as server:
        decided(server, specimen(), TALK)
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "m",
        "messages": [{"role": "system", "content": FORM.instructions}, {"role": "user", "content": SHOWN}],
        "temperature": 0.0,
        "seed": SEED & 0x7FFFFFFF,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": FORM.schema}},
    }


def test_the_request_to_gemini_is_exactly_this() -> None:
    scored = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "minimum": 0, "maximum": 100}},
        "required": ["reason", "score"],
        "propertyOrdering": ["reason", "score"],
    }
    with chatting("gemini", WHOLE) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    (request,) = server.requests
    assert request.path == "/v1beta/models/m:generateContent"
    assert request.body == {
        "systemInstruction": {"parts": [{"text": FORM.instructions}]},
        "contents": [{"role": "user", "parts": [{"text": SHOWN}]}],
        "generationConfig": {
            "temperature": 0.0,
            "seed": SEED & 0x7FFFFFFF,
            "responseMimeType": "application/json",
            "responseSchema": {
                "type": "object",
                "properties": {"warmth": scored, "wit": scored},
                "required": ["warmth", "wit"],
                "propertyOrdering": ["warmth", "wit"],
            },
        },
    }
    assert verdicts == {"warmth": Score(80.0, "kind"), "wit": Score(30.0, "dry")}


@pytest.mark.parametrize("dialect", ["openai", "vllm", "vllm-omni", "sglang", "dashscope", "gemini", "vertex"])
def test_every_dialect_takes_it(dialect: str) -> None:
    with chatting(dialect, in_turn(HALF, AGAIN)) as server:
        verdicts, calls = decided(server, specimen(), TALK)
    assert verdicts == {"warmth": Score(81.0, "kinder [asked again]"), "wit": Score(31.0, "drier [asked again]")}
    assert not server.refused
    assert [(call.endpoint, call.model, call.failed) for call in calls] == [("it", "m", "")] * 2


def test_options_of_the_service_are_sent() -> None:
    judge = specimen(structured=False, most_tokens=300, temperature=None, extra={"reasoning_effort": "low"})
    with chatting("openai", WHOLE) as server:
        decided(server, judge, TALK)
    body = server.requests[0].body
    assert body.keys() == {"model", "messages", "seed", "max_completion_tokens", "reasoning_effort"}
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (300, "low")


# ------------------------------------------------------------------ what is made of answers


def test_a_whole_answer_is_asked_for_once() -> None:
    with chatting("openai", f"Gladly.\n```json\n{WHOLE}\n```") as server:
        verdicts, calls = decided(server, specimen(), TALK)
    assert verdicts == {"warmth": Score(80.0, "kind"), "wit": Score(30.0, "dry")}
    assert len(server.requests) == len(calls) == 1


def test_the_model_is_told_once_what_was_wrong() -> None:
    with chatting("openai", in_turn(HALF, AGAIN)) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    first, second = server.requests
    assert texts(second) == [
        *texts(first),
        ("assistant", HALF),
        ("user", f'{UNUSED}\n- the score of "wit" is 130, which is not within 0 to 100\n{NEEDED}'),
    ]
    assert {k: v for k, v in second.body.items() if k != "messages"} == {k: v for k, v in first.body.items() if k != "messages"}
    assert verdicts == {"warmth": Score(81.0, "kinder [asked again]"), "wit": Score(31.0, "drier [asked again]")}


def test_what_is_still_missing_is_a_fault_of_that_criterion_alone() -> None:
    with chatting("openai", HALF) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert len(server.requests) == 2
    words = f'the score of "wit" is 130, which is not within 0 to 100; the second answer was: {HALF}'
    assert verdicts == {"warmth": Score(80.0, "kind"), "wit": Fault("out-of-range", words)}


def test_a_second_answer_that_is_not_whole_only_fills_gaps() -> None:
    with chatting("openai", in_turn('{"wit": 20}', '{"wit": 99, "warmth": "very"}')) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert verdicts["wit"] == Score(20.0)
    assert isinstance(verdicts["warmth"], Fault) and verdicts["warmth"].cause == "parse"
    with chatting("openai", in_turn('{"wit": 20}', '{"warmth": 99}')) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert verdicts == {"warmth": Score(99.0, "[asked again]"), "wit": Score(20.0)}


@pytest.mark.parametrize(
    "answer", ["I would rather not judge people.", "N/A", '{"warmth": "N/A", "wit": null}', '[{"score": 80}]', "{"]
)
def test_answers_without_a_number_are_faults_and_never_zero(answer: str) -> None:
    with chatting("openai", answer) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert len(server.requests) == 2
    for verdict in verdicts.values():
        assert isinstance(verdict, Fault) and verdict.cause == "parse"
        assert verdict.detail.endswith(f"the second answer was: {answer}")


def test_an_empty_answer_is_asked_for_again_and_not_shown() -> None:
    with chatting("openai", in_turn("", WHOLE)) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    missing = "".join(f'- no JSON object gives a score of "{name}"\n' for name in ("warmth", "wit"))
    assert texts(server.requests[1]) == [("system", FORM.instructions), ("user", SHOWN, f"{UNUSED}\n{missing}{NEEDED}")]
    assert verdicts["wit"] == Score(30.0, "dry [asked again]")
    with chatting("gemini", "  ") as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert verdicts["wit"] == Fault("parse", 'no JSON object gives a score of "wit"; the second answer was: empty')


@pytest.mark.parametrize(("dialect", "words"), [("openai", "I can't help with that."), ("gemini", "SAFETY")])
def test_a_refusal_is_not_argued_with(dialect: str, words: str) -> None:
    with chatting(dialect, Given(refusal=words)) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert len(server.requests) == 1
    assert verdicts == dict.fromkeys(("warmth", "wit"), Fault("refused", words))


def test_an_answer_that_a_filter_stopped_is_a_refusal() -> None:
    with chatting("openai", Given('{"warmth": {"reason": "', finish="content_filter")) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert verdicts["warmth"] == Fault("refused", "content_filter")


def test_a_refusal_at_the_second_time_leaves_what_the_first_gave() -> None:
    with chatting("openai", in_turn('{"wit": 20}', Given(refusal="No more."))) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert verdicts == {"warmth": Fault("refused", "No more."), "wit": Score(20.0)}


def test_a_cut_answer_is_asked_for_shorter_with_twice_the_room() -> None:
    with chatting("openai", in_turn(Given(WHOLE[:30], finish="length"), WHOLE)) as server:
        verdicts, _ = decided(server, specimen(most_tokens=50), TALK)
    _, second = server.requests
    assert [request.body["max_completion_tokens"] for request in server.requests] == [50, 100]
    told = "- the answer was cut off at its limit of length\nKeep every reason to at most 12 words."
    assert texts(second) == [("system", FORM.instructions), ("user", SHOWN, f"{UNUSED}\n{told}\n{NEEDED}")]
    assert verdicts["wit"] == Score(30.0, "dry [asked again]")


@pytest.mark.parametrize("text", ["", WHOLE[:30], f"Draft: {WHOLE}\nBut wait, I should", '{"other": 1}'])
def test_a_cut_answer_that_says_nothing_is_truncated(text: str) -> None:
    with chatting("gemini", Given(text, finish="length")) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert len(server.requests) == 2
    for verdict in verdicts.values():
        assert isinstance(verdict, Fault) and verdict.cause == "truncated"


def test_a_whole_answer_at_the_limit_counts() -> None:
    with chatting("openai", Given(f"```json\n{WHOLE}\n```", finish="length")) as server:
        verdicts, _ = decided(server, specimen(), TALK)
    assert len(server.requests) == 1
    assert verdicts["warmth"] == Score(80.0, "kind")


# ------------------------------------------------------------------ servers that fail


def test_what_a_first_answer_gave_survives_the_failure_of_the_second() -> None:
    def meddle(request: Request) -> web.Response | None:
        return web.json_response({"error": {"message": "overloaded"}}, status=500) if len(request.turns) > 2 else None

    with chatting("openai", HALF, meddle=meddle) as server:
        verdicts, calls = decided(server, specimen(), TALK)
    assert verdicts["warmth"] == Score(80.0, "kind")
    assert isinstance(verdicts["wit"], Fault) and verdicts["wit"].cause == "server-error"
    assert [call.failed for call in calls] == ["", "server-error"]


def test_a_server_that_fails_at_once_fails_the_turn() -> None:
    def meddle(request: Request) -> web.Response:
        return web.json_response({"error": {"message": "overloaded"}}, status=500)

    with chatting("openai", meddle=meddle) as server, pytest.raises(EngineError) as caught:
        decided(server, specimen(), TALK)
    assert caught.value.cause == "server-error"


def test_a_spent_budget_stops_the_turn_and_is_no_fault() -> None:
    async def decide() -> None:
        endpoint = server.endpoint(prices={"m": Price(output=1e6)})  # one a token
        remote = Remote({"it": endpoint}, budget=1.0)
        reach = specimen().reach
        assert reach is not None
        try:
            await reach(Bench(ClipStore(NOWHERE), remote=remote)).decide(TALK, seed=1)
        finally:
            await remote.close()

    with chatting("openai", HALF) as server, pytest.raises(BudgetSpent):
        asyncio.run(decide())
    assert len(server.requests) == 1


# ------------------------------------------------------------------ the judge


def test_nothing_is_asked_where_nothing_is_to_be_asked() -> None:
    with chatting("openai", WHOLE) as server:
        verdicts, _ = decided(server, specimen(), exchange(("Hi.", "")))
    assert not server.requests
    assert verdicts == dict.fromkeys(("warmth", "wit"), Abstention("nothing said"))


def test_many_turns_are_asked_about_at_once() -> None:
    def answer(request: Request) -> str:
        number = int(request.said.rpartition('agent 1: "')[2].split('"')[0])
        return json.dumps({"warmth": number, "wit": 100 - number})

    async def decide() -> list[Any]:
        remote = Remote({"it": server.endpoint(connections=64)})
        reach = specimen().reach
        assert reach is not None
        sitting = reach(Bench(ClipStore(NOWHERE), remote=remote))
        try:
            return await asyncio.gather(*(sitting.decide(exchange(("Say.", str(n))), seed=n) for n in range(64)))
        finally:
            await remote.close()

    with chatting("openai", answer) as server:
        verdicts = asyncio.run(decide())
    assert verdicts == [{"warmth": Score(float(n)), "wit": Score(float(100 - n))} for n in range(64)]


def test_the_judge_says_who_is_asked_and_where_it_works() -> None:
    judge = specimen(model="some-model")
    assert judge.models == ("some-model",)
    assert place_of(judge) == "driver"
    assert judge.identity().keys() == {"version", "asks", "shared"}
    assert judge.identity()["version"] == "3"
    assert judge.identity()["asks"] == fingerprint(FORM.instructions, canonical(FORM.schema))
    other = ScoreForm("Assess well.", (metric("warmth"), metric("wit")))
    assert specimen(other).identity()["asks"] != judge.identity()["asks"]
    assert specimen(other).identity()["shared"] == judge.identity()["shared"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": ""}, "test_model_judge: model is empty"),
        ({"endpoint": ""}, "test_model_judge: endpoint is empty"),
        ({"temperature": 3.0}, "temperature is 3.0, expected 0 to 2"),
        ({"most_tokens": 0}, "most_tokens is 0, expected at least 1"),
        ({"extra": {"messages": []}}, "extra may not hold 'messages'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        specimen(**options)


def test_it_needs_a_remote_and_a_known_endpoint(tmp_path: Path) -> None:
    judge = specimen()
    assert judge.reach is not None
    with pytest.raises(InputError, match="asks a model: open it with a bench that has a remote"):
        judge.reach(Bench(ClipStore(tmp_path)))
    with pytest.raises(InputError, match="no endpoint is called 'it'"):
        judge.reach(Bench(ClipStore(tmp_path), remote=Remote()))


def test_a_turn_costs_far_less_than_a_millisecond_beside_the_call() -> None:
    """Many connections share one loop: what is done for each turn must be cheap, however long the conversation."""
    long = exchange(
        *((f"A turn of the user of some length, number {n}.", "An answer that is as long as answers are." * 3) for n in range(40))
    )
    judge = specimen()
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(100):
            asked = judge.question(long)
            assert asked.form is not None
            asked.form.read(WHOLE, said(long))
        best = min(best, (time.process_time() - started) / 100)
    assert best < 0.0005
