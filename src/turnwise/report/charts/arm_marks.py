"""How an arm is told apart in every figure: colour, shape and dash by its place in the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from turnwise.report.drawing import Spec
from turnwise.report.theme import DASHES, SHAPES, arm_colour, colour


def by_arm(names: Sequence[str], channel: Literal["color", "shape", "strokeDash"]) -> Spec:
    """The encoding of a channel by the field "arm"; there is no legend: labels stand beside the marks."""
    marks: dict[str, list[object]] = {
        "color": [arm_colour(k) for k in range(len(names))],
        "shape": [SHAPES[k % len(SHAPES)] for k in range(len(names))],
        "strokeDash": [DASHES[k % len(DASHES)] for k in range(len(names))],
    }
    return {"field": "arm", "type": "nominal", "legend": None, "scale": {"domain": list(names), "range": marks[channel]}}


def undrawn(names: Sequence[str], why: str = "no score") -> Spec:
    """The line under a figure that names the arms it could not draw; nothing where all are drawn."""
    if not names:
        return {}
    said = [f"not drawn, {why}: {names[0]}", *names[1:]]
    font = {"fontSize": 9.5, "fontWeight": "normal", "color": colour("muted"), "limit": 300}
    return {"title": {"text": said, "orient": "bottom", "anchor": "start", "offset": 16, **font}}


def undrawn_words(names: Sequence[str], why: str = "no score") -> str:
    """The same for who cannot see the figure."""
    return f" Not drawn, {why}: {', '.join(names)}." if names else ""
