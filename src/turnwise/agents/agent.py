"""Who answers, and what it is shown.

An agent is built free of cost, opened once per worker (weights load here), and asked turn by turn. Everything it may know of the
conversation arrives in the `View` of that turn, cut by the study's context policy: an agent keeps no memory of its own
between calls, so a conversation can go on after a crash, and what an agent was shown is exactly what is recorded.

An agent that computes in this process has `open` and is asked by one thread at a time; one that waits for a server, a program
or for other parts declares `place = "driver"`, has `reach` instead, and is asked by many conversations at once on one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from turnwise.dialogues.dialogue import Dialogue
from turnwise.endpoints.remote import Remote
from turnwise.foundation.catalog import Catalog
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Heard, Material


class Context(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The context policy: how much of the past an agent is shown, and in which form."""

    past: int | Literal["all"] = "all"  # rounds before the present one
    # Of the past turns; "user-audio" is the sound of the user's turns and the words of the agent's own, for models that hear
    # others but cannot be played their own voice.
    form: Literal["text", "audio", "both", "user-audio"] = "text"
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
    voice: tuple[Past, ...] = ()  # its own latest utterances with their sound, for its synthesizer only, where that `remembers`


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


class Asked(msgspec.Struct, frozen=True):
    """One turn of one conversation."""

    view: View
    seed: int


@runtime_checkable
class SessionMany(Protocol):
    """An opened agent that answers several conversations at once."""

    batch: int  # turns it takes at a time

    def answer_many(self, asked: Sequence[Asked]) -> Sequence[Reply]: ...

    def close(self) -> None: ...


class Parts(Protocol):
    """Other plug-ins at work, by name and options, wherever they have their place: for agents that are made of parts.

    Hearing the same clip and speaking the same words in the same voice happen once per run; the seconds are those of when it
    really ran, loading left out.
    """

    async def hear(self, recognizer: str, options: Mapping[str, Any], clip: Clip, dialogue: str) -> tuple[Heard, float]: ...

    async def think(self, agent: str, options: Mapping[str, Any], view: View, *, seed: int) -> tuple[Reply, float]: ...

    async def speak(
        self, synthesizer: str, options: Mapping[str, Any], text: str, before: Sequence[Past] = ()
    ) -> tuple[Clip, float]: ...


class Around(msgspec.Struct, frozen=True):
    """What an agent of the driver may use: the clips, the servers, and other plug-ins."""

    clips: ClipStore
    remote: Remote
    parts: Parts


class RemoteSession(Protocol):
    """An agent of the driver, ready. Must not block the loop: work of more than a millisecond goes to a thread."""

    async def answer(self, view: View, *, seed: int) -> Reply: ...

    async def close(self) -> None: ...


class RemoteAgent(Protocol):
    """An agent of the driver: `place` is "driver"."""

    speaks: bool

    def identity(self) -> Mapping[str, str]: ...

    def reach(self, around: Around) -> RemoteSession: ...


class Agent(Protocol):
    """An agent that can be opened."""

    speaks: bool  # whether its replies carry sound
    # and where it has them: `place`; `adapts`, `reads_corpus`, `phrases()`; `remembers`, see `View.voice`;
    # `models`, the names of the models it is made of, so that a judge of the same model can be told

    def identity(self) -> Mapping[str, str]: ...

    def open(self, surroundings: Surroundings) -> Session: ...


AGENTS = Catalog("agent", "turnwise.agents.roster", "turnwise.agents")
