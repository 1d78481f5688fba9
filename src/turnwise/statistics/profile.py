"""Through which failure an arm loses the thread: mean severity, share of turns above mild, and the primary failure.

Severity bands are 0 none, 1-33 mild, 34-66 moderate, 67-100 severe. The primary failure of a turn is the most severe one
above mild (the first in order where two are equal), else "none". A failure whose judge abstains cannot be seen on that turn and
is passed over; where a failure's judge is at fault, or no failure was scored, the primary failure is unknown and not counted.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.judges.severity import MILD
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import Estimate, share
from turnwise.statistics.grid import Floats, Grid
from turnwise.statistics.table import FAULT, SILENT

NONE = "none"


class FailureShare(msgspec.Struct, frozen=True):
    """One failure type of one arm."""

    failure: str
    severity: Estimate
    above_mild: Estimate  # share of scored turns, 0-1
    primary: int  # turns on which it is the primary failure


class Profile(msgspec.Struct, frozen=True):
    """The failures of one arm."""

    arm: str
    failures: tuple[FailureShare, ...]
    none: int  # turns on which none is above mild
    turns: int  # on which the primary failure, or that there is none, is known


def primary(severities: Floats, status: NDArray[np.int8]) -> NDArray[np.int64]:
    """Index of the primary failure along the first axis; -1 for none, -2 for unknown."""
    if severities.shape[0] == 0:
        return np.full(severities.shape[1:], -2, dtype=np.int64)
    scored = np.isfinite(severities)
    known = scored.any(axis=0) & ~np.isin(status, (FAULT, SILENT)).any(axis=0)
    filled = np.where(scored, severities, -1.0)
    found = np.where(filled.max(axis=0) > MILD, filled.argmax(axis=0), -1)
    return np.where(known, found, -2)


def profiles(
    grid: Grid, bootstrap: Bootstrap, failures: tuple[str, ...], severity: dict[str, dict[str, Estimate]]
) -> tuple[Profile, ...]:
    """One profile per arm; empty ones where the run has no failure judge."""
    places = [grid.criteria.index(f) for f in failures]
    made = []
    for a, arm in enumerate(grid.arms):
        values = grid.values[a, places]
        chosen = primary(values, grid.status[a, places])
        shares = []
        for k, failure in enumerate(failures):
            flags = np.where(np.isfinite(values[k]), (values[k] > MILD).astype(np.float64), np.nan)
            shares.append(FailureShare(failure, severity[arm][failure], share(flags, bootstrap), int((chosen == k).sum())))
        made.append(Profile(arm, tuple(shares), int((chosen == -1).sum()), int((chosen >= -1).sum())))
    return tuple(made)


def causes(grid: Grid, failures: tuple[str, ...], arm: str) -> NDArray[np.str_]:
    """[dialogue, round]: the primary failure in a word, "none", "silent", or "unknown"."""
    a = grid.arms.index(arm)
    places = [grid.criteria.index(f) for f in failures]
    chosen = primary(grid.values[a, places], grid.status[a, places])
    names = np.array([*failures, "unknown", NONE])  # -2 and -1 count from the end
    silent = (grid.status[a] == SILENT).any(axis=0)
    return np.where(silent, "silent", names[chosen])
