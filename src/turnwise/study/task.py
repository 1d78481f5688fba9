"""What can be asked to be done, wherever it has its place.

Tasks carry values, never open things, so that they can cross to another process or machine.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from turnwise.agents.agent import Past, Reply, View
from turnwise.foundation.fingerprint import canonical
from turnwise.judges.judge import Exchange
from turnwise.speech.clip import Clip
from turnwise.speech.engine import Heard
from turnwise.study.cell import Ruling
from turnwise.study.study import Choice


class Part(msgspec.Struct, frozen=True, dict=True):
    """A plug-in that does the work: one of these is opened at most once per place."""

    kind: Literal["agent", "recognizer", "synthesizer"]
    name: str
    options: dict[str, Any] = {}

    @property
    def key(self) -> str:
        known: str | None = self.__dict__.get("_key")
        if known is None:
            known = self.__dict__["_key"] = canonical([self.kind, self.name, self.options])
        return known


class Speak(msgspec.Struct, frozen=True, tag="speak"):
    """Speak words. Gives a `SpokenClip`."""

    part: Part
    text: str
    seed: int | None = None  # drawn from the name of the utterance where not given
    before: tuple[Past, ...] = ()  # earlier utterances of the voice, for those that remember
    dialogue: str = ""  # and the place of the turn in it, for voices whose sounds belong to turns
    position: int = -1


class Degrade(msgspec.Struct, frozen=True, tag="degrade"):
    """Do to a clip what was declared. Gives a `Clip`."""

    clip: Clip
    perturb: tuple[Choice, ...]
    seed: int


class Hear(msgspec.Struct, frozen=True, tag="hear"):
    """Hear a clip. Gives an `Understood`."""

    part: Part
    clip: Clip
    dialogue: str


class Transcribe(msgspec.Struct, frozen=True, tag="transcribe"):
    """Hear a clip with the study's transcriber, which is not asked about silence. Gives a `Transcript`."""

    part: Part
    clip: Clip
    dialogue: str


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Let an agent answer. Gives a `Thought`."""

    part: Part
    view: View
    seed: int


class Improvise(msgspec.Struct, frozen=True, tag="improvise"):
    """Let the simulated user say its next turn, which it is shown as if it were the agent. Gives a `UserTurn`."""

    part: Part
    view: View
    seed: int


class Rule(msgspec.Struct, frozen=True, tag="rule"):
    """Let judges decide on a turn, in this order. Gives a dictionary of judge to `Ruling` or `Fault`."""

    judges: tuple[str, ...]
    exchange: Exchange
    known: dict[str, Ruling]  # of judges that have decided already and are needed by these


class Free(msgspec.Struct, frozen=True, tag="free"):
    """Close these parts and give back what they hold, because nothing will need them any more."""

    parts: tuple[str, ...]  # keys


Task = Speak | Degrade | Hear | Transcribe | Ask | Improvise | Rule | Free


class SpokenClip(msgspec.Struct, frozen=True):
    """What was spoken, and the seconds it took when it really was."""

    clip: Clip
    seconds: float


class Understood(msgspec.Struct, frozen=True):
    """What was heard, and the seconds it took when it really was."""

    heard: Heard
    seconds: float


class Thought(msgspec.Struct, frozen=True):
    """What an agent answered, and the seconds it took."""

    reply: Reply
    seconds: float
