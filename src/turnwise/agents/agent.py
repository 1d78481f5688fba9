"""Who answers, and what it is shown.

An agent is built free of cost, opened once per worker (weights load here), and asked turn by turn. Everything it may know of the
conversation arrives in the `View` of that turn, cut by the study's context policy: an agent keeps no memory of its own
between calls, so a conversation can go on after a crash, and what an agent was shown is exactly what is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.catalog import Catalog
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material


class Context(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The context policy: how much of the past an agent is shown, and in which form."""

    past: int | Literal["all"] = "all"  # rounds before the present one
    form: Literal["text", "audio", "both"] = "text"  # of the past turns
    replies: Literal["own", "written"] = "own"  # whose agent turns make the past
    user: Literal["audio", "written", "transcript"] = (
        "audio"  # what stands for the user's turns: the sound, the written words, the study transcriber's words
    )


class Past(msgspec.Struct, frozen=True):
    """One earlier turn as shown."""

    speaker: Literal["user", "agent"]
    text: str | None  # None where the policy shows audio only
    clip: Clip | None = None


class View(msgspec.Struct, frozen=True):
    """All that an agent is shown for one turn."""

    dialogue: str  # id, for engines that leave the dialogue out of their material; not to be shown to a model
    round: int  # from 1
    instructions: str
    past: tuple[Past, ...]
    text: str | None  # the user's present words, None where only the sound is given
    clip: Clip | None  # the user's present sound, None for text-only arms


class Timings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Seconds per stage as measured when the stage really ran; None where the agent has no such stage."""

    hear: float | None = None
    think: float | None = None
    speak: float | None = None
    first_audio: float | None = None  # from the end of the user's turn to the first sample of the reply


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an agent answered. Silence is an empty text and no clip, and is a result, not an error."""

    text: str
    clip: Clip | None = None
    heard: str | None = None  # what the agent's own recogniser understood
    timings: Timings = Timings()
    notes: tuple[str, ...] = ()  # departures from the declared policy, e.g. "context cut to 3 rounds by the model's limit"


class Surroundings(msgspec.Struct, frozen=True):
    """What an agent may use when it opens. The text of the domain is given to those that declare `adapts`, the written corpus
    to those that declare `reads_corpus`; the others find both empty.
    """

    clips: ClipStore
    material: Material
    corpus: tuple[Dialogue, ...] = ()
    device: str = "cpu"


class Session(Protocol):
    """An opened agent."""

    def answer(self, view: View, *, seed: int) -> Reply: ...

    def close(self) -> None: ...


class Agent(Protocol):
    """An agent that can be opened."""

    speaks: bool  # whether its replies carry sound

    def identity(self) -> Mapping[str, str]: ...

    def open(self, surroundings: Surroundings) -> Session: ...


AGENTS = Catalog("agent", "turnwise.agents.roster", "turnwise.agents")
