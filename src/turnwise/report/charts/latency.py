"""Latency against coherence: is the agent that keeps the thread also the one that keeps people waiting?"""

from __future__ import annotations

from typing import Any

from turnwise.judges.judge import Criterion
from turnwise.report.charts.arm_marks import by_arm, undrawn, undrawn_words
from turnwise.report.charts.curve import place_labels
from turnwise.report.drawing import Figure
from turnwise.report.numbers import interval, spoken, value
from turnwise.report.theme import colour
from turnwise.statistics.latency import Latency
from turnwise.statistics.summary import ArmSummary, Summary

WIDTH, HEIGHT = 260, 190
LABEL_LIMIT = 94  # of an arm's name
STAGES = {"hear": "hearing", "think": "thinking", "speak": "speaking", "first_audio": "to the first sound"}


def latency_figure(summary: Summary) -> Figure | None:
    """One point per arm with its interval and its span from the 50th to the 90th percentile; None where nothing was timed."""
    if summary.roles.thread is None:
        return None
    criterion = next(i.criterion for i in summary.instruments if i.criterion.name == summary.roles.thread)
    rows: list[dict[str, Any]] = []
    for arm in summary.arms:
        time, estimate = timed(arm), arm.criteria[criterion.name].estimate
        if time is None or time.p50 is None or estimate.mean is None:
            continue
        tip = (
            f"{arm.name}: median {time.p50:.3f} s {STAGES[time.stage]} (90th percentile {time.p90:.3f} s, n = {time.n}); "
            f"{spoken(criterion.name)} {value(estimate.mean, criterion)} {interval(estimate.low, estimate.high, criterion)}, "
            f"n = {estimate.n}"
        )
        row = {"arm": arm.name, "p50": time.p50, "p90": time.p90, "mean": estimate.mean, "tip": tip}
        rows.append({**row, "low": estimate.low, "high": estimate.high})
    if not rows:
        return None
    names = [arm.name for arm in summary.arms]
    missing = [name for name in names if name not in {r["arm"] for r in rows}]
    tint, shape = by_arm(names, "color"), by_arm(names, "shape")
    low, high = _domain(criterion, rows)
    y = {
        "field": "mean",
        "type": "quantitative",
        "title": spoken(criterion.name),
        "scale": {"domain": [low, high], "zero": False, "clamp": True},
        "axis": {"tickCount": 5},
    }
    x = {
        "field": "p50",
        "type": "quantitative",
        "title": "seconds, median to 90th percentile",
        "scale": {"domain": [0, max(r["p90"] for r in rows) * 1.06], "nice": True},
        "axis": {"tickCount": 5},
    }
    labels = place_labels([(r["arm"], r["mean"]) for r in rows], low, high, HEIGHT)
    spec = {
        "width": WIDTH,
        "height": HEIGHT,
        "padding": {"left": 4, "right": 4, "top": 6, "bottom": 4},
        "data": {"values": rows},
        **undrawn(missing, "no score or no time"),
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.5, "aria": False},
                "encoding": {"x": x, "x2": {"field": "p90"}, "y": y, "color": tint},
            },
            {
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.5, "aria": False},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": tint},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1, "stroke": colour("panel"), "strokeWidth": 1},
                "encoding": {"x": x, "y": y, "color": tint, "shape": shape, "description": {"field": "tip"}},
            },
            {
                "data": {"values": [{"arm": name, "at": at} for name, at in labels]},
                "mark": {"type": "text", "align": "left", "dx": 8, "fontWeight": 600, "limit": LABEL_LIMIT, "aria": False},
                "encoding": {
                    "x": {"value": WIDTH},
                    "y": {"field": "at", "type": "quantitative", "scale": {"domain": [low, high]}},
                    "text": {"field": "arm"},
                    "color": tint,
                },
            },
        ],
    }
    text = " ".join(f"{r['tip']}." for r in rows) + undrawn_words(missing, "no score or no time")
    return Figure("latency", f"Latency against {spoken(criterion.name)}", text, spec)


def timed(arm: ArmSummary) -> Latency | None:
    """The wait that a user notices: until the first sound, or the thinking alone where an arm does not speak."""
    by_stage = {time.stage: time for time in arm.latency}
    for stage in ("first_audio", "think"):
        if stage in by_stage and by_stage[stage].p50 is not None:
            return by_stage[stage]
    return None


def _domain(criterion: Criterion, rows: list[dict[str, Any]]) -> tuple[float, float]:
    if criterion.low is not None and criterion.high is not None:
        return criterion.low, criterion.high
    values = [float(r[k]) for r in rows for k in ("mean", "low", "high") if r[k] is not None]
    pad = 0.1 * (max(values) - min(values)) or 1.0
    return min(values) - pad, max(values) + pad
