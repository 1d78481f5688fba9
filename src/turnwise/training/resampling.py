"""Bootstrap intervals of measures over grouped values: every draw takes whole groups (all sounds of one recording)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import Floats

Groups = NDArray[np.int64]  # the group of every value, numbered from 0
_AT_ONCE = 1_000_000  # weights in hand: 8 MB
_FLAT = 1e-12  # of the spread of all values: below it a draw is constant

Interval = tuple[float, float]


def ratio_interval(bootstrap: Bootstrap, groups: Groups, values: Floats) -> Interval:
    """Of the mean of the values."""
    if not len(values):
        return np.nan, np.nan
    sums = np.zeros((bootstrap.dialogues, 2))
    np.add.at(sums, groups, np.stack([values, np.ones(len(values))], axis=1))
    low, high = bootstrap.ratio_interval(sums[:, :1], sums[:, 1:])
    return float(low[0]), float(high[0])


def correlation_interval(bootstrap: Bootstrap, groups: Groups, x: Floats, y: Floats) -> Interval:
    """Of Pearson's r."""
    return _interval(bootstrap, groups, x, y, ranked=False)


def rank_correlation_interval(bootstrap: Bootstrap, groups: Groups, x: Floats, y: Floats) -> Interval:
    """Of Spearman's rho; every draw has ranks of its own."""
    return _interval(bootstrap, groups, x, y, ranked=True)


def _interval(bootstrap: Bootstrap, groups: Groups, x: Floats, y: Floats, *, ranked: bool) -> Interval:
    if len(x) < 2:
        return np.nan, np.nan
    drawn = []
    step = max(1, _AT_ONCE // len(x))
    for first in range(0, bootstrap.draws, step):
        weights = bootstrap.counts[first : first + step][:, groups].astype(np.float64)  # [draw, value]
        sides = (_ranks(x, weights), _ranks(y, weights)) if ranked else (x[None], y[None])
        drawn.append(_weighted(weights, *sides))
    low, high = bootstrap.interval(np.concatenate(drawn)[:, None], np.array([bootstrap.dialogues]))
    return float(low[0]), float(high[0])


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Ranks of the values where each stands as often as its weight says; ties share their mean rank."""
    _, inverse = np.unique(values, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.flatnonzero(np.diff(inverse[order], prepend=-1))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)  # [draw, distinct value]
    ranks = np.cumsum(tied, axis=1) - (tied - 1.0) / 2.0
    return np.asarray(ranks[:, inverse], dtype=np.float64)


def _weighted(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Pearson's r in every draw; NaN where one side is constant."""
    total = weights.sum(axis=1, keepdims=True)
    dx = x - (weights * x).sum(axis=1, keepdims=True) / total
    dy = y - (weights * y).sum(axis=1, keepdims=True) / total
    xx, yy, xy = ((weights * product).sum(axis=1) for product in (dx * dx, dy * dy, dx * dy))
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = (xx > _FLAT * xx.max(initial=0.0)) & (yy > _FLAT * yy.max(initial=0.0))
        return np.where(usable, np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0), np.nan)
