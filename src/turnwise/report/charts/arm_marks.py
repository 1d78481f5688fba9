"""How an arm is told apart in every figure: colour, shape and dash by its place in the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from turnwise.report.drawing import Spec
from turnwise.report.theme import DASHES, SHAPES, arm_colour


def by_arm(names: Sequence[str], channel: Literal["color", "shape", "strokeDash"]) -> Spec:
    """The encoding of a channel by the field "arm"; there is no legend: labels stand beside the marks."""
    marks: dict[str, list[object]] = {
        "color": [arm_colour(k) for k in range(len(names))],
        "shape": [SHAPES[k % len(SHAPES)] for k in range(len(names))],
        "strokeDash": [DASHES[k % len(DASHES)] for k in range(len(names))],
    }
    return {"field": "arm", "type": "nominal", "legend": None, "scale": {"domain": list(names), "range": marks[channel]}}
