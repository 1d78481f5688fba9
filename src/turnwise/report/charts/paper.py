"""The figures of The Context Trap for a run: latency against coherence, curves of sense and sound, dialogue against sound."""

from __future__ import annotations

from typing import Any

from turnwise.report.charts.correlation import tint
from turnwise.report.charts.curve import HEIGHT, WIDTH, curve_figure
from turnwise.report.charts.latency import latency_figure
from turnwise.report.drawing import Figure, Spec
from turnwise.report.numbers import direction, spoken
from turnwise.report.theme import colour
from turnwise.statistics.correlation import Correlation
from turnwise.statistics.paper import Paper
from turnwise.statistics.summary import Summary
from turnwise.statistics.wording import between, signed
from turnwise.study.results import Instrument

CELL_WIDTH, CELL_HEIGHT = 110, 46
APART = 28  # between the panels of Figure 2


def paper_figures(summary: Summary, paper: Paper) -> list[Figure]:
    """Figures 1 to 3, as far as the run has anything to draw."""
    found = (_figure_1(summary), _figure_2(summary, paper), _figure_3(paper))
    return [figure for figure in found if figure is not None]


def _figure_1(summary: Summary) -> Figure | None:
    drawn = latency_figure(summary)
    return None if drawn is None else Figure("figure-1", f"Figure 1. {drawn.title}", drawn.text, drawn.spec)


def _figure_2(summary: Summary, paper: Paper) -> Figure | None:
    """Naturalness and consistency above; below quality with the other ratings of its judge, and voice consistency.

    The first of each where there are several.
    """
    kinds = [("naturalness", paper.naturalness[:1]), ("consistency", paper.consistency[:1]), ("quality", paper.quality[:1])]
    kinds += [("aspect", (aspect,)) for aspect in _siblings(paper)]
    kinds.append(("voice consistency", paper.voice[:1]))
    panels = [_panel(kind, found[0] if found else None, summary, paper) for kind, found in kinds]
    if all(text.endswith(_NOTHING) for _, text in panels):
        return None
    specs = [spec for spec, _ in panels]
    spec: Spec = {
        "vconcat": [{"hconcat": specs[k : k + 2], "spacing": APART} for k in range(0, len(specs), 2)],
        "spacing": APART,
        "resolve": {"scale": {"color": "independent", "shape": "independent", "strokeDash": "independent"}},
    }
    return Figure("figure-2", "Figure 2. Round by round", " ".join(text for _, text in panels), spec)


def _siblings(paper: Paper) -> list[Instrument]:
    """The further ratings of the judge whose first one stands for the quality."""
    return [i for i in paper.aspects if paper.quality and i.judge == paper.quality[0].judge]


_NOTHING = "nothing to draw."


def _panel(kind: str, instrument: Instrument | None, summary: Summary, paper: Paper) -> tuple[Spec, str]:
    """One view of the four and what it shows in words."""
    drawn = None if instrument is None else curve_figure(summary, instrument.criterion, "all")
    if instrument is None or drawn is None:
        words = {"type": "text", "color": colour("muted"), "align": "center"}
        middle = {"x": {"value": WIDTH / 2}, "y": {"value": HEIGHT / 2}, "text": {"value": "not measured"}}
        nothing = {"data": {"values": [{}]}, "mark": words, "encoding": middle}
        spec: Spec = {"width": WIDTH, "height": HEIGHT, "layer": [nothing]}
        text, name, by = f"{kind}: {_NOTHING}", kind, ""
    else:
        spec = {key: part for key, part in drawn.spec.items() if key != "padding"}  # a view within a view has none
        text, name = f"{spoken(instrument.criterion.name)}: {drawn.text}", spoken(instrument.criterion.name)
        by = f"{instrument.criterion.unit}, {direction(instrument.criterion)}; by {paper.by[instrument.criterion.name]}"
    layers = [*spec["layer"], _heading(name, -28, 600, 12.0, "ink"), _heading(by, -14, 400, 9.5, "muted")]
    return {**spec, "layer": layers}, text


def _heading(text: str, y: int, weight: int, size: float, ink: str) -> Spec:
    mark = {"type": "text", "align": "left", "fontWeight": weight, "fontSize": size, "color": colour(ink), "limit": WIDTH + 100}
    place = {"x": {"value": 0}, "y": {"value": y}, "text": {"value": text}}
    return {"data": {"values": [{}]}, "mark": {**mark, "aria": False}, "encoding": place}


def _figure_3(paper: Paper) -> Figure | None:
    if not paper.correlations:
        return None
    cells = [_cell(pair) for pair in paper.correlations]
    down = [spoken(name) for name in dict.fromkeys(pair.a for pair in paper.correlations)]
    across = [spoken(name) for name in dict.fromkeys(pair.b for pair in paper.correlations)]
    place = {"type": "nominal", "title": None}
    x = {**place, "field": "sound", "sort": across, "scale": {"domain": across, "padding": 0.04}}
    y = {**place, "field": "dialogue", "sort": down, "scale": {"domain": down, "padding": 0.04}}
    x["axis"] = {"labelAngle": -30, "labelLimit": 170, "grid": False, "orient": "bottom"}
    y["axis"] = {"labelLimit": 170, "grid": False}
    ink = {"field": "ink", "type": "nominal", "scale": None}
    spec: Spec = {
        "width": CELL_WIDTH * len(across),
        "height": CELL_HEIGHT * len(down),
        "data": {"values": cells},
        "layer": [
            {
                "mark": {"type": "rect", "cornerRadius": 3},
                "encoding": {
                    "x": x,
                    "y": y,
                    "fill": {"field": "tint", "type": "nominal", "scale": None},
                    "description": {"field": "tip"},
                },
            },
            {
                "mark": {"type": "text", "aria": False, "dy": -7, "fontSize": 13, "fontWeight": 600},
                "encoding": {"x": x, "y": y, "text": {"field": "said"}, "color": ink},
            },
            {
                "mark": {"type": "text", "aria": False, "dy": 9, "fontSize": 9.5},
                "encoding": {"x": x, "y": y, "text": {"field": "more"}, "color": ink},
            },
        ],
    }
    text = "Pearson's r over turns, each arm's own level taken out. " + " ".join(f"{cell['tip']}." for cell in cells)
    return Figure("figure-3", "Figure 3. Dialogue against sound", text, spec)


def _cell(pair: Correlation) -> dict[str, Any]:
    said = "undefined" if pair.pearson is None else signed(pair.pearson, 2)
    ends = "" if pair.low is None or pair.high is None else f"{between(pair.low, pair.high, 2)} "
    name = tint(pair.pearson)
    ink = colour("muted" if pair.pearson is None else "onr" if name in ("r0", "r6") else "ink")
    tip = f"{spoken(pair.a)} and {spoken(pair.b)}: r {said} {ends}n = {pair.n}"
    row = {"dialogue": spoken(pair.a), "sound": spoken(pair.b), "said": said, "more": f"{ends}n = {pair.n}"}
    return {**row, "tint": colour(name), "ink": ink, "tip": tip}
