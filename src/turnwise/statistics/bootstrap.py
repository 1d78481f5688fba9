"""Percentile bootstrap over dialogues, all quantities of a run at once.

Turns of one dialogue are not independent, so dialogues are drawn, with all their turns. A draw is a row of counts (how often
each dialogue was taken), and one matrix of such rows serves every arm and criterion: a mean over turns is a ratio of two
sums over dialogues, so resampling it is two columns of one matrix product.

With few dialogues the plain percentile interval is too short. By default its two levels are moved outward so that for a plain
mean it is as wide as Student's interval (Hesterberg 2015, the expanded percentile interval); with many dialogues nothing
changes. `expand=False` gives the plain one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from turnwise.statistics.grid import Floats
from turnwise.statistics.quantile import normal_cdf, t_quantile

_AT_ONCE = 100_000  # dialogues drawn at a time: 800 kB, within a processor's second cache
_COLUMNS = 64  # quantities resampled at a time: 2,000 draws of them are 1 MB


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """A seeded set of draws of dialogues."""

    dialogues: int
    seed: int
    draws: int = 2000
    level: float = 0.95
    expand: bool = True

    @cached_property
    def counts(self) -> NDArray[np.uint8]:
        """[draw, dialogue]: how often each dialogue was taken, 1 on average (above 255 is out of reach: 1 in 10^500)."""
        generator = np.random.Generator(np.random.PCG64(self.seed))
        n = self.dialogues
        made = np.zeros((self.draws, n), dtype=np.uint8)
        for rows in self._rows():
            held = rows.stop - rows.start
            taken = generator.integers(0, n, size=(held, n))
            taken += np.arange(held)[:, None] * n
            made[rows] = np.bincount(taken.ravel(), minlength=held * n).reshape(held, n)
        return made

    def totals(self, parts: Floats) -> Floats:
        """Sums over dialogues in every draw, [draw, quantity], of parts [dialogue, quantity]."""
        made = np.zeros((self.draws, parts.shape[1]))
        for rows in self._rows():
            np.matmul(self.counts[rows].astype(np.float64), parts, out=made[rows])
        return made

    def ratio_interval(self, above: Floats, below: Floats) -> tuple[Floats, Floats]:
        """Interval of sum(above) / sum(below) for every column of [dialogue, quantity]; NaN with fewer than two dialogues.

        Draws in which no dialogue has anything below the line say nothing and are left out.
        """
        columns = above.shape[1]
        low, high = np.empty(columns), np.empty(columns)
        clusters = (below != 0).sum(axis=0)
        for first in range(0, columns, _COLUMNS):
            part = slice(first, min(first + _COLUMNS, columns))
            width = part.stop - part.start
            total = self.totals(np.concatenate([above[:, part], below[:, part]], axis=1))
            over, under = total[:, :width], total[:, width:]
            drawn = np.divide(over, under, out=np.full(over.shape, np.nan), where=under != 0)
            low[part], high[part] = self.interval(drawn, clusters[part])
        return low, high

    def interval(self, drawn: Floats, clusters: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Interval from resampled values [draw, quantity], each resting on so many dialogues."""
        ordered = np.sort(drawn, axis=0)  # NaN last
        valid = np.isfinite(ordered).sum(axis=0)
        tail = np.array([self.tail(int(c)) for c in clusters])
        enough = (clusters >= 2) & (valid > 0)
        low = np.where(enough, _at(ordered, valid, tail), np.nan)
        high = np.where(enough, _at(ordered, valid, 1.0 - tail), np.nan)
        return low, high

    def tail(self, clusters: int) -> float:
        """Share of draws left out below the interval."""
        plain = (1.0 - self.level) / 2.0
        return _expanded(plain, clusters) if self.expand and clusters >= 2 else plain

    def _rows(self) -> Iterator[slice]:
        """Draws a few at a time, so that what is in hand stays in the processor's cache."""
        step = max(1, _AT_ONCE // max(self.dialogues, 1))
        for first in range(0, self.draws if self.dialogues else 0, step):
            yield slice(first, min(first + step, self.draws))


@lru_cache(maxsize=4096)
def _expanded(tail: float, clusters: int) -> float:
    return normal_cdf(math.sqrt(clusters / (clusters - 1)) * t_quantile(tail, clusters - 1))


def _at(ordered: Floats, valid: NDArray[np.int64], share: Floats) -> Floats:
    """Quantile of the first `valid` entries of each sorted column, interpolated linearly."""
    place = share * np.maximum(valid - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(valid - 1, 0))
    columns = np.arange(ordered.shape[1])
    lower, upper = ordered[below, columns], ordered[above, columns]
    return np.asarray(lower + (place - below) * (upper - lower), dtype=np.float64)
