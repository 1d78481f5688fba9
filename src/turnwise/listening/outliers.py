"""How far each file lies from the others that were heard with it: robust z scores.

z is the distance from the median in units of 1.4826 times the median absolute deviation, which for normal values is the standard
deviation and which no few odd files can move. Where most files are alike the unit is never less than `LEAST`, so that a tenth is
no sensation. A file's score is that of the dimension in which it lies farthest, with its sign: below the others is negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from turnwise.listening.ratings import DIMENSIONS, Dimension, Ratings

FEWEST = 5  # ratings of a dimension, below which no file can be told from the others
NORMAL = 1.4826  # median absolute deviation to standard deviation
LEAST = 0.1  # of a rating: the unit where the files hardly differ
ODD = 3.5  # from here a file is called an outlier (Iglewicz and Hoaglin)


class Distance(msgspec.Struct, frozen=True):
    """Where a file lies."""

    z: float
    dimension: Dimension

    @property
    def odd(self) -> bool:
        return abs(self.z) >= ODD


def distances(ratings: Sequence[Ratings | None]) -> list[Distance | None]:
    """A distance for every file; None where it has no ratings, or too few files do."""
    scales: dict[Dimension, tuple[float, float]] = {}
    for dimension in DIMENSIONS:
        values = [value for r in ratings if r is not None and (value := r.value(dimension)) is not None]
        if len(values) >= FEWEST:
            middle = median(values)
            scales[dimension] = middle, max(LEAST, NORMAL * median(abs(value - middle) for value in values))
    return [None if r is None else _farthest(r, scales) for r in ratings]


def _farthest(ratings: Ratings, scales: dict[Dimension, tuple[float, float]]) -> Distance | None:
    found = [
        Distance((value - middle) / unit, dimension)
        for dimension, (middle, unit) in scales.items()
        if (value := ratings.value(dimension)) is not None
    ]
    return max(found, key=lambda distance: abs(distance.z), default=None)
