"""Degradation curves: one criterion over the rounds, a line and a band per arm, n under every round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from turnwise.judges.judge import Criterion
from turnwise.report.charts.arm_marks import by_arm, undrawn, undrawn_words
from turnwise.report.drawing import Figure, Spec
from turnwise.report.numbers import direction, interval, spoken, value
from turnwise.report.theme import colour
from turnwise.statistics.curve import Curve, Point
from turnwise.statistics.summary import Summary

WIDTH, HEIGHT = 250, 170  # of the plotted area; with labels a figure fits a phone without shrinking
LINE = 13  # least distance between two labels
LEAST_SPAN = 0.2  # of a bounded scale that an axis covers at least, so that small differences do not look large

Which = Literal["all", "constant"]


def curve_figure(summary: Summary, criterion: Criterion, which: Which) -> Figure | None:
    """None where no arm has a scored round."""
    lines = [(arm.name, _points(arm.criteria[criterion.name].curve, which)) for arm in summary.arms]
    if not any(points for _, points in lines):
        return None
    low, high = _domain(criterion, [v for _, points in lines for p in points for v in (p.mean, p.low, p.high) if v is not None])
    rows = [
        {"arm": name, "round": p.round, "mean": p.mean, "low": p.low, "high": p.high, "tip": _tip(name, p, criterion)}
        for name, points in lines
        for p in points
    ]
    names = [arm.name for arm in summary.arms]
    tint, shape, dash = by_arm(names, "color"), by_arm(names, "shape"), by_arm(names, "strokeDash")
    small = {"type": "text", "fontSize": 9.5, "color": colour("muted"), "baseline": "top", "aria": False}
    last = max(p.round for _, points in lines for p in points)
    x = {
        "field": "round",
        "type": "quantitative",
        "title": "round",
        "scale": {"domain": [0.7, last + 0.3], "nice": False, "zero": False},
        "axis": {"values": _ticks(last), "format": "d", "grid": False},
    }

    def y(field: str) -> Spec:
        return {
            "field": field,
            "type": "quantitative",
            "title": None,
            "scale": {"domain": [low, high], "nice": False, "zero": False, "clamp": True},
            "axis": {"tickCount": 5},
        }

    labels = [
        {"arm": name, "at": at, "label": _short(name)}
        for name, at in place_labels([(name, points[-1].mean or 0.0) for name, points in lines if points], low, high, HEIGHT)
    ]
    least, ns = _ns(lines, last)
    missing = [name for name, points in lines if not points]
    spec: Spec = {
        "width": WIDTH,
        "height": HEIGHT,
        "padding": {"left": 4, "right": 4, "top": 6, "bottom": 4},
        "data": {"values": rows},
        **undrawn(missing),
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
                "mark": {"type": "area", "opacity": 0.13, "aria": False},
                "encoding": {"x": x, "y": y("low"), "y2": {"field": "high"}, "color": tint},
            },
            {
                "mark": {"type": "line", "strokeWidth": 2, "aria": False, "strokeJoin": "round"},
                "encoding": {"x": x, "y": y("mean"), "color": tint, "strokeDash": dash},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1, "stroke": colour("panel"), "strokeWidth": 1},
                "encoding": {
                    "x": x,
                    "y": y("mean"),
                    "color": tint,
                    "shape": shape,
                    "description": {"field": "tip"},
                },
            },
            {
                "data": {"values": labels},
                "mark": {"type": "text", "align": "left", "dx": 8, "fontWeight": 600, "aria": False},
                "encoding": {
                    "x": {"value": WIDTH},
                    "y": {"field": "at", "type": "quantitative", "scale": {"domain": [low, high]}},
                    "text": {"field": "label"},
                    "color": tint,
                },
            },
            {
                "data": {"values": ns},
                "mark": small,
                "encoding": {"x": x, "y": {"value": HEIGHT + 36}, "text": {"field": "n"}},
            },
            {
                "data": {"values": [{}]},
                "mark": {**small, "align": "right"},
                "encoding": {"x": {"value": -4}, "y": {"value": HEIGHT + 36}, "text": {"value": least}},
            },
        ],
    }
    said = " ".join(_words(name, points, criterion) for name, points in lines if points)
    of = "all dialogues" if which == "all" else f"the {_constant(summary)} dialogues that reach round {summary.last_round}"
    return Figure(
        name=f"curve-{slug(criterion.name)}-{which}",
        title=f"{spoken(criterion.name)} by round, {of}",
        text=f"{criterion.unit}, {direction(criterion)}. {said}{undrawn_words(missing)}",
        spec=spec,
    )


def slug(name: str) -> str:
    """A name as part of a file's name: letters, digits and hyphens only."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")[:60] or "unnamed"


def place_labels(ends: Sequence[tuple[str, float]], low: float, high: float, height: float) -> list[tuple[str, float]]:
    """Heights of labels, in the scale's unit: each as near to its line's end as the others allow."""
    step = LINE * (high - low) / height
    ordered = sorted(ends, key=lambda end: (end[1], end[0]))
    placed: list[float] = []
    for _, at in ordered:
        placed.append(max(at, placed[-1] + step) if placed else max(at, low))
    over = placed[-1] - high if placed else 0.0
    if over > 0:
        ceiling = high
        for k in range(len(placed) - 1, -1, -1):
            placed[k] = min(placed[k], ceiling)
            ceiling = placed[k] - step
    return [(name, at) for (name, _), at in zip(ordered, placed, strict=True)]


def _points(curve: Curve, which: Which) -> list[Point]:
    return [p for p in (curve.all if which == "all" else curve.constant) if p.mean is not None]


def _constant(summary: Summary) -> int:
    first = summary.arms[0].criteria[summary.instruments[0].criterion.name]
    return first.curve.constant_dialogues


def _domain(criterion: Criterion, values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - pad, high + pad
    if criterion.low is not None and criterion.high is not None:
        least = LEAST_SPAN * (criterion.high - criterion.low)
        if high - low < least:
            middle = (low + high) / 2
            low, high = middle - least / 2, middle + least / 2
    if criterion.low is not None and low < criterion.low:
        low, high = criterion.low, high + (criterion.low - low) * (high - low < LEAST_SPAN)
    if criterion.high is not None and high > criterion.high:
        high = criterion.high
    return low, max(high, low + 1e-9)


def _ticks(last: int) -> list[int]:
    step = 1 if last <= 12 else 2 if last <= 24 else 5
    return [r for r in range(1, last + 1) if r == 1 or r % step == 0 or step == 1]


def _ns(lines: list[tuple[str, list[Point]]], last: int) -> tuple[str, list[dict[str, int]]]:
    """Turns per round: of every arm where all have the same, of the arm with the fewest otherwise."""
    made, same = [], True
    for r in _ticks(last):
        counts = [p.n for _, points in lines for p in points if p.round == r]
        if counts:
            same = same and min(counts) == max(counts)
            made.append({"round": r, "n": min(counts)})
    return ("n =" if same else "n ≥"), made


def _tip(name: str, point: Point, criterion: Criterion) -> str:
    said = value(point.mean, criterion)
    return f"{name}, round {point.round}: {said}, 95 % CI {interval(point.low, point.high, criterion)}, n = {point.n}"


def _words(name: str, points: list[Point], criterion: Criterion) -> str:
    first, last = points[0], points[-1]
    return f"{name}: {value(first.mean, criterion)} in round {first.round}, {value(last.mean, criterion)} in round {last.round}."


def _short(name: str) -> str:
    return name if len(name) <= 15 else f"{name[:14]}…"
