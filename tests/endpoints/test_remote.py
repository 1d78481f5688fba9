"""Calls to servers: what is sent, what is tried again, how failures are told, and what is recorded."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from local_server import listening, request_head
from scripted import Outcome, Told, asked, scripted
from turnwise.endpoints.calls import Call, Usage
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import Line
from turnwise.foundation.errors import EngineError, InputError

BODY = {"messages": [{"role": "user", "content": "héllo"}]}
FINE = Told(
    body={"answer": 1, "model": "m-2026", "system_fingerprint": "fp1", "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
)
KEY = "secret-value-of-the-key"


async def post(line: Line) -> Any:
    return await line.post("/chat", BODY, model="m")


def failed(outcome: Outcome) -> EngineError:
    assert type(outcome.result) is not InputError and isinstance(outcome.result, EngineError), outcome.result
    return outcome.result


def test_json_goes_and_comes_and_is_recorded() -> None:
    with scripted(FINE) as server:
        outcome = asked(server.url, post, prices={"m": Price(1.0, 10.0)})
    assert outcome.result == FINE.body
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.json) == ("POST", "/chat", BODY)
    assert seen.headers["content-type"] == "application/json" and "authorization" not in seen.headers
    call = outcome.call
    assert call == Call("it", "m", "/chat", call.seconds, 1, call.waited, (), Usage(7, 3), False, 37e-6, "m-2026 fp1", "")
    assert 0 < call.seconds <= outcome.seconds and 0 <= call.waited < outcome.seconds
    assert outcome.remote.spent == 37e-6


@pytest.mark.parametrize("path", ["chat", "/chat", "/models/x-1:generateContent?alt=sse"])
def test_paths_are_appended_to_the_address(path: str) -> None:
    with scripted(FINE) as server:
        asked(server.url + "/v1/", lambda line: line.post(path, {}, model="m"))
    assert server.seen[0].path == "/v1/" + path.removeprefix("/")


@pytest.mark.parametrize(
    ("dialect", "header", "value"),
    [
        ("openai", "authorization", f"Bearer {KEY}"),
        ("dashscope", "authorization", f"Bearer {KEY}"),
        ("vertex", "authorization", f"Bearer {KEY}"),
        ("gemini", "x-goog-api-key", KEY),
    ],
)
def test_the_key_is_read_when_it_is_sent(dialect: str, header: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(line: Line) -> None:
        monkeypatch.setenv("ITS_KEY", f" {KEY}\n")  # only now
        await post(line)

    with scripted(FINE) as server:
        asked(server.url, work, key="ITS_KEY", dialect=dialect)
    headers = server.seen[0].headers
    assert headers[header] == value
    assert {name for name, its in headers.items() if KEY in its} == {header}


@pytest.mark.parametrize(
    ("value", "what"), [(None, "is not set"), ("  ", "is not set"), ("a\nb", "characters"), ("klé", "characters")]
)
def test_without_a_key_nothing_is_sent(value: str | None, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ITS_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("ITS_KEY", value)
    with scripted(FINE) as server:
        outcome = asked(server.url, post, key="ITS_KEY")
    assert isinstance(outcome.result, InputError) and "ITS_KEY" in outcome.result.message and what in outcome.result.message
    assert value is None or not value.strip() or value not in str(outcome.result)
    assert (server.seen, outcome.calls) == ([], [])


@pytest.mark.parametrize(
    ("status", "cause"),
    [(408, "timeout"), (429, "rate-limit"), *((status, "server-error") for status in (409, 425, 500, 502, 503, 504, 529))],
)
def test_what_is_worth_another_attempt_gets_it(status: int, cause: str) -> None:
    with scripted(Told(status), Told(status), FINE) as server:
        outcome = asked(server.url, post)
    assert outcome.result == FINE.body and len(server.seen) == 3
    assert [seen.json for seen in server.seen] == [BODY] * 3
    assert (outcome.call.attempts, outcome.call.failures, outcome.call.failed) == (3, (cause, cause), "")
    assert outcome.call.usage == Usage(7, 3)


def test_when_nothing_helps_it_says_so_once() -> None:
    with scripted(Told(500), Told(429), Told(503, {"error": {"message": "too busy", "code": 503}})) as server:
        outcome = asked(server.url, post, retries=3, prices={"m": Price(1.0)})
    error = failed(outcome)
    assert (error.cause, error.message) == ("server-error", "endpoint it: /chat was answered with 503: too busy")
    assert error.hint == "4 attempts were made"
    assert len(server.seen) == 4
    assert outcome.call.failures == ("server-error", "rate-limit", "server-error")
    assert (outcome.call.failed, outcome.call.attempts, outcome.call.usage, outcome.call.cost) == (
        "server-error",
        4,
        Usage(),
        0.0,
    )


@pytest.mark.parametrize("status", [400, 405, 413, 422, 301, 302, 307])
def test_what_no_attempt_mends_is_refused(status: int) -> None:
    with scripted(FINE) as elsewhere, scripted(Told(status, {"error": {"message": "no"}}, {"Location": elsewhere.url})) as server:
        outcome = asked(server.url, post)
    assert failed(outcome).cause == "refused"
    assert f"answered with {status}: no" in failed(outcome).message
    assert (len(server.seen), elsewhere.seen) == (1, [])
    assert (outcome.call.failed, outcome.call.attempts, outcome.call.failures) == ("refused", 1, ())


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (Told(401), "refuses the key in ITS_KEY"),
        (Told(403), "refuses the key in ITS_KEY"),
        (Told(404), "no /chat or no model 'm'"),
        (Told(402), "no credit"),
        (Told(429, {"error": {"code": "insufficient_quota", "message": "x"}}), "no credit"),
        (
            Told(400, {"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}),
            "refuses the key in ITS_KEY",
        ),
    ],
)
def test_what_only_the_user_can_mend(told: Told, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_KEY", KEY)
    with scripted(told) as server:
        outcome = asked(server.url, post, key="ITS_KEY")
    assert isinstance(outcome.result, InputError) and what in outcome.result.message
    assert len(server.seen) == 1 and outcome.call.failed == "refused"


def test_no_key_and_not_more_than_a_few_words_of_the_server_in_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS", KEY)  # not a name by which a secret is known
    monkeypatch.setenv("OTHER_TOKEN", "another-secret")
    words = f"another-secret {'x' * 260} wrong: {KEY} {'y' * 5000}"
    for told in (Told(401, {"error": {"message": words}}), Told(400, words.encode()), Told(200, {"error": {"message": words}})):
        with scripted(told) as server:
            outcome = asked(server.url, post, key="ITS")
        for text in (str(outcome.result), repr(outcome.result)):
            assert KEY not in text and "another-secret" not in text and "x" * 260 in text
            assert len(text) < 600
            assert "héllo" not in text
    assert KEY[:6] not in str(outcome.result)  # nor the beginning of it, at the cut


@pytest.mark.parametrize(
    ("error", "cause", "attempts"),
    [
        ({"code": 429, "message": "slow down"}, "rate-limit", 3),
        ({"type": "rate_limit_error"}, "rate-limit", 3),
        ({"status": "RESOURCE_EXHAUSTED"}, "rate-limit", 3),
        ({"type": "server_error"}, "server-error", 3),
        ({"code": "overloaded_error"}, "server-error", 3),
        ({"code": 503, "status": "UNAVAILABLE"}, "server-error", 3),
        ("the engine is overloaded", "server-error", 3),
        ({"type": "invalid_request_error", "code": "context_length_exceeded"}, "context-length", 1),
        ("no", "refused", 1),
    ],
)
def test_an_error_in_an_answer_with_200_is_a_failed_attempt(error: Any, cause: str, attempts: int) -> None:
    with scripted(Told(200, {"error": error})) as server:
        outcome = asked(server.url, post, retries=2)
    assert (failed(outcome).cause, len(server.seen)) == (cause, attempts)


def test_an_error_field_without_an_error_is_none() -> None:
    with scripted(Told(200, {"error": None, "answer": 1})) as server:
        assert asked(server.url, post).result == {"error": None, "answer": 1}


PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body><p>It works &amp; runs.</p></body></html>"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("told", "said", "hint"),
    [
        (Told(204, b""), "/chat was answered with 204 and no content, expected JSON", ""),
        (
            Told(200, PAGE, {"Content-Type": "text/html"}),
            "with 200 and text/html, expected JSON: Welcome: It works & runs.",
            "/v1",
        ),
        (Told(404, PAGE, {"Content-Type": "text/html"}), "no /chat or no model 'm' (404: Welcome: It works & runs.)", ""),
        (Told(502, PAGE, {"Content-Type": "text/html"}), "/chat was answered with 502: Welcome: It works & runs.", ""),
        (Told(503, b"", {"Content-Type": "text/html"}), "/chat was answered with 503 and no content (text/html)", ""),
    ],
)
def test_what_is_no_answer_of_an_interface_is_told_in_words(told: Told, said: str, hint: str, stream: bool) -> None:
    async def work(line: Line) -> Any:
        if not stream:
            return await post(line)
        async with line.stream("/chat", BODY, model="m") as (_, events):
            return [event async for event in events]

    with scripted(told) as server:
        outcome = asked(server.url, work, retries=1)
    assert isinstance(outcome.result, EngineError | InputError)
    assert said in outcome.result.message and "<" not in outcome.result.message
    assert hint in outcome.result.hint
    assert len(server.seen) == (1 if told.status == 404 else 2)


@pytest.mark.parametrize(("told", "said"), [(Told(204, b""), "204 and no content"), (Told(200, b""), "200 and no content")])
def test_sound_that_does_not_come(told: Told, said: str) -> None:
    with scripted(told) as server:
        outcome = asked(server.url, lambda line: line.fetch("/speech", {}, model="m", usage=Usage()), retries=0)
    assert (failed(outcome).cause, said in failed(outcome).message) == ("broken-answer", True)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "broken-answer"),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a"', "broken-answer"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n{"a": ', "broken-answer"),  # complete, and no JSON
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "broken-answer"),
        (b"HTTP/1.1 2", "connection"),
        (b"", "connection"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "broken-answer"),
    ],
)
def test_broken_answers_are_asked_for_again(answer: bytes, cause: str) -> None:
    requests = 0

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await request_head(reader)
        requests += 1
        writer.write(answer if requests < 3 else b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"a": "b"}')
        await writer.drain()

    with listening(broken) as server:
        outcome = asked(server.url, post)
        assert outcome.result == {"a": "b"}
        assert outcome.call.failures == (cause, cause)
        requests = -10
        assert failed(asked(server.url, post, retries=1)).cause == cause


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_resets_are_asked_for_again(begun: bytes) -> None:
    requests = 0

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await request_head(reader)
        requests += 1
        if requests < 3:
            writer.write(begun)
            await writer.drain()
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
            writer.transport.abort()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with listening(reset) as server:
        outcome = asked(server.url, post)
    assert outcome.result == {} and set(outcome.call.failures) <= {"connection", "broken-answer"} and requests == 3


def test_a_server_that_is_not_there_yet() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = asked(f"http://127.0.0.1:{port}", post, retries=2)
    assert failed(outcome).cause == "connection" and outcome.call.failures == ("connection", "connection")


@pytest.mark.parametrize("limits", [{"timeout": 0.1, "idle": 5.0}, {"timeout": 5.0, "idle": 0.1}])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_stalls_and_time_outs_are_asked_for_again(limits: dict[str, float], begun: bytes) -> None:
    requests = 0

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await request_head(reader)
        requests += 1
        writer.write(begun)
        await asyncio.sleep(60 if requests == 1 else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with listening(stall) as server:
        outcome = asked(server.url, post, retries=1, **limits)
        assert outcome.call.failures == ("timeout",)
        assert 0.1 < outcome.seconds < 3
    assert outcome.result == {} if not begun else True
