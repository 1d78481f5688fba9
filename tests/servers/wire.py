"""Ways for a server to answer badly, for `servers/misfortunes.py`, which names them.

Each is an act: it is given the wire, which is a request with the honest server behind it, and answers in the server's place.
Whatever it says of an error holds the key it was sent, as some servers do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

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


def of_status(status: int, code: str, **headers: Callable[[], str]) -> Act:
    """`headers` with "_" for "-", made when they are sent."""

    async def act(wire: Wire) -> web.StreamResponse:
        made = {name.replace("_", "-"): make() for name, make in headers.items()}
        return wire.told("this is not to be", code, status, **made)

    return act


async def html(wire: Wire) -> web.StreamResponse:
    page = f"<html><h1>502 Bad Gateway</h1><pre>Authorization: Bearer {wire.key}</pre></html>"
    return web.Response(text=page, status=502, content_type="text/html")


async def inside(wire: Wire) -> web.StreamResponse:
    return wire.told("the model is overloaded", "overloaded_error")


async def garbage(wire: Wire) -> web.StreamResponse:
    """Nothing that HTTP knows."""
    assert wire.request.transport is not None
    wire.request.transport.write(b"\x16\x03\x01 " + wire.key.encode() + b"\r\n\r\n")
    wire.request.transport.close()
    return await wire.never()


async def not_gzip(wire: Wire) -> web.StreamResponse:
    honest = await wire.ask()
    return await wire.begun(honest.kind, [honest.data], **{"Content-Encoding": "gzip"})


async def redirect(wire: Wire) -> web.StreamResponse:
    return wire.told("moved", "moved", 307, Location="/elsewhere")


async def latin(wire: Wire) -> web.StreamResponse:
    """An error that is neither UTF-8 nor, therefore, JSON."""
    data = json.dumps(wire.error("serveur surchargé", "server_error"), ensure_ascii=False).encode("latin-1")
    return web.Response(body=data, status=500, content_type="application/json")


async def torn(wire: Wire) -> web.StreamResponse:
    """Less than the length that was promised."""
    honest = await wire.ask()
    response = await wire.begun(honest.kind, [honest.data[: len(honest.data) // 2]], **{"Content-Length": str(len(honest.data))})
    assert wire.request.transport is not None
    wire.request.transport.close()
    return response


async def cut(wire: Wire) -> web.StreamResponse:
    """Less than a whole JSON, in a whole body."""
    honest = await wire.ask()
    return web.Response(body=honest.data[: len(honest.data) // 2], content_type="application/json")


async def bad_bytes(wire: Wire) -> web.StreamResponse:
    """JSON but for a string that is no UTF-8."""
    return web.Response(body=b'{"text": "caf\xe9"}', content_type="application/json")


async def abyss(wire: Wire) -> web.StreamResponse:
    return web.Response(body=b'{"a":' * 5_000 + b"1" + b"}" * 5_000, content_type="application/json")


async def page(wire: Wire) -> web.StreamResponse:
    return web.Response(text=f"<html>Please sign in again, {wire.key}.</html>", content_type="text/html")


async def empty(wire: Wire) -> web.StreamResponse:
    return web.Response(body=b"", content_type="audio/wav")


# ---------------------------------------------------------------- streams


async def events_of(wire: Wire) -> list[bytes]:
    return [part + b"\n\n" for part in (await wire.ask()).data.split(b"\n\n") if part]


def midway(end: Callable[[Wire], Awaitable[Any]] | None, cut: bool = False, last: Callable[[Wire], bytes] | None = None) -> Act:
    async def act(wire: Wire) -> web.StreamResponse:
        events = await events_of(wire)
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


def bad_event(wire: Wire) -> bytes:
    return b'data: {"choices": [{"delta": {"content": "caf\xe9"}}]}\n\n'


def error_event(wire: Wire) -> bytes:
    return f"event: error\ndata: {json.dumps(wire.error('the engine died', 'internal_server_error'))}\n\n".encode()


async def twice(wire: Wire) -> web.StreamResponse:
    """Each event comes again, under the same id."""
    again = [b"id: %d\n%s" % (number, event) for number, event in enumerate(await events_of(wire)) for _ in range(2)]
    return await wire.begun("text/event-stream", again)


def changed(change: Callable[[dict[str, Any], int], dict[str, Any] | None]) -> Act:
    """A stream whose events are changed one by one; `change` is given their number among those with sound, from 1, else 0."""

    async def act(wire: Wire) -> web.StreamResponse:
        sent, sounds = [], 0
        for event in await events_of(wire):
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


def of_sound(change: Callable[[bytes, int], bytes | None]) -> Act:
    """A stream whose pieces of sound are changed; None leaves them out."""

    def one(data: dict[str, Any], number: int) -> dict[str, Any] | None:
        if number:
            delta = data["choices"][0]["delta"]
            changed = change(base64.b64decode(delta["content"]), number)
            if changed is None:
                return None
            delta["content"] = base64.b64encode(changed).decode()
        return data

    return changed(one)


def not_base64(data: dict[str, Any], number: int) -> dict[str, Any]:
    if number:
        data["choices"][0]["delta"]["content"] = "~~~~"
    return data


def no_choices(data: dict[str, Any], number: int = 0) -> dict[str, Any]:
    return {"options" if key == "choices" else key: value for key, value in data.items()}


def no_words(data: dict[str, Any], number: int) -> dict[str, Any]:
    for choice in data.get("choices", ()):
        if choice["delta"].get("content"):
            choice["delta"]["content"] = 42
    return data


def with_rate(wav: bytes, rate: int) -> bytes:
    return wav[:AUDIO_RATE] + struct.pack("<I", rate) + wav[AUDIO_RATE + 4 :]


def silenced(wav: bytes) -> bytes:
    return wav[:AUDIO_DATA] + bytes(len(wav) - AUDIO_DATA)


# ---------------------------------------------------------------- one piece


def as_bytes(change: Callable[[bytes], bytes]) -> Act:
    async def act(wire: Wire) -> web.StreamResponse:
        honest = await wire.ask()
        return web.Response(body=change(honest.data), content_type=honest.kind)

    return act


def as_json(change: Callable[[Any], Any]) -> Act:
    async def act(wire: Wire) -> web.StreamResponse:
        return web.json_response(change(json.loads((await wire.ask()).data)))

    return act


async def words_for_sound(wire: Wire) -> web.StreamResponse:
    return web.json_response({"status": f"queued for {wire.key}"})


def said(change: Callable[[dict[str, Any], str], str], finish: str = "stop") -> Act:
    """A judge's answer with its JSON changed to other words."""

    async def act(wire: Wire) -> web.StreamResponse:
        whole = json.loads((await wire.ask()).data)
        (choice,) = whole["choices"]
        choice["message"]["content"] = change(json.loads(choice["message"]["content"]), wire.key)
        choice["finish_reason"] = finish
        return web.json_response(whole)

    return act


async def refusal(wire: Wire) -> web.StreamResponse:
    whole = json.loads((await wire.ask()).data)
    refusal = f"I cannot help with assessing people, {wire.key}."
    whole["choices"][0]["message"] |= {"content": None, "refusal": refusal}
    return web.json_response(whole)


def first_number(value: Any) -> Callable[[dict[str, Any], str], str]:
    """The number of the first criterion becomes another."""

    def change(given: dict[str, Any], key: str) -> str:
        first = next(iter(given.values()))
        first["severity" if "severity" in first else "score"] = value
        return json.dumps(given)

    return change


def numbers_as(form: str) -> Callable[[dict[str, Any], str], str]:
    def change(given: dict[str, Any], key: str) -> str:
        for part in given.values():
            for name in ("score", "severity"):
                if name in part:
                    part[name] = form.format(part[name])
        return f"Of course!\n```json\n{json.dumps(given)}\n```\nI hope this helps."

    return change


def other_keys(given: dict[str, Any], key: str) -> str:
    return json.dumps({f"metric_{number}": part for number, part in enumerate(given.values())})


def without_last(given: dict[str, Any], key: str) -> str:
    """The last criterion is left out; what assesses the whole stays."""
    last = [name for name in given if name != "overall_assessment"][-1]
    return json.dumps({name: part for name, part in given.items() if name != last})


# ---------------------------------------------------------------- a key in what is no error


async def telling(wire: Wire) -> web.StreamResponse:
    """Judges' reasons, transcripts and the name of the model hold the key."""
    whole = json.loads((await wire.ask()).data)
    whole["model"] = f"m {wire.key}"
    if "text" in whole:
        whole["text"] += f" {wire.key}"
        return web.json_response(whole)
    message = whole["choices"][0]["message"]
    given = json.loads(message["content"])
    for part in given.values():
        if "reason" in part:
            part["reason"] += f" {wire.key}"
    message["content"] = json.dumps(given)
    return web.json_response(whole)


async def telling_piecemeal(wire: Wire) -> web.StreamResponse:
    """The words of a stream hold the key, cut in two, and so does the name of the model."""
    sent = []
    for number, event in enumerate(await events_of(wire)):
        if number == 1:
            for piece in (f" {wire.key[:6]}", f"{wire.key[6:]} "):
                choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
                chunk = {"model": f"m {wire.key}", "choices": [choice], "modality": "text"}
                sent.append(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        sent.append(event)
    return await wire.begun("text/event-stream", sent)
