"""A chain of three: a recogniser hears the user, a text mind answers the words, a synthesizer speaks the answer.

Each part is any plug-in, by name and with its options. Nothing streams: the first sample of the reply comes when all three stages
are done. What the recogniser mishears is all the mind gets; an empty recognition is passed on as it is. Past turns that are
shown as sound only are heard by the same recogniser. Hearing the same clip and speaking the same words in the same voice happen
once per run, with the seconds of that time; thinking happens each time. A mind that says nothing makes a silent reply. The
licences are those of the parts.

Options: `recognizer`, `mind` and `synthesizer` with `recognizer_options`, `mind_options` and `synthesizer_options`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from turnwise.agents.agent import AGENTS, Agent, Past, Reply, Session, Surroundings, Timings, View
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import fingerprint, seed_of
from turnwise.speech.clip import Clip
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Heard, Hearing, Recognizer, Speaking, Synthesizer, hearing_key

# What a broken engine may raise. Storage and input errors are not among them: those stop the run with their own remedy.
_BROKEN = (EngineError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Cascade:
    """The chain, its parts named and not yet opened."""

    recognizer: str
    recognizer_options: Mapping[str, Any]
    mind: str
    mind_options: Mapping[str, Any]
    synthesizer: str
    synthesizer_options: Mapping[str, Any]
    speaks = True

    def __post_init__(self) -> None:
        if self.build_mind().speaks:
            raise InputError(f"cascade: the mind {self.mind!r} speaks by itself", "name a text mind, such as 'frame'")

    @property
    def adapts(self) -> bool:
        return bool(self.build_recognizer().adapts)

    @property
    def reads_corpus(self) -> bool:
        return bool(getattr(self.build_mind(), "reads_corpus", False))

    def identity(self) -> Mapping[str, str]:
        return {
            "recognizer": RECOGNIZERS.identity(self.recognizer, self.recognizer_options),
            "mind": AGENTS.identity(self.mind, self.mind_options),
            "synthesizer": SYNTHESIZERS.identity(self.synthesizer, self.synthesizer_options),
        }

    def phrases(self) -> tuple[str, ...]:
        mind = self.build_mind()
        return tuple(mind.phrases()) if hasattr(mind, "phrases") else ()

    def open(self, surroundings: Surroundings) -> CascadeSession:
        return CascadeSession(self, surroundings)

    def build_recognizer(self) -> Recognizer:
        built: Recognizer = RECOGNIZERS.build(self.recognizer, self.recognizer_options)
        return built

    def build_mind(self) -> Agent:
        built: Agent = AGENTS.build(self.mind, self.mind_options)
        return built

    def build_synthesizer(self) -> Synthesizer:
        built: Synthesizer = SYNTHESIZERS.build(self.synthesizer, self.synthesizer_options)
        return built


@dataclass
class CascadeSession:
    """The chain at work. The mind opens at once; ears and voice when they are first needed."""

    chain: Cascade
    around: Surroundings
    _mind: Session = field(init=False)
    _ears: Hearing | None = field(init=False, default=None)
    _voice: Speaking | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        chain = self.chain
        self._ears_name = RECOGNIZERS.identity(chain.recognizer, chain.recognizer_options)
        self._voice_name = SYNTHESIZERS.identity(chain.synthesizer, chain.synthesizer_options)
        self._adapts = chain.adapts
        self._mind = chain.build_mind().open(self.around)

    def answer(self, view: View, *, seed: int) -> Reply:
        past = tuple(self._as_words(turn, view.dialogue) for turn in view.past)
        text, heard, hearing = view.text, None, None
        if text is None:
            if view.clip is None:
                raise EngineError("no-input", "the turn was given neither as words nor as sound")
            understood, hearing = self._hear(view.clip, view.dialogue)
            text = heard = understood.text
        started = time.perf_counter()
        try:
            thought = self._mind.answer(msgspec.structs.replace(view, past=past, text=text, clip=None), seed=seed)
        except _BROKEN as error:
            raise _broken("think", self.chain.mind, error) from error
        thinking = time.perf_counter() - started
        if not thought.text.strip():
            return Reply("", heard=heard, timings=Timings(hear=hearing, think=thinking), notes=thought.notes)
        clip, speaking = self._speak(thought.text)
        first = (hearing or 0.0) + thinking + speaking
        return Reply(thought.text, clip, heard, Timings(hearing, thinking, speaking, first), thought.notes)

    def close(self) -> None:
        for part in (self._mind, self._ears, self._voice):
            if part is not None:
                part.close()
        self._ears = self._voice = None

    def _as_words(self, turn: Past, dialogue: str) -> Past:
        """A past turn for a mind that reads: what is shown as sound only is heard."""
        if turn.text is not None or turn.clip is None:
            return msgspec.structs.replace(turn, clip=None)
        return Past(turn.speaker, self._hear(turn.clip, dialogue)[0].text)

    def _hear(self, clip: Clip, dialogue: str) -> tuple[Heard, float]:
        """What is understood, and the seconds it took when it really ran."""
        key = hearing_key(self._ears_name, self._adapts, self.around.material.digest, dialogue, clip.digest)

        def listen() -> Heard:
            assert self._ears is not None
            return self._ears.hear(self.around.clips.load(clip), dialogue=dialogue, seed=seed_of(key))

        try:
            if self._ears is None:  # opened outside the measured step: loading is no part of a reply's time
                self._ears = self.chain.build_recognizer().open(self.around.material)
            return self.around.clips.once(key, listen, Heard)
        except _BROKEN as error:
            raise _broken("hear", self.chain.recognizer, error) from error

    def _speak(self, text: str) -> tuple[Clip, float]:
        """The reply as a clip, and the seconds it took to speak when it really ran."""
        clips = self.around.clips
        key = fingerprint("speak", self._voice_name, text)

        def utter() -> Clip:
            assert self._voice is not None
            sound = self._voice.speak(text, seed=seed_of(key))
            if not len(sound.samples):
                raise EngineError("empty-audio", f"no sound came of {text[:60]!r}")
            return clips.keep(sound)

        try:
            if self._voice is None:
                self._voice = self.chain.build_synthesizer().open()
            clip, seconds = clips.once(key, utter, Clip)
            if not clips.path(clip).is_file():  # remembered, but its file is gone: say it again
                utter()
            return clip, seconds
        except _BROKEN as error:
            raise _broken("speak", self.chain.synthesizer, error) from error


def _broken(stage: str, name: str, error: Exception) -> EngineError:
    cause = f"{error.cause}: " if isinstance(error, EngineError) else ""
    return EngineError(stage, f"{name}: {cause}{type(error).__name__ if not str(error) else error}")


def agent(
    recognizer: str = "pocketsphinx",
    recognizer_options: Mapping[str, Any] | None = None,
    mind: str = "frame",
    mind_options: Mapping[str, Any] | None = None,
    synthesizer: str = "espeak",
    synthesizer_options: Mapping[str, Any] | None = None,
) -> Cascade:
    return Cascade(
        recognizer, dict(recognizer_options or {}), mind, dict(mind_options or {}), synthesizer, dict(synthesizer_options or {})
    )
