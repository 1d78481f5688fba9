"""A describer for tests that takes three sounds at a time; `calls` notes the overall ratings of each call.

A sound whose mos is `ALONE` is the only one that it fails at, one whose mos is `ALL` fails all that are described with it, and
one whose mos is `STOPS` ends the session. `DESCRIBER` names the plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, RunStopped
from turnwise.listening.ratings import Ratings

DESCRIBER = "describing_double:describer"
ALONE, ALL, STOPS = 2.2, 2.3, 2.4
calls: list[list[float]] = []


class Describer:
    """Takes three at a time; fails at one, at all that stand beside one, or stops."""

    def __init__(self, listens: bool) -> None:
        self.listens = listens

    def identity(self) -> Mapping[str, str]:
        return {}

    def open(self) -> Describing:
        return Describing(self.listens)


def _in_letters(number: int) -> str:
    """No digits, which would be read as a rating."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


class Describing:
    batch = 3

    def __init__(self, listens: bool) -> None:
        self._listens = listens

    def describe(self, ratings: Ratings, sound: Sound | None, *, seed: int) -> str:
        (told,) = self.describe_many([ratings], [sound], seeds=[seed])
        if isinstance(told, EngineError):
            raise told
        return told

    def describe_many(
        self, ratings: Sequence[Ratings], sounds: Sequence[Sound | None], *, seeds: Sequence[int]
    ) -> list[str | EngineError]:
        values = [rating.mos or 0.0 for rating in ratings]
        calls.append(values)
        assert all((sound is not None) == self._listens for sound in sounds)
        if STOPS in values:
            raise RunStopped("the budget is spent")
        if ALL in values and len(values) > 1:
            raise RuntimeError("none of them")
        return [
            EngineError("cut-short", "no end") if value == ALONE else f"Drawn by {_in_letters(seed)}. MOS: {value:.1f}"
            for value, seed in zip(values, seeds, strict=True)
        ]

    def close(self) -> None:
        pass


def describer(listens: bool = False) -> Describer:
    return Describer(listens)
