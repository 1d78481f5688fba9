"""Questions to the chat server of `servers/chat_server.py`, each asked once and on its own loop."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import soundfile

from servers.chat_server import ChatServer, spoken
from turnwise.endpoints.calls import Call, recording
from turnwise.endpoints.chat import Answer, Asking, Message, ask
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError
from turnwise.speech.engines.stub import RATE

USER = Message("user", ("hi",))
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"], "additionalProperties": False}


def answer(
    server: ChatServer, *messages: Message, stream: bool = False, endpoint: Mapping[str, Any] | None = None, **more: Any
) -> Answer:
    """One question, asked of a server."""
    return asked(server, *messages, stream=stream, endpoint=endpoint, **more)[0]


def asked(
    server: ChatServer, *messages: Message, stream: bool = False, endpoint: Mapping[str, Any] | None = None, **more: Any
) -> tuple[Answer, list[Call]]:
    async def go() -> tuple[Answer, list[Call]]:
        remote = Remote({"it": server.endpoint(**(endpoint or {}))}, patience=0.01)
        try:
            with recording() as calls:
                return await ask(remote.line("it"), Asking("m", messages or (USER,), **more), stream=stream), calls
        finally:
            await remote.close()

    return asyncio.run(go())


def failure(server: ChatServer, **more: Any) -> str:
    with pytest.raises(EngineError) as caught:
        answer(server, **more)
    return caught.value.cause


def message(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}]}


def wav_base64(words: str, channels: int = 1, rate: int = RATE, cut: int = 0) -> str:
    sound: Sound = spoken(words)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.column_stack([sound.samples] * channels), rate, format="WAV", subtype="PCM_16")
    data = buffer.getvalue()
    return base64.b64encode(data[: len(data) - cut]).decode()
