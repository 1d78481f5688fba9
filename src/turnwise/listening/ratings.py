"""How a sound sounds, in five numbers: overall quality, and freedom from noise, coloration, breaks, and wrong loudness.

Every one is on 1 to 5, and higher is better, also where its name names the fault: `dis` 5 is no discontinuity at all. The words
of the five levels are those of the listening tests of NISQA and of the descriptions built on them. A rating that does not exist
is None, with the reason; it is never a number in its place.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import msgspec

Dimension = Literal["mos", "noi", "col", "dis", "loud"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
ASPECTS: tuple[Dimension, ...] = ("noi", "col", "dis", "loud")  # of which the overall quality is made
TITLES: dict[Dimension, str] = {
    "mos": "overall quality",
    "noi": "noise",
    "col": "coloration",
    "dis": "discontinuity",
    "loud": "loudness",
}
# From 1 to 5.
LEVELS: dict[Dimension, tuple[str, str, str, str, str]] = {
    "mos": ("very bad", "poor", "fair", "good", "excellent"),
    "noi": ("very noisy", "somewhat noisy", "neither noisy nor clean", "somewhat clean", "completely clean"),
    "col": (
        "severely distorted",
        "significantly distorted",
        "moderately distorted",
        "slightly distorted",
        "free of distortion",
    ),
    "dis": (
        "severely discontinuous",
        "significantly discontinuous",
        "moderately discontinuous",
        "slightly discontinuous",
        "free of discontinuity",
    ),
    "loud": ("extremely quiet", "significantly quiet", "soft but understandable", "clearly loud", "perfectly loud"),
}

# The note of ratings that are none: numbers of a rule of thumb, under the names that the ratings have.
PLACEHOLDER = "placeholder of the published tool, not a rating by any listener"


class Ratings(msgspec.Struct, frozen=True):
    """The five numbers of one sound, or of one window of it."""

    mos: float | None
    noi: float | None
    col: float | None
    dis: float | None
    loud: float | None
    sources: dict[Dimension, str] = {}  # what each was computed from: "DNSMOS P.808", "NISQA v2.0", ...
    missing: dict[Dimension, str] = {}  # why a rating is None
    notes: tuple[str, ...] = ()  # what a reader should know of the sound: "clipped: ...", "stereo: ..."

    def __post_init__(self) -> None:
        for dimension in DIMENSIONS:
            value = self.value(dimension)
            if value is None:
                if not self.missing.get(dimension):
                    raise ValueError(f"{dimension} is missing without a reason")
            elif not math.isfinite(value):
                raise ValueError(f"{dimension} is {value}, which is no rating")

    def value(self, dimension: Dimension) -> float | None:
        value: float | None = getattr(self, dimension)
        return value

    @property
    def whole(self) -> bool:
        """Whether all five are there."""
        return not self.missing

    @property
    def placeholder(self) -> bool:
        """Whether the numbers are a rule of thumb's and must not be called MOS."""
        return PLACEHOLDER in self.notes


class Moment(msgspec.Struct, frozen=True):
    """The ratings of one window of a long sound."""

    start: float  # seconds
    end: float
    ratings: Ratings


class Heard(msgspec.Struct, frozen=True):
    """What a listener says of one file: the whole, and how it changes where the file is long."""

    ratings: Ratings
    seconds: float
    rate: int  # of the file, samples per second
    channels: int = 1
    timeline: tuple[Moment, ...] = ()


def level(value: float) -> int:
    """The nearest of the five levels, 1 to 5; halves go up, values beyond the scale to its ends."""
    return min(5, max(1, math.floor(value + 0.5)))


def printed(value: float) -> float:
    """A value as it is printed with one decimal: the words beside it are those of this number, so it has the same everywhere."""
    return float(f"{value:.1f}")


def words(dimension: Dimension, value: float) -> str:
    """The words of the nearest level."""
    return LEVELS[dimension][level(value) - 1]
