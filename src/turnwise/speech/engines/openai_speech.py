"""A voice behind a server with OpenAI's speech route (`/audio/speech`): OpenAI, vLLM-Omni and others that follow it.

Each utterance is one request; its text is sent as it is, and a text of nothing but blanks is refused. WAV, FLAC and MP3 are
read as what they are, also WAV that was streamed without a length; raw samples at the declared rate. Several channels become
one by their mean. The route has no seed: the same words sound a little different each time, and a study keeps the first.

Options: `endpoint`, the name of an endpoint of the study, "openai", "local", or an address; `model` (needed: names come and go,
so none is set); `voice`, as the server calls it (OpenAI insists on one); `instructions`, how to speak, or for a synthesizer
that is conditioned on a description the voice itself: Qwen3-TTS VoiceDesign behind vLLM-Omni wants `extra = {"task_type":
"VoiceDesign", "language": "English"}` beside it; `speed`, by default the server's own; `response_format`, "wav" (default),
"pcm", "flac" or "mp3" (MP3 loses, and what it loses is heard by the judges of sound); `rate`, the samples per second of "pcm"
(24000); `extra`, further fields of the request's body for that server.

Needs a server, and for most of them a key in the environment. The licence is that of the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from turnwise.endpoints.asking import with_extra
from turnwise.endpoints.calls import Usage
from turnwise.endpoints.remote import Line, Remote
from turnwise.endpoints.sound_bytes import FASTEST, SLOWEST, Received, from_bytes
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.secrets import without_secrets
from turnwise.speech.engine import Utterance

PATH = "audio/speech"
FORMATS = ("wav", "pcm", "flac", "mp3")
GOOGLE = ("gemini", "vertex")


@dataclass(frozen=True)
class HostedVoice:
    """The voice with its options."""

    endpoint: str
    model: str
    settings: Mapping[str, Any]  # the fields of a request beside the text
    rate: int
    place = "driver"

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        return {
            "shared": lineage(__file__),
            "endpoint": self.endpoint,
            "model": self.model,
            "soundfile": version("soundfile"),  # it brings the decoder of MP3
        }

    def reach(self, remote: Remote) -> HostedSpeaking:
        line = remote.line(self.endpoint)
        if line.endpoint.dialect in GOOGLE:
            dialect = line.endpoint.dialect
            raise InputError(
                f"openai_speech: the endpoint {self.endpoint!r} speaks the dialect {dialect}, which has no such route"
            )
        return HostedSpeaking(self, line)


@dataclass(frozen=True)
class HostedSpeaking:
    """The voice at work; it holds nothing of its own."""

    voice: HostedVoice
    line: Line

    async def speak(self, utterance: Utterance) -> Sound:
        text, voice = utterance.text, self.voice
        if not text.strip():
            raise EngineError("empty-text", f"there is nothing to say in {text[:40]!r}")
        body = {"model": voice.model, "input": text, **voice.settings}
        data, kind = await self.line.fetch(PATH, body, model=voice.model, usage=Usage(characters=len(text)))
        if kind.startswith(("application/json", "text/")):
            told = without_secrets(data[:200].decode("utf-8", "replace"))
            raise EngineError("broken-answer", f"the server gave words in place of sound: {told}")
        received = await asyncio.to_thread(self._read, data)
        if received.sound is None:
            raise EngineError("empty-audio", f"no sound came of {text[:60]!r}")
        return received.sound

    async def close(self) -> None:
        """The line belongs to the run."""

    def _read(self, data: bytes) -> Received:
        raw = self.voice.settings["response_format"] == "pcm"
        return from_bytes(data, self.voice.rate if raw else None)


def synthesizer(
    endpoint: str = "openai",
    *,
    model: str,
    voice: str = "",
    instructions: str = "",
    speed: float | None = None,
    response_format: str = "wav",
    rate: int = 24000,
    extra: Mapping[str, Any] | None = None,
) -> HostedVoice:
    if not model:
        raise InputError("openai_speech: model is empty, expected the name of a model of the endpoint")
    if response_format not in FORMATS:
        raise InputError(f"openai_speech: response_format is {response_format!r}, expected one of {', '.join(FORMATS)}")
    if speed is not None and not 0.25 <= speed <= 4:
        raise InputError(f"openai_speech: speed is {speed}, expected 0.25 to 4")
    if not SLOWEST <= rate <= FASTEST:
        raise InputError(f"openai_speech: rate is {rate}, expected {SLOWEST} to {FASTEST} samples per second")
    for key in extra or {}:
        if key in ("model", "input", "response_format"):
            raise InputError(f"openai_speech: extra may not hold {key!r}, which has an option or is the text")
    settings: dict[str, Any] = {"response_format": response_format}
    settings |= {"voice": voice} if voice else {}
    settings |= {"instructions": instructions} if instructions else {}
    settings |= {"speed": speed} if speed is not None else {}
    return HostedVoice(endpoint, model, with_extra(settings, extra or {}), rate)
