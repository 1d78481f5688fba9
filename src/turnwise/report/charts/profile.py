"""Failure profile: for every failure type the share of turns above mild, a point and an interval per arm."""

from __future__ import annotations

from typing import Any

from turnwise.report.charts.arm_marks import undrawn_words
from turnwise.report.charts.dots import dots
from turnwise.report.drawing import Figure
from turnwise.report.numbers import spoken
from turnwise.statistics.summary import Summary

ROW = 13  # height of one arm within a failure's row


def profile_figure(summary: Summary) -> Figure | None:
    """None where the run judges no failures."""
    names = [arm.name for arm in summary.arms]
    rows: list[dict[str, Any]] = []
    for arm in summary.arms:
        for part in arm.profile.failures:
            estimate = part.above_mild
            if estimate.mean is None:
                continue
            ends = "no interval"
            if estimate.low is not None and estimate.high is not None:
                ends = f"95 % CI {100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"
            said = f"{100 * estimate.mean:.1f} % of turns above mild, {ends}, n = {estimate.n}"
            rows.append(
                {
                    "arm": arm.name,
                    "row": spoken(part.failure),
                    "value": estimate.mean,
                    "low": estimate.low,
                    "high": estimate.high,
                    "tip": f"{arm.name}, {spoken(part.failure)}: {said}",
                }
            )
    if not rows:
        return None
    missing = [name for name in names if name not in {r["arm"] for r in rows}]
    highest = max(r["high"] or r["value"] for r in rows)
    x = {
        "title": "share of turns above mild",
        "scale": {"domain": [0, min(1.0, max(0.1, highest * 1.05))], "nice": True},
        "axis": {"format": "%", "tickCount": 5},
    }
    spec = dots(rows, [spoken(f) for f in summary.roles.failures], names, missing, x, ROW)
    worst = [f"{r['arm']}, {r['row']}: {100 * r['value']:.0f} %" for r in rows]
    text = f"Share of turns above mild severity. {'; '.join(worst)}.{undrawn_words(missing)}"
    return Figure("failure-profile", "Failure profile", text, spec)
