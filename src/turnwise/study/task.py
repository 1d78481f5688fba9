"""What a worker can be asked to do.

Tasks carry values, never open things, so that they can cross to another process or machine.
"""

from __future__ import annotations

import msgspec

from turnwise.agents.agent import View
from turnwise.judges.judge import Exchange
from turnwise.speech.clip import Clip
from turnwise.study.cell import Ruling
from turnwise.study.study import Choice


class Speak(msgspec.Struct, frozen=True, tag="speak"):
    """Speak a user turn in the user's voice, then degrade it as declared. Gives a `Clip`."""

    text: str
    seed: int
    perturb: tuple[Choice, ...]
    perturb_seed: int


class Hear(msgspec.Struct, frozen=True, tag="hear"):
    """Transcribe a clip with the study's transcriber. Gives a `Transcript`."""

    clip: Clip
    dialogue: str


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Let an arm's agent answer. Gives an `Answer`."""

    arm: str
    view: View
    seed: int


class Rule(msgspec.Struct, frozen=True, tag="rule"):
    """Let judges decide on a turn, in this order. Gives a dictionary of judge to `Ruling` or `Fault`."""

    judges: tuple[str, ...]
    exchange: Exchange
    known: dict[str, Ruling]  # of judges that have decided already and are needed by these


Task = Speak | Hear | Ask | Rule
