"""A mean with what is needed to believe it: interval, n, what is missing and by which cause, and the bounds that leaves."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from turnwise.judges.judge import Criterion
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import UNPLANNED, Floats, Grid


class Estimate(msgspec.Struct, frozen=True):
    """A mean over turns; `mean` is None where no turn was scored, `low` and `high` with fewer than two dialogues."""

    mean: float | None
    low: float | None
    high: float | None
    n: int  # scored turns
    dialogues: int  # with at least one scored turn
    missing: dict[str, int] = {}  # planned turns without a score, by cause
    bounds: tuple[float, float] | None = None  # worst and best mean, were every missing turn at an end of the scale

    @property
    def absent(self) -> int:
        return sum(self.missing.values())


def number(value: float) -> float | None:
    """A plain number, or None for what could not be computed."""
    return float(value) if np.isfinite(value) else None


def sums(values: Floats) -> tuple[Floats, Floats]:
    """Sum and count over the last axis, of what is scored."""
    scored = np.isfinite(values)
    return np.where(scored, values, 0.0).sum(axis=-1), scored.sum(axis=-1).astype(np.float64)


def estimates(
    grid: Grid, bootstrap: Bootstrap, criteria: Mapping[str, Criterion], missing: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> dict[str, dict[str, Estimate]]:
    """The mean of every criterion for every arm: arm -> criterion -> estimate."""
    total, count = sums(grid.values)  # [arm, criterion, dialogue]
    shape = total.shape
    above, below = total.reshape(-1, shape[2]).T, count.reshape(-1, shape[2]).T
    low, high = bootstrap.ratio_interval(above, below)
    planned = (grid.status != UNPLANNED).sum(axis=(2, 3))
    made: dict[str, dict[str, Estimate]] = {}
    for a, arm in enumerate(grid.arms):
        made[arm] = {}
        for c, name in enumerate(grid.criteria):
            k = a * shape[1] + c
            n, whole = int(below[:, k].sum()), float(above[:, k].sum())
            made[arm][name] = Estimate(
                mean=whole / n if n else None,
                low=number(low[k]),
                high=number(high[k]),
                n=n,
                dialogues=int((below[:, k] > 0).sum()),
                missing=dict(missing[arm][name]),
                bounds=bounds(whole, n, int(planned[a, c]), criteria[name]),
            )
    return made


def bounds(total: float, scored: int, planned: int, criterion: Criterion) -> tuple[float, float] | None:
    """Worst and best possible mean over all planned turns; None where the scale has no two ends or nothing was planned."""
    if criterion.low is None or criterion.high is None or planned == 0:
        return None
    absent = planned - scored
    floor, ceiling = (total + absent * criterion.low) / planned, (total + absent * criterion.high) / planned
    return (floor, ceiling) if criterion.better == "higher" else (ceiling, floor)


def share(flags: Floats, bootstrap: Bootstrap) -> Estimate:
    """Share of turns with a property: [dialogue, round] of 1, 0 and NaN."""
    total, count = sums(flags)
    low, high = bootstrap.ratio_interval(total[:, None], count[:, None])
    n = int(count.sum())
    return Estimate(float(total.sum()) / n if n else None, number(low[0]), number(high[0]), n, int((count > 0).sum()))
