"""What each judge of sound says overall: its criteria side by side on their one scale, a point and an interval per arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnwise.judges.judge import Criterion
from turnwise.listening.ratings import LEVELS, words
from turnwise.report.charts.arm_marks import undrawn_words
from turnwise.report.charts.curve import slug
from turnwise.report.charts.dots import dots
from turnwise.report.drawing import Figure
from turnwise.report.numbers import interval, spoken, value
from turnwise.statistics.summary import Summary

ROW = 12  # height of one arm within a criterion's row
FIVE = 5.0  # the end of the scale whose levels have words


def ratings_figure(summary: Summary, title: str, criteria: Sequence[Criterion]) -> Figure | None:
    """None where no arm has a score; the criteria share unit, direction and ends."""
    names = [arm.name for arm in summary.arms]
    rows: list[dict[str, Any]] = []
    for arm in summary.arms:
        for criterion in criteria:
            estimate = arm.criteria[criterion.name].estimate
            if estimate.mean is None:
                continue
            told = level_words(criterion, estimate.mean)
            said = f"{value(estimate.mean, criterion)}{f' ({told})' if told else ''}"
            ends = "no interval"
            if estimate.low is not None and estimate.high is not None:
                ends = f"95 % CI {interval(estimate.low, estimate.high, criterion)}"
            rows.append(
                {
                    "arm": arm.name,
                    "row": spoken(criterion.name),
                    "value": estimate.mean,
                    "low": estimate.low,
                    "high": estimate.high,
                    "tip": f"{arm.name}, {spoken(criterion.name)}: {said}, {ends}, n = {estimate.n}",
                }
            )
    if not rows:
        return None
    missing = [name for name in names if name not in {r["arm"] for r in rows}]
    x = {
        "title": criteria[0].unit,
        "scale": {"domain": _ends(criteria[0], rows), "nice": False, "zero": False},
        "axis": {"tickCount": 5},
    }
    spec = dots(rows, [spoken(c.name) for c in criteria], names, missing, x, ROW)
    said = "; ".join(f"{r['arm']}, {r['row']}: {r['value']:.2f}" for r in rows)
    text = f"{said}.{undrawn_words(missing)}"
    return Figure(f"sound-{slug(criteria[0].name)}", f"How it sounds, by {title}", text, spec)


def level_words(criterion: Criterion, mean: float) -> str:
    """The words of the nearest level, for a rating that has them."""
    for dimension in LEVELS:
        if criterion.high == FIVE and criterion.name.rpartition("/")[2] == dimension:
            return words(dimension, mean)
    return ""


def _ends(criterion: Criterion, rows: list[dict[str, Any]]) -> list[float]:
    if criterion.low is not None and criterion.high is not None:
        return [criterion.low, criterion.high]
    found = [v for r in rows for v in (r["value"], r["low"], r["high"]) if v is not None]
    return [min(found), max(max(found), min(found) + 1e-9)]
