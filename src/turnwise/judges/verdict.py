"""What a judge may say of a turn: a score, an abstention, or a fault. A failure is never a number.

`Silence` is not a judge's word: the harness records it where the agent neither spoke nor wrote, and no judge is asked.
"""

from __future__ import annotations

import math

import msgspec


class Score(msgspec.Struct, frozen=True, tag="score", omit_defaults=True):
    """A finite number in the criterion's unit, with the evidence for it."""

    value: float
    reason: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a score is a finite number, not {self.value}")


class Abstention(msgspec.Struct, frozen=True, tag="abstention"):
    """The judge has nothing to go by, and says why."""

    reason: str


class Fault(msgspec.Struct, frozen=True, tag="fault", omit_defaults=True):
    """Something broke; `cause` is a short stable word for accounting, retried by the next run."""

    cause: str
    detail: str = ""
    partial: dict[str, Verdict] = {}  # what a judge of several criteria says of each, where one of them is at fault


class Silence(msgspec.Struct, frozen=True, tag="silence"):
    """The agent gave neither sound nor words."""


Verdict = Score | Abstention | Fault
Outcome = Score | Abstention | Fault | Silence
