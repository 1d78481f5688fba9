"""What the page says of the sound: ratings in words, and whether a turn that sounds better keeps the thread better."""

from __future__ import annotations

from typing import Any

import msgspec

from turnwise.judges.judge import Criterion
from turnwise.report.charts.correlation import against
from turnwise.report.charts.ratings import level_words
from turnwise.report.figures import Figures, sound_groups
from turnwise.report.numbers import direction, spoken, value
from turnwise.statistics.correlation import POOLED
from turnwise.statistics.given_by import given_by
from turnwise.statistics.roles import is_sound
from turnwise.statistics.summary import Summary
from turnwise.study.results import Results

MIDDLE = 3.0  # of the scale whose levels have words


def by_ear(results: Results, summary: Summary, figures: Figures) -> list[dict[str, Any]]:
    """Each judge of sound that gives several ratings: the figure, and the ratings in words."""
    cards = []
    for first, criteria in sound_groups(summary):
        rows = [
            {"arm": arm.name, "cells": [_rated(c, arm.criteria[c.name].estimate.mean) for c in criteria]} for arm in summary.shown
        ]
        cards.append(
            {
                "by": given_by(first, results),
                "unit": f"{criteria[0].unit}, {direction(criteria[0])}",
                "figure": figures.sound.get(criteria[0].name),
                "columns": [spoken(c.name) for c in criteria],
                "rows": rows,
                "worded": any(level_words(c, MIDDLE) for c in criteria),
            }
        )
    return cards


def against_sense(summary: Summary) -> dict[str, Any] | None:
    """What is said against how it sounds, over turns: a row per criterion of sense, a column per criterion of sound."""
    across = [i.criterion.name for i in summary.instruments if is_sound(i)]
    down = list(dict.fromkeys(name for name in (summary.roles.thread, *summary.roles.sense) if name and name not in across))
    pooled = next((m for m in summary.correlations if m.arm == POOLED and m.unit == "turns"), None)
    if pooled is None or not across or not down:
        return None
    rows = []
    for a in down:
        pairs = [msgspec.structs.replace(pooled.of(a, b), a=a, b=b) for b in across]
        rows.append({"name": spoken(a), "cells": [against(pair) for pair in pairs]})
    return {"columns": [spoken(b) for b in across], "rows": rows}


def _rated(criterion: Criterion, mean: float | None) -> dict[str, str]:
    return {"value": value(mean, criterion), "words": "" if mean is None else level_words(criterion, mean)}
