"""An audio model behind a chat server as a listener: it is played the sound and asked for the five ratings.

Each sound is one request: definitions of the five dimensions, the recording as WAV, and a JSON schema of the answer. If the
answer lacks a rating or gives one outside 1 to 5, the model is told once what was wrong; if the second answer is whole it counts
alone, else it only fills gaps. What is missing then is missing, with the reason: a number is never put in its place. Two
answers without any rating are an EngineError (`unreadable-answer`). A refusal is not asked again. What the server fails with
(time-outs, limits, refused connections) is an EngineError, as for any listener.

What such a model hears is not known beforehand: models differ, many say 3 to 4 of anything, and none was trained on these five
scales unless it says so. Rate sounds whose damage is known (benchmarks/listening_degradations.py has them) before you believe
one. Sounds are sent whole, up to 30 s, at the rate they have.

Options: `model` (needed) and `endpoint` ("openai"), the name of an endpoint, "openai", "gemini", "local", or an address;
`temperature` (0), `most_tokens` (the server's own limit), `structured` (true: send the schema), `extra`, further fields of the
request. Answers may differ from call to call even so. Needs a server whose model takes sound, and for most a key. The model's
licence and price are its provider's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from turnwise.endpoints.asking import Answer, Asking, Message, checked_settings
from turnwise.endpoints.chat import ask
from turnwise.endpoints.remote import Line, Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, RunStopped
from turnwise.foundation.fingerprint import canonical, fingerprint
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.foundation.plain_text import plain_text
from turnwise.listening.listener import UNREADABLE
from turnwise.listening.rating_answer import INSTRUCTIONS, SCHEMA, AnswerRead, read_answer
from turnwise.listening.ratings import DIMENSIONS, Dimension, Ratings
from turnwise.listening.sound_check import objection, rated, remarks, unrated

QUESTION = "Rate this recording:"
AGAIN = "Answer again, whole and corrected: the JSON object that was asked for and nothing else."
_EXCERPT = 120  # characters of a refusal that are kept


def listener(
    model: str,
    endpoint: str = "openai",
    temperature: float | None = 0.0,
    most_tokens: int | None = None,
    structured: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> AudioModel:
    if not endpoint:
        raise InputError("audio_model: endpoint is empty, expected the name of an endpoint or an address")
    further = checked_settings("audio_model", model, temperature, most_tokens, extra)
    return AudioModel(endpoint, model, temperature, most_tokens, structured, further)


@dataclass(frozen=True)
class AudioModel:
    """The listener with its options."""

    place: ClassVar[Place] = "driver"
    longest: ClassVar[float] = 30.0  # seconds; what most models hear at once

    endpoint: str
    model: str
    temperature: float | None
    most_tokens: int | None
    structured: bool
    extra: Mapping[str, Any]

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        asks = fingerprint(INSTRUCTIONS, QUESTION, AGAIN, canonical(SCHEMA))
        return {"shared": lineage(__file__), "endpoint": self.endpoint, "model": self.model, "asks": asks}

    def reach(self, remote: Remote) -> AudioModelListening:
        return AudioModelListening(self, remote.line(self.endpoint))


@dataclass(frozen=True)
class AudioModelListening:
    """The listener at work; any number of sounds at the same time."""

    made: AudioModel
    line: Line

    async def rate(self, sound: Sound, *, seed: int) -> Ratings:
        reason = objection(sound)
        if reason:
            return unrated(reason)
        asking = self._asking(sound, seed)
        answer = await ask(self.line, asking)
        reading = read_answer(answer.text)
        if answer.refusal:
            return self._rated(AnswerRead({}, dict.fromkeys(DIMENSIONS, _refused(answer))), sound)
        if reading.wrong:
            reading = await self._mended(asking, answer, reading)
        return self._rated(reading, sound)

    async def close(self) -> None:
        """The line belongs to the run."""

    def _asking(self, sound: Sound, seed: int) -> Asking:
        return Asking(
            model=self.made.model,
            messages=(Message("system", (INSTRUCTIONS,)), Message("user", (QUESTION, sound))),
            temperature=self.made.temperature,
            most_tokens=self.made.most_tokens,
            seed=seed,
            schema=SCHEMA if self.made.structured else None,
            extra=self.made.extra,
        )

    async def _mended(self, asking: Asking, answer: Answer, first: AnswerRead) -> AnswerRead:
        """What both answers say together."""
        told = "\n".join((f"{'; '.join(first.wrong.values())}.", AGAIN))
        messages = asking.messages
        if answer.text.strip():
            messages = (*messages, Message("assistant", (answer.text,)), Message("user", (told,)))
        try:
            second = await ask(self.line, msgspec.structs.replace(asking, messages=messages))
        except RunStopped:  # the budget is spent, or the user stopped the run
            raise
        except EngineError as error:  # what the first answer gave is paid for and stays
            if not first.values:
                raise
            failed = f"; asked again, the server failed: {error.message}"
            return AnswerRead(first.values, {name: f"{wrong}{failed}" for name, wrong in first.wrong.items()})
        if second.refusal:
            return AnswerRead(first.values, dict.fromkeys(first.wrong, f"asked again, {_refused(second)}"))
        again = read_answer(second.text)
        if not again.wrong:
            return again
        if not again.values and not first.values:
            raise EngineError(UNREADABLE, f"asked twice, no rating can be read: {'; '.join(again.wrong.values())}{_cut(second)}")
        values = {**again.values, **first.values}
        wrong: dict[Dimension, str] = {
            name: f"asked twice, {again.wrong[name]}{_cut(second)}" for name in DIMENSIONS if name not in values
        }
        return AnswerRead(values, wrong)

    def _rated(self, reading: AnswerRead, sound: Sound) -> Ratings:
        sources = dict.fromkeys(reading.values, f"{self.made.model}, asked in words")
        return rated(reading.values, sources, reading.wrong, remarks(sound))


def _refused(answer: Answer) -> str:
    return f"the model refused: {plain_text(answer.refusal)[:_EXCERPT]}"


def _cut(answer: Answer) -> str:
    return " (the answer was cut at its limit of tokens)" if answer.finish == "length" else ""
