"""Severity of a failure, 0-100, in four bands: 0 none, 1-33 mild, 34-66 moderate, 67-100 severe."""

from __future__ import annotations

from itertools import pairwise

from turnwise.judges.judge import Criterion

MILD, MODERATE = 33.0, 66.0  # upper ends of the bands
FAILURES = ("repetition", "generic", "topic_drift", "misunderstanding", "memory")


def criterion(name: str) -> Criterion:
    """The criterion of a failure."""
    return Criterion(name, "severity 0-100", "lower", 0.0, 100.0)


def graded(evidence: float, none: float, mild: float, moderate: float, severe: float) -> float:
    """Severity of a piece of evidence: 0 up to `none`, then the upper ends of the bands at the other three, linear between."""
    if evidence <= none:
        return 0.0
    steps = ((none, 0.0), (mild, MILD), (moderate, MODERATE), (severe, 100.0))
    for (x0, y0), (x1, y1) in pairwise(steps):
        if evidence <= x1:
            return round(y0 + (y1 - y0) * (evidence - x0) / (x1 - x0), 1)
    return 100.0
