"""A chat server for tests that speaks every dialect the way its documentation tells, and refuses what the real one refuses.

    with chatting("openai", "Hello.") as server:                     # or "vllm", "vllm-omni", "vllm-omni-old", "sglang", ...
        remote = Remote({"it": server.endpoint()})
        ...
        server.requests[0].body                                      # exactly what was sent, and .path, .headers

What it says is a text, a `Given` (a refusal, an answer cut short, one without sound, a broken one, ...) or a function from a
`Request` to either, for servers that answer what they were asked:

    chatting("vllm-omni", lambda request: f"You said {request.said}.")

`request.said` are the words of the last turn, `request.turns` all turns as `("user", "text: ...", "sound: ...")`; sounds are
understood where the stub engine spoke them. When it is asked to speak it speaks with the stub engine, so that
`understood(answer.sound)` gives the words back: WAV at the stub's rate, or, in dialects that send raw samples (streams of
"openai", "dashscope"), at 24 kHz with each sample three times.

`meddle` may answer in place of the server: it is given each `Request` and returns an aiohttp response, or None to let the
server answer. Bodies that the real server would refuse are answered with 400 and the reason; `server.refused` lists the
reasons.

"vllm-omni-old" is vLLM-Omni before it joined words and sound into one choice; `cumulative=True` is one that sends with each
piece of sound all earlier ones.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from aiohttp import web

from local_server import served
from servers.refusals import refusal
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.sound_bytes import from_bytes, to_wav
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError
from turnwise.speech.engines.stub import RATE, decode, encode

RAW_RATE = 24000


@dataclass
class Request:
    """What was sent."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: dict[str, Any]

    @cached_property
    def turns(self) -> list[tuple[str, ...]]:
        """Role and parts of each message, in order; what the system says first."""
        if "contents" in self.body:
            system = self.body.get("systemInstruction")
            told = [("system", *_parts(system["parts"]))] if system else []
            return told + [(one["role"], *_parts(one["parts"])) for one in self.body["contents"]]
        return [(message["role"], *_parts(message["content"])) for message in self.body["messages"]]

    @property
    def said(self) -> str:
        """The words of the last turn, written or spoken."""
        return self.turns[-1][-1].partition(": ")[2]

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream")) or "streamGenerateContent" in self.path

    @property
    def aloud(self) -> bool:
        settings = self.body.get("generationConfig", {})
        return "audio" in self.body.get("modalities", ()) or "AUDIO" in settings.get("responseModalities", ())


@dataclass
class Given:
    """An answer, where words alone do not say it."""

    words: str = ""
    sound: Sound | bool = True  # spoken where asked to; False: stays silent; a sound: this one
    refusal: str = ""  # the model's words for it (OpenAI); with Gemini the reason for blocking the prompt, as "SAFETY"
    finish: str = "stop"  # in OpenAI's words
    pause: float = 0.0  # seconds between the pieces of a stream
    body: Any = None  # in place of the answer's body
    events: list[Any] | None = None  # in place of the stream's events
    done: bool = True  # whether a stream ends as it should


Answering = str | Given | Callable[[Request], "str | Given"]


@dataclass
class ChatServer:
    """The server: what it was asked, and what it answers."""

    dialect: str
    answer: Answering
    key: str = ""  # refuses requests without it
    cumulative: bool = False
    meddle: Callable[[Request], web.StreamResponse | Awaitable[web.StreamResponse | None] | None] | None = None
    requests: list[Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/{path:.*}", self._handle)
        return app

    def endpoint(self, **more: Any) -> Endpoint:
        """How the study declares this server."""
        google = self.dialect in ("gemini", "vertex")
        base = "/v1beta" if self.dialect == "gemini" else "/v1/projects/p/locations/l/publishers/google" if google else "/v1"
        settings: dict[str, Any] = {"retries": 0, "timeout": 10.0, **more}
        return Endpoint(self.url + base, dialect=self.dialect.removesuffix("-old"), **settings)  # type: ignore[arg-type]

    async def _handle(self, web_request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in web_request.headers.items()}
        path = web_request.path + (f"?{web_request.query_string}" if web_request.query_string else "")
        request = Request(path, headers, json.loads(await web_request.read()))
        self.requests.append(request)
        if self.meddle is not None:
            meddled = self.meddle(request)
            if isinstance(meddled, Awaitable):
                meddled = await meddled
            if meddled is not None:
                return meddled
        given = (
            headers.get("x-goog-api-key")
            if self.dialect == "gemini"
            else headers.get("authorization", "").removeprefix("Bearer ")
        )
        if self.key and given != self.key:
            return web.json_response(
                {"error": {"message": f"Incorrect API key provided: {given}", "code": "invalid_api_key"}}, status=401
            )
        wrong = refusal(self.dialect, request)
        if wrong:
            self.refused.append(wrong)
            return web.json_response({"error": {"message": wrong, "type": "invalid_request_error"}}, status=400)
        answer = self.answer(request) if callable(self.answer) else self.answer
        answer = Given(answer) if isinstance(answer, str) else answer
        if answer.body is not None:
            return web.json_response(answer.body)
        if self.dialect in ("gemini", "vertex"):
            events = _gemini_events(answer, request) if answer.events is None else answer.events
            return (
                await _stream(web_request, events, answer, done="")
                if request.streamed
                else web.json_response(_gemini(answer, request))
            )
        if request.streamed:
            events = _chunks(answer, request, self) if answer.events is None else answer.events
            return await _stream(web_request, events, answer, done="data: [DONE]\n\n")
        return web.json_response(_completion(answer, request, self))


@contextmanager
def chatting(dialect: str = "openai", answer: Answering = "Hello.", **more: Any) -> Iterator[ChatServer]:
    """A server that answers until the block is left."""
    server = ChatServer(dialect, answer, **more)
    with served(server.app) as at:
        server.url = at.url
        yield server


def spoken(words: str, rate: int = RATE) -> Sound:
    """The words in the stub's voice, also at a multiple of its rate."""
    sound = encode(words)
    return Sound(np.repeat(sound.samples, rate // RATE), rate)


def understood(sound: Sound | None) -> str:
    """The words in a sound of this server; "?" where it is none of the stub's."""
    assert sound is not None
    try:
        return decode(Sound(sound.samples[:: sound.rate // RATE], RATE))
    except EngineError:
        return "?"


# ---------------------------------------------------------------- OpenAI and those who follow it


def _completion(answer: Given, request: Request, server: ChatServer) -> dict[str, Any]:
    speaking = _speaks(answer, request, server)
    message: dict[str, Any] = {"role": "assistant", "content": answer.words, "refusal": answer.refusal or None}
    if answer.refusal:
        message["content"] = None
    choices = [{"index": 0, "message": message, "finish_reason": answer.finish}]
    if speaking is not None:
        audio = {"id": "audio-1", "data": _encoded(to_wav(speaking)), "expires_at": 1_900_000_000, "transcript": ""}
        if server.dialect == "openai":
            message["content"], audio["transcript"] = None, answer.words
        if server.dialect == "vllm-omni-old":
            choices.append(
                {"index": 0, "message": {"role": "assistant", "content": None, "audio": audio}, "finish_reason": "stop"}
            )
        else:
            message["audio"] = audio
    return {
        "id": "c-1",
        "object": "chat.completion",
        "model": request.body["model"],
        "choices": choices,
        "usage": _usage(request, answer),
    }


def _chunks(answer: Given, request: Request, server: ChatServer) -> Iterator[dict[str, Any]]:
    speaking = _speaks(answer, request, server)
    omni = server.dialect.startswith("vllm-omni")

    def chunk(delta: dict[str, Any], finish: str | None = None, modality: str = "text") -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        told = {"id": "c-1", "object": "chat.completion.chunk", "model": request.body["model"], "choices": [choice]}
        return {**told, "modality": modality} if omni else told

    yield chunk({"role": "assistant", "content": ""})
    if answer.refusal:
        for piece in _halves(answer.refusal):
            yield chunk({"refusal": piece})
    transcribed = speaking is not None and server.dialect == "openai"
    for piece in _halves(answer.words):
        yield chunk({"audio": {"id": "audio-1", "transcript": piece}} if transcribed else {"content": piece})
    if speaking is not None:
        for data in _sound_pieces(speaking, server):
            yield chunk({"content": data}, modality="audio") if omni else chunk({"audio": {"data": data}})
        if not omni:
            yield chunk({"audio": {"expires_at": 1_900_000_000}})
    yield chunk({}, finish=answer.finish)
    if request.body.get("stream_options", {}).get("include_usage"):
        yield {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "model": request.body["model"],
            "choices": [],
            "usage": _usage(request, answer),
        }


def _speaks(answer: Given, request: Request, server: ChatServer) -> Sound | None:
    raw = server.dialect == "dashscope" or (server.dialect == "openai" and request.streamed)
    if not request.aloud or answer.sound is False or answer.refusal or not (answer.words or answer.sound is not True):
        return None
    return answer.sound if isinstance(answer.sound, Sound) else spoken(answer.words, RAW_RATE if raw else RATE)


def _sound_pieces(sound: Sound, server: ChatServer) -> Iterator[str]:
    """The sound as each server cuts it: whole WAVs, raw pieces of whole samples, or one encoding cut anywhere."""
    cuts = [0, len(sound.samples) // 3, 2 * len(sound.samples) // 3, len(sound.samples)]
    pieces = [sound.samples[0 if server.cumulative else a : b] for a, b in pairwise(cuts)]
    wavs = [to_wav(Sound(piece, sound.rate)) for piece in pieces]
    if server.dialect.startswith("vllm-omni"):
        yield from map(_encoded, wavs)
    elif server.dialect == "dashscope":
        whole = _encoded(to_wav(sound)[44:])
        yield from (whole[a : a + 1001] for a in range(0, len(whole), 1001))
    else:
        yield from (_encoded(wav[44:]) for wav in wavs)


def _usage(request: Request, answer: Given) -> dict[str, Any]:
    texts = sum(len(part) - len("text: ") for turn in request.turns for part in turn[1:] if part.startswith("text: "))
    sounds = sum(part.startswith("sound: ") for turn in request.turns for part in turn[1:])
    used = {"prompt_tokens": texts // 4 + 100 * sounds, "completion_tokens": len(answer.words) // 4, "total_tokens": 0}
    used["total_tokens"] = used["prompt_tokens"] + used["completion_tokens"]
    return {**used, "prompt_tokens_details": {"audio_tokens": 100 * sounds, "cached_tokens": 0}}


# ---------------------------------------------------------------- Google


def _gemini(answer: Given, request: Request, words: str | None = None, last: bool = True) -> dict[str, Any]:
    told = _usage(request, answer)
    heard = told["prompt_tokens_details"]["audio_tokens"]
    details = [{"modality": "TEXT", "tokenCount": told["prompt_tokens"] - heard}]
    details += [{"modality": "AUDIO", "tokenCount": heard}] if heard else []
    used = {"promptTokenCount": told["prompt_tokens"], "promptTokensDetails": details, "thoughtsTokenCount": 7}
    if last:
        used["candidatesTokenCount"] = told["completion_tokens"]
    base = {"usageMetadata": used, "modelVersion": "fake-1"}
    if answer.refusal:
        return {**base, "promptFeedback": {"blockReason": answer.refusal}}
    parts: list[dict[str, Any]] = [{"text": "Let me think.", "thought": True}] if words is None else []
    if request.aloud:
        data = _encoded(to_wav(spoken(answer.words, RAW_RATE))[44:])
        parts.append({"inlineData": {"mimeType": f"audio/L16;codec=pcm;rate={RAW_RATE}", "data": data}})
    elif answer.words:
        parts.append({"text": answer.words if words is None else words})
    ends = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    if last:
        candidate["finishReason"] = ends[answer.finish]
    return {**base, "candidates": [candidate]}


def _gemini_events(answer: Given, request: Request) -> Iterator[dict[str, Any]]:
    pieces = ([] if request.aloud or answer.refusal else _halves(answer.words)) or [""]
    for number, piece in enumerate(pieces, start=1):
        yield _gemini(answer, request, piece, last=number == len(pieces))


# ---------------------------------------------------------------- shared by both


async def _stream(web_request: web.Request, events: Any, answer: Given, done: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(web_request)
    for event in events:
        text = event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n"
        await response.write(text.encode())
        await asyncio.sleep(answer.pause)
    if answer.done:
        await response.write(done.encode())
    return response


def _halves(words: str) -> list[str]:
    middle = len(words) // 2
    return [piece for piece in (words[:middle], words[middle:]) if piece]


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _parts(content: Any) -> Iterator[str]:
    for part in [{"text": content}] if isinstance(content, str) else content:
        if "text" in part:
            yield f"text: {part['text']}"
        else:
            data = part["inlineData"]["data"] if "inlineData" in part else part["input_audio"]["data"]
            received = from_bytes(base64.b64decode(data.rpartition(",")[2]))
            yield f"sound: {understood(received.sound)}"
