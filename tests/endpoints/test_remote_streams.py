"""Streams of events: given once each, as they arrive; what breaks before the first is tried again, what breaks later is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest

from local_server import listening, request_head
from scripted import Outcome, Seen, Told, asked, scripted
from turnwise.endpoints.calls import Usage
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import BudgetSpent, Event, Line, retried
from turnwise.foundation.errors import EngineError, InputError

Script = list[bytes | float | None]  # pieces of the body, pauses in seconds, None: cut off here
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def piece(text: str, **more: Any) -> bytes:
    return b"data: " + json.dumps({"model": "m-1", "choices": [{"delta": {"content": text}}], **more}).encode() + b"\n\n"


class Streams:
    def __init__(self) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone: list[float] = []  # when a client left before the end; time.perf_counter()


@contextmanager
def streams(*scripts: Script) -> Iterator[Streams]:
    """The last script is played again and again."""
    told = Streams()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.connections += 1
        while True:
            try:
                head = await request_head(reader)
            except asyncio.IncompleteReadError:
                return
            script = scripts[min(len(told.requests), len(scripts) - 1)]
            told.requests.append(head)
            writer.write(HEAD)
            gone = asyncio.create_task(reader.read(1))
            for step in script:
                if step is None:
                    gone.cancel()
                    return
                if isinstance(step, float):
                    await asyncio.wait([gone], timeout=step)
                    if gone.done():
                        told.gone.append(time.perf_counter())
                        return
                else:
                    writer.write(b"%x\r\n%s\r\n" % (len(step), step))
                    await writer.drain()
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            writer.write(b"0\r\n\r\n")

    with listening(play) as server:
        told.url = server.url
        yield told


async def events_of(line: Line, **options: Any) -> list[Event]:
    async with line.stream("/chat", {"messages": ["hello hello"]}, model="m", **options) as (sent, events):
        assert sent <= time.perf_counter()
        return [event async for event in events]


def text(events: list[Event]) -> str:
    return "".join(event.data["choices"][0]["delta"]["content"] for event in events)


def cause(outcome: Outcome) -> str:
    assert isinstance(outcome.result, EngineError), outcome.result
    return outcome.result.cause


def test_events_are_given_as_they_arrive() -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}\n\n'
    last = piece("!", system_fingerprint="fp")

    async def work(line: Line) -> Any:
        async with line.stream("/chat", {"stream": True}, model="m") as (sent, events):
            return sent, [(event, time.perf_counter()) async for event in events]

    with streams([piece("a"), 0.2, piece("b"), piece("c"), 0.2, last, usage, DONE]) as server:
        outcome = asked(server.url, work, prices={"m": Price(1.0, 2.0)})
    sent, given = outcome.result
    assert text([event for event, _ in given[:-1]]) == "abc!"
    times = [event.at - sent for event, _ in given]
    assert times[0] < 0.2 <= times[1] and times[3] >= 0.4 and times == sorted(times)
    assert all(0 <= seen - event.at < 0.19 for event, seen in given)
    assert b"accept: text/event-stream" in server.requests[0].lower()
    call = outcome.call
    assert (call.usage, call.cost, call.estimated) == (Usage(10, 2), 14e-6, False)
    assert (call.answered_by, call.attempts, call.failed) == ("m-1", 1, "")
    assert 0.4 <= call.seconds < 2


def test_a_stream_cut_anywhere_is_the_same() -> None:
    first = b": hi\r\n\r\n" + piece("é").replace(b"\n", b"\r\n")
    whole = first + b'id: 1\ndata: {"choices":\ndata: [{"delta": {"content": "b"}}]}\n\n'
    for at in (1, 5, 20, 30, len(whole) - 1):
        with streams([whole[:at], 0.001, whole[at:]]) as server:
            outcome = asked(server.url, events_of)
        assert text(outcome.result) == "éb" and [event.id for event in outcome.result] == ["", "1"]


def test_nothing_after_the_end_and_a_last_event_without_its_blank_line() -> None:
    with streams([piece("a"), DONE, piece("b")], [piece("a"), piece("b")[:-2]]) as server:
        assert text(asked(server.url, events_of).result) == "a"
        assert text(asked(server.url, events_of).result) == "ab"


def test_an_event_that_comes_again_is_given_once() -> None:
    twice = [b"id: 1\n" + piece("a"), b"id: 2\n" + piece("b"), b"id: 1\n" + piece("a"), piece("b"), piece("b"), DONE]
    with streams([b"".join(twice)]) as server:
        assert text(asked(server.url, events_of).result) == "abbb"  # without an id nothing says that it is the same


def test_what_the_server_does_not_say_is_estimated() -> None:
    with streams([piece("one two"), piece(" three"), DONE]) as server:
        call = asked(server.url, events_of, prices={"m": Price(1.0, 2.0)}).call
    assert (call.usage, call.estimated, call.cost) == (Usage(3, 4), True, pytest.approx(11e-6))  # of 11 and 13 characters


def test_usage_may_be_read_otherwise() -> None:
    def usage(event: Any) -> Usage | None:
        return Usage(event["n"]) if "n" in event else None

    with streams([b'data: {"n": 1}\n\ndata: {"n": 5}\n\ndata: {}\n\n']) as server:
        outcome = asked(server.url, lambda line: events_of(line, usage=usage))
    assert (outcome.call.usage, outcome.call.estimated) == (Usage(5), False)


ERROR = b'data: {"error": {"type": "overloaded_error", "message": "too busy"}}\n\n'


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        ([None], "broken-answer"),
        ([], "broken-answer"),
        ([b": only a comment\n\n"], "broken-answer"),
        ([b"data: {no json\n\n"], "broken-answer"),
        ([b"data: ", None], "broken-answer"),
        ([ERROR], "server-error"),
        ([b'event: error\ndata: {"code": 429, "message": "slowly"}\n\n'], "rate-limit"),
        ([0.5], "timeout"),
    ],
)
def test_what_breaks_before_the_first_event_is_tried_again(broken: Script, cause: str) -> None:
    with streams(broken, broken, [piece("a"), DONE]) as server:
        outcome = asked(server.url, events_of, idle=0.15)
    assert text(outcome.result) == "a"
    assert (outcome.call.attempts, outcome.call.failures, outcome.call.failed) == (3, (cause, cause), "")


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ([None], "broken-answer"),
        ([b"data: {no json\n\n"], "broken-answer"),
        ([b'data: {"cut": '], "broken-answer"),
        ([ERROR], "server-error"),
        ([b'data: {"error": {"code": "content_policy", "message": "no"}}\n\n'], "refused"),
        ([5.0], "timeout"),
    ],
)
def test_what_breaks_later_is_told_after_what_came_before(rest: Script, why: str) -> None:
    async def work(line: Line) -> Any:
        got = []
        with pytest.raises(EngineError) as caught:
            async with line.stream("/chat", {}, model="m") as (_, events):
                async for event in events:
                    got.append(event)
        return text(got), caught.value

    with streams([piece("a") + piece("b") + (rest[0] if isinstance(rest[0], bytes) else b""), *rest[-1:]]) as server:
        outcome = asked(server.url, work, idle=0.15)
    given, error = outcome.result
    assert (given, error.cause, len(server.requests)) == ("ab", why, 1)
    assert (outcome.call.failed, outcome.call.attempts, outcome.call.failures) == (why, 1, ())
    assert outcome.call.usage.output == 1 and outcome.call.estimated


def test_the_whole_time_is_limited_too() -> None:
    drip: Script = [step for n in range(50) for step in (piece(str(n)), 0.05)]
    with streams(drip) as server:
        outcome = asked(server.url, events_of, timeout=0.3, idle=5.0)
    assert cause(outcome) == "timeout" and 0.3 <= outcome.seconds < 1.5


def test_leaving_early_closes_the_connection_and_frees_the_place() -> None:
    async def work(line: Line) -> Any:
        for _ in range(3):
            async with line.stream("/chat", {}, model="m") as (_, events):
                async for event in events:
                    assert event.data
                    break
        while len(server.gone) < 3:
            await asyncio.sleep(0.005)

    with streams([piece("a"), 30.0]) as server:
        outcome = asked(server.url, work, connections=1)
    assert len(outcome.calls) == 3 and {call.failed for call in outcome.calls} == {""} and outcome.seconds < 5


def test_cancelling_frees_the_place() -> None:
    async def work(line: Line) -> Any:
        for _ in range(3):
            task = asyncio.create_task(events_of(line))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        while len(server.gone) < 3:
            await asyncio.sleep(0.005)

    with streams([piece("a"), 30.0]) as server:
        outcome = asked(server.url, work, connections=1)
    assert [call.failed for call in outcome.calls] == ["cancelled"] * 3 and outcome.seconds < 5


def test_an_error_of_the_reader_is_no_failure_of_the_server() -> None:
    async def work(line: Line) -> Any:
        with pytest.raises(ZeroDivisionError):
            async with line.stream("/chat", {}, model="m") as (_, _events):
                raise ZeroDivisionError
        return await events_of(line)

    with streams([piece("a"), DONE]) as server:
        outcome = asked(server.url, work, connections=1)
    assert [call.failed for call in outcome.calls] == ["abandoned", ""]


def test_a_stream_read_to_its_end_leaves_its_connection_to_the_next() -> None:
    async def work(line: Line) -> Any:
        return [text(await events_of(line)) for _ in range(4)]

    with streams([piece("a"), DONE, 0.01]) as server:
        assert asked(server.url, work).result == ["a"] * 4
    assert (len(server.requests), server.connections) == (4, 1)


@pytest.mark.parametrize(
    ("told", "error", "requests"),
    [
        (Told(200, {"choices": []}), "refused", 1),  # one answer where a stream was asked for
        (Told(200, {"error": {"code": "overloaded"}}), "server-error", 3),
        (Told(400, {"error": {"message": "no"}}), "refused", 1),
        (Told(503), "server-error", 3),
    ],
)
def test_what_is_no_stream(told: Told, error: str, requests: int) -> None:
    with scripted(told) as server:
        outcome = asked(server.url, events_of, retries=2)
    assert (cause(outcome), len(server.seen)) == (error, requests) and outcome.call.failed == error


def test_a_wrong_key_stops_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(Told(401)) as server:
        assert isinstance(asked(server.url, events_of).result, InputError)
        monkeypatch.delenv("ITS_KEY", raising=False)
        assert isinstance(asked(server.url, events_of, key="ITS_KEY").result, InputError)
    assert len(server.seen) == 1


# Reading it again from the start.


async def again(line: Line) -> Any:
    return await retried(line, lambda once: events_of(once))


def test_retried_reads_again_from_the_start_and_records_one_call() -> None:
    usage = b'data: {"choices": [{"delta": {"content": ""}}], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}\n\n'
    with streams([piece("ab"), None], [None], [piece("ab"), 5.0], [piece("abc"), usage, DONE]) as server:
        outcome = asked(server.url, again, idle=0.15, prices={"m": Price(1e6, 1e6)})
    assert text(outcome.result) == "abc" and len(server.requests) == 4
    call = outcome.call
    assert (call.attempts, call.failures, call.failed) == (4, ("broken-answer", "broken-answer", "timeout"), "")
    # Twice 11 characters were read by the model and 2 written before the line broke, as far as one can tell.
    assert (call.usage, call.estimated, call.cost) == (Usage(16, 4), True, 20.0)
    assert outcome.remote.spent == 20.0
    assert call.seconds < 0.15 < outcome.seconds


def test_retried_heeds_what_the_reader_finds_broken() -> None:
    runs = 0

    async def read(once: Line) -> str:
        nonlocal runs
        runs += 1
        events = await events_of(once)
        if runs < 3:
            raise EngineError("broken-answer", "the sound cannot be decoded")
        return text(events)

    with streams([piece("a"), DONE]) as server:
        outcome = asked(server.url, lambda line: retried(line, read))
    assert outcome.result == "a"
    assert (outcome.call.attempts, outcome.call.failures, outcome.call.failed) == (3, ("broken-answer",) * 2, "")


def test_retried_gives_up() -> None:
    with streams([piece("a"), None]) as server:
        outcome = asked(server.url, again, retries=2)
    assert cause(outcome) == "broken-answer" and outcome.result.hint == "3 attempts were made"
    assert (outcome.call.attempts, outcome.call.failures, outcome.call.failed) == (3, ("broken-answer",) * 2, "broken-answer")


@pytest.mark.parametrize("told", [Told(400), Told(401), Told(404), Told(429, headers={"Retry-After": "7200"})])
def test_retried_stops_where_nothing_helps(told: Told) -> None:
    with scripted(told) as server:
        outcome = asked(server.url, again)
    assert isinstance(outcome.result, EngineError | InputError) and len(server.seen) == 1
    assert outcome.call.attempts == 1 and outcome.call.failed in ("refused", "rate-limit")


def test_retried_keeps_to_pauses_and_works_for_plain_calls() -> None:
    async def work(line: Line) -> Any:
        return await retried(line, lambda once: once.post("/p", {}, model="m"))

    with scripted(Told(429, headers={"Retry-After-Ms": "150"}), Told(500), Told(body={"a": 1})) as server:
        outcome = asked(server.url, work, patience=0.9)
    assert outcome.result == {"a": 1} and server.seen[1].at - server.seen[0].at >= 0.135
    assert outcome.call.failures == ("rate-limit", "server-error") and outcome.call.waited >= 0.13


def test_retried_does_not_spend_what_is_not_there() -> None:
    async def work(line: Line) -> Any:
        return await retried(line, lambda once: events_of(once))

    with streams([piece("a"), None]) as server:
        outcome = asked(server.url, work, budget=5.0, prices={"m": Price(1e6)})
    assert isinstance(outcome.result, BudgetSpent) and len(server.requests) == 1
    assert (outcome.call.attempts, outcome.call.failures, outcome.call.failed) == (1, (), "broken-answer")


def test_retried_lets_other_errors_through() -> None:
    async def broken(once: Line) -> None:
        await events_of(once)
        raise ValueError("of the program")

    async def work(line: Line) -> None:
        with pytest.raises(ValueError, match="of the program"):
            await retried(line, broken)

    with streams([piece("a"), DONE]) as server:
        outcome = asked(server.url, work)
    assert (outcome.call.attempts, outcome.call.failed) == (1, "abandoned")


def test_the_sending_of_a_stream_is_after_connecting_and_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(seen: Seen) -> Told:
        return Told(body=piece("a") + DONE, headers={"Content-Type": "text/event-stream"}, delay=0.2)

    async def one(line: Line) -> tuple[float, float]:
        async with line.stream("/chat", {}, model="m") as (sent, events):
            (event,) = [event async for event in events]
            return sent, event.at

    async def work(line: Line) -> Any:
        return await asyncio.gather(one(line), one(line), one(line))

    with scripted(answer) as server:
        outcome = asked(server.url, work, connections=1)
    assert all(0.2 <= first - sent < 0.39 for sent, first in outcome.result)
    assert all(0 <= seen.at - sent < 0.19 for seen, (sent, _) in zip(server.seen, outcome.result, strict=True))

    connect = aiohttp.TCPConnector.connect

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(0.3)
        return await connect(*arguments, **options)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", slowly)
    with scripted(answer) as server:
        outcome = asked(server.url, one)
    assert 0.2 <= outcome.result[1] - outcome.result[0] < 0.39 and 0.2 <= outcome.call.seconds < 0.39
