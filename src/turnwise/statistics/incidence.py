"""Through which failure the thread is lost, as shares of all dialogues: cumulative incidence with competing causes.

A dialogue that has lost the thread through one failure cannot lose it through another any more, so the causes compete. Counting
losses by cause among the dialogues that happened to be watched long enough, or taking 1 minus a Kaplan-Meier curve per cause,
misstates them; the estimator of Aalen and Johansen does not: at every round the share that still kept the thread, times the
share of those at risk that lose it now through this cause, added up. Over all causes it sums to 1 minus the Kaplan-Meier curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import number
from turnwise.statistics.grid import Floats


class Share(msgspec.Struct, frozen=True):
    """Dialogues that have lost the thread through one cause by the end of a round; the band is pointwise."""

    round: int
    incidence: float
    low: float | None
    high: float | None


class Incidence(msgspec.Struct, frozen=True):
    """One cause of one arm, round by round; empty where no dialogue could be watched."""

    cause: str
    steps: tuple[Share, ...]


def incidences(
    time: NDArray[np.int64], event: NDArray[np.bool_], cause: Sequence[str], horizon: int, bootstrap: Bootstrap
) -> tuple[Incidence, ...]:
    """Every cause that occurs, the most frequent at the horizon first. `cause` is that of each dialogue whose thread is lost."""
    names = sorted({name for name, lost, at in zip(cause, event, time, strict=True) if lost and at <= horizon})
    if not names:
        return ()
    watched = np.array([int((time > 0).sum())] * horizon, dtype=np.int64)
    made = []
    for name in names:
        mine = event & (np.asarray(cause) == name)
        found = aalen_johansen(time, event, mine, horizon)[0]
        low, high = bootstrap.interval(aalen_johansen(time, event, mine, horizon, bootstrap), watched)
        steps = (Share(t + 1, float(found[t]), number(low[t]), number(high[t])) for t in range(horizon))
        made.append(Incidence(name, tuple(steps)))
    return tuple(sorted(made, key=lambda one: (-one.steps[-1].incidence, one.cause)))


def aalen_johansen(
    time: NDArray[np.int64], event: NDArray[np.bool_], mine: NDArray[np.bool_], horizon: int, bootstrap: Bootstrap | None = None
) -> Floats:
    """[draw, round]: cumulative incidence of the losses marked by `mine`, once, or in every draw of a bootstrap."""
    rounds = np.arange(1, horizon + 1)
    at_risk = (time[:, None] >= rounds).astype(np.float64)
    here = time[:, None] == rounds
    lost, through = ((here & flag[:, None]).astype(np.float64) for flag in (event, mine))
    parts = (at_risk, lost, through)
    risk, gone, by = (p.sum(axis=0, keepdims=True) if bootstrap is None else bootstrap.totals(p) for p in parts)
    hazard, own = (np.divide(p, risk, out=np.zeros_like(p), where=risk > 0) for p in (gone, by))
    kept = np.cumprod(1.0 - hazard, axis=1)
    before = np.concatenate([np.ones((len(kept), 1)), kept[:, :-1]], axis=1)
    made = np.cumsum(before * own, axis=1)
    return np.where(risk[:, :1] > 0, made, np.nan)
