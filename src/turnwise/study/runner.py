"""Batching: every conversation of a plan, many at a time, each result recorded before anything that follows from it.

Tells its progress to a `Watcher` and knows nothing of terminals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, Protocol

import msgspec

from turnwise.dialogues.dialogue import Dialogue
from turnwise.judges.verdict import Fault, Silence
from turnwise.study.cell import Cell, Made, Payload, Ruling
from turnwise.study.conversation import Rulings, converse
from turnwise.study.ledger import Ledger
from turnwise.study.plan import Plan
from turnwise.study.pool import Pool
from turnwise.study.reader import LookUp
from turnwise.study.results import Answered
from turnwise.study.study import Arm
from turnwise.study.task import Rule, Task


class Watcher(Protocol):
    """Who is told how a run goes on."""

    def begin(self, conversations: int, turns: int) -> None: ...

    def turns(self, count: int, *, faults: int = 0) -> None:
        """So many turns are as complete as they can be, and so many of them are at fault."""
        ...

    def cell(self, kind: str, *, made: bool, fault: bool) -> None:
        """One cell was made now, or found done."""
        ...


class Tally(msgspec.Struct, frozen=True):
    """What a run did."""

    made: int  # cells done in this run
    found: int  # cells that were already done
    faults: int  # cells at fault


async def run(plan: Plan, ledger: Ledger, pool: Pool, watcher: Watcher, *, together: int) -> Tally:
    """Do what is missing; `together` conversations are open at a time, in the plan's order."""
    # Arms of one dialogue stand together, because they share the user's clips.
    work = [(arm, dialogue) for dialogue in plan.dialogues for arm in plan.study.arms]
    watcher.begin(len(work), sum(len(dialogue.rounds()) for _, dialogue in work))
    waiting = iter(work)

    async def keep_going(ports: _Maker) -> None:
        for arm, dialogue in waiting:  # shared by all: each takes the next
            await _one(plan, arm, dialogue, ports, watcher)

    async with asyncio.TaskGroup() as group:
        maker = _Maker(ledger, pool, watcher, group)
        for _ in range(min(together, len(work))):
            group.create_task(keep_going(maker))
    return Tally(maker.made, maker.found, maker.faults)


async def _one(plan: Plan, arm: Arm, dialogue: Dialogue, ports: _Maker, watcher: Watcher) -> None:
    conversation = await converse(plan, arm, dialogue, ports)
    for answered in conversation.rounds:
        faults = any(isinstance(outcome, Fault) for outcome in answered.outcomes.values()) or answered.fault is not None
        if not _was_judged(answered):
            watcher.turns(1, faults=faults)
        elif faults:
            watcher.turns(0, faults=1)


def _was_judged(answered: Answered) -> bool:
    """Whether judges were asked about a turn: then it was told when they were done."""
    unasked = (Silence,) if answered.fault is None else (Silence, Fault)
    blocked = any(isinstance(o, Fault) and o.cause in ("blocked", "transcript") for o in answered.outcomes.values())
    return bool(answered.outcomes) and not blocked and not any(isinstance(o, unasked) for o in answered.outcomes.values())


class _Maker:
    """Ports with hands: look up, else have it done and record it. The same cell is never in work twice."""

    def __init__(self, ledger: Ledger, pool: Pool, watcher: Watcher, group: asyncio.TaskGroup) -> None:
        self._ledger, self._pool, self._watcher, self._group = ledger, pool, watcher, group
        self._known = LookUp(ledger.done(), {})
        self._under_way: dict[str, asyncio.Future[Payload | Fault]] = {}
        self._new: set[str] = set()  # cells done by this run, of which the ledger tells when another arm asks for them
        self.made = self.found = self.faults = 0

    async def make(self, cell: Cell, task: Task) -> Payload | Fault:
        key = cell.key
        found = self._ledger.find(cell) if key in self._new else self._known.find(cell)
        if found is not None:
            self._count(cell, made=False, fault=False)
            return found
        if key in self._under_way:
            return await asyncio.shield(self._under_way[key])
        future: asyncio.Future[Payload | Fault] = asyncio.get_running_loop().create_future()
        self._under_way[key] = future
        try:
            result = await self._pool.do(task)
            assert not isinstance(result, dict)
            self._keep([Made(cell, result)])
            if not isinstance(result, Fault):
                self._new.add(key)
            future.set_result(result)
            return result
        finally:
            if not future.done():
                future.cancel()
            del self._under_way[key]

    async def rule(self, cells: Mapping[str, Cell], task: Rule) -> Rulings:
        rulings: dict[str, Ruling | Fault] = {}
        for name, cell in cells.items():
            ruling = self._known.find(cell)
            if ruling is not None:
                assert isinstance(ruling, Ruling)
                rulings[name] = ruling
                self._count(cell, made=False, fault=False)
        missing = tuple(name for name in cells if name not in rulings)
        if missing:
            known = {name: ruling for name, ruling in rulings.items() if isinstance(ruling, Ruling)}
            done = await self._pool.do(msgspec.structs.replace(task, judges=missing, known=known))
            if isinstance(done, Fault):
                done = dict.fromkeys(missing, done)
            assert isinstance(done, dict)
            self._keep([Made(cells[name], done[name]) for name in missing])
            rulings.update(done)
        self._watcher.turns(1)
        return rulings

    def start(self, work: Coroutine[Any, Any, Rulings]) -> Awaitable[Rulings]:
        return self._group.create_task(work)

    def _keep(self, made: list[Made]) -> None:
        # What the stop itself broke is not a result.
        lasting = [one for one in made if not (isinstance(one.result, Fault) and one.result.cause == "stopped")]
        self._ledger.record(lasting)
        for one in made:
            self._count(one.cell, made=True, fault=isinstance(one.result, Fault))

    def _count(self, cell: Cell, *, made: bool, fault: bool) -> None:
        self.faults += fault
        self.made += made and not fault
        self.found += not made
        self._watcher.cell(cell.kind, made=made, fault=fault)
