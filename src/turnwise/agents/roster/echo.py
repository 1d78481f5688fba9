"""A double for tests: repeats the user's words, and fails or falls silent on the rounds it is told to.

Its timings are claimed, not measured: `fixed_seconds` for every stage it has, so that results built on it can be checked to the
last digit. Given sound only, it understands what the stub voice has spoken and nothing else. It keeps no thread of any
conversation and says nothing about real agents. No package beyond the core; Apache-2.0.

Options: `prefix` goes before the user's words; `voice` makes it speak, by the `synthesizer` named; `fixed_seconds` is the time
claimed per stage; on the rounds of `fail_on` (from 1) it raises a planned error of the cause "planned"; on those of
`silent_on` it answers with silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from turnwise.agents.agent import Reply, Surroundings, Timings, View
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Hearing, Material, Speaking


@dataclass(frozen=True)
class Echo:
    """The double with its options."""

    prefix: str
    voice: bool
    synthesizer: str
    fixed_seconds: float
    fail_on: frozenset[int]
    silent_on: frozenset[int]

    @property
    def speaks(self) -> bool:
        return self.voice

    def identity(self) -> Mapping[str, str]:
        depends = {"recognizer": RECOGNIZERS.identity("stub")}
        return {**depends, "synthesizer": SYNTHESIZERS.identity(self.synthesizer)} if self.voice else depends

    def open(self, surroundings: Surroundings) -> EchoSession:
        speaking: Speaking | None = SYNTHESIZERS.build(self.synthesizer).open() if self.voice else None
        return EchoSession(self, surroundings.clips, RECOGNIZERS.build("stub").open(Material()), speaking)


@dataclass(frozen=True)
class EchoSession:
    """The double at work."""

    echo: Echo
    clips: ClipStore
    hearing: Hearing
    speaking: Speaking | None

    def answer(self, view: View, *, seed: int) -> Reply:
        echo = self.echo
        if view.round in echo.fail_on:
            raise EngineError("planned", f"told to fail on round {view.round}")
        words, heard = view.text, None
        if words is None:
            if view.clip is None:
                raise EngineError("no-input", "the turn was given neither as words nor as sound")
            sound = self.clips.load(view.clip)
            words = heard = self.hearing.hear(sound, dialogue=view.dialogue, seed=seed).text
        second = echo.fixed_seconds
        ear = second if heard is not None else None
        if view.round in echo.silent_on:
            return Reply("", heard=heard, timings=Timings(hear=ear, think=second))
        text = f"{echo.prefix} {words}".strip()
        if self.speaking is None:
            return Reply(text, heard=heard, timings=Timings(hear=ear, think=second))
        clip = self.clips.keep(self.speaking.speak(text, seed=seed_of("echo", text)))
        return Reply(text, clip, heard, Timings(ear, second, second, (ear or 0.0) + 2 * second))

    def close(self) -> None:
        self.hearing.close()
        if self.speaking is not None:
            self.speaking.close()


def agent(
    prefix: str = "You said:",
    voice: bool = False,
    synthesizer: str = "stub",
    fixed_seconds: float = 0.1,
    fail_on: Sequence[int] = (),
    silent_on: Sequence[int] = (),
) -> Echo:
    if fixed_seconds < 0:
        raise InputError(f"echo: fixed_seconds is {fixed_seconds}, expected at least 0")
    return Echo(prefix, voice, synthesizer, fixed_seconds, frozenset(fail_on), frozenset(silent_on))
