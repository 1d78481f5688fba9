"""From a view to what an audio model is given: messages of words and sounds, by the model's own chat template.

Every turn becomes one message with exactly what the view shows of it, the sound before the words. Whether all of it arrived is
checked: each text must be found in the rendered prompt, each clip must have its place there, and the ears must have taken each
clip to its end. What is too long for the model is an error, or, where that was declared, loses its oldest rounds, which is
noted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from turnwise.agents.agent import Past, View
from turnwise.agents.omni_processor import ears, padding
from turnwise.foundation.audio import Samples
from turnwise.foundation.errors import EngineError
from turnwise.foundation.resampling import resample
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

Message = dict[str, Any]
_ROLES = {"user": "user", "agent": "assistant"}


class Prompts:
    """Makes inputs of views."""

    def __init__(self, processor: Any, clips: ClipStore, *, preface: str = "", room: int | None = None, cut: str = "") -> None:
        """`preface` stands before the instructions; `room` is how many tokens may stand before the reply, None for any number;
        `cut` is "oldest" where rounds may be dropped to make room.
        """
        self._processor, self._clips = processor, clips
        self._preface, self._room, self._cut = preface, room, cut
        self._rate = int(ears(processor).sampling_rate)

    def inputs(self, views: Sequence[View]) -> tuple[Any, list[tuple[str, ...]]]:
        """The model's inputs, one row per view, and for each view the notes on what it lost."""
        encoded = self._encoded(views)
        lengths = encoded["attention_mask"].sum(-1).tolist()
        over = [number for number, length in enumerate(lengths) if self._room is not None and length > self._room]
        notes: list[tuple[str, ...]] = [()] * len(views)
        if not over:
            return encoded, notes
        if self._cut != "oldest":
            raise self._too_long(lengths[over[0]])
        shown = list(views)
        for number in over:
            shown[number] = self._shortened(views[number], lengths[number])
            rounds = sum(turn.speaker == "user" for turn in shown[number].past)
            notes[number] = (f"context cut to {rounds} rounds by the model's limit",)
        return self._encoded(shown), notes

    def messages(self, view: View) -> list[Message]:
        """One message per turn."""
        if view.text is None and view.clip is None:
            raise EngineError("no-input", "the turn was given neither as words nor as sound")
        system = "\n\n".join(text for text in (self._preface, view.instructions) if text)
        said = [Message(role="system", content=[_words(system)])] if system else []
        for turn in (*view.past, Past("user", view.text, view.clip)):
            said.append(Message(role=_ROLES[turn.speaker], content=self._content(turn)))
        return said

    def _content(self, turn: Past) -> list[Message]:
        sound = [{"type": "audio", "audio": self._samples(turn.clip)}] if turn.clip is not None else []
        return [*sound, *([_words(turn.text)] if turn.text is not None else [])]

    def _samples(self, clip: Clip) -> Samples:
        return resample(self._clips.load(clip), self._rate).samples

    def _encoded(self, views: Sequence[View]) -> Any:
        from jinja2 import TemplateError

        chats = [self.messages(view) for view in views]
        sounds = [part["audio"] for chat in chats for part in _parts(chat, "audio")]
        try:
            for chat in chats:
                self._check(chat)
            encoded = self._processor.apply_chat_template(
                chats,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs=padding(self._processor, sounds),
            )
        except (TemplateError, ValueError, IndexError, TypeError) as error:
            raise EngineError("template", f"the model's chat template does not take this conversation: {error}") from error
        self._check_heard(encoded, sounds)
        return encoded

    def _check(self, chat: list[Message]) -> None:
        """Templates differ in what they know; what they do not know they may leave out without a word."""
        prompt = self._processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        at = 0
        for part in _parts(chat, "text"):
            words = part["text"].strip()
            at = prompt.find(words, at)
            if at < 0:
                raise EngineError("template", f"the model's chat template leaves out or moves the words {words[:60]!r}")
            at += len(words)
        place = getattr(self._processor, "audio_token", None)
        wanted = len(list(_parts(chat, "audio")))
        if place and prompt.count(place) != wanted:
            raise EngineError("template", f"the prompt has places for {prompt.count(place)} of {wanted} clips")

    def _check_heard(self, encoded: Any, sounds: Sequence[Samples]) -> None:
        """Ears with a longest clip drop the rest of a longer one."""
        mask = encoded.get("feature_attention_mask")  # clip x frame
        if mask is None:
            return
        hop = ears(self._processor).hop_length
        for samples, frames in zip(sounds, mask.sum(-1).tolist(), strict=True):
            if len(samples) - frames * hop > hop:
                seconds = len(samples) / self._rate, frames * hop / self._rate
                raise EngineError("audio-length", f"a clip has {seconds[0]:.1f} s and the model hears {seconds[1]:.1f} s of it")

    def _shortened(self, view: View, length: int) -> View:
        """The view without its oldest rounds, as many as it takes."""
        rounds = _rounds(view.past)

        def without(dropped: int) -> View:
            return msgspec.structs.replace(view, past=tuple(chain.from_iterable(rounds[dropped:])))

        def fits(dropped: int) -> bool:
            tokens = int(self._encoded([without(dropped)])["attention_mask"].sum())
            return self._room is None or tokens <= self._room

        steps = range(1, len(rounds) + 1)
        fewest = bisect_left(steps, True, key=fits)
        if fewest == len(steps):
            raise self._too_long(length)
        return without(steps[fewest])

    def _too_long(self, length: int) -> EngineError:
        return EngineError("context-length", f"the turn needs {length} tokens of context and the model has room for {self._room}")


def _words(text: str) -> Message:
    return {"type": "text", "text": text}


def _parts(chat: list[Message], kind: str) -> list[Message]:
    return [part for message in chat for part in message["content"] if part["type"] == kind]


def _rounds(past: Sequence[Past]) -> list[list[Past]]:
    """Each user turn with what follows it; what stands before the first is a piece of its own."""
    rounds: list[list[Past]] = []
    for turn in past:
        if turn.speaker == "user" or not rounds:
            rounds.append([])
        rounds[-1].append(turn)
    return rounds
