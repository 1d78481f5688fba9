"""A finding: one sentence or two that a run carries, or leaves open."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One sentence or two."""

    kind: str  # "thread", "change", "derived", "where", "failure", "sound", "latency", "judges", "cost", "missing"
    text: str
    arms: tuple[str, ...] = ()
    criterion: str = ""
    clear: bool = (
        False  # whether the data carry it: the interval excludes zero, and the corrected p is below 0.05 where there is one
    )
