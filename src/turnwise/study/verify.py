"""Proof that a run is what it says: every fingerprint derived again, every clip read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

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


def verify(out: Path | str) -> Verified:
    """Check a whole run folder; nothing is changed."""
    place = RunFolder(out)
    store = ClipStore(place.clips)
    wrong: list[str] = []
    seen: set[str] = set()
    cells = 0
    with Ledger(place.ledger, write=False) as ledger:
        for seq, row in ledger.verify():
            cells += 1
            if isinstance(row, Finding):
                wrong.append(f"ledger row {row.seq} ({row.kind}): {row.wrong}")
                continue
            for clip in _clips(row):
                if clip.digest not in seen:
                    seen.add(clip.digest)
                    trouble = store.check(clip)
                    if trouble:
                        wrong.append(f"clip {clip.digest} (ledger row {seq}): {trouble}")
        newest = ledger.plan()
        if newest is not None:
            plan = load_plan(newest[2])
            if plan.fingerprint != newest[0]:
                wrong.append("the newest plan does not give its fingerprint")
            elif ledger.finished(newest[0]):
                _, ports = walk(plan, ledger)
                gone = sum(key not in ports.done for key in ports.used)
                if gone:
                    wrong.append(f"the run was complete, but {gone} of its cells are gone")
    return Verified(cells, len(seen), tuple(wrong))


def _clips(row: Payload | None) -> Iterator[Clip]:
    if isinstance(row, Clip):
        yield row
    elif isinstance(row, Answer):
        yield from (past.clip for past in row.view.past if past.clip)
        yield from (clip for clip in (row.view.clip, row.reply.clip) if clip)
