"""How long the agents took, per stage: percentiles over the turns on which the stage really ran.

A turn on which the agent was silent has no wait for an answer, however long the silence took to make.
"""

from __future__ import annotations

import msgspec
import numpy as np

from turnwise.judges.verdict import Silence
from turnwise.study.results import Results

STAGES = ("hear", "think", "speak", "first_audio")
PERCENTILES = (50, 90, 95, 99)


class Latency(msgspec.Struct, frozen=True):
    """Seconds; percentiles interpolate linearly between turns, so with few turns the high ones are near the slowest."""

    arm: str
    stage: str
    n: int  # turns with a measured time
    absent: int  # turns that came back without one, silent ones among them
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    slowest: float | None


def latencies(results: Results) -> tuple[Latency, ...]:
    """Arms in the order of the study, stages in the order they run."""
    made = []
    for arm in results.study.arms:
        turns = [a for c in results.conversations if c.arm == arm.name for a in c.rounds if a.reply is not None]
        heard = [a.reply for a in turns if a.reply is not None and not any(type(o) is Silence for o in a.outcomes.values())]
        for stage in STAGES:
            seconds = [s for reply in heard if (s := getattr(reply.timings, stage)) is not None]
            counts = (arm.name, stage, len(seconds), len(turns) - len(seconds))
            if not seconds:
                made.append(Latency(*counts, None, None, None, None, None))
                continue
            p50, p90, p95, p99 = (float(p) for p in np.percentile(seconds, PERCENTILES))
            made.append(Latency(*counts, p50, p90, p95, p99, max(seconds)))
    return tuple(made)
