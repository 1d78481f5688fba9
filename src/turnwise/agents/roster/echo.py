"""Repeats the user's words: a double for tests, ours and yours.

It understands nothing and costs nothing. `prefix` is put before the words. With `voice` it speaks through a synthesizer (the `stub` engine unless
another is named), and hears sound through the `stub` recogniser. Its timings are claimed, not measured: `fixed_seconds` per stage, so that
two runs can be compared to the last digit. It can be told to misbehave: `fail_on` lists rounds (from 1) at which it raises a
planned error, `silent_on` rounds at which it answers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from turnwise.agents.agent import Reply, Session, Surroundings, Timings, View
from turnwise.foundation.errors import EngineError
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Hearing, Material, Speaking


def agent(
    prefix: str = "You said:",
    voice: bool = False,
    synthesizer: str = "stub",
    fixed_seconds: float = 0.1,
    fail_on: Sequence[int] = (),
    silent_on: Sequence[int] = (),
) -> Echo:
    return Echo(prefix, synthesizer if voice else "", fixed_seconds, frozenset(fail_on), frozenset(silent_on))


class Echo:
    """The agent."""

    def __init__(self, prefix: str, synthesizer: str, seconds: float, fail_on: frozenset[int], silent_on: frozenset[int]) -> None:
        self.prefix, self.synthesizer, self.seconds = prefix, synthesizer, seconds
        self.fail_on, self.silent_on = fail_on, silent_on
        self.speaks = bool(synthesizer)

    def identity(self) -> Mapping[str, str]:
        return {"synthesizer": SYNTHESIZERS.identity(self.synthesizer)} if self.synthesizer else {}

    def open(self, surroundings: Surroundings) -> Session:
        return _Canyon(self, surroundings)


class _Canyon:
    def __init__(self, echo: Echo, surroundings: Surroundings) -> None:
        self._echo, self._clips = echo, surroundings.clips
        self._voice: Speaking | None = None
        self._ear: Hearing | None = None

    def answer(self, view: View, *, seed: int) -> Reply:
        echo = self._echo
        if view.round in echo.fail_on:
            raise EngineError("planned", f"told to fail at round {view.round}")
        if view.round in echo.silent_on:
            return Reply("")
        heard = self._hear(view, seed) if view.text is None else view.text
        text = f"{echo.prefix} {heard}".strip()
        timings = Timings(think=echo.seconds)
        if not echo.synthesizer:
            return Reply(text, heard=heard, timings=timings)
        if self._voice is None:
            self._voice = SYNTHESIZERS.build(echo.synthesizer).open()
        clip = self._clips.keep(self._voice.speak(text, seed=seed))
        timings = Timings(echo.seconds, echo.seconds, echo.seconds, 3 * echo.seconds)
        return Reply(text, clip, heard, timings)

    def _hear(self, view: View, seed: int) -> str:
        if view.clip is None:
            raise EngineError("nothing-shown", "the view holds neither words nor sound")
        if self._ear is None:
            self._ear = RECOGNIZERS.build("stub").open(Material())
        return self._ear.hear(self._clips.load(view.clip), dialogue=view.dialogue, seed=seed).text

    def close(self) -> None:
        for opened in (self._voice, self._ear):
            if opened is not None:
                opened.close()
        self._voice = self._ear = None
