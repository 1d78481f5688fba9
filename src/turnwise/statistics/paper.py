"""A run in the quantities of The Context Trap: which criterion stands where in its tables, means over rounds, ratios of failures.

The paper's Table 5 gives means per round, and this adds what follows from such a row: the mean of the round means and their
least-squares slope. Both count rounds alike, however few dialogues reach the later ones; the slope within dialogues beside them
does not. Intervals are by bootstrap over dialogues. Where an arm "X (E2E)" and an arm "X (M)" are there, their severities are
divided.
"""

from __future__ import annotations

import re

import msgspec
import numpy as np

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.correlation import POOLED, Correlation
from turnwise.statistics.curve import Point
from turnwise.statistics.estimate import number, sums
from turnwise.statistics.given_by import given_by
from turnwise.statistics.grid import Floats, Grid, grid_of
from turnwise.statistics.roles import FAILURES, VOICE, is_sound, label_of, measure
from turnwise.statistics.slope import Slope, least_squares, slope_within
from turnwise.statistics.summary import Options, Summary, summarise
from turnwise.statistics.table import tidy
from turnwise.study.results import Instrument, Results

ROUNDS = 10  # of the paper's Table 5
CLEAR = ("predictedintelligibility", "intelligibility", "audioclarity")  # the nearest to the paper's first
# The columns of its Table 2, by the first name each failure has in `roles`.
SEVERITIES = ("generic", "topicdrift", "repetition", "misunderstanding", "memory")
assert {names[0] for names in FAILURES} == set(SEVERITIES)
_KIND = re.compile(r"(.*\S)\s*\((e2e|m)\)", re.IGNORECASE)


class Value(msgspec.Struct, frozen=True):
    """A number with its interval; None where a round has no scored turn."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class RoundMeans(msgspec.Struct, frozen=True):
    """One arm under one criterion, as a row of Table 5."""

    arm: str
    criterion: str
    points: tuple[Point, ...]
    drops: tuple[int, ...]  # rounds more than ten points of 100 worse than the first
    mean: Value  # of the round means
    slope: Value  # of the round means, per round
    within: Slope  # of the turns, each dialogue with its own level, over the same rounds


class Ratio(msgspec.Struct, frozen=True):
    """Mean of the end-to-end arm over that of the modular one; None where that is zero or either has no score."""

    model: str
    criterion: str
    value: float | None
    low: float | None
    high: float | None
    n_end_to_end: int
    n_modular: int


class Paper(msgspec.Struct, frozen=True):
    """What the paper's tables and figures are made of."""

    rounds: int
    quality: tuple[Instrument, ...]
    intelligibility: tuple[Instrument, ...]
    naturalness: tuple[Instrument, ...]
    consistency: tuple[Instrument, ...]
    voice: tuple[Instrument, ...]
    aspects: tuple[Instrument, ...]  # what else judges of sound give beside their first: noise, coloration, ...
    failures: tuple[tuple[Instrument | None, ...], ...]  # one row per set of judges, in the order of SEVERITIES
    by: dict[str, str]  # criterion -> the judge, with its estimator or models
    lines: dict[str, tuple[RoundMeans, ...]]  # criterion -> arms in the order of tables
    pairs: dict[str, tuple[str, str]]  # model -> its end-to-end and its modular arm
    ratios: tuple[Ratio, ...]
    correlations: tuple[Correlation, ...]  # dialogue (a) against sound (b), over turns, pooled within arms


def paper(results: Results, options: Options | None = None) -> tuple[Summary, Paper]:
    """The run's summary up to the paper's last round, and the paper's quantities."""
    from threadpoolctl import threadpool_limits

    table = tidy(results)
    summary = summarise(results, options or Options(last_round=ROUNDS), table)
    with threadpool_limits(limits=1, user_api="blas"):
        return summary, _paper(results, summary, grid_of(table))


def model_pairs(arms: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Models that have both an arm "X (E2E)" and an arm "X (M)", in the order of the first."""
    found: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    for arm in arms:
        match = _KIND.fullmatch(arm.strip())
        if match is not None:
            names.setdefault(match[1].casefold(), match[1])
            found.setdefault(match[1].casefold(), {}).setdefault(match[2].lower(), arm)
    return {names[model]: (kinds["e2e"], kinds["m"]) for model, kinds in found.items() if len(kinds) == 2}


def _paper(results: Results, summary: Summary, grid: Grid) -> Paper:
    bootstrap = Bootstrap(len(grid.dialogues), summary.seed, summary.options.draws, summary.options.level, summary.options.expand)
    of = {name: tuple(i for i in results.instruments if measure(i) == name) for name in ("naturalness", "consistency")}
    voice = tuple(i for i in results.instruments if measure(i) == VOICE[0])
    clear = tuple(i for name in CLEAR for i in results.instruments if measure(i) == name and is_sound(i))
    quality: dict[str, Instrument] = {}  # the first that each judge of sound gives is what it says overall
    for instrument in results.instruments:
        if is_sound(instrument) and measure(instrument) not in (VOICE[0], *CLEAR):
            quality.setdefault(instrument.judge, instrument)
    told = {i.criterion.name for i in (*quality.values(), *clear, *voice)}
    aspects = tuple(i for i in results.instruments if is_sound(i) and i.criterion.name not in told)
    failures = _failures(results)
    pairs = model_pairs(grid.arms)
    severities = [i.criterion.name for row in failures for i in row if i is not None]
    sound = (*quality.values(), *aspects, *clear, *voice)
    pooled = next(c for c in summary.correlations if c.arm == POOLED and c.unit == "turns")
    lined = (*of["naturalness"], *of["consistency"], *quality.values(), *aspects, *voice)
    return Paper(
        rounds=summary.last_round,
        quality=tuple(quality.values()),
        intelligibility=clear,
        naturalness=of["naturalness"],
        consistency=of["consistency"],
        voice=voice,
        aspects=aspects,
        failures=failures,
        by={i.criterion.name: given_by(i, results) for i in results.instruments},
        lines={i.criterion.name: _lines(i.criterion.name, summary, grid, bootstrap) for i in lined},
        pairs=pairs,
        ratios=tuple(_ratio(m, *pairs[m], name, grid, bootstrap) for name in severities for m in pairs),
        correlations=tuple(
            msgspec.structs.replace(pooled.of(a, b), a=a, b=b)
            for a in (i.criterion.name for i in (*of["naturalness"], *of["consistency"]))
            for b in (i.criterion.name for i in sound)
        ),
    )


def _failures(results: Results) -> tuple[tuple[Instrument | None, ...], ...]:
    """A row for every label under which failures are judged: their severities are of one make only there."""
    rows: dict[str, dict[str, Instrument]] = {}
    for instrument in results.instruments:
        if measure(instrument) in SEVERITIES:
            rows.setdefault(label_of(instrument), {}).setdefault(measure(instrument), instrument)
    return tuple(tuple(row.get(name) for name in SEVERITIES) for row in rows.values())


def _lines(criterion: str, summary: Summary, grid: Grid, bootstrap: Bootstrap) -> tuple[RoundMeans, ...]:
    made = []
    for arm in summary.shown:
        reading = arm.criteria[criterion]
        values = grid.of(arm.name, criterion)[:, : summary.last_round]
        means = [p.mean for p in reading.curve.all]
        mean, slope = _over_rounds(means, values, bootstrap)
        within = slope_within(values, bootstrap)
        made.append(RoundMeans(arm.name, criterion, reading.curve.all, reading.curve.drops, mean, slope, within))
    return tuple(made)


def _over_rounds(means: list[float | None], values: Floats, bootstrap: Bootstrap) -> tuple[Value, Value]:
    """Mean and slope of the round means of [dialogue, round]; neither where a round has no scored turn."""
    found = [mean for mean in means if mean is not None]
    if not found or len(found) < len(means):
        return Value(), Value()
    scored = np.isfinite(values)
    rounds = values.shape[1]
    total = bootstrap.totals(np.concatenate([np.where(scored, values, 0.0), scored.astype(np.float64)], axis=1))
    over, under = total[:, :rounds], total[:, rounds:]
    rows = np.divide(over, under, out=np.full(over.shape, np.nan), where=under != 0)
    step = np.arange(rounds) - (rounds - 1) / 2.0
    weight = float((step**2).sum())
    drawn = np.stack([rows.mean(axis=1), (rows @ step) / weight if weight else np.full(len(rows), np.nan)], axis=1)
    least = int(scored.sum(axis=0).min())  # the round with the fewest dialogues carries the least
    low, high = bootstrap.interval(drawn, np.array([least, least], dtype=np.int64))
    mean = Value(sum(found) / len(found), number(low[0]), number(high[0]))
    return mean, Value(least_squares(found), number(low[1]), number(high[1])) if len(found) > 1 else Value()


def _ratio(model: str, end_to_end: str, modular: str, criterion: str, grid: Grid, bootstrap: Bootstrap) -> Ratio:
    above, n_above = sums(grid.of(end_to_end, criterion))
    below, n_below = sums(grid.of(modular, criterion))
    n, m = int(n_above.sum()), int(n_below.sum())
    value = low = high = None
    if n and m and below.sum() > 0:
        value = float(above.sum() / n) / float(below.sum() / m)
        drawn = bootstrap.totals(np.stack([above, n_above, below, n_below], axis=1)).T
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = (drawn[0] / drawn[1]) / (drawn[2] / drawn[3])
        clusters = min(int((n_above > 0).sum()), int((n_below > 0).sum()))
        if not np.isinf(ratios).any():  # else the modular arm shows so little of it that the ratio has no upper end
            edges = bootstrap.interval(ratios[:, None], np.array([clusters], dtype=np.int64))
            low, high = (number(edge[0]) for edge in edges)
    return Ratio(model, criterion, value, low, high, n, m)
