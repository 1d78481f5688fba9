"""How servers are treated: as much at once as allowed, pauses when asked for, nothing left behind; bytes, forms and proxies."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import json
import random
import time
from typing import Any

import pytest

from local_server import listening, request_head
from scripted import Told, asked, scripted
from turnwise.endpoints.calls import Usage, recording
from turnwise.endpoints.endpoint import Endpoint, Price
from turnwise.endpoints.remote import Line, Remote
from turnwise.foundation.errors import EngineError, InputError

FINE = Told(body={"answer": 1})


async def post(line: Line) -> Any:
    return await line.post("/chat", {"a": "b"}, model="m")


def many(number: int) -> Any:
    async def work(line: Line) -> Any:
        return await asyncio.gather(*(post(line) for _ in range(number)))

    return work


def test_as_many_at_once_as_declared_over_as_many_connections() -> None:
    peers: set[Any] = set()
    at_once = most = 0

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        peers.add(writer.get_extra_info("peername"))
        while True:
            try:
                await request_head(reader)
            except asyncio.IncompleteReadError:
                return
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.005)
            at_once -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with listening(keep) as server:
        outcome = asked(server.url, many(60), connections=5)
    assert (most, len(peers), len(outcome.calls)) == (5, 5, 60)
    assert {call.attempts for call in outcome.calls} == {1}
    assert max(call.waited for call in outcome.calls) > 10 * 0.005  # the last waited for eleven rounds
    assert all(call.seconds < 0.05 for call in outcome.calls)


def date_in(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("status", "headers", "body", "least", "most"),
    [
        (429, {"Retry-After-Ms": "150"}, {}, 0.15, 0.8),
        (503, {"Retry-After": "0.15"}, {}, 0.15, 0.8),
        (429, {"Retry-After": "1", "Retry-After-Ms": "150"}, {}, 0.15, 0.8),
        (429, {"Retry-After": lambda: date_in(2), "Date": lambda: date_in(1)}, {}, 0.9, 1.8),
        (
            429,
            {},
            {"error": {"details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "0.15s"}]}},
            0.15,
            0.8,
        ),
    ],
)
def test_a_pause_that_is_asked_for_is_kept_by_all(
    status: int, headers: dict[str, Any], body: Any, least: float, most: float
) -> None:
    told = Told(status, body, {name: value if isinstance(value, str) else value() for name, value in headers.items()})
    with scripted(told, FINE) as server:
        outcome = asked(server.url, many(3), connections=1, patience=1.0)
    first, *others = [seen.at for seen in server.seen]
    assert len(others) == 3 and least <= min(others) - first < most
    assert sorted(call.attempts for call in outcome.calls) == [1, 1, 2]
    assert all(call.waited >= least - 0.01 for call in outcome.calls)


def test_a_pause_is_scaled_with_all_waits_and_one_of_a_day_is_a_failure() -> None:
    with scripted(Told(429, headers={"Retry-After": "100"}), FINE) as server:
        assert 0.1 <= asked(server.url, post, patience=0.001).seconds < 1
    with scripted(Told(429, headers={"Retry-After": "86400"})) as server:
        outcome = asked(server.url, post, patience=1.0)
    assert isinstance(outcome.result, EngineError) and outcome.result.cause == "rate-limit"
    assert "86400 s" in outcome.result.hint and len(server.seen) == 1


@pytest.mark.parametrize("said", ["soon", "-3", "nan", "Fri, 99 Foo", ""])
def test_a_pause_nobody_understands_is_none(said: str) -> None:
    with scripted(Told(429, headers={"Retry-After": said}), FINE) as server:
        outcome = asked(server.url, post)
    assert outcome.call.attempts == 2 and outcome.seconds < 1


def test_a_server_that_pushes_back_gets_fewer_connections_at_once() -> None:
    """It takes two at once and refuses the rest, without saying for how long."""
    at_once = refused = 0

    def answer(seen: Any) -> Told:
        nonlocal refused
        if server.at_once > 2:
            refused += 1
            return Told(429)
        return Told(body={}, delay=0.01)

    with scripted(answer) as server:
        outcome = asked(server.url, many(100), connections=16, retries=20, patience=0.02)
    assert not isinstance(outcome.result, EngineError)
    assert len(outcome.calls) == 100 and {call.failed for call in outcome.calls} == {""}
    assert 14 <= refused < 60  # sixteen connections that never slow down are refused hundreds of times
    assert at_once == 0


def test_rests_grow_and_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from turnwise.endpoints import calling

    class Highest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            assert a == 0.0
            rests.append(b)
            return b / 1000

    rests: list[float] = []
    monkeypatch.setattr(calling, "_jitter", Highest())
    with scripted(Told(500)) as server:
        asked(server.url, post, retries=8, patience=1.0)
    assert rests == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert calling.back_off(3, 0.5) == 0.5 * 2.0 / 1000


def test_requests_per_minute() -> None:
    with scripted(FINE) as server:
        outcome = asked(server.url, many(14), requests_per_minute=600)  # ten at once, and then each 0.1 s
    assert 4 * 60 / 591 <= outcome.seconds < 2
    late = server.seen[10].at - server.seen[0].at
    assert late >= 60 / 591 - 0.02


def test_tokens_per_minute_count_what_is_sent_asked_for_and_used() -> None:
    """Sixty thousand a minute: a thousand at once. Sound is no text; what was used corrects what was expected."""
    text, sound = "word " * 800, base64.b64encode(bytes(300_000)).decode()

    def work(body: Any, number: int) -> Any:
        async def of(line: Line) -> None:
            for _ in range(number):
                await line.post("/chat", body, model="m")

        return of

    with scripted(Told(body={"usage": {"prompt_tokens": 1100, "completion_tokens": 50}})) as server:
        slow = asked(server.url, work({"prompt": text}, 2), tokens_per_minute=60_000)
    assert slow.calls[1].waited > 0.1 and slow.seconds < 2
    body = {"max_tokens": 1100, "input_audio": {"data": sound}, "url": f"data:audio/wav;base64,{sound}"}
    with scripted(Told(body={"usage": {"prompt_tokens": 100, "completion_tokens": 10}})) as server:
        quick = asked(server.url, work(body, 3), tokens_per_minute=60_000)
    assert max(call.waited for call in quick.calls) < 0.5


def test_cancelled_calls_leave_nothing_behind() -> None:
    async def work(line: Line) -> None:
        with recording() as made:
            for _ in range(20):
                tasks = [
                    asyncio.create_task(line.post("/slow", {}, model="m")) for _ in range(4)
                ]  # two are on their way, two wait
                await asyncio.sleep(0.01)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert {call.failed for call in made} == {"cancelled"} and len(made) == 40  # what was not sent is no call
        await asyncio.wait_for(asyncio.gather(post(line), post(line)), 5)

    def answer(seen: Any) -> Told:
        return Told(body={}, delay=60.0 if seen.path == "/slow" else 0.0)

    with scripted(answer) as server:
        assert asked(server.url, work, connections=2).result is None


def test_cancelled_while_it_rests() -> None:
    async def work(line: Line) -> None:
        task = asyncio.create_task(post(line))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with scripted(Told(500)) as server:
        outcome = asked(server.url, work, patience=1e6, connections=1)
    assert (outcome.call.failed, outcome.call.failures) == ("cancelled", ("server-error",))


def test_a_reader_of_usage_that_fails_gives_its_turn_back() -> None:
    def usage(answer: Any) -> Usage:
        raise KeyError("tokens")

    async def work(line: Line) -> Any:
        with pytest.raises(KeyError):
            await line.post("/chat", {}, model="m", usage=usage)
        return await asyncio.wait_for(post(line), 2)

    with scripted(FINE) as server:
        outcome = asked(server.url, work, connections=1)
    assert outcome.result == {"answer": 1} and [call.failed for call in outcome.calls] == ["abandoned", ""]


def test_large_bodies_both_ways() -> None:
    body = {"data": base64.b64encode(random.Random(1).randbytes(3 << 20)).decode()}

    def answer(seen: Any) -> Told:
        return Told(500) if len(server.seen) == 1 else Told(body={"same": seen.json})

    with scripted(answer) as server:
        outcome = asked(server.url, lambda line: line.post("/p", body, model="m"))
    assert outcome.result == {"same": body} and server.seen[0].body == server.seen[1].body
    assert server.seen[1].headers["content-length"] == str(len(json.dumps(body, separators=(",", ":"))))
    assert outcome.call.usage.input == 0 and outcome.call.estimated


def test_bytes_are_fetched() -> None:
    sound = Told(body=b"RIFF....", headers={"Content-Type": "audio/wav"})
    empty = Told(body=b"", headers={"Content-Type": "audio/wav"})
    busy = Told(body={"error": {"code": "overloaded"}})
    used = Usage(characters=5)

    async def fetch(line: Line) -> Any:
        return await line.fetch("/audio/speech", {"input": "hello"}, model="m", usage=used)

    with scripted(empty, busy, Told(503), sound) as server:
        outcome = asked(server.url, fetch, prices={"m": Price(character=15.0)})
    assert outcome.result == (b"RIFF....", "audio/wav")
    assert server.seen[3].json == {"input": "hello"}
    call = outcome.call
    assert (call.usage, call.cost, call.estimated) == (used, pytest.approx(75e-6), False)
    assert call.failures == ("broken-answer", "server-error", "server-error")


def test_a_file_is_uploaded_whole_again_after_a_failure() -> None:
    data = random.Random(2).randbytes(2 << 20)

    file = ("a.wav", data, "audio/wav")

    async def upload(line: Line) -> Any:
        return await line.upload("/transcribe", {"model": "m", "language": "en"}, file, model="m", usage=Usage(seconds=30))

    used = {"type": "tokens", "input_tokens": 9, "input_token_details": {"audio_tokens": 7}, "output_tokens": 2}
    said = {"text": "hi", "usage": used}
    with scripted(Told(500), Told(body=said)) as server:
        outcome = asked(server.url, upload, prices={"m": Price(minute=0.006)})
    assert outcome.result == said
    assert (outcome.call.usage, outcome.call.cost) == (Usage(2, 2, 7, 0, 30.0), 0.003)
    for seen in server.seen:
        assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
        message = email.message_from_bytes(b"Content-Type: " + seen.headers["content-type"].encode() + b"\r\n\r\n" + seen.body)
        parts = {part.get_param("name", header="content-disposition"): part for part in message.get_payload()}
        assert parts.keys() == {"model", "language", "file"}
        assert parts["language"].get_payload() == "en"
        assert (parts["file"].get_filename(), parts["file"].get_content_type()) == ("a.wav", "audio/wav")
        assert parts["file"].get_payload(decode=True) == data


def test_the_proxy_of_the_user_but_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with scripted(FINE) as proxy, scripted(FINE) as server:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:word@"))
        asked(server.url, post)
        assert (len(proxy.seen), len(server.seen)) == (0, 1)
        asked("http://models.example/v1", post)
        assert proxy.seen[0].headers["host"] == "models.example"
        assert proxy.seen[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:word").decode()
        monkeypatch.setenv("no_proxy", "models.example")
        outcome = asked("http://models.example/v1", post, retries=0)
        assert isinstance(outcome.result, EngineError) and outcome.result.cause == "connection"
        assert len(proxy.seen) == 1


def test_nothing_is_opened_before_the_first_call_and_closing_twice_is_harmless() -> None:
    remote = Remote({"it": Endpoint("http://127.0.0.1:9")})
    assert remote.line("it") is remote.line("it")

    async def close() -> None:
        await remote.close()
        await remote.close()

    asyncio.run(close())
    with pytest.raises(InputError, match="no endpoint is called 'other'"):
        remote.line("other")


def test_a_remote_may_be_used_again_on_another_loop_once_it_is_closed() -> None:
    async def work() -> Any:
        try:
            return await post(remote.line(server.url))
        finally:
            await remote.close()

    async def left_open() -> None:
        await post(remote.line(server.url))
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, post(remote.line(server.url)))
        await remote.close()

    with scripted(FINE) as server:
        remote = Remote()
        assert asyncio.run(work()) == asyncio.run(work()) == {"answer": 1}
        asyncio.run(left_open())


def test_an_address_with_a_password_is_not_taken() -> None:
    for remote, name in ((Remote({"it": Endpoint("https://u:pw@x.example")}), "it"), (Remote(), "http://u:pw@x.example")):
        with pytest.raises(InputError, match="holds a name or a password"):
            remote.line(name)
