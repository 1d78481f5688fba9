"""Do judges agree: with each other where two give the same criterion, and with themselves where one was asked again.

Krippendorff's alpha for interval data over all turns that at least two ratings have: 1 minus the mean squared difference
within turns over that between any two ratings. 1 is perfect, 0 is chance, below 0 is worse than chance. It sees a constant
difference between judges, which correlations do not; hence both, and the difference itself with its interval over dialogues.
Where the ratings do not vary, or fewer than three turns have two, nothing can be said: the word is "undefined". Judges whose
scales differ are correlated and not subtracted.
"""

from __future__ import annotations

from itertools import combinations

import msgspec
import numpy as np

from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Abstention, Fault, Score, Silence
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.correlation import LEAST_PAIRS, pearson, spearman
from turnwise.statistics.estimate import number
from turnwise.statistics.grid import Floats, Grid
from turnwise.statistics.roles import measure, plain_name
from turnwise.study.results import Instrument, Results


class Agreement(msgspec.Struct, frozen=True):
    """Two judges on the turns that both scored, all arms together. None: undefined."""

    measure: str
    a: str  # criterion
    b: str
    judge_a: str
    judge_b: str
    comparable: bool  # one scale: else there is no alpha and no difference
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    pearson: float | None
    spearman: float | None
    difference: float | None  # mean of a minus b
    low: float | None
    high: float | None
    n: int  # turns scored by both
    dialogues: int
    left_out: int  # turns scored by one of them only


class Panel(msgspec.Struct, frozen=True):
    """Three or more judges of one thing taken together."""

    measure: str
    criteria: tuple[str, ...]
    alpha: float | None
    n: int  # turns scored by at least two of them


class Spread(msgspec.Struct, frozen=True):
    """One judge asked several times about the same turn."""

    criterion: str
    judge: str
    repeats: int  # as declared
    deviation: float | None  # standard deviation within a turn, mean over turns
    low: float | None
    high: float | None
    alpha: float | None  # between the repeats
    n: int  # turns with at least two scores
    dialogues: int
    unscored: dict[str, int]  # repeats without a score, by cause; silent turns are not asked


class Agreements(msgspec.Struct, frozen=True):
    """Everything that can be said of how far the judges of a run can be relied on to say the same."""

    pairs: tuple[Agreement, ...]
    panels: tuple[Panel, ...]
    spreads: tuple[Spread, ...]


def agreements(results: Results, grid: Grid, bootstrap: Bootstrap) -> Agreements:
    """Every pair of criteria that measure the same, and every judge with repeats."""
    things: dict[str, list[Instrument]] = {}
    for instrument in results.instruments:
        things.setdefault(measure(instrument), []).append(instrument)
    pairs, panels = [], []
    for same in things.values():
        pairs += [_pair(a, b, grid, bootstrap) for a, b in combinations(same, 2) if a.judge != b.judge]
        if len({i.judge for i in same}) > 2 and all(one_scale(same[0].criterion, i.criterion) for i in same):
            names = tuple(i.criterion.name for i in same)
            ratings = np.stack([grid.values[:, grid.criteria.index(name)].ravel() for name in names])
            n = int((np.isfinite(ratings).sum(axis=0) > 1).sum())
            panels.append(Panel(plain_name(same[0]), names, krippendorff(ratings), n))
    spreads = [_spread(i, results, grid, bootstrap) for i in results.instruments if i.repeats > 1]
    return Agreements(tuple(pairs), tuple(panels), tuple(spreads))


def one_scale(a: Criterion, b: Criterion) -> bool:
    """Whether two numbers may be subtracted: the same direction and ends, or without ends the same unit."""
    ends = (a.low, a.high) == (b.low, b.high)
    return a.better == b.better and ends and (a.unit == b.unit or (a.low is not None and a.high is not None))


def krippendorff(ratings: Floats) -> float | None:
    """Alpha for interval data of [rater, unit], NaN where a rater gave nothing; None where it is undefined."""
    scored = np.isfinite(ratings)
    held = scored.sum(axis=0)
    pairable = held > 1
    if pairable.sum() < LEAST_PAIRS:
        return None
    ratings, scored, held = ratings[:, pairable], scored[:, pairable], held[pairable]
    values = ratings[scored]
    if values.max() == values.min():
        return None
    centred = np.where(scored, ratings - values.mean(), 0.0)
    total, squares, n = centred.sum(axis=0), (centred**2).sum(axis=0), int(held.sum())
    within = float(((held * squares - total**2) / (held - 1)).sum()) / n
    between = float(n * squares.sum() - total.sum() ** 2) / (n * (n - 1))
    return 1.0 - within / between


def _pair(a: Instrument, b: Instrument, grid: Grid, bootstrap: Bootstrap) -> Agreement:
    x, y = (grid.values[:, grid.criteria.index(i.criterion.name)] for i in (a, b))  # [arm, dialogue, round]
    both = np.isfinite(x) & np.isfinite(y)
    comparable = one_scale(a.criterion, b.criterion)
    n = int(both.sum())
    count = both.sum(axis=(0, 2)).astype(np.float64)
    alpha = alpha_low = alpha_high = difference = low = high = None
    if comparable and n:
        gap = np.where(both, x - y, 0.0).sum(axis=(0, 2))
        difference = float(gap.sum()) / n
        edges = bootstrap.ratio_interval(gap[:, None], count[:, None])
        low, high = (number(edge[0]) for edge in edges)
        alpha = krippendorff(np.stack([x[both], y[both]]))
        if alpha is not None:
            alpha_low, alpha_high = _alpha_interval(x, y, bootstrap)
    return Agreement(
        measure=plain_name(a),
        a=a.criterion.name,
        b=b.criterion.name,
        judge_a=a.judge,
        judge_b=b.judge,
        comparable=comparable,
        alpha=alpha,
        alpha_low=alpha_low,
        alpha_high=alpha_high,
        pearson=pearson(x[both], y[both]),
        spearman=spearman(x[both], y[both]),
        difference=difference,
        low=low,
        high=high,
        n=n,
        dialogues=int((count > 0).sum()),
        left_out=int((np.isfinite(x) ^ np.isfinite(y)).sum()),
    )


def _alpha_interval(x: Floats, y: Floats, bootstrap: Bootstrap) -> tuple[float | None, float | None]:
    """Of two judges, [arm, dialogue, round] each: all that alpha is made of are sums over dialogues."""
    both = np.isfinite(x) & np.isfinite(y)
    middle = (x[both].mean() + y[both].mean()) / 2.0
    u, v = np.where(both, x - middle, 0.0), np.where(both, y - middle, 0.0)
    parts = np.stack([both.astype(np.float64), (u - v) ** 2, u + v, u * u + v * v]).sum(axis=(1, 3))  # [part, dialogue]
    units, apart, total, squares = bootstrap.totals(parts.T).T
    n = 2.0 * units
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (n * squares - total**2) / (n * (n - 1.0))
        # What a draw of equal ratings leaves of its variance is rounding.
        usable = (units > 0) & (between > 1e-12 * between[np.isfinite(between)].max(initial=0.0))
        drawn = np.where(usable, 1.0 - apart / n / between, np.nan)
    low, high = bootstrap.interval(drawn[:, None], np.array([int((parts[0] > 0).sum())], dtype=np.int64))
    return number(low[0]), number(high[0])


def _spread(instrument: Instrument, results: Results, grid: Grid, bootstrap: Bootstrap) -> Spread:
    name = instrument.criterion.name
    places = {dialogue: k for k, dialogue in enumerate(grid.dialogues)}
    rows: list[list[float]] = []
    unscored: dict[str, int] = {}
    above, below = np.zeros((len(places), 1)), np.zeros((len(places), 1))
    for conversation in results.conversations:
        place = places[conversation.dialogue.id]
        for answered in conversation.rounds:
            given = answered.repeats.get(name, ())
            scores = [o.value for o in given if isinstance(o, Score)]
            for outcome in given:
                match outcome:
                    case Fault(cause, _):
                        unscored[cause] = unscored.get(cause, 0) + 1
                    case Abstention():
                        unscored["abstained"] = unscored.get("abstained", 0) + 1
                    case Score() | Silence():
                        pass
            if len(scores) > 1:
                rows.append(scores)
                above[place] += float(np.std(scores, ddof=1))
                below[place] += 1.0
    low, high = bootstrap.ratio_interval(above, below)
    widest = max(map(len, rows), default=0)
    ratings = np.full((widest, len(rows)), np.nan)
    for unit, scores in enumerate(rows):
        ratings[: len(scores), unit] = scores
    return Spread(
        criterion=name,
        judge=instrument.judge,
        repeats=instrument.repeats,
        deviation=float(above.sum()) / len(rows) if rows else None,
        low=number(low[0]),
        high=number(high[0]),
        alpha=krippendorff(ratings) if rows else None,
        n=len(rows),
        dialogues=int((below > 0).sum()),
        unscored=dict(sorted(unscored.items(), key=lambda item: (-item[1], item[0]))),
    )
