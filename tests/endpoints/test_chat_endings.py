"""How answers end: refusals, limits, broken answers; what is recorded of each question, and what it costs to ask."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from servers.chat_server import Given, chatting, spoken, understood
from servers.questions import SCHEMA, USER, answer, asked, failure
from turnwise.endpoints.calls import Call, Usage, recording
from turnwise.endpoints.chat import Asking, Message, ask
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.gathering import HALVES
from turnwise.endpoints.remote import Line, Remote
from turnwise.foundation.errors import EngineError

WRITING = ("openai", "vllm", "vllm-omni", "vllm-omni-old", "sglang", "dashscope", "gemini", "vertex")


# ---------------------------------------------------------------- refusals and limits


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_an_answer(stream: bool) -> None:
    with chatting("openai", Given(refusal="I can't help with that.")) as server:
        told = answer(server, stream=stream)
    assert (told.text, told.refusal) == ("I can't help with that.", "I can't help with that.")
    assert told.departures == ("refused",)
    with chatting("vllm", Given("Well, I", finish="content_filter")) as server:
        told = answer(server, stream=stream)
    assert (told.text, told.refusal, told.finish) == ("Well, I", "content_filter", "content_filter")
    assert told.departures == ("refused: content_filter",)
    with chatting("gemini", Given(refusal="PROHIBITED_CONTENT")) as server:  # the prompt
        told = answer(server, stream=stream)
    assert (told.text, told.refusal, told.finish) == ("", "PROHIBITED_CONTENT", "content_filter")
    with chatting("gemini", Given("", finish="content_filter")) as server:  # the answer
        told = answer(server, stream=stream)
    assert (told.text, told.refusal) == ("", "SAFETY")
    assert told.departures == ("refused: SAFETY",)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", WRITING)
def test_the_limit_of_tokens_is_told(dialect: str, stream: bool) -> None:
    with chatting(dialect, Given("And then", finish="length")) as server:
        told = answer(server, stream=stream)
    assert (told.text, told.finish, told.refusal, told.departures) == ("And then", "length", "", ("cut at the limit of tokens",))


def test_the_proper_end_of_the_sound_does_not_hide_the_limit_of_the_words() -> None:
    with chatting("vllm-omni-old", Given("And then", finish="length")) as server:
        told = answer(server, aloud=True)
    assert (told.finish, understood(told.sound)) == ("length", "And then")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"choices": []},
        {"choices": None},
        {"choices": {}},
        {"choices": ["x"]},
        {"choices": [{"message": "x"}]},
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"message": {"audio": {"data": 5}}}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": {"type": "abort"}}]},
    ],
)
def test_an_answer_of_another_form_is_broken(body: Any) -> None:
    with chatting("vllm", Given(body=body)) as server:
        assert failure(server) == "broken-answer"


@pytest.mark.parametrize(
    "body", [{}, [], {"candidates": []}, {"candidates": ["x"]}, {"candidates": [{"content": 5}]}, {"promptFeedback": 5}]
)
def test_an_answer_of_another_form_is_broken_with_google_too(body: Any) -> None:
    with chatting("gemini", Given(body=body)) as server:
        assert failure(server) == "broken-answer"


@pytest.mark.parametrize("stream", [False, True])
def test_half_a_character_is_replaced_and_said(stream: bool) -> None:
    def answered(*pieces: str) -> Given:
        events = [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
        events[-1]["choices"][0]["finish_reason"] = "stop"
        whole = {"choices": [{"message": {"content": "".join(pieces)}, "finish_reason": "stop"}]}
        return Given(events=events) if stream else Given(body=whole)

    with chatting("vllm", answered("Well \ud83d", " then")) as server:
        told = answer(server, stream=stream)
    assert (told.text, told.notes) == ("Well � then", (HALVES,))
    # Cut between two pieces it is whole again, and what the model itself wrote so stays.
    with chatting("vllm", answered("Well \ud83d", "\ude00 then �")) as server:
        told = answer(server, stream=stream)
    assert (told.text, told.notes) == ("Well 😀 then �", ())
    assert told.text.encode()


def test_an_error_in_place_of_an_answer() -> None:
    with chatting("vllm", Given(body={"error": {"message": "out of memory", "type": "server_error"}})) as server:
        assert failure(server) == "server-error"
    with chatting("vllm", Given(events=[{"error": {"message": "out of memory", "type": "server_error"}}])) as server:
        assert failure(server, stream=True) == "server-error"


def test_a_request_that_is_wrong_is_refused() -> None:
    with chatting("openai") as server:
        assert failure(server, aloud=True) == "refused"  # OpenAI insists on a voice
        assert failure(server, extra={"top_k": 5}) == "refused"
    assert server.refused == ["Missing required parameter: 'audio.voice'.", "Unrecognized request argument supplied: top_k"]


def test_a_stream_that_ends_without_a_reason_is_broken_and_read_again() -> None:
    cut = {"choices": [{"index": 0, "delta": {"content": "Half an"}, "finish_reason": None}]}
    with chatting("vllm", Given(events=[cut])) as server:
        assert failure(server, stream=True) == "broken-answer"
    turns = iter([Given(events=[cut]), Given(events=[cut]), "Half an answer."])
    with chatting("vllm", lambda request: next(turns)) as server:
        told, calls = asked(server, stream=True, endpoint={"retries": 3})
    assert told.text == "Half an answer."
    assert len(server.requests) == 3
    assert [(call.attempts, call.failures) for call in calls] == [(3, ("broken-answer", "broken-answer"))]


def test_events_repeated_with_their_id_are_given_once() -> None:
    def event(number: int, text: str, finish: str | None = None) -> str:
        return f"id: {number}\ndata: {json.dumps({'choices': [{'delta': {'content': text}, 'finish_reason': finish}]})}\n\n"

    events = [event(1, "One, "), event(2, "two."), event(2, "two."), event(3, "", "stop")]
    with chatting("vllm", Given(events=events)) as server:
        assert answer(server, stream=True).text == "One, two."


# ---------------------------------------------------------------- what is recorded


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", WRITING)
def test_each_question_is_one_call_with_what_it_used(dialect: str, stream: bool) -> None:
    with chatting(dialect, "Twelve chars") as server:
        told, calls = asked(server, Message("user", (spoken("x"), "abcdefgh")), stream=stream)
    (call,) = calls
    thoughts = 7 if dialect in ("gemini", "vertex") else 0
    assert call.usage == Usage(input=2, output=3 + thoughts, audio_input=100)
    assert (call.attempts, call.estimated, call.model) == (1, False, "m")
    assert call.seconds == pytest.approx(told.seconds, abs=0.2)


def test_waiting_for_attempts_before_is_no_part_of_the_time() -> None:
    from aiohttp import web

    slow = iter([0.5])

    async def meddle(request: Any) -> web.Response | None:
        for seconds in slow:
            await asyncio.sleep(seconds)
            return web.Response(status=500)
        return None

    for stream in (False, True):
        slow = iter([0.5])
        with chatting("vllm", meddle=meddle) as server:
            told, calls = asked(server, stream=stream, endpoint={"retries": 1})
        assert told.seconds < 0.45
        assert [call.attempts for call in calls] == [2]


def test_a_failed_question_is_recorded_too() -> None:
    async def go() -> list[Call]:
        remote = Remote({"it": server.endpoint()})
        with recording() as inside, pytest.raises(EngineError):
            await ask(remote.line("it"), Asking("m", (USER,)))
        await remote.close()
        return inside

    with chatting("vllm", Given(body={"error": {"message": "no", "type": "server_error"}})) as server:
        assert [call.failed for call in asyncio.run(go())] == ["server-error"]


# ---------------------------------------------------------------- cost


class _Instant(Line):
    """A line whose server answers at once."""

    def __init__(self, dialect: Any, data: Any) -> None:
        self.endpoint = Endpoint("http://localhost/v1", dialect=dialect)
        self.data = data

    async def post(self, path: str, body: Any, *, model: str, usage: Any = None) -> Any:
        return self.data


@pytest.mark.parametrize(
    ("dialect", "data"),
    [
        ("openai", {"choices": [{"index": 0, "message": {"content": '{"score": 3}'}, "finish_reason": "stop"}]}),
        ("gemini", {"candidates": [{"content": {"parts": [{"text": '{"score": 3}'}]}, "finishReason": "STOP"}]}),
    ],
)
def test_a_question_in_words_costs_little(dialect: str, data: Any) -> None:
    messages = (Message("system", ("x" * 5000,)), *[Message("user", ("y" * 200,)), Message("assistant", ("z" * 200,))] * 20, USER)
    line = _Instant(dialect, data)

    async def go(times: int) -> float:
        started = time.process_time()
        for _ in range(times):
            told = await ask(line, Asking("m", messages, schema=SCHEMA, most_tokens=100, seed=1))
            assert told.text == '{"score": 3}'
        return (time.process_time() - started) / times

    asyncio.run(go(20))
    assert min(asyncio.run(go(100)) for _ in range(3)) < 0.0005
