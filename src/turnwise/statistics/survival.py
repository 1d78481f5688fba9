"""How many turns until the thread is lost: Kaplan-Meier curves, restricted means, and log-rank tests between arms.

The thread of a dialogue is lost at the first round whose score is worse than a threshold, or on which the agent is silent. A
dialogue that ends before is censored after its last round, one with a fault is censored before the fault: nobody
knows how it would have gone on. A round on which the judge abstains neither loses the thread nor ends the watch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import number
from turnwise.statistics.grid import UNPLANNED, Floats, Grid
from turnwise.statistics.incidence import Incidence, incidences
from turnwise.statistics.permutation import holm, sign_flip
from turnwise.statistics.quantile import normal_quantile
from turnwise.statistics.table import FAULT, SILENT

THRESHOLD = 50.0  # points of 100


class Step(msgspec.Struct, frozen=True):
    """One round of the curve; the band is pointwise, Greenwood's variance on the log-log scale."""

    round: int
    at_risk: int
    lost: int
    censored: int  # after this round
    kept: float  # share of dialogues that still keep the thread after this round
    error: float | None  # Greenwood's standard error of `kept`; None once nothing is at risk
    low: float | None
    high: float | None


class Survival(msgspec.Struct, frozen=True):
    """One arm."""

    arm: str
    dialogues: int
    lost: int
    steps: tuple[Step, ...]
    median: int | None  # first round by which at least half have lost it; None where it never comes to that
    horizon: int  # round up to which the restricted mean counts
    kept_rounds: float | None  # restricted mean: expected round of the loss, cut at the horizon
    kept_low: float | None
    kept_high: float | None
    causes: dict[str, int]  # primary failure on the turn of the loss, "silent", or "none"
    first_lost: dict[str, int]  # dialogue id -> round of its loss
    incidence: tuple[Incidence, ...] = ()  # share lost through each cause, the causes competing


class LogRank(msgspec.Struct, frozen=True):
    """Two arms. `p` takes their dialogues as independent; `p_paired` swaps arms within dialogues, and is the one to trust."""

    a: str
    b: str
    chi_square: float | None
    p: float | None
    p_paired: float | None
    p_holm: float | None  # of p_paired, over all pairs of arms
    difference: float | None  # of the restricted means, a minus b
    low: float | None
    high: float | None


class SurvivalStudy(msgspec.Struct, frozen=True):
    """All arms under one criterion and threshold."""

    criterion: str
    threshold: float
    arms: tuple[Survival, ...]
    tests: tuple[LogRank, ...]


def watch(
    values: Floats, status: NDArray[np.int8], threshold: float, better: Literal["higher", "lower"]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each dialogue of [dialogue, round]: the last round watched (0: none), and whether the thread was lost there."""
    with np.errstate(invalid="ignore"):
        worse = values < threshold if better == "higher" else values > threshold
    lost = worse | (status == SILENT)
    ended = (status == UNPLANNED) | (status == FAULT)
    rounds = values.shape[1]
    first_lost = np.where(lost.any(axis=1), lost.argmax(axis=1), rounds)
    first_end = np.where(ended.any(axis=1), ended.argmax(axis=1), rounds)
    event = first_lost < first_end
    return np.where(event, first_lost + 1, first_end).astype(np.int64), event


def kaplan_meier(time: NDArray[np.int64], event: NDArray[np.bool_], last: int, level: float = 0.95) -> tuple[Step, ...]:
    """The curve at rounds 1 to `last`."""
    z = normal_quantile(0.5 + level / 2.0)
    kept, variance = 1.0, 0.0
    made = []
    for t in range(1, last + 1):
        at_risk = int((time >= t).sum())
        lost = int(((time == t) & event).sum())
        censored = int(((time == t) & ~event).sum())
        if at_risk:
            kept *= 1.0 - lost / at_risk
            variance += lost / (at_risk * (at_risk - lost)) if at_risk > lost else math.inf
        error = low = high = None
        if at_risk and kept > 0.0:
            error = kept * math.sqrt(variance)
            low = high = kept
            if kept < 1.0:
                reach = math.exp(z * math.sqrt(variance) / abs(math.log(kept)))
                low, high = kept**reach, kept ** (1.0 / reach)
        elif at_risk:
            error = 0.0
        made.append(Step(t, at_risk, lost, censored, kept, error, low, high))
    return tuple(made)


def survive(
    grid: Grid,
    bootstrap: Bootstrap,
    criterion: str,
    *,
    better: Literal["higher", "lower"],
    threshold: float,
    horizon: int,
    causes: Mapping[str, NDArray[np.str_]],
    seed: int,
    flips: int = 9999,
) -> SurvivalStudy:
    """Every arm's curve up to `horizon`, and the tests between them. `causes[arm][dialogue, round - 1]` names the failure."""
    watched = [watch(grid.of(arm, criterion), grid.status_of(arm, criterion), threshold, better) for arm in grid.arms]
    drawn = [_restricted_means(time, event, bootstrap, horizon) for time, event in watched]
    whole = [_restricted_mean(time, event, horizon) for time, event in watched]
    counts = np.array([int((time > 0).sum()) for time, _ in watched], dtype=np.int64)
    arms = []
    for a, arm in enumerate(grid.arms):
        time, event = watched[a]
        steps = kaplan_meier(time, event, horizon, bootstrap.level)
        low, high = bootstrap.interval(drawn[a][:, None], counts[a : a + 1])
        first_lost = {grid.dialogues[d]: int(time[d]) for d in np.flatnonzero(event)}
        named = [str(causes[arm][d, time[d] - 1]) if event[d] else "" for d in range(len(time))]
        tally = Counter(cause for cause in named if cause)
        arms.append(
            Survival(
                arm=arm,
                dialogues=int(counts[a]),
                lost=int(event.sum()),
                steps=steps,
                median=next((s.round for s in steps if s.at_risk and s.kept <= 0.5 + 1e-12), None),
                horizon=horizon,
                kept_rounds=whole[a],
                kept_low=number(low[0]),
                kept_high=number(high[0]),
                causes=dict(sorted(tally.items(), key=lambda item: (-item[1], item[0]))),
                first_lost=first_lost,
                incidence=incidences(time, event, named, horizon, bootstrap),
            )
        )
    tests = _tests(grid, watched, whole, drawn, counts, bootstrap, seed=seed, flips=flips)
    return SurvivalStudy(criterion, threshold, tuple(arms), tests)


def log_rank(
    time_a: NDArray[np.int64], event_a: NDArray[np.bool_], time_b: NDArray[np.int64], event_b: NDArray[np.bool_]
) -> tuple[float | None, float | None, Floats, Floats]:
    """Chi-square with one degree of freedom, its p, and what each dialogue of a and of b adds to observed minus expected."""
    time, event = np.concatenate([time_a, time_b]), np.concatenate([event_a, event_b])
    hazard = np.zeros(int(time.max(initial=0)) + 1)
    variance = 0.0
    for t in range(1, len(hazard)):
        risk, of_a = int((time >= t).sum()), int((time_a >= t).sum())
        lost = int(((time == t) & event).sum())
        hazard[t] = lost / risk if risk else 0.0
        if risk > 1:
            variance += lost * (of_a / risk) * (1 - of_a / risk) * (risk - lost) / (risk - 1)
    surplus = event.astype(np.float64) - np.cumsum(hazard)[time]
    parts_a, parts_b = surplus[: len(time_a)], surplus[len(time_a) :]
    if variance <= 0.0:
        return None, None, parts_a, parts_b
    chi_square = float(parts_a.sum()) ** 2 / variance
    return chi_square, math.erfc(math.sqrt(chi_square / 2.0)), parts_a, parts_b


def _tests(
    grid: Grid,
    watched: list[tuple[NDArray[np.int64], NDArray[np.bool_]]],
    whole: list[float | None],
    drawn: list[Floats],
    counts: NDArray[np.int64],
    bootstrap: Bootstrap,
    *,
    seed: int,
    flips: int,
) -> tuple[LogRank, ...]:
    pairs = list(combinations(range(len(grid.arms)), 2))
    if not pairs:
        return ()
    unpaired, surplus = [], []
    for a, b in pairs:
        chi_square, p, parts_a, parts_b = log_rank(*watched[a], *watched[b])
        unpaired.append((chi_square, p))
        both = (watched[a][0] > 0) & (watched[b][0] > 0)
        # Swapping the arms of one dialogue leaves the pooled hazard as it is, so it only flips the sign of this difference.
        surplus.append(np.where(both, parts_a - parts_b, 0.0))
    flipped = [number(p) for p in sign_flip(np.stack(surplus, axis=1), seed=seed, flips=flips)]
    # Arms that lose the thread at the same rounds of the same dialogues differ by nothing, which no flip can change.
    paired = [1.0 if p is None and chi_square is not None else p for p, (chi_square, _) in zip(flipped, unpaired, strict=True)]
    made = []
    for (a, b), (chi_square, p), p_paired, p_holm in zip(pairs, unpaired, paired, holm(paired), strict=True):
        low, high = bootstrap.interval((drawn[a] - drawn[b])[:, None], np.minimum(counts[a : a + 1], counts[b : b + 1]))
        first, second = whole[a], whole[b]
        made.append(
            LogRank(
                a=grid.arms[a],
                b=grid.arms[b],
                chi_square=chi_square,
                p=p,
                p_paired=p_paired,
                p_holm=p_holm,
                difference=first - second if first is not None and second is not None else None,
                low=number(low[0]),
                high=number(high[0]),
            )
        )
    return tuple(made)


def _restricted_mean(time: NDArray[np.int64], event: NDArray[np.bool_], horizon: int) -> float | None:
    """Area under the curve from 0 to the horizon: every round counts with the share that still kept the thread before it."""
    value = _restricted_means(time, event, None, horizon)[0]
    return number(value)


def _restricted_means(time: NDArray[np.int64], event: NDArray[np.bool_], bootstrap: Bootstrap | None, horizon: int) -> Floats:
    rounds = np.arange(1, horizon + 1)
    at_risk = (time[:, None] >= rounds).astype(np.float64)
    lost = ((time[:, None] == rounds) & event[:, None]).astype(np.float64)
    risk, gone = (p.sum(axis=0, keepdims=True) if bootstrap is None else bootstrap.totals(p) for p in (at_risk, lost))
    kept = np.cumprod(1.0 - np.divide(gone, risk, out=np.zeros_like(gone), where=risk > 0), axis=1)
    if horizon == 0:
        return np.full(len(risk), np.nan)
    area = 1.0 + kept[:, :-1].sum(axis=1)
    return np.where(risk[:, 0] > 0, area, np.nan)
