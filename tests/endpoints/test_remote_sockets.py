"""WebSockets: under the same limits, with the same key, told as one call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web

from local_server import served
from scripted import Outcome, Told, asked, scripted
from turnwise.endpoints.calls import Usage
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import Line
from turnwise.foundation.errors import EngineError, InputError

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


class Sockets:
    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []
        self.at_once = 0
        self.most_at_once = 0
        self.closed: list[int | None] = []


@contextmanager
def sockets(talk: Talk, *, refusals: tuple[int, ...] = ()) -> Iterator[Sockets]:
    told = Sockets()

    async def meet(request: web.Request) -> web.StreamResponse:
        told.requests.append(request)
        if len(told.requests) <= len(refusals):
            return web.Response(status=refusals[len(told.requests) - 1])
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        told.at_once += 1
        told.most_at_once = max(told.most_at_once, told.at_once)
        try:
            await talk(socket)
        finally:
            told.at_once -= 1
            told.closed.append(socket.close_code)
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", meet)
    with served(app) as server:
        told.url = server.url + "/v1"
        yield told


async def echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        await socket.send_str(message.data)


async def silence(socket: web.WebSocketResponse) -> None:
    await socket.receive()


async def hear_one(line: Line) -> Any:
    async with line.socket("/realtime", model="m") as socket:
        return (await socket.receive()).data


def cause(outcome: Outcome) -> str:
    assert isinstance(outcome.result, EngineError), outcome.result
    return outcome.result.cause


@pytest.mark.parametrize(
    ("dialect", "header", "value"), [("openai", "Authorization", "Bearer abc"), ("gemini", "x-goog-api-key", "abc")]
)
def test_messages_go_and_come(dialect: str, header: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_KEY", "abc")

    async def work(line: Line) -> Any:
        async with line.socket("/realtime", model="m", query={"model": "m 1"}) as socket:
            await socket.send({"type": "hello", "text": "é"})
            first = await socket.receive()
            await socket.send({"type": "session", "session": {"model": "m-2026"}})
            await socket.receive()
            socket.used(Usage(input=10, audio_input=5))
            socket.used(Usage(output=7))
            return first

    with sockets(echo) as server:
        outcome = asked(server.url, work, key="ITS_KEY", dialect=dialect, prices={"m": Price(1e6, 1e6, audio_input=2e6)})
    assert outcome.result.data == {"type": "hello", "text": "é"}
    (request,) = server.requests
    assert request.headers[header] == value and request.query == {"model": "m 1"}
    call = outcome.call
    assert (call.endpoint, call.model, call.path) == ("it", "m", "/realtime")
    assert (call.usage, call.cost, call.estimated) == (Usage(10, 7, 5), 27.0, False)
    assert (call.answered_by, call.attempts, call.failed) == ("m-2026", 1, "")
    assert server.closed == [1000]


def test_binary_messages_are_json_too_and_usage_is_estimated() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        await socket.send_bytes(json.dumps({"delta": "four", "audio": "x" * 9000}).encode())
        await socket.receive()

    async def work(line: Line) -> Any:
        async with line.socket("/realtime", model="m") as socket:
            await socket.send({"audio": "A" * 9000, "text": "12345678"})
            return (await socket.receive()).data["delta"]

    with sockets(talk) as server:
        outcome = asked(server.url, work)
    assert outcome.result == "four" and (outcome.call.usage, outcome.call.estimated) == (Usage(2, 1), True)


def test_one_message_may_be_large() -> None:
    large = "sound" * 4_000_000  # 20 MB; aiohttp's own limit is 4 MiB

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"audio": large})
        await socket.receive()

    with sockets(talk) as server:
        assert asked(server.url, hear_one).result == {"audio": large}


@pytest.mark.parametrize("refusals", [(503, 429), (500, 502)])
def test_opening_is_tried_again(refusals: tuple[int, ...]) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"a": 1})

    with sockets(talk, refusals=refusals) as server:
        outcome = asked(server.url, hear_one)
    assert outcome.result == {"a": 1} and outcome.call.attempts == 3 and len(outcome.call.failures) == 2


def test_refusals_and_wrong_keys() -> None:
    with sockets(echo, refusals=(400,)) as server:
        outcome = asked(server.url, hear_one)
        assert cause(outcome) == "refused" and outcome.call.failed == "refused"
    with sockets(echo, refusals=(401,)) as server:
        assert isinstance(asked(server.url, hear_one).result, InputError)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_with_the_key(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_KEY", "abc-the-key")
    with scripted(Told()) as elsewhere, scripted(Told(status, headers={"Location": elsewhere.url})) as server:
        outcome = asked(server.url, hear_one, key="ITS_KEY", dialect="gemini")
    assert cause(outcome) == "refused" and "redirect" in outcome.result.message
    assert (len(server.seen), elsewhere.seen) == (1, [])


async def leave(socket: web.WebSocketResponse) -> None:
    await socket.close(code=1011, message=b"keepalive failed")


async def drop(socket: web.WebSocketResponse) -> None:
    assert socket._req is not None and socket._req.transport is not None
    socket._req.transport.abort()


async def babble(socket: web.WebSocketResponse) -> None:
    await socket.send_str("{no json")
    await socket.receive()


@pytest.mark.parametrize(
    ("talk", "why"), [(leave, "connection"), (drop, "connection"), (babble, "broken-answer"), (silence, "timeout")]
)
def test_what_breaks_while_it_is_open(talk: Talk, why: str) -> None:
    with sockets(talk) as server:
        outcome = asked(server.url, hear_one, idle=0.15)
    assert (cause(outcome), outcome.call.failed, len(server.requests)) == (why, why, 1)
    if talk is leave:
        assert outcome.result.message == "endpoint it: /realtime was closed by the server (code 1011: keepalive failed)"


def test_sending_on_a_closed_line() -> None:
    async def work(line: Line) -> Any:
        async with line.socket("/realtime", model="m") as socket:
            with pytest.raises(EngineError) as first:
                await socket.receive()
            with pytest.raises(EngineError) as second:
                await socket.send({"a": 1})
            with pytest.raises(EngineError) as third:
                await socket.receive()
            return [caught.value.cause for caught in (first, second, third)]

    with sockets(leave) as server:
        assert asked(server.url, work).result == ["connection"] * 3


def test_sockets_count_among_the_connections_and_leave_their_place() -> None:
    async def one(line: Line) -> Any:
        async with line.socket("/realtime", model="m") as socket:
            await socket.send({"a": 1})
            await asyncio.sleep(0.01)
            return (await socket.receive()).data

    async def work(line: Line) -> Any:
        task = asyncio.create_task(hear_one(line))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await asyncio.gather(*(one(line) for _ in range(6)))

    with sockets(echo) as server:
        outcome = asked(server.url, work, connections=2)
    assert outcome.result == [{"a": 1}] * 6 and server.most_at_once == 2
    assert [call.failed for call in outcome.calls] == ["cancelled", *[""] * 6]


def test_a_server_that_never_opens_and_one_that_never_says_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    from turnwise.endpoints import streaming

    monkeypatch.setattr(streaming, "_PARTING", 0.1)

    async def rude(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"a": 1})
        await asyncio.sleep(60)

    with sockets(rude) as server:
        outcome = asked(server.url, hear_one)
        assert outcome.result == {"a": 1} and outcome.seconds < 3

    async def asleep(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    app = web.Application()
    app.router.add_get("/realtime", asleep)
    with served(app) as sleeping:
        outcome = asked(sleeping.url, hear_one, timeout=0.15, retries=1)
    assert cause(outcome) == "timeout" and outcome.call.attempts == 2


def test_a_line_that_does_not_answer_its_heartbeat_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    from turnwise.endpoints import remote

    monkeypatch.setattr(remote, "_HEARTBEAT", 0.1)

    async def deaf(socket: web.WebSocketResponse) -> None:
        await asyncio.sleep(60)

    with sockets(deaf) as server:
        outcome = asked(server.url, hear_one, idle=5.0)
    assert cause(outcome) in ("timeout", "connection") and outcome.seconds < 3
