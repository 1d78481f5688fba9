"""Do two criteria move together? Pearson and Spearman between all pairs, per arm and pooled within arms.

Over turns, and over the means of dialogues. Pooled within arms means: each arm's own level is taken out first, so that
two criteria do not correlate merely because one arm is better at both (Spearman: ranks within the arm, as shares of its n).
A series that is constant, or fewer than three pairs, gives no number: the word is "undefined".
"""

from __future__ import annotations

import warnings
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import number
from turnwise.statistics.grid import Floats, Grid

POOLED = "pooled within arms"
LEAST_PAIRS = 3


class Correlation(msgspec.Struct, frozen=True):
    """Two criteria under one arm, or pooled. `low` and `high` bound Pearson's r, by bootstrap over dialogues."""

    a: str
    b: str
    pearson: float | None  # None: undefined
    spearman: float | None
    n: int  # pairs
    low: float | None = None
    high: float | None = None


class Correlations(msgspec.Struct, frozen=True):
    """The upper triangle of one matrix, pairs in the order of the criteria."""

    arm: str  # or POOLED
    unit: str  # "turns" or "dialogues"
    pairs: tuple[Correlation, ...]

    def of(self, a: str, b: str) -> Correlation:
        for pair in self.pairs:
            if {pair.a, pair.b} == {a, b}:
                return pair
        raise KeyError((a, b))


def correlations(grid: Grid, bootstrap: Bootstrap) -> tuple[Correlations, ...]:
    """Every matrix of a run: over turns, then over dialogues; each per arm, then pooled."""
    with warnings.catch_warnings():  # a dialogue without a score has no mean, which numpy remarks on
        warnings.simplefilter("ignore", RuntimeWarning)
        dialogues = np.nanmean(grid.values, axis=3, keepdims=True) if grid.rounds else grid.values
    made: list[Correlations] = []
    for unit, values in (("turns", grid.values), ("dialogues", dialogues)):
        drawn = [_drawn_moments(values[a], bootstrap) for a in range(len(grid.arms))]
        for a, arm in enumerate(grid.arms):
            made.append(Correlations(arm, unit, _matrix(grid.criteria, values[a : a + 1], drawn[a : a + 1], bootstrap)))
        made.append(Correlations(POOLED, unit, _matrix(grid.criteria, values, drawn, bootstrap)))
    return tuple(made)


def ranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[inverse], dtype=np.float64)


def pearson(x: Floats, y: Floats) -> float | None:
    """Pearson's r of two complete series, or None where it is undefined."""
    if len(x) < LEAST_PAIRS:
        return None
    return _r(x - x.mean(), y - y.mean(), float(np.abs(x).max()), float(np.abs(y).max()))


def spearman(x: Floats, y: Floats) -> float | None:
    """Spearman's rho of two complete series, or None where it is undefined."""
    return pearson(ranks(x), ranks(y))


def _matrix(names: tuple[str, ...], values: Floats, drawn: list[Floats], bootstrap: Bootstrap) -> tuple[Correlation, ...]:
    """`values` is [arm, criterion, dialogue, item]; each arm's level is taken out before arms are put together."""
    arms, criteria = values.shape[:2]
    finite = np.isfinite(values)
    series, scored = values.reshape(arms, criteria, -1), finite.reshape(arms, criteria, -1)
    ranked: dict[tuple[int, int, bytes], Floats] = {}
    pairs = list(combinations(range(criteria), 2))
    low, high = _pearson_intervals(drawn, _clusters(finite, pairs), bootstrap)
    made = []
    for k, (i, j) in enumerate(pairs):
        columns: tuple[list[Floats], ...] = ([], [], [], [])
        largest = [0.0, 0.0]
        for arm in range(arms):
            both = scored[arm, i] & scored[arm, j]
            if not both.any():
                continue
            for side, c in enumerate((i, j)):
                x = series[arm, c, both]
                largest[side] = max(largest[side], float(np.abs(x).max()))
                columns[side].append(x - x.mean())
                key = (arm, c, both.tobytes())
                if key not in ranked:
                    rank = ranks(x)
                    ranked[key] = (rank - rank.mean()) / len(x)
                columns[2 + side].append(ranked[key])
        n = sum(len(x) for x in columns[0])
        r = rho = None
        if n >= LEAST_PAIRS:
            x, y, rank_x, rank_y = (np.concatenate(c) for c in columns)
            r, rho = _r(x, y, *largest), _r(rank_x, rank_y, 1.0, 1.0)
        edges = (number(low[k]), number(high[k])) if r is not None else (None, None)
        made.append(Correlation(names[i], names[j], r, rho, n, *edges))
    return tuple(made)


def _r(x: Floats, y: Floats, largest_x: float, largest_y: float) -> float | None:
    """Of two centred series. What is left of a constant after taking its mean out is rounding, not variation."""
    spread = [float(np.sqrt((v * v).sum())) for v in (x, y)]
    if any(s <= 1e-12 * largest * np.sqrt(len(x)) for s, largest in zip(spread, (largest_x, largest_y), strict=True)):
        return None
    return float(np.clip((x * y).sum() / (spread[0] * spread[1]), -1.0, 1.0))


def _drawn_moments(values: Floats, bootstrap: Bootstrap) -> Floats:
    """[sum of squares of x, of y, of products; draw; pair] about each draw's own means, of [criterion, dialogue, item]."""
    scored = np.isfinite(values)
    present = scored.astype(np.float64).transpose(1, 0, 2)  # [dialogue, criterion, item]
    count = np.maximum(scored.sum(axis=(1, 2)), 1)
    level = np.where(scored, values, 0.0).sum(axis=(1, 2)) / count
    centred = np.where(scored, values - level[:, None, None], 0.0).transpose(1, 0, 2)
    first, second = np.triu_indices(values.shape[0], k=1)

    def drawn(left: Floats, right: Floats) -> tuple[Floats, Floats]:
        product = left @ right.transpose(0, 2, 1)  # [dialogue, criterion, criterion]
        return bootstrap.totals(product[:, first, second]), bootstrap.totals(product[:, second, first])

    held = np.maximum(drawn(present, present)[0], 1.0)
    x, y = drawn(centred, present)
    xx, yy = drawn(centred * centred, present)
    xy = drawn(centred, centred)[0]
    return np.stack([xx - x * x / held, yy - y * y / held, xy - x * y / held])


def _pearson_intervals(drawn: list[Floats], clusters: Floats, bootstrap: Bootstrap) -> tuple[Floats, Floats]:
    xx, yy, xy = sum(drawn[1:], drawn[0])
    floor = 1e-12  # of the largest draw: below it a draw is constant
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = (xx > floor * xx.max(axis=0, initial=0.0)) & (yy > floor * yy.max(axis=0, initial=0.0))
        r = np.where(usable, np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0), np.nan)
    return bootstrap.interval(r, clusters.astype(np.int64))


def _clusters(finite: NDArray[np.bool_], pairs: list[tuple[int, int]]) -> Floats:
    """Dialogues with a common item of each pair, under any arm."""
    return np.array([(finite[:, i] & finite[:, j]).any(axis=(0, 2)).sum() for i, j in pairs], dtype=np.float64)
