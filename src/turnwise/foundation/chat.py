"""One conversation with a chat model, whatever dialect its server speaks: messages of text and sound in, text and sound out.

CONTRACT (to be implemented).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.remote import Line


class Message(msgspec.Struct, frozen=True):
    """One message; its parts are texts and sounds, in order."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Sound, ...]


class Asking(msgspec.Struct, frozen=True):
    """What is asked of a model."""

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None  # None: the server's own
    most_tokens: int | None = None
    seed: int | None = None  # sent where the dialect knows it, folded into 31 bits
    schema: Mapping[str, Any] | None = None  # JSON schema of the answer, sent where the dialect offers structured output
    aloud: bool = False  # an answer with sound is wanted
    voice: str = ""
    extra: Mapping[str, Any] = {}  # further fields of the request body, from the user's options, as they are


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    text: str  # the words: written, or the transcript that came with the sound
    sound: Sound | None = None
    first_text: float | None = None  # seconds from sending to the first word, where streamed
    first_audio: float | None = None
    seconds: float = 0.0  # from sending to the end
    finish: str = ""  # the server's reason for stopping: "stop", "length", "content_filter", ...
    refusal: str = ""  # the model's own words where the server says that it refused
    notes: tuple[str, ...] = ()  # e.g. "the server repeated 2 pieces of its stream"


async def ask(line: Line, asking: Asking, *, stream: bool = False) -> Answer:
    """Ask once (the line retries what is worth retrying). A refusal is an `Answer` with `refusal`; an answer without words or
    sound is an `Answer` with neither: what that means is for the caller to say.
    """
    raise NotImplementedError
