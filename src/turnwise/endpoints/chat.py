"""One conversation with a chat model, whatever dialect its server speaks: messages of text and sound in, text and sound out.

The endpoint's dialect decides the form: `endpoints/openai_chat.py` for OpenAI, vLLM, vLLM-Omni, SGLang and DashScope,
`endpoints/gemini_chat.py` for Google's. Sounds are sent as WAV at the rate they have. A conversation that a dialect cannot carry
(sound wanted from a server that only writes; sound in an assistant's message where only its words are taken) is an EngineError of
the cause "unsupported", and nothing is sent.

Times are counted from the sending of the attempt that counted: what it waited for limits, or lost in attempts before, is no part
of them. A piece of a stream that is repeated with the id of an earlier event is dropped by the line. Servers that give their
events no id (nearly all) cannot be checked so: two equal pieces may both be meant.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from turnwise.endpoints import gemini_chat, openai_chat
from turnwise.endpoints.asking import Answer, Asking, Message
from turnwise.endpoints.calls import Call, note, recording
from turnwise.endpoints.gathering import Gathering
from turnwise.endpoints.remote import Line, retried
from turnwise.foundation.errors import EngineError

__all__ = ["Answer", "Asking", "Message", "ask", "hears_itself", "speaks"]


def speaks(dialect: str) -> bool:
    """Whether answers in this dialect can carry sound."""
    return dialect in openai_chat.SPEAKING or dialect in gemini_chat.DIALECTS


def hears_itself(dialect: str) -> bool:
    """Whether this dialect takes sound in the assistant's messages."""
    return dialect in openai_chat.HEARS_ITSELF


async def ask(line: Line, asking: Asking, *, stream: bool = False) -> Answer:
    """Ask once (the line retries what is worth retrying). A refusal is an `Answer` with `refusal`; an answer without words or
    sound is an `Answer` with neither: what that means is for the caller to say.

    A server that only streams is streamed from, whatever `stream` says.
    """
    dialect = line.endpoint.dialect
    google = dialect in gemini_chat.DIALECTS
    stream = stream or dialect in openai_chat.STREAMS_ONLY
    make = gemini_chat.body if google else openai_chat.body
    if any(not isinstance(part, str) for message in asking.messages for part in message.parts):
        body = await asyncio.to_thread(make, asking, dialect, stream)  # encoding sounds takes milliseconds
    else:
        body = make(asking, dialect, stream)
    path = gemini_chat.path(asking, stream) if google else openai_chat.PATH
    take = gemini_chat.take if google else openai_chat.take
    changed = gemini_chat.notes(asking) if google else ()
    if stream:
        answer, sent, seconds = await retried(line, partial(_streamed, path=path, body=body, model=asking.model, take=take))
    else:
        answer, sent = Gathering(), None
        data, seconds = await _post(line, path, body, asking.model)
        take(data, answer)
        if not answer.choices and not answer.withheld:
            raise EngineError("broken-answer", "the answer has no choices")
    answer.notes += changed
    if answer.has_sound:
        return await asyncio.to_thread(answer.finished, sent, seconds)
    return answer.finished(sent, seconds)


async def _streamed(
    line: Line, *, path: str, body: dict[str, Any], model: str, take: Callable[[Any, Gathering, float], None]
) -> tuple[Gathering, float, float]:
    """The answer, the time.perf_counter() of sending and the seconds from there to the end."""
    answer = Gathering()
    async with line.stream(path, body, model=model) as (sent, events):
        async for event in events:
            take(event.data, answer, event.at)
        seconds = time.perf_counter() - sent
        if not answer.finish:
            raise EngineError("broken-answer", "the stream ended before the server said why")
    return answer, sent, seconds


async def _post(line: Line, path: str, body: dict[str, Any], model: str) -> tuple[Any, float]:
    """The answer and the seconds of the attempt that gave it."""
    made: list[Call] = []
    started = time.perf_counter()
    try:
        with recording() as made:
            data = await line.post(path, body, model=model)
    finally:
        for call in made:  # also in the recording around this one
            note(call)
    return data, made[-1].seconds if made else time.perf_counter() - started
