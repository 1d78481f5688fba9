"""The tables of a run in the layout of the paper: means by arm, one criterion round by round, differences, accounting."""

from __future__ import annotations

from collections.abc import Sequence

from turnwise.statistics.sheet import Cell, Sheet, row
from turnwise.statistics.summary import Summary
from turnwise.statistics.wording import between, plain, signed


def means_sheet(summary: Summary, criteria: Sequence[str] | None = None) -> Sheet:
    """Arms down, criteria across; each cell has mean, interval and n, and what is missing."""
    shown = tuple(criteria or (i.criterion.name for i in summary.instruments))
    rows = []
    for arm in summary.arms:
        cells = []
        for name in shown:
            e, d = arm.criteria[name].estimate, decimals(summary, name)
            if e.mean is None:
                cells.append(f"no score, {e.absent} missing")
                continue
            text = f"{plain(e.mean, d)} {_interval(e.low, e.high, d)} n={e.n}"
            cells.append(text + (f", {e.absent} missing" if e.absent else ""))
        rows.append(row(arm.name, *cells))
    note = f"{100 * summary.options.level:.0f} % intervals by bootstrap over dialogues."
    return Sheet("Means by arm", ("arm", *shown), tuple(rows), note)


def rounds_sheet(summary: Summary, criterion: str, *, constant: bool = False) -> Sheet:
    """Arms down, rounds across, as in the paper's Table 5; rounds worse than the first by more than the margin are bold."""
    rounds = range(1, summary.last_round + 1)
    rows, d = [], decimals(summary, criterion)
    for arm in summary.arms:
        reading = arm.criteria[criterion]
        points, drops, slope = (
            (reading.curve.constant, reading.curve.constant_drops, reading.slopes.constant)
            if constant
            else (reading.curve.all, reading.curve.drops, reading.slopes.all)
        )
        cells = [Cell(plain(p.mean, d) if p.mean is not None else "no score", p.round in drops) for p in points]
        tilt = f"{signed(slope.value, 2)} {_interval(slope.low, slope.high, 2)}" if slope.value is not None else "undefined"
        rows.append(row(arm.name, *cells, tilt))
        rows.append(row(f"n of {arm.name}", *(str(p.n) for p in points), str(slope.n)))
    reaching = summary.arms[0].criteria[criterion].curve.constant_dialogues
    subset = f"the {reaching} dialogues that reach the last round" if constant else "all dialogues"
    note = f"On {subset}. Bold (or *): worse than the first round by more than {plain(summary.options.drop)} points of 100."
    return Sheet(f"{criterion} per round", ("arm", *(f"R{r}" for r in rounds), "slope"), tuple(rows), note)


def failures_sheet(summary: Summary) -> Sheet:
    """Mean severity per failure, as in the paper's Table 2, with the share of turns above mild."""
    rows = []
    for arm in summary.arms:
        cells = []
        for f in arm.profile.failures:
            severity = f"{plain(f.severity.mean)} {_interval(f.severity.low, f.severity.high, 1)}"
            cells.append(f"{severity} ({_share(f.above_mild.mean)})" if f.severity.n else "no score")
        rows.append(row(arm.name, *cells, f"{arm.profile.turns - arm.profile.none} of {arm.profile.turns}"))
    columns = ("arm", *summary.roles.failures, "turns with a failure")
    return Sheet("Failures: mean severity, and share of turns above 33", columns, tuple(rows))


def contrasts_sheet(summary: Summary, criterion: str) -> Sheet:
    """Paired differences between arms under one criterion."""
    rows, d = [], decimals(summary, criterion)
    for c in summary.contrasts:
        if c.criterion != criterion:
            continue
        text = "no common turn" if c.difference is None else f"{signed(c.difference, d)} {_interval(c.low, c.high, d)}"
        counts = (str(c.n), str(c.dialogues))
        rows.append(row(f"{c.a} \N{EN DASH} {c.b}", Cell(text, c.clear), plain(c.p, 4), plain(c.p_holm, 4), *counts))
    note = (
        "p by sign flips over dialogues; Holm over the pairs of this table. "
        "Bold (or *): the interval excludes zero and Holm's p is below 0.05."
    )
    return Sheet(f"Differences in {criterion}", ("arms", "difference", "p", "p (Holm)", "n", "dialogues"), tuple(rows), note)


def accounting_sheet(summary: Summary) -> Sheet:
    """Where every planned verdict ended."""
    counts = {**summary.accounting.by_arm, "all": summary.accounting.total}
    rows = [row(name, *(str(n) for n in (c.planned, c.scored, c.abstained, c.fault, c.silent))) for name, c in counts.items()]
    return Sheet("Accounting of verdicts", ("arm", "planned", "scored", "abstained", "fault", "silent"), tuple(rows))


def decimals(summary: Summary, criterion: str) -> int:
    """As many as the scale deserves: one for points of 100, two for a scale of a few units, rates and seconds."""
    scale = summary.criterion(criterion)
    return 1 if scale.low is not None and scale.high is not None and scale.high - scale.low >= 20.0 else 2


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.0f} %"


def _interval(low: float | None, high: float | None, decimals: int) -> str:
    return "[\N{EN DASH}]" if low is None or high is None else between(low, high, decimals)
