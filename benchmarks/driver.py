"""What the driver costs: cells per second and ledger writes per second, each against a bound measured in the same run.

    python benchmarks/driver.py [--dialogues 60] [--json]

The driver's bound is the same tasks done by a bare worker in a loop, with no ledger and no event loop. The ledger's bound is
SQLite itself: one insert of the same rows per transaction, with the same durability, and nothing else. Last line: a JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from made_study import made_study

from turnwise.endpoints.remote import Remote
from turnwise.study.cell import Answer, Cell, Made, Transcript
from turnwise.study.conversation import converse
from turnwise.study.experiment import Unwatched
from turnwise.study.hands import Hands
from turnwise.study.ledger import Ledger
from turnwise.study.plan import Plan, make_plan
from turnwise.study.pool import InProcess
from turnwise.study.reader import LookUp
from turnwise.study.runner import run
from turnwise.study.task import Rule, SpokenClip, Thought
from turnwise.study.worker import Worker, kit_of

WRITES = 3000
ROUNDS = 3  # of the comparison, interleaved because machines are noisy


class Bare(LookUp):
    """Ports that do every task at once and record nothing."""

    def __init__(self, worker: Worker) -> None:
        super().__init__({}, {})
        self.worker = worker
        self.cells = 0

    async def make(self, cell, task, purpose):  # type: ignore[no-untyped-def]
        self.cells += 1
        done = self.worker.do(task)
        match done:
            case SpokenClip():
                return done.clip
            case Thought():
                return Answer(done.reply, task.view)
        return done

    async def rule(self, cells, exchange):  # type: ignore[no-untyped-def]
        self.cells += len(cells)
        done = self.worker.do(Rule(tuple(cells), exchange, {}))
        return {title: (ruling,) for title, ruling in done.items()}


def bare(plan: Plan, folder: Path) -> float:
    """Cells per second without ledger and loop."""
    ports = Bare(Worker(kit_of(plan, folder)))
    started = time.perf_counter()
    for dialogue in plan.dialogues:
        for arm in plan.study.arms:
            try:
                converse(plan, arm, dialogue, ports).send(None)
            except StopIteration:
                continue
    return ports.cells / (time.perf_counter() - started)


def driven(plan: Plan, folder: Path) -> float:
    """Cells per second through the driver, everything recorded durably."""
    folder.mkdir()
    with Ledger(folder / "ledger.sqlite") as ledger:
        started = time.perf_counter()
        kit = kit_of(plan, folder)
        tally = asyncio.run(run(plan, ledger, Hands(kit, InProcess(kit), Remote()), Unwatched(), together=8))
        assert not tally.faults
        return tally.made / (time.perf_counter() - started)


def ledger_writes(folder: Path) -> tuple[float, float]:
    """Transactions per second: the ledger's, and SQLite's own on the same rows."""
    cells = [
        Made(Cell("transcript", ("ears", "", f"b2:{n:032x}", n)), Transcript(f"what was heard in clip {n}"))
        for n in range(WRITES)
    ]
    with Ledger(folder / "ours.sqlite") as ledger:
        started = time.perf_counter()
        for made in cells:
            ledger.record([made])
        ours = WRITES / (time.perf_counter() - started)
        rows = ledger._db.execute("SELECT key, kind, inputs, outcome, payload, digest FROM cell").fetchall()
    db = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(
        "CREATE TABLE cell (seq INTEGER PRIMARY KEY, key TEXT, kind TEXT, inputs TEXT, outcome TEXT, payload TEXT, digest TEXT)"
    )
    db.execute("CREATE UNIQUE INDEX cell_done ON cell (key)")
    started = time.perf_counter()
    for row in rows:
        db.execute("INSERT INTO cell (key, kind, inputs, outcome, payload, digest) VALUES (?, ?, ?, ?, ?, ?)", row)
    bound = WRITES / (time.perf_counter() - started)
    db.close()
    return ours, bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--dialogues", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="print the last line only")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        study = made_study(root, dialogues=options.dialogues, rounds=10, arms=2)
        plan = make_plan(study, root)
        for turn in range(ROUNDS):
            (root / f"w{turn}").mkdir()
            rows.append((driven(plan, root / f"d{turn}"), bare(plan, root / f"b{turn}"), *ledger_writes(root / f"w{turn}")))
    cells, cells_bound, writes, writes_bound = (statistics.median(column) for column in zip(*rows, strict=True))
    result = {
        "cells_per_second": round(cells),
        "cells_ratio_to_bare_worker": round(statistics.median(a / b for a, b, _, _ in rows), 3),
        "ledger_writes_per_second": round(writes),
        "ledger_ratio_to_bare_sqlite": round(statistics.median(c / d for _, _, c, d in rows), 3),
    }
    if not options.json:
        print(f"driver: {cells:,.0f} cells/s, bare worker {cells_bound:,.0f}")
        print(f"ledger: {writes:,.0f} writes/s, bare SQLite {writes_bound:,.0f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
