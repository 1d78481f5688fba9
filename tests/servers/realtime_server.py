"""A Realtime server for tests: as OpenAI's protocol has it, as far as the agent uses it, and wrong in any way a test asks for.

    server = RealtimeServer(words=("Hello", " there."), sound=tone)
    with served(server.app()) as place: ...
    server.sessions[0].events  # what arrived, with time.perf_counter() of its arrival

Tests change what is sent with `change` (a function on the list of the answer's events), `family` (names of the events) and the
flags below. What a real server would refuse is refused here: unknown events, half samples, a commit of less than 100 ms, items
with parts that their role does not have.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

Event = dict[str, Any]
PARTS = {"user": {"input_text", "input_audio"}, "assistant": {"output_text"}, "system": {"input_text"}}
OLDER = {  # names before the protocol became generally available
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}


@dataclass
class Session:
    """What one socket brought."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    events: list[tuple[float, Event]] = field(default_factory=list)
    settings: Event = field(default_factory=dict)
    items: list[Event] = field(default_factory=list)
    answered: float = 0.0  # when the first sound was sent
    closed: bool = False

    def of(self, kind: str) -> list[Event]:
        return [event for _, event in self.events if event["type"] == kind]

    def times(self, kind: str) -> list[float]:
        return [at for at, event in self.events if event["type"] == kind]

    def heard(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        """The user's turn as it was appended."""
        return np.frombuffer(b"".join(base64.b64decode(e["audio"]) for e in self.of("input_audio_buffer.append")), dtype="<i2")


@dataclass
class RealtimeServer:
    """How it behaves; `sessions` is what happened."""

    words: tuple[str, ...] = ("Hello", " there.")
    sound: np.ndarray[Any, np.dtype[np.int16]] = field(default_factory=lambda: np.arange(0, 2400, dtype=np.int16))
    family: str = "ga"  # "older" or "vllm": vLLM-Omni's streaming form
    status: str = "completed"
    details: Event | None = None
    usage: Event | None = None
    delay: float = 0.0  # seconds before the answer's first event
    confirms: bool = True
    refuses: tuple[int, Mapping[str, str]] | None = None  # status and headers in place of a handshake
    error_on: dict[str, Event] = field(default_factory=dict)  # kind of event that is answered with this error
    closes_on: str = ""  # kind of event after which the line is cut
    silent_on: str = ""  # kind of event after which nothing is said any more
    early: bool = False  # answers when the first sound arrives
    times: int = 1 << 30  # sessions that misbehave by refuses, error_on and closes_on; later ones are well
    change: Callable[[list[Event]], list[Event]] = lambda events: events
    sessions: list[Session] = field(default_factory=list)
    attempts: int = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._handle)
        return app

    def answer(self) -> list[Event]:
        """The answer's events of a well-behaved server."""
        place = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
        pcm = self.sound.astype("<i2").tobytes()
        pieces = [base64.b64encode(pcm[at : at + 960]).decode() for at in range(0, len(pcm), 960)]
        words = "".join(self.words)
        content = [{"type": "output_audio", "transcript": words}]
        output = [{"id": "item_1", "type": "message", "role": "assistant", "content": content}] if words or pieces else []
        response = {"id": "resp_1", "status": self.status, "status_details": self.details, "output": output, "usage": self.usage}
        begun = {"id": "item_1", "type": "message", "role": "assistant", "content": []}
        events: list[Event] = [
            {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "response_id": "resp_1", "output_index": 0, "item": begun},
            *({"type": "response.output_audio_transcript.delta", **place, "delta": piece} for piece in self.words),
            *({"type": "response.output_audio.delta", **place, "delta": piece} for piece in pieces),
            {"type": "response.output_audio.done", **place},
            {"type": "response.output_audio_transcript.done", **place, "transcript": words},
            {"type": "rate_limits.updated", "rate_limits": []},
            {"type": "response.done", "response": response},
        ]
        if self.family == "older":
            events = [{**event, "type": OLDER.get(event["type"], event["type"])} for event in events]
        if self.family == "vllm":
            events = [
                *({"type": "transcription.delta", "delta": piece} for piece in self.words),
                *({"type": "response.audio.delta", "audio": piece, "sample_rate_hz": 16000} for piece in pieces),
                {"type": "response.audio.done"},
                {"type": "transcription.done", "text": words, "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
            ]
        if self.family != "vllm":
            events = [{"event_id": f"answer_{number}", **event} for number, event in enumerate(events)]
        return self.change(events)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        ill = self.attempts <= self.times
        if self.refuses is not None and ill:
            status, headers = self.refuses
            return web.json_response({"error": {"message": "not now"}}, status=status, headers=headers)
        line = web.WebSocketResponse(max_msg_size=64 << 20)
        await line.prepare(request)
        session = Session(dict(request.query), dict(request.headers))
        self.sessions.append(session)
        await line.send_json({"type": "session.created", "event_id": "hello", "session": {"id": "s", "model": "fake-1"}})
        pending = 0
        async for message in line:
            if message.type is not WSMsgType.TEXT:
                break
            event = json.loads(message.data)
            session.events.append((time.perf_counter(), event))
            kind = event["type"]
            if kind == self.silent_on:
                await asyncio.Event().wait()
            if ill and kind in self.error_on:
                await line.send_json({"type": "error", "event_id": f"e{len(session.events)}", "error": self.error_on[kind]})
            wrong = self._wrong(session, event, pending)
            if wrong:
                await line.send_json({"type": "error", "error": {"type": "invalid_request_error", "message": wrong}})
                continue
            pending = await self._react(line, session, event, pending)
            if ill and kind == self.closes_on:
                assert request.transport is not None
                await line.close(code=1011, message=b"out of order")
                break
        session.closed = True
        return line

    def _wrong(self, session: Session, event: Event, pending: int) -> str:
        """What a conformant server refuses."""
        kind = event["type"]
        if kind == "session.update":
            settings = event["session"]
            return "" if settings.get("type") == "realtime" else "session.type is missing"
        if kind == "input_audio_buffer.append":
            try:
                return "" if len(base64.b64decode(event["audio"], validate=True)) % 2 == 0 else "half a sample"
            except binascii.Error:
                return "not base64"
        if kind == "input_audio_buffer.commit":
            return "" if pending >= 0.1 * session.settings["audio"]["input"]["format"]["rate"] * 2 else "buffer too small"
        if kind == "conversation.item.create":
            item = event["item"]
            if len(item.get("id", "")) > 32 or item.get("id") in [one.get("id", "") or None for one in session.items]:
                return "bad id"
            known = PARTS.get(item.get("role", ""), set())
            return "" if item["content"] and {part["type"] for part in item["content"]} <= known else "unknown part"
        return "" if kind == "response.create" else f"unknown event {kind}"

    async def _react(self, line: web.WebSocketResponse, session: Session, event: Event, pending: int) -> int:
        """Answer an event; returns the bytes of sound that are not committed."""
        match event["type"]:
            case "session.update":
                session.settings = event["session"]
                await line.send_json({"type": "session.updated", "session": event["session"]})
            case "conversation.item.create":
                session.items.append(event["item"])
                if self.confirms:
                    kind = "conversation.item.added" if self.family == "ga" else "conversation.item.created"
                    await line.send_json({"type": kind, "item": {**event["item"], "content": []}})
            case "input_audio_buffer.append":
                pending += len(base64.b64decode(event["audio"]))
                if self.early:
                    await self._speak(line, session)
            case "input_audio_buffer.commit":
                await line.send_json({"type": "input_audio_buffer.committed", "item_id": "item_user"})
                return 0
            case "response.create":
                await asyncio.sleep(self.delay)
                await self._speak(line, session)
        return pending

    async def _speak(self, line: web.WebSocketResponse, session: Session) -> None:
        for event in self.answer():
            if "audio.delta" in event.get("type", "") and not session.answered:
                session.answered = time.perf_counter()
            await line.send_json(event)
