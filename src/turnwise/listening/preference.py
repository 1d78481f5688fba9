"""Which of two sounds is better, by their ratings: the rule, and what a text says against it.

The better one has the higher overall rating; within `tie` of each other neither is, and that is said. One to three of noise,
coloration, discontinuity and loudness carry the reasons: those that differ by more than `OBVIOUS`, the largest first, whichever
sound they speak for. A text that compares ends with a summary of one token: `[SpeechA]`, `[SpeechB]` or `[Tie]`.

A judge asked which of two is better may favour the one it is shown first. So it is asked in both orders, and `BothOrders` says
whether it meant the same sound.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

import msgspec

from turnwise.listening.ratings import ASPECTS, Dimension, Ratings

Side = Literal["first", "second", "tie"]
NAMES: dict[Side, str] = {"first": "SpeechA", "second": "SpeechB", "tie": "Tie"}
TOKENS: dict[Side, str] = {side: f"[{name}]" for side, name in NAMES.items()}
SWAPPED: dict[Side, Side] = {"first": "second", "second": "first", "tie": "tie"}
TIE = 0.1  # of the overall rating: sounds that differ by no more read the same to one decimal, or to its neighbour
OBVIOUS = 0.5  # a gap that counts as a reason is larger
MOST = 3  # reasons
_ROUNDING = 9  # decimals: 4.1 - 3.6 is 0.5 and no more
_TOKEN = re.compile(r"\[\s*(SpeechA|SpeechB|Tie)\s*\]", re.IGNORECASE)
_SIDES: dict[str, Side] = {name.lower(): side for side, name in NAMES.items()}


class Gap(msgspec.Struct, frozen=True):
    """How two sounds differ in one respect."""

    dimension: Dimension
    first: float
    second: float

    @property
    def size(self) -> float:
        """Positive where the first is better."""
        return round(self.first - self.second, _ROUNDING)


class Preference(msgspec.Struct, frozen=True):
    """Which of two sounds is better and why, by the rule."""

    winner: Side | None  # None where an overall rating is missing
    gap: float | None  # of the overall ratings, positive where the first is better
    tie: float  # the margin that was used
    aspects: tuple[Gap, ...] = ()
    reason: str = ""  # why there is no winner

    @property
    def token(self) -> str:
        """The summary; "" where there is no winner."""
        return TOKENS[self.winner] if self.winner else ""


class BothOrders(msgspec.Struct, frozen=True):
    """What a describer preferred, asked in both orders. Sides are those of the first order."""

    texts: tuple[str, str]  # as asked: the second text calls the second sound SpeechA
    choices: tuple[Side | None, Side | None]  # None where a text ends without a valid summary

    @property
    def winner(self) -> Side | None:
        """What both orders say; None where they do not say the same."""
        return self.choices[0] if self.agreed else None

    @property
    def agreed(self) -> bool:
        return self.choices[0] is not None and self.choices[0] == self.choices[1]

    @property
    def position_bias(self) -> str:
        """Which place was preferred whatever stood there, "" for none."""
        first, second = self.choices
        if first == "first" and second == "second":
            return "the one shown first"
        if first == "second" and second == "first":
            return "the one shown second"
        return ""


def preferred(first: Ratings, second: Ratings, tie: float = TIE) -> Preference:
    """The preference by the rule."""
    if not 0 <= tie <= 4:
        raise ValueError(f"tie is {tie}, expected 0 to 4")
    if first.mos is None or second.mos is None:
        side, one = ("first", first) if first.mos is None else ("second", second)
        return Preference(None, None, tie, aspects(first, second), f"the {side} has no overall rating: {one.missing['mos']}")
    gap = round(first.mos - second.mos, _ROUNDING)
    winner: Side = "tie" if abs(gap) <= tie else "first" if gap > 0 else "second"
    return Preference(winner, gap, tie, aspects(first, second))


def aspects(first: Ratings, second: Ratings) -> tuple[Gap, ...]:
    """The respects in which they differ obviously, the largest gap first, three at most."""
    gaps = []
    for dimension in ASPECTS:
        a, b = first.value(dimension), second.value(dimension)
        if a is not None and b is not None:
            gaps.append(Gap(dimension, a, b))
    obvious = [gap for gap in gaps if abs(gap.size) > OBVIOUS]
    return tuple(sorted(obvious, key=lambda gap: -abs(gap.size))[:MOST])


def read_summary(text: str) -> Side | None:
    """The side that a comparison's summary names: the one token of its last line that has any, else None."""
    for line in reversed(text.splitlines()):
        sides = Counter(_SIDES[found[1].lower()] for found in _TOKEN.finditer(line))
        if sides:
            return next(iter(sides)) if len(sides) == 1 else None
    return None


def both_orders(straight: str, swapped: str) -> BothOrders:
    """The choices of two texts, the second of which was asked with the sounds in the other order."""
    back = read_summary(swapped)
    return BothOrders((straight, swapped), (read_summary(straight), SWAPPED[back] if back else None))
