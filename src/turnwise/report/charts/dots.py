"""Points with their intervals, a row per thing that was measured, the arms below each other within it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnwise.report.charts.arm_marks import by_arm, undrawn
from turnwise.report.drawing import Spec
from turnwise.report.theme import colour

WIDTH = 250


def dots(
    rows: list[dict[str, Any]], titles: Sequence[str], arms: Sequence[str], missing: Sequence[str], x: Spec, height: int
) -> Spec:
    """`rows` have `arm`, `row` (one of `titles`), `value`, `low`, `high` and `tip`; a row of `titles` takes `height` per arm.

    `arms` are all of the study, for their marks; those `missing` are named below and take no room.
    """
    drawn = [arm for arm in arms if arm not in missing]
    y = {
        "field": "row",
        "type": "nominal",
        "sort": list(titles),
        "title": None,
        "axis": {"labelFontSize": 12, "labelColor": colour("ink"), "labelPadding": 10, "labelLimit": 210},
        "scale": {"domain": list(titles), "paddingInner": 0.25, "paddingOuter": 0.1},
    }
    offset = {"field": "arm", "type": "nominal", "sort": drawn, "scale": {"domain": drawn}}
    tint, shape = by_arm(arms, "color"), by_arm(arms, "shape")
    place = {"y": y, "yOffset": offset, "color": tint}
    x = {**x, "field": "value", "type": "quantitative"}
    return {
        "width": WIDTH,
        "height": max(60, len(titles) * (len(drawn) * height + 8)),
        "data": {"values": rows},
        **undrawn(missing),
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55, "aria": False},
                "encoding": {**place, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "stroke": colour("panel"), "strokeWidth": 1},
                "encoding": {**place, "x": x, "shape": shape, "description": {"field": "tip"}},
            },
        ],
    }
