"""What can befall a request to a server, each under a name; for `servers/chaos.py`, which draws whom it befalls.

A misfortune is given the wire (the request, and the honest server behind it) and answers in its place. `attempt` is the cause
under which the caller should account for the attempt; "" where the attempt succeeds as far as the line can see. `fault` is the
cause that the work should fail with when the misfortune never ends; "" where it is that of the attempt. Whatever a server says of
an error holds the key it was sent, as some servers do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Literal

from aiohttp import web

JUDGE, ALOUD, MUTE, WORDS, SPEECH, HEARING = "judge", "aloud", "mute", "words", "speech", "hearing"
STREAMS = frozenset((ALOUD, MUTE, WORDS))
WHOLE = frozenset((JUDGE, HEARING))  # answered with one piece of JSON
EVERY = STREAMS | WHOLE | {SPEECH}
AUDIO_RATE = 24  # byte of a WAV where its rate stands
AUDIO_DATA = 44  # byte of a WAV where its samples begin


@dataclass(frozen=True)
class Honest:
    """What the server behind would have answered."""

    status: int
    kind: str
    data: bytes


@dataclass(frozen=True)
class Wire:
    """One request on its way."""

    request: web.Request
    sort: str
    key: str  # as it was sent
    ask: Callable[[], Awaitable[Honest]]

    def error(self, why: str, code: str) -> dict[str, Any]:
        return {"error": {"message": f"{why} (request with {self.key})", "type": code, "code": code, "param": None}}

    def told(self, why: str, code: str, status: int = 200, **headers: str) -> web.Response:
        return web.json_response(self.error(why, code), status=status, headers={"X-Seen": self.key, **headers})

    async def never(self) -> web.StreamResponse:
        """Until the caller has had enough: this handler is cancelled then."""
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits for an hour")

    async def reset(self) -> web.StreamResponse:
        """The connection is gone at once, with a packet that says so."""
        assert self.request.transport is not None
        line = self.request.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.transport.abort()
        return await self.never()

    async def begun(self, kind: str, pieces: list[bytes], **headers: str) -> web.StreamResponse:
        """An answer with so much of it sent."""
        response = web.StreamResponse(headers={"Content-Type": kind, **headers})
        await response.prepare(self.request)
        for piece in pieces:
            await response.write(piece)
        return response


Act = Callable[[Wire], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Misfortune:
    """One of them."""

    name: str
    act: Act
    sorts: frozenset[str]  # of requests that it can befall
    attempt: str = ""
    fault: str = ""
    strikes: Literal["all", "first", "last"] = "all"  # criteria of a judge
    weight: int = 8  # how often it is drawn, against the others
    again: bool = True  # whether it is worth another attempt

    @property
    def cause(self) -> str:
        """Of the fault that it leads to if it never ends."""
        return self.fault or self.attempt


def _status(status: int, why: str, code: str, **headers: Callable[[], str]) -> Act:
    async def act(wire: Wire) -> web.StreamResponse:
        made = {name.replace("_", "-"): make() for name, make in headers.items()}
        return wire.told(why, code, status, **made)

    return act


async def _html(wire: Wire) -> web.StreamResponse:
    page = f"<html><h1>502 Bad Gateway</h1><pre>Authorization: Bearer {wire.key}</pre></html>"
    return web.Response(text=page, status=502, content_type="text/html")


async def _inside(wire: Wire) -> web.StreamResponse:
    return wire.told("the model is overloaded", "overloaded_error")


async def _reset(wire: Wire) -> web.StreamResponse:
    return await wire.reset()


async def _stall(wire: Wire) -> web.StreamResponse:
    return await wire.never()


async def _garbage(wire: Wire) -> web.StreamResponse:
    """Nothing that HTTP knows."""
    assert wire.request.transport is not None
    wire.request.transport.write(b"\x16\x03\x01 " + wire.key.encode() + b"\r\n\r\n")
    wire.request.transport.close()
    return await wire.never()


async def _not_gzip(wire: Wire) -> web.StreamResponse:
    honest = await wire.ask()
    return await wire.begun(honest.kind, [honest.data], **{"Content-Encoding": "gzip"})


async def _redirect(wire: Wire) -> web.StreamResponse:
    return wire.told("moved", "moved", 307, Location=str(wire.request.url.with_path("/elsewhere")))


async def _latin(wire: Wire) -> web.StreamResponse:
    """An error that is neither UTF-8 nor, therefore, JSON."""
    data = json.dumps(wire.error("serveur surchargé", "server_error"), ensure_ascii=False).encode("latin-1")
    return web.Response(body=data, status=500, content_type="application/json")


async def _torn(wire: Wire) -> web.StreamResponse:
    """Less than the length that was promised."""
    honest = await wire.ask()
    response = await wire.begun(honest.kind, [honest.data[: len(honest.data) // 2]], **{"Content-Length": str(len(honest.data))})
    assert wire.request.transport is not None
    wire.request.transport.close()
    return response


async def _cut(wire: Wire) -> web.StreamResponse:
    """Less than a whole JSON, in a whole body."""
    honest = await wire.ask()
    return web.Response(body=honest.data[: len(honest.data) // 2], content_type="application/json")


async def _bad_bytes(wire: Wire) -> web.StreamResponse:
    """JSON but for a string that is no UTF-8."""
    return web.Response(body=b'{"text": "caf\xe9"}', content_type="application/json")


async def _abyss(wire: Wire) -> web.StreamResponse:
    return web.Response(body=b'{"a":' * 5_000 + b"1" + b"}" * 5_000, content_type="application/json")


async def _page(wire: Wire) -> web.StreamResponse:
    return web.Response(text=f"<html>Please sign in again, {wire.key}.</html>", content_type="text/html")


async def _empty(wire: Wire) -> web.StreamResponse:
    return web.Response(body=b"", content_type="audio/wav")


# ---------------------------------------------------------------- streams


async def _events(wire: Wire) -> list[bytes]:
    return [part + b"\n\n" for part in (await wire.ask()).data.split(b"\n\n") if part]


def _midway(end: Callable[[Wire], Awaitable[Any]] | None, cut: bool = False, last: Callable[[Wire], bytes] | None = None) -> Act:
    async def act(wire: Wire) -> web.StreamResponse:
        events = await _events(wire)
        half = max(1, (len(events) - 1) // 2)
        sent = events[:half]
        if cut:
            sent.append(events[half][: len(events[half]) // 2])
        if last is not None:
            sent.append(last(wire))
        response = await wire.begun("text/event-stream", sent)
        if end is not None:
            await asyncio.sleep(0.01)  # what was sent is read before the end comes
            await end(wire)
        return response

    return act


def _bad_event(wire: Wire) -> bytes:
    return b'data: {"choices": [{"delta": {"content": "caf\xe9"}}]}\n\n'


def _error_event(wire: Wire) -> bytes:
    return f"event: error\ndata: {json.dumps(wire.error('the engine died', 'internal_server_error'))}\n\n".encode()


async def _twice(wire: Wire) -> web.StreamResponse:
    """Each event comes again, under the same id."""
    again = [b"id: %d\n%s" % (number, event) for number, event in enumerate(await _events(wire)) for _ in range(2)]
    return await wire.begun("text/event-stream", again)


def _changed(change: Callable[[dict[str, Any], int], dict[str, Any] | None]) -> Act:
    """A stream whose events are changed one by one; `change` is given their number among those with sound, from 1, else 0."""

    async def act(wire: Wire) -> web.StreamResponse:
        sent, sounds = [], 0
        for event in await _events(wire):
            text = event.removeprefix(b"data: ").strip()
            if text == b"[DONE]":
                sent.append(event)
                continue
            data = json.loads(text)
            aloud = data.get("modality") == "audio" and bool(data["choices"] and data["choices"][0]["delta"].get("content"))
            sounds += aloud
            changed = change(data, sounds if aloud else 0)
            if changed is not None:
                sent.append(b"data: " + json.dumps(changed).encode() + b"\n\n")
        return await wire.begun("text/event-stream", sent)

    return act


def _of_sound(change: Callable[[bytes, int], bytes | None]) -> Act:
    """A stream whose pieces of sound are changed; None leaves them out."""

    def one(data: dict[str, Any], number: int) -> dict[str, Any] | None:
        if number:
            delta = data["choices"][0]["delta"]
            changed = change(base64.b64decode(delta["content"]), number)
            if changed is None:
                return None
            delta["content"] = base64.b64encode(changed).decode()
        return data

    return _changed(one)


def _not_base64(data: dict[str, Any], number: int) -> dict[str, Any]:
    if number:
        data["choices"][0]["delta"]["content"] = "~~~~"
    return data


def _no_choices(data: dict[str, Any], number: int) -> dict[str, Any]:
    return {"options" if key == "choices" else key: value for key, value in data.items()}


def _no_words(data: dict[str, Any], number: int) -> dict[str, Any]:
    for choice in data.get("choices", ()):
        if choice["delta"].get("content"):
            choice["delta"]["content"] = 42
    return data


def with_rate(wav: bytes, rate: int) -> bytes:
    return wav[:AUDIO_RATE] + struct.pack("<I", rate) + wav[AUDIO_RATE + 4 :]


def silenced(wav: bytes) -> bytes:
    return wav[:AUDIO_DATA] + bytes(len(wav) - AUDIO_DATA)


# ---------------------------------------------------------------- one piece


def _as_bytes(change: Callable[[bytes], bytes]) -> Act:
    async def act(wire: Wire) -> web.StreamResponse:
        honest = await wire.ask()
        return web.Response(body=change(honest.data), content_type=honest.kind)

    return act


def _as_json(change: Callable[[Any], Any]) -> Act:
    async def act(wire: Wire) -> web.StreamResponse:
        return web.json_response(change(json.loads((await wire.ask()).data)))

    return act


async def _words_for_sound(wire: Wire) -> web.StreamResponse:
    return web.json_response({"status": f"queued for {wire.key}"})


def _said(change: Callable[[dict[str, Any], str], str], finish: str = "stop") -> Act:
    """A judge's answer with its JSON changed to other words."""

    async def act(wire: Wire) -> web.StreamResponse:
        whole = json.loads((await wire.ask()).data)
        (choice,) = whole["choices"]
        choice["message"]["content"] = change(json.loads(choice["message"]["content"]), wire.key)
        choice["finish_reason"] = finish
        return web.json_response(whole)

    return act


async def _refusal(wire: Wire) -> web.StreamResponse:
    whole = json.loads((await wire.ask()).data)
    refusal = f"I cannot help with assessing people, {wire.key}."
    whole["choices"][0]["message"] |= {"content": None, "refusal": refusal}
    return web.json_response(whole)


def _first_number(value: Any) -> Callable[[dict[str, Any], str], str]:
    """The number of the first criterion becomes another."""

    def change(given: dict[str, Any], key: str) -> str:
        first = next(iter(given.values()))
        first["severity" if "severity" in first else "score"] = value
        return json.dumps(given)

    return change


def _numbers_as(form: str) -> Callable[[dict[str, Any], str], str]:
    def change(given: dict[str, Any], key: str) -> str:
        for part in given.values():
            for name in ("score", "severity"):
                if name in part:
                    part[name] = form.format(part[name])
        return f"Of course!\n```json\n{json.dumps(given)}\n```\nI hope this helps."

    return change


def _other_keys(given: dict[str, Any], key: str) -> str:
    return json.dumps({f"metric_{number}": part for number, part in enumerate(given.values())})


def _without_last(given: dict[str, Any], key: str) -> str:
    """The last criterion is left out; what assesses the whole stays."""
    last = [name for name in given if name != "overall_assessment"][-1]
    return json.dumps({name: part for name, part in given.items() if name != last})


# What an attempt can mend.
PASSING = (
    Misfortune("429", _status(429, "slow down", "rate_limit_exceeded"), EVERY, "rate-limit", weight=3),
    Misfortune("429 seconds", _status(429, "slow down", "rate_limit", Retry_After=lambda: "0.5"), EVERY, "rate-limit", weight=4),
    Misfortune("429 ms", _status(429, "slow down", "rate_limit", retry_after_ms=lambda: "400"), EVERY, "rate-limit", weight=4),
    Misfortune(
        "429 date",
        _status(429, "slow down", "rate_limit", Retry_After=lambda: formatdate(time.time() + 1, usegmt=True)),
        EVERY,
        "rate-limit",
        weight=4,
    ),
    Misfortune("500", _status(500, "it broke", "server_error"), EVERY, "server-error"),
    Misfortune("503", _status(503, "too busy", "unavailable"), EVERY, "server-error", weight=2),
    Misfortune("503 later", _status(503, "too busy", "unavailable", Retry_After=lambda: "1"), EVERY, "server-error", weight=3),
    Misfortune("502 page", _html, EVERY, "server-error"),
    Misfortune("500 in Latin", _latin, EVERY, "server-error"),
    Misfortune("garbage", _garbage, EVERY, "broken-answer"),
    Misfortune("not gzip", _not_gzip, EVERY, "broken-answer"),
    Misfortune("error inside", _inside, EVERY, "server-error"),
    Misfortune("reset", _reset, EVERY, "connection"),
    Misfortune("stall", _stall, EVERY, "timeout", weight=1),
    Misfortune("torn", _torn, WHOLE | {SPEECH}, "broken-answer"),
    Misfortune("cut JSON", _cut, WHOLE, "broken-answer"),
    Misfortune("page", _page, WHOLE, "broken-answer"),
    Misfortune("bad bytes", _bad_bytes, WHOLE, "broken-answer"),
    Misfortune("abyss", _abyss, WHOLE, "broken-answer"),
    Misfortune("empty", _empty, frozenset((SPEECH,)), "broken-answer"),
    Misfortune("ends early", _midway(None), STREAMS, "broken-answer"),
    Misfortune("cut event", _midway(None, cut=True), STREAMS, "broken-answer"),
    Misfortune("bad event", _midway(None, last=_bad_event), STREAMS, "broken-answer"),
    Misfortune("reset midway", _midway(Wire.reset), STREAMS, "broken-answer"),
    Misfortune("stall midway", _midway(Wire.never), STREAMS, "timeout", weight=1),
    Misfortune("error event", _midway(None, last=_error_event), STREAMS, "server-error"),
)

# What nothing mends while it lasts, beside the above without end.
LASTING = (
    Misfortune("400", _status(400, "the context is too long", "invalid_request_error"), EVERY, "refused", again=False),
    Misfortune("redirect", _redirect, EVERY, "refused", again=False),
    Misfortune("prose", _said(lambda _, key: f"It is fine, I would say, {key}. Eighty or so."), frozenset((JUDGE,)), "", "parse"),
    Misfortune("refusal", _refusal, frozenset((JUDGE,)), "", "refused"),
    Misfortune("out of range", _said(_first_number(180)), frozenset((JUDGE,)), "", "out-of-range", "first"),
    Misfortune("below range", _said(_first_number(-5)), frozenset((JUDGE,)), "", "out-of-range", "first"),
    Misfortune("words for a number", _said(_first_number("very good")), frozenset((JUDGE,)), "", "parse", "first"),
    Misfortune("not a number", _said(_first_number(float("nan"))), frozenset((JUDGE,)), "", "parse", "first"),
    Misfortune("wrong keys", _said(_other_keys), frozenset((JUDGE,)), "", "parse"),
    Misfortune("key missing", _said(_without_last), frozenset((JUDGE,)), "", "parse", "last"),
    Misfortune("no choices", _as_json(lambda data: _no_choices(data, 0)), frozenset((JUDGE,)), "", "broken-answer"),
    Misfortune("nothing", _said(lambda _, key: ""), frozenset((JUDGE,)), "", "parse"),
    Misfortune(
        "cut at the limit", _said(lambda given, _: json.dumps(given)[:20], "length"), frozenset((JUDGE,)), "", "truncated"
    ),
    Misfortune("no choices", _changed(_no_choices), STREAMS, "broken-answer", "broken-answer"),
    Misfortune("no words", _changed(_no_words), frozenset((WORDS,)), "broken-answer", "broken-answer"),
    Misfortune("no sound", _of_sound(lambda wav, n: None), frozenset((ALOUD,)), "", "empty-audio"),
    Misfortune("silent sound", _of_sound(lambda wav, n: silenced(wav)), frozenset((ALOUD,)), "", "empty-audio"),
    Misfortune("no rate", _of_sound(lambda wav, n: with_rate(wav, 0)), frozenset((ALOUD,)), "", "broken-audio"),
    Misfortune(
        "two rates", _of_sound(lambda wav, n: with_rate(wav, 16000) if n == 2 else wav), frozenset((ALOUD,)), "", "broken-audio"
    ),
    Misfortune("not base64", _changed(_not_base64), frozenset((ALOUD,)), "", "broken-audio"),
    Misfortune("silent sound", _as_bytes(silenced), frozenset((SPEECH,)), "", "empty-audio"),
    Misfortune("odd rate", _as_bytes(lambda wav: with_rate(wav, 4_000_000)), frozenset((SPEECH,)), "", "broken-audio"),
    Misfortune("cut sound", _as_bytes(lambda wav: wav[: len(wav) // 2]), frozenset((SPEECH,)), "", "broken-audio"),
    Misfortune("words for sound", _words_for_sound, frozenset((SPEECH,)), "", "broken-answer"),
    Misfortune("wrong keys", _as_json(lambda data: {"transcript": data["text"]}), frozenset((HEARING,)), "", "broken-answer"),
    Misfortune("a number", _as_json(lambda data: {"text": 42}), frozenset((HEARING,)), "", "broken-answer"),
)

# What should do no harm at all.
HARMLESS = (
    Misfortune("twice", _twice, STREAMS),
    Misfortune("numbers as strings", _said(_numbers_as("{}")), frozenset((JUDGE,))),
    Misfortune("numbers as shares", _said(_numbers_as("{}/100")), frozenset((JUDGE,))),
)
