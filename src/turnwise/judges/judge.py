"""A judge: what it measures, in which unit, and how it decides on one turn.

A judge sees an `Exchange`: the conversation up to and including the turn it judges, the agent's side as the study's one
transcriber heard it. It never sees later turns. Its file is its instrument: code, lexicon and version together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from turnwise.agents.agent import Timings
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.place import Place
from turnwise.judges.verdict import Verdict
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore


class Criterion(msgspec.Struct, frozen=True):
    """One number a judge gives per turn."""

    name: str
    unit: str  # "points of 100", "seconds", "word error rate", "MOS 1-5"
    better: Literal["higher", "lower"]
    low: float | None = None  # ends of the scale, None where there is none
    high: float | None = None


class Spoken(msgspec.Struct, frozen=True):
    """One round as it took place."""

    number: int  # from 1
    user: Turn  # as written, with its annotations
    user_clip: Clip | None
    user_heard: str | None  # the study transcriber's words for the user's clip
    agent: str  # the study transcriber's words for the agent's clip; the agent's own text where it has no voice
    agent_text: str  # the agent's own text
    agent_clip: Clip | None
    timings: Timings = Timings()


class Exchange(msgspec.Struct, frozen=True):
    """A conversation up to the turn under judgement, which is the last of `rounds`."""

    dialogue: str  # id
    intent: str
    opening: tuple[Turn, ...]  # agent turns written before the first user turn
    rounds: tuple[Spoken, ...]
    verdicts: Mapping[str, Verdict] = {}  # of the criteria this judge `needs`, on this turn
    last: bool = False  # the dialogue's last round

    @property
    def now(self) -> Spoken:
        return self.rounds[-1]


class Bench(msgspec.Struct, frozen=True):
    """What a judge may use when it opens: the clips of the run, the written corpus as background, the servers."""

    clips: ClipStore
    background: tuple[Dialogue, ...] = ()
    remote: Remote | None = None


class Sitting(Protocol):
    """An opened judge."""

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        """A verdict for every criterion of the judge, by criterion name."""
        ...

    def close(self) -> None: ...


class RemoteSitting(Protocol):
    """An opened judge of the driver, asked by many turns at once on one event loop."""

    async def decide(self, exchange: Exchange, *, seed: int) -> Mapping[str, Verdict]:
        """As a sitting's. A criterion may be a `Fault` while others have scores: those are kept, and the turn is asked again by
        the next run.
        """
        ...

    async def close(self) -> None: ...


class Opener(Protocol):
    def __call__(self, bench: Bench) -> Sitting: ...


class Reacher(Protocol):
    def __call__(self, bench: Bench) -> RemoteSitting: ...


def _nowhere(bench: Bench) -> Sitting:
    raise TypeError("this judge works in the driver")


@dataclass(frozen=True)
class Judge:
    """A judge that can be opened; building one costs nothing."""

    version: int
    criteria: tuple[Criterion, ...]
    open: Opener = _nowhere
    reach: Reacher | None = None  # instead of `open`: the judge waits for a server and works in the driver
    needs: tuple[str, ...] = ()  # criteria of other judges that must be decided first
    background: bool = False  # whether the written corpus changes its verdicts
    hears: bool = False  # whether it listens to clips (such judges run in worker processes even if quick)
    examples: Sequence[tuple[Exchange, Mapping[str, Verdict]]] = ()
    depends: tuple[tuple[str, str], ...] = ()  # versions of packages and data that shape the verdict
    sounds: Callable[[], Sequence[Sound]] = tuple  # made when asked: the sounds that the clips of the examples stand for
    models: tuple[str, ...] = ()  # names of the models it asks, so that an agent of the same model can be told
    heavy: bool = False  # loads weights: works in the worker that holds the device
    at_end: bool = False  # judges a dialogue once, at its last round

    @property
    def place(self) -> Place:
        return "driver" if self.reach is not None else "device" if self.heavy else "worker"

    def identity(self) -> Mapping[str, str]:
        return {"version": str(self.version), **dict(self.depends)}


JUDGES = Catalog("judge", "turnwise.judges.bench", "turnwise.judges")
