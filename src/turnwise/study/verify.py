"""Proof that a run is what it says: every fingerprint derived again, every clip read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from turnwise.foundation.errors import StorageError
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.study.cell import Answer, Payload
from turnwise.study.ledger import Finding, Ledger
from turnwise.study.plan import load_plan
from turnwise.study.reader import walk
from turnwise.study.run_folder import RunFolder


class Verified(msgspec.Struct, frozen=True):
    """What was checked and what is wrong."""

    cells: int
    clips: int
    wrong: tuple[str, ...]
    damaged: bool  # clips are missing or hold other samples: those the next run can make again


def verify(out: Path | str) -> Verified:
    """Check a whole run folder; nothing is changed."""
    place = RunFolder(out)
    store = ClipStore(place.clips)
    wrong: list[str] = []
    seen: dict[str, str] = {}  # what is wrong with each clip, "" where nothing is
    cells, broken = 0, False
    with Ledger(place.ledger, write=False) as ledger:
        replaced = _replaced(ledger)
        for seq, row in ledger.verify():
            cells += 1
            if isinstance(row, Finding):
                broken = True
                wrong.append(f"ledger row {row.seq} ({row.kind}): {row.wrong}")
                continue
            for clip in _clips(row):
                if clip.digest not in seen and clip.digest not in replaced:
                    seen[clip.digest] = trouble = store.check(clip) or ""
                    if trouble:
                        wrong.append(f"clip {clip.digest} (ledger row {seq}): {trouble}")
        damaged = any(seen.values())
        newest = ledger.plan()
        if newest is not None:
            wrong += _of_the_plan(ledger, newest[0], newest[2], told=broken)
    return Verified(cells, len(seen), tuple(wrong), damaged)


def _replaced(ledger: Ledger) -> frozenset[str]:
    try:
        return ledger.replaced()
    except StorageError:  # rows that cannot be read are named one by one
        return frozenset()


def _of_the_plan(ledger: Ledger, name: str, body: bytes, *, told: bool) -> list[str]:
    """What is wrong with the newest plan; `told`: rows that cannot be read were named already."""
    try:
        plan = load_plan(body)
        if plan.fingerprint != name:
            return ["the newest plan does not give its fingerprint"]
        if not ledger.finished(name):
            return []
        _, ports = walk(plan, ledger)
    except StorageError as error:
        return [] if told else [error.message]
    gone = sum(key not in ports.done for key in ports.used)
    return [f"the run was complete, but {gone} of its cells are gone"] if gone else []


def _clips(row: Payload | None) -> Iterator[Clip]:
    if isinstance(row, Clip):
        yield row
    elif isinstance(row, Answer):
        yield from (past.clip for past in row.view.past if past.clip)
        yield from (clip for clip in (row.view.clip, row.reply.clip) if clip)
