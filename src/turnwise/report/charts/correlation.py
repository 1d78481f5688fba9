"""Correlation heat map: Pearson below the diagonal, Spearman above, "undefined" where a series does not vary."""

from __future__ import annotations

from typing import Any

from turnwise.report.charts.curve import slug
from turnwise.report.drawing import Figure
from turnwise.report.numbers import spoken
from turnwise.report.theme import colour
from turnwise.statistics.correlation import Correlation, Correlations
from turnwise.statistics.wording import between, plain

CELL = 38
STEPS = (-0.6, -0.35, -0.1, 0.1, 0.35, 0.6)  # bounds of the seven tints


def correlation_figure(matrix: Correlations, criteria: tuple[str, ...]) -> Figure:
    """One matrix; a single criterion gives a single empty cell."""
    rows = []
    for i, a in enumerate(criteria):
        for j, b in enumerate(criteria):
            if i != j:
                rows.append(_cell(a, b, matrix.of(a, b), below=i > j))
    names = [spoken(c) for c in criteria]
    size = CELL * len(names)
    place = {"type": "nominal", "sort": names, "title": None, "scale": {"domain": names, "padding": 0.04}}
    x = {**place, "field": "column", "axis": {"labelAngle": -40, "labelLimit": 150, "grid": False, "orient": "bottom"}}
    y = {**place, "field": "row", "axis": {"labelLimit": 150, "grid": False}}
    spec = {
        "width": size,
        "height": size,
        "data": {"values": rows},
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
                "mark": {"type": "text", "aria": False, "baseline": "middle"},
                "encoding": {
                    "x": x,
                    "y": y,
                    "text": {"field": "said"},
                    "size": {"field": "size", "type": "quantitative", "scale": None},
                    "color": {"field": "ink", "type": "nominal", "scale": None},
                },
            },
        ],
    }
    undefined = sum(1 for r in rows if r["said"] == "undef.")
    text = f"Pearson's r below the diagonal, Spearman's rho above, over {matrix.unit}; {undefined} of {len(rows)} undefined."
    return Figure(f"correlation-{matrix.unit}-{slug(matrix.arm)}", f"Correlation of criteria, {matrix.arm}", text, spec)


def matrix_rows(matrix: Correlations, criteria: tuple[str, ...]) -> list[dict[str, Any]]:
    """The same cells as rows of a table, with the name of each cell's tint."""
    rows = []
    for i, a in enumerate(criteria):
        cells: list[dict[str, Any] | None] = []
        for j, b in enumerate(criteria):
            pair = None if i == j else matrix.of(a, b)
            r = None if pair is None else pair.pearson if i > j else pair.spearman
            cells.append(None if pair is None else _table_cell(_cell(a, b, pair, below=i > j), r))
        rows.append({"name": spoken(a), "cells": cells})
    return rows


def against(pair: Correlation) -> dict[str, Any]:
    """Pearson's r of two criteria as a cell of a table, with its interval and n."""
    cell = _table_cell(_cell(pair.a, pair.b, pair, below=True), pair.pearson)
    ends = "" if pair.low is None or pair.high is None or pair.pearson is None else between(pair.low, pair.high, 2)
    return {**cell, "ends": ends.replace("-", "\N{MINUS SIGN}"), "n": pair.n}


def _table_cell(cell: dict[str, Any], r: float | None) -> dict[str, Any]:
    return {**cell, "tint": "undefined", "said": "undefined"} if r is None else {**cell, "tint": tint(r)}


def tint(r: float | None) -> str:
    """The colour's name for a coefficient."""
    return "panel" if r is None else f"r{sum(r > bound for bound in STEPS)}"


def _cell(a: str, b: str, pair: Correlation, *, below: bool) -> dict[str, Any]:
    r, kind = (pair.pearson, "Pearson's r") if below else (pair.spearman, "Spearman's rho")
    said = "undefined" if r is None else plain(r, 2).replace("-", "\N{MINUS SIGN}")
    ends = ""
    if below and pair.low is not None and pair.high is not None and r is not None:
        ends = f", 95 % CI {between(pair.low, pair.high, 2)}"
    name = tint(r)
    return {
        "row": spoken(a),
        "column": spoken(b),
        "said": "undef." if r is None else said,
        "size": 8.5 if r is None else 10.5,
        "tint": colour(name),
        "ink": colour("muted" if r is None else "onr" if name in ("r0", "r6") else "ink"),
        "tip": f"{spoken(a)} and {spoken(b)}: {kind} {said}{ends}, n = {pair.n}",
    }
