"""Survival curves: the share of dialogues that still keep the thread after each round."""

from __future__ import annotations

from typing import Any

from turnwise.report.charts.arm_marks import by_arm, undrawn, undrawn_words
from turnwise.report.charts.curve import place_labels
from turnwise.report.drawing import Figure
from turnwise.report.theme import colour
from turnwise.statistics.summary import Summary

WIDTH, HEIGHT = 260, 190
LABEL_LIMIT = 94  # of an arm's name


def survival_figure(summary: Summary) -> Figure | None:
    """None where no judge says whether the thread is kept, or no dialogue could be watched."""
    study = summary.survival
    if study is None or not any(arm.steps and arm.steps[0].at_risk for arm in study.arms):
        return None
    names = [arm.arm for arm in study.arms]
    rows: list[dict[str, Any]] = []
    ends: list[tuple[str, float]] = []
    for arm in study.arms:
        shown = [step for step in arm.steps if step.at_risk]
        if not shown:
            continue
        # Before the first round every dialogue still keeps the thread.
        rows.append({"arm": arm.arm, "round": 0, "kept": 1.0, "low": 1.0, "high": 1.0, "tip": None})
        for step in shown:
            band = ""
            if step.low is not None and step.high is not None:
                band = f", 95 % band {100 * step.low:.0f} to {100 * step.high:.0f} %"
            tip = (
                f"{arm.arm}, after round {step.round}: {100 * step.kept:.0f} % keep the thread{band}; "
                f"{step.at_risk} watched, {step.lost} lost it here, {step.censored} ended"
            )
            row = {"arm": arm.arm, "round": step.round, "kept": step.kept, "tip": tip}
            rows.append({**row, "low": step.low, "high": step.high})
        ends.append((arm.arm, shown[-1].kept))
    last = max(r["round"] for r in rows)
    missing = [name for name in names if name not in {end[0] for end in ends}]
    tint = by_arm(names, "color")
    x = {
        "field": "round",
        "type": "quantitative",
        "title": "after round",
        "scale": {"domain": [0, last], "nice": False},
        "axis": {"values": list(range(0, last + 1, 1 if last <= 14 else 5)), "format": "d", "grid": False},
    }
    y = {
        "field": "kept",
        "type": "quantitative",
        "title": "dialogues that keep the thread",
        "scale": {"domain": [0, 1], "clamp": True},
        "axis": {"format": "%", "tickCount": 5},
    }
    spec = {
        "width": WIDTH,
        "height": HEIGHT,
        "padding": {"left": 4, "right": 4, "top": 6, "bottom": 4},
        "data": {"values": rows},
        **undrawn(missing, "never watched"),
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
                "mark": {"type": "area", "opacity": 0.11, "interpolate": "step-after", "aria": False},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": tint},
            },
            {
                "mark": {"type": "line", "strokeWidth": 2.2, "interpolate": "step-after", "aria": False},
                "encoding": {"x": x, "y": y, "color": tint, "strokeDash": by_arm(names, "strokeDash")},
            },
            {
                "transform": [{"filter": "datum.round > 0"}],
                "mark": {"type": "point", "filled": True, "size": 34, "opacity": 1, "stroke": colour("panel"), "strokeWidth": 1},
                "encoding": {"x": x, "y": y, "color": tint, "description": {"field": "tip"}},
            },
            {
                "data": {"values": [{"arm": name, "at": at} for name, at in place_labels(ends, 0.0, 1.0, HEIGHT)]},
                "mark": {"type": "text", "align": "left", "dx": 8, "fontWeight": 600, "limit": LABEL_LIMIT, "aria": False},
                "encoding": {
                    "x": {"value": WIDTH},
                    "y": {"field": "at", "type": "quantitative", "scale": {"domain": [0, 1]}},
                    "text": {"field": "arm"},
                    "color": tint,
                },
            },
        ],
    }
    said = "; ".join(f"{name}: {100 * kept:.0f} %" for name, kept in ends)
    text = f"Share of dialogues that keep the thread to the end: {said}.{undrawn_words(missing, 'never watched')}"
    return Figure("survival", "Turns until the thread is lost", text, spec)
