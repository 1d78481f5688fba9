"""An ear behind a server with OpenAI's transcription route (`/audio/transcriptions`): OpenAI, vLLM, SGLang and others.

Each sound is one request, sent as WAV at the rate it has. It adapts to nothing: the words of the study's domain are not sent
unless `prompt` holds them, which then helps where they are spoken and misleads where they are not. A transcript of nothing is a
result: nothing was understood. Servers transcribe a little differently each time; a study keeps the first.

Options: `endpoint`, the name of an endpoint of the study, "openai", "local", or an address; `model` (needed: names come and go,
so none is set); `language`, as "en", by default the server guesses; `prompt`, words to expect; `temperature`, by default the
server's own; `extra`, further fields of the form for that server, numbers and lists as JSON.

Needs a server, and for most of them a key in the environment. The licence is that of the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnwise.endpoints.calls import Usage
from turnwise.endpoints.remote import Line, Remote
from turnwise.endpoints.sound_bytes import to_wav
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import canonical
from turnwise.foundation.lineage import lineage
from turnwise.speech.engine import Heard, Listening

PATH = "audio/transcriptions"
GOOGLE = ("gemini", "vertex")


@dataclass(frozen=True)
class HostedEar:
    """The ear with its options."""

    endpoint: str
    model: str
    fields: Mapping[str, str]  # of a request's form, beside the file
    adapts = False
    place = "driver"

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), "endpoint": self.endpoint, "model": self.model}

    def reach(self, remote: Remote) -> HostedHearing:
        line = remote.line(self.endpoint)
        if line.endpoint.dialect in GOOGLE:
            told = f"the endpoint {self.endpoint!r} speaks the dialect {line.endpoint.dialect}, which has no such route"
            raise InputError(f"openai_transcription: {told}")
        return HostedHearing(self, line)


@dataclass(frozen=True)
class HostedHearing:
    """The ear at work; it holds nothing of its own."""

    ear: HostedEar
    line: Line

    async def hear(self, listening: Listening) -> Heard:
        sound = listening.sound
        if not len(sound.samples):
            raise EngineError("empty-audio", "the sound has no samples")
        file = ("speech.wav", await asyncio.to_thread(to_wav, sound), "audio/wav")
        answer = await self.line.upload(PATH, self.ear.fields, file, model=self.ear.model, usage=Usage(seconds=sound.seconds))
        text = answer.get("text") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise EngineError("broken-answer", "the answer has no text")
        return Heard(text.strip())

    async def close(self) -> None:
        """The line belongs to the run."""


def recognizer(
    endpoint: str = "openai",
    *,
    model: str,
    language: str = "",
    prompt: str = "",
    temperature: float | None = None,
    extra: Mapping[str, Any] | None = None,
) -> HostedEar:
    if not model:
        raise InputError("openai_transcription: model is empty, expected the name of a model of the endpoint")
    if temperature is not None and not 0 <= temperature <= 1:
        raise InputError(f"openai_transcription: temperature is {temperature}, expected 0 to 1")
    for key in extra or {}:
        if key in ("model", "file", "response_format", "stream"):
            raise InputError(f"openai_transcription: extra may not hold {key!r}, on which reading the answer depends")
    fields = {"model": model, "response_format": "json"}
    fields |= {"language": language} if language else {}
    fields |= {"prompt": prompt} if prompt else {}
    fields |= {"temperature": str(temperature)} if temperature is not None else {}
    fields |= {key: value if isinstance(value, str) else canonical(value) for key, value in (extra or {}).items()}
    return HostedEar(endpoint, model, fields)
