"""What is asked of a chat model, and what it answers, in no server's dialect.

`endpoints/chat.py` is the way in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError

# Fields of a request that the conversation itself decides, in any dialect.
_DECIDED = ("model", "messages", "contents", "systemInstruction", "stream", "n")


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

    text: str  # the words: written, or the transcript that came with the sound; of a refusal the model's words for it
    sound: Sound | None = None
    first_text: float | None = None  # seconds from sending to the first word, where streamed
    first_audio: float | None = None
    seconds: float = 0.0  # from sending to the end
    finish: str = ""  # why the answer ended, in OpenAI's words: "stop", "length", "content_filter", ...
    refusal: str = ""  # where the server says that the model refused: the model's words, else the server's reason; "" otherwise
    notes: tuple[str, ...] = ()  # e.g. "mean of 2 channels"

    @property
    def departures(self) -> tuple[str, ...]:
        """For the notes of a reply: that it is a refusal, and whose; that it ran into the limit of tokens."""
        told: list[str] = []
        if self.refusal:
            told.append("refused" if self.refusal == self.text else f"refused: {self.refusal}")
        if self.finish == "length":
            told.append("cut at the limit of tokens")
        return tuple(told)


def checked_settings(
    who: str, model: str, temperature: float | None, most_tokens: int | None, extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    """`extra` as a dictionary, after the options of the plug-in `who` proved to be sensible."""
    if not model:
        raise InputError(f"{who}: model is empty, expected the name of a model of the endpoint")
    if temperature is not None and not 0 <= temperature <= 2:
        raise InputError(f"{who}: temperature is {temperature}, expected 0 to 2")
    if most_tokens is not None and most_tokens < 1:
        raise InputError(f"{who}: most_tokens is {most_tokens}, expected at least 1")
    for key in extra or {}:
        if key in _DECIDED:
            raise InputError(f"{who}: extra may not hold {key!r}, which the conversation decides")
    return dict(extra or {})


def with_extra(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The body with further fields; objects that both have become one, where the field of `extra` wins."""
    for key, value in extra.items():
        known = body.get(key)
        body[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, Mapping) else value
    return body
