"""A server for tests that speaks and transcribes as OpenAI's and vLLM-Omni's do, in the voice of the stub engine.

    with speech_server() as server:
        remote = Remote({"it": server.endpoint()})
        ...
        server.spoken[0].body                         # what was asked to be spoken
        server.heard[0].fields, server.heard[0].sound  # what was to be transcribed

What it speaks can be transcribed back by itself and by the stub recogniser (WAV, FLAC, MP3 as far as it goes); raw samples come
at 24 kHz with each sample three times. `speaks` and `hears` say otherwise: functions from the request's words to a `Sound` or
bytes, and from the sound's words to a transcript or any JSON. `streamed` leaves the lengths in the WAV header open, as servers
do that send while they compute. Requests that the real server would refuse get 400; `server.refused` lists the reasons.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import soundfile
from aiohttp import BodyPartReader, web

from local_server import served
from servers.chat_server import RAW_RATE, spoken, understood
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.sound_bytes import from_bytes, to_wav
from turnwise.foundation.audio import Sound

KINDS = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "pcm": "audio/pcm"}
OPENAI_FIELDS = frozenset(("model", "input", "voice", "instructions", "speed", "response_format", "stream_format"))


@dataclass
class ToSpeak:
    """What was asked to be spoken."""

    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class ToHear:
    """What was to be transcribed."""

    fields: dict[str, str]
    file: tuple[str, str]  # name and type
    sound: Sound
    headers: dict[str, str]


@dataclass
class SpeechServer:
    """The server: what it was asked, and what it answers."""

    dialect: str = "openai"
    streamed: bool = False
    speaks: Callable[[str], Sound | bytes] | None = None
    hears: Callable[[str], Any] | None = None
    spoken: list[ToSpeak] = field(default_factory=list)
    heard: list[ToHear] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/audio/speech", self._speak)
        app.router.add_post("/v1/audio/transcriptions", self._hear)
        return app

    def endpoint(self, **more: Any) -> Endpoint:
        """How the study declares this server."""
        settings: dict[str, Any] = {"retries": 0, "timeout": 10.0, **more}
        return Endpoint(f"{self.url}/v1", dialect=self.dialect, **settings)  # type: ignore[arg-type]

    async def _speak(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.spoken.append(ToSpeak(body, {name.lower(): value for name, value in request.headers.items()}))
        wrong = self._wrong(body)
        if wrong:
            return self._refuse(wrong)
        form = body.get("response_format", "wav" if self.dialect != "openai" else "mp3")
        made = self.speaks(body["input"]) if self.speaks else spoken(body["input"], RAW_RATE if form == "pcm" else 8000)
        data = made if isinstance(made, bytes) else _file(made, form, self.streamed)
        return web.Response(body=data, content_type=KINDS[form])

    async def _hear(self, request: web.Request) -> web.Response:
        fields: dict[str, str] = {}
        file, sound = ("", ""), None
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name == "file":
                file = (part.filename or "", part.headers["Content-Type"])
                sound = from_bytes(bytes(await part.read())).sound
            else:
                fields[part.name or ""] = await part.text()
        assert sound is not None
        self.heard.append(ToHear(fields, file, sound, {name.lower(): value for name, value in request.headers.items()}))
        if not fields.get("model"):
            return self._refuse("you must provide a model parameter")
        told = understood(sound)
        told = self.hears(told) if self.hears else told
        return web.json_response({"text": told} if isinstance(told, str) else told)

    def _wrong(self, body: dict[str, Any]) -> str:
        if not body.get("input"):
            return "Invalid 'input': string too short. Expected a string with minimum length 1, but got an empty string instead."
        if self.dialect == "openai":
            unknown = sorted(body.keys() - OPENAI_FIELDS)
            if unknown:
                return f"Unrecognized request argument supplied: {unknown[0]}"
            if not body.get("voice"):
                return "Missing required parameter: 'voice'."
        elif body.get("task_type") == "VoiceDesign" and not body.get("instructions"):
            return "VoiceDesign task requires 'instructions' to describe the voice"
        return ""

    def _refuse(self, wrong: str) -> web.Response:
        self.refused.append(wrong)
        return web.json_response({"error": {"message": wrong, "type": "invalid_request_error"}}, status=400)


@contextmanager
def speech_server(dialect: str = "openai", **more: Any) -> Iterator[SpeechServer]:
    """A server that answers until the block is left."""
    server = SpeechServer(dialect, **more)
    with served(server.app) as at:
        server.url = at.url
        yield server


def open_ended(wav: bytes, length: int = 0xFFFFFFFF) -> bytes:
    """The WAV as it is sent by a server that does not know yet how long it will be."""
    told = struct.pack("<I", length)
    return wav[:4] + told + wav[8:40] + told + wav[44:]


def _file(sound: Sound, form: str, streamed: bool) -> bytes:
    wav = to_wav(sound)
    if form == "pcm":
        return wav[44:]
    if form == "wav":
        return open_ended(wav) if streamed else wav
    buffer = io.BytesIO()
    soundfile.write(buffer, sound.samples, sound.rate, format=form.upper())
    return buffer.getvalue()
