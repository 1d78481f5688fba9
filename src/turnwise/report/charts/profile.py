"""Failure profile: for every failure type the share of turns above mild, a point and an interval per arm."""

from __future__ import annotations

from typing import Any

from turnwise.report.charts.arm_marks import by_arm, undrawn, undrawn_words
from turnwise.report.drawing import Figure
from turnwise.report.numbers import spoken
from turnwise.report.theme import colour
from turnwise.statistics.summary import Summary

WIDTH = 250
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
                    "failure": spoken(part.failure),
                    "share": estimate.mean,
                    "low": estimate.low,
                    "high": estimate.high,
                    "tip": f"{arm.name}, {spoken(part.failure)}: {said}",
                }
            )
    if not rows:
        return None
    missing = [name for name in names if name not in {r["arm"] for r in rows}]
    failures = [spoken(f) for f in summary.roles.failures]
    y = {
        "field": "failure",
        "type": "nominal",
        "sort": failures,
        "title": None,
        "axis": {"labelFontSize": 12, "labelColor": colour("ink"), "labelPadding": 10},
        "scale": {"paddingInner": 0.25, "paddingOuter": 0.1},
    }
    tint, shape = by_arm(names, "color"), by_arm(names, "shape")
    offset = {"field": "arm", "type": "nominal", "sort": names, "scale": {"domain": names}}
    highest = max(r["high"] or r["share"] for r in rows)
    x = {
        "field": "share",
        "type": "quantitative",
        "title": "share of turns above mild",
        "scale": {"domain": [0, min(1.0, max(0.1, highest * 1.05))], "nice": True},
        "axis": {"format": "%", "tickCount": 5},
    }
    spec = {
        "width": WIDTH,
        "height": max(60, len(failures) * (len(names) * ROW + 8)),
        "data": {"values": rows},
        **undrawn(missing),
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55, "aria": False},
                "encoding": {"y": y, "yOffset": offset, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": tint},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "stroke": colour("panel"), "strokeWidth": 1},
                "encoding": {"y": y, "yOffset": offset, "x": x, "color": tint, "shape": shape, "description": {"field": "tip"}},
            },
        ],
    }
    worst = [f"{r['arm']}, {r['failure']}: {100 * r['share']:.0f} %" for r in rows]
    text = f"Share of turns above mild severity. {'; '.join(worst)}.{undrawn_words(missing)}"
    return Figure("failure-profile", "Failure profile", text, spec)
