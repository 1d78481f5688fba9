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

_BLOCK = 256  # columns resampled at a time: 2,000 draws of them are 4 MB


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """A seeded set of draws of dialogues."""

    dialogues: int
    seed: int
    draws: int = 2000
    level: float = 0.95
    expand: bool = True

    @cached_property
    def weights(self) -> Floats:
        """[draw, dialogue]: how often each dialogue was taken."""
        generator = np.random.Generator(np.random.PCG64(self.seed))
        n = self.dialogues
        if n == 0:
            return np.zeros((self.draws, 0))
        taken = generator.integers(0, n, size=(self.draws, n))
        taken += np.arange(self.draws)[:, None] * n
        return np.bincount(taken.ravel(), minlength=self.draws * n).reshape(self.draws, n).astype(np.float64)

    def ratio_interval(self, above: Floats, below: Floats) -> tuple[Floats, Floats]:
        """Interval of sum(above) / sum(below) for every column of [dialogue, quantity]; NaN with fewer than two dialogues.

        Draws in which no dialogue has anything below the line say nothing and are left out.
        """
        low, high = np.empty(above.shape[1]), np.empty(above.shape[1])
        clusters = (below != 0).sum(axis=0)
        for part in self._blocks(above.shape[1]):
            total = self.weights @ below[:, part]
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn = np.where(total != 0, (self.weights @ above[:, part]) / total, np.nan)
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

    def _blocks(self, columns: int) -> Iterator[slice]:
        for first in range(0, columns, _BLOCK):
            yield slice(first, min(first + _BLOCK, columns))


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
