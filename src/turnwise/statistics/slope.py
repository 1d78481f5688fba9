"""How much a criterion changes per round: least squares within dialogues.

Each dialogue has its own level and all share one slope, so that dialogues of different length do not tilt the line:
sum over dialogues of (round - its mean)(score - its mean), over the sum of (round - its mean)^2, scored turns only. On the
constant subset without missing turns this is the slope of the round means.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import number
from turnwise.statistics.grid import Floats, Grid


class Slope(msgspec.Struct, frozen=True):
    """Units of the criterion per round; None where no dialogue has two scored rounds."""

    value: float | None
    low: float | None
    high: float | None
    n: int  # turns that bear on it
    dialogues: int  # with at least two scored rounds


class Slopes(msgspec.Struct, frozen=True):
    """On all rounds of all dialogues, and on the constant subset up to the last round shown."""

    all: Slope
    constant: Slope


def slopes(grid: Grid, bootstrap: Bootstrap, last: int) -> dict[str, dict[str, Slopes]]:
    """The slopes of every criterion for every arm."""
    whole = _slopes(grid.values, bootstrap)
    reaching = grid.lengths >= last
    constant = _slopes(np.where(reaching[None, None, :, None], grid.values[:, :, :, :last], np.nan), bootstrap)
    made: dict[str, dict[str, Slopes]] = {}
    for a, arm in enumerate(grid.arms):
        made[arm] = {name: Slopes(whole[a][c], constant[a][c]) for c, name in enumerate(grid.criteria)}
    return made


def slope_within(values: Floats, bootstrap: Bootstrap) -> Slope:
    """The slope of one arm under one criterion, of [dialogue, round]."""
    return _slopes(values[None, None], bootstrap)[0][0]


def least_squares(y: Sequence[float]) -> float:
    """Slope of a series per step, e.g. of published means per round."""
    values = np.asarray(y, dtype=np.float64)
    steps = np.arange(len(values), dtype=np.float64)
    steps -= steps.mean()
    return float((steps * values).sum() / (steps**2).sum())


def _slopes(values: Floats, bootstrap: Bootstrap) -> list[list[Slope]]:
    arms, criteria, dialogues, rounds = values.shape
    scored = np.isfinite(values)
    n = np.maximum(scored.sum(axis=-1, keepdims=True), 1)
    step = np.where(scored, np.arange(rounds, dtype=np.float64), 0.0)
    level = np.where(scored, values, 0.0)
    step = np.where(scored, step - step.sum(axis=-1, keepdims=True) / n, 0.0)
    level = np.where(scored, level - level.sum(axis=-1, keepdims=True) / n, 0.0)
    above = (step * level).sum(axis=-1).reshape(-1, dialogues).T
    below = (step * step).sum(axis=-1).reshape(-1, dialogues).T
    turns = np.where(below.T > 0, scored.sum(axis=-1).reshape(-1, dialogues), 0).sum(axis=1)
    low, high = bootstrap.ratio_interval(above, below)
    made = []
    for k in range(arms * criteria):
        weight = float(below[:, k].sum())
        value = float(above[:, k].sum()) / weight if weight > 0 else None
        made.append(Slope(value, number(low[k]), number(high[k]), int(turns[k]), int((below[:, k] > 0).sum())))
    return [made[a * criteria : (a + 1) * criteria] for a in range(arms)]
