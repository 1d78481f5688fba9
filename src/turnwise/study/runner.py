"""Batching: every conversation of a plan, many at a time, each result recorded before anything that follows from it.

Tells its progress to a `Watcher` and knows nothing of terminals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from turnwise.dialogues.dialogue import Dialogue
from turnwise.endpoints.calls import Call, recording
from turnwise.endpoints.waiting import Awaited
from turnwise.judges.judge import Exchange
from turnwise.judges.verdict import Fault, Silence
from turnwise.study.caught import STOPPED
from turnwise.study.cell import Cell, Made, Paid, Payload, Ruling
from turnwise.study.conversation import Rulings, converse
from turnwise.study.hands import Hands
from turnwise.study.ledger import Ledger
from turnwise.study.mending import Mending
from turnwise.study.plan import JudgePlan, Plan
from turnwise.study.reader import LookUp, looked_up
from turnwise.study.results import Answered
from turnwise.study.study import Arm
from turnwise.study.task import Rule, Task


class Watcher(Protocol):
    """Who is told how a run goes on."""

    def begin(self, conversations: int, turns: int) -> None: ...

    def servers(self, awaited: Callable[[], Sequence[Awaited]]) -> None:
        """`awaited` tells, whenever and by whichever thread it is asked, which servers have not answered yet."""
        ...

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
    stopped: str = ""  # why the run ended before everything was tried
    remarks: tuple[str, ...] = ()  # what else is to be said of the run


async def run(plan: Plan, ledger: Ledger, hands: Hands, watcher: Watcher, *, together: int) -> Tally:
    """Do what is missing; `together` conversations are open at a time, in the plan's order.

    Arms that load weights are played one after the other, beside all the others, so that a device holds one arm at a time.
    """
    light = [arm for arm in plan.study.arms if not plan.arms[arm.name].heavy]
    heavy = [arm for arm in plan.study.arms if plan.arms[arm.name].heavy]
    watcher.begin(len(plan.study.arms) * len(plan.dialogues), _turns(plan))
    async with asyncio.TaskGroup() as group:
        maker = _Maker(plan, ledger, hands, watcher, group)
        # Arms of one dialogue stand together, because they share the user's clips.
        group.create_task(_play(plan, [(arm, d) for d in plan.dialogues for arm in light], maker, watcher, together))
        group.create_task(_one_by_one(plan, heavy, maker, watcher, together))
    return Tally(maker.made, maker.found, maker.faults, maker.stopped, maker.mending.told)


def _turns(plan: Plan) -> int:
    fixed = sum(arm.user_mode == "fixed" for arm in plan.study.arms)
    most = plan.study.simulator.most_turns if plan.study.simulator else 0
    rounds = sum(len(dialogue.rounds()) for dialogue in plan.dialogues)
    return fixed * rounds + (len(plan.study.arms) - fixed) * most * len(plan.dialogues)


async def _one_by_one(plan: Plan, arms: Sequence[Arm], maker: _Maker, watcher: Watcher, together: int) -> None:
    for number, arm in enumerate(arms):
        await _play(plan, [(arm, dialogue) for dialogue in plan.dialogues], maker, watcher, together)
        needed = {key for later in arms[number + 1 :] for key in plan.arms[later.name].heavy}
        await maker.hands.free([key for key in plan.arms[arm.name].heavy if key not in needed])


async def _play(plan: Plan, work: Sequence[tuple[Arm, Dialogue]], maker: _Maker, watcher: Watcher, together: int) -> None:
    waiting = iter(work)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(together, len(work))):
            group.create_task(_keep_going(plan, waiting, maker, watcher))


async def _keep_going(plan: Plan, waiting: Iterator[tuple[Arm, Dialogue]], maker: _Maker, watcher: Watcher) -> None:
    for arm, dialogue in waiting:  # shared by all: each takes the next
        if maker.stopped:
            return
        conversation = await converse(plan, arm, dialogue, maker.ports(plan, arm, dialogue))
        for answered in conversation.rounds:
            broken = any(isinstance(outcome, Fault) for outcome in answered.outcomes.values()) or answered.fault is not None
            faults = broken and not maker.stopped  # what a stop left undone is not at fault
            if not _was_judged(answered):
                watcher.turns(1, faults=faults)
            elif faults:
                watcher.turns(0, faults=1)
        if arm.user_mode == "live" and plan.study.simulator:  # turns that were allowed for and not taken
            watcher.turns(plan.study.simulator.most_turns - len(conversation.rounds))


def _was_judged(answered: Answered) -> bool:
    """Whether judges were asked about a turn: then it was told when they were done."""
    unasked = (Silence,) if answered.fault is None else (Silence, Fault)
    blocked = any(isinstance(o, Fault) and o.cause in ("blocked", "transcript") for o in answered.outcomes.values())
    return bool(answered.outcomes) and not blocked and not any(isinstance(o, unasked) for o in answered.outcomes.values())


class _Ports:
    """The maker as the ports of one conversation."""

    def __init__(self, maker: _Maker, *, thoroughly: bool) -> None:
        self._maker = maker
        self._thoroughly = thoroughly
        self.rule = maker.rule
        self.start = maker.start

    async def make(self, cell: Cell, task: Task, purpose: str) -> Payload | Fault:
        return await self._maker.make(cell, task, purpose, thoroughly=self._thoroughly)


class _Maker:
    """Looks up, else has it done and records it. The same cell is never in work twice."""

    def __init__(self, plan: Plan, ledger: Ledger, hands: Hands, watcher: Watcher, group: asyncio.TaskGroup) -> None:
        self.hands = hands
        self._seed = plan.study.seed
        self._judges = {judge.title: judge for judge in plan.judges}
        self._quick = _own_company(plan.judges, "worker")
        self._ledger, self._watcher, self._group = ledger, watcher, group
        self._known = LookUp(ledger.path, ledger.done(), {})
        self.mending = Mending(hands.clips)
        self._under_way: dict[str, asyncio.Future[Payload | Fault]] = {}
        self._new: set[str] = set()  # cells done by this run, of which the ledger tells when another arm asks for them
        self.made = self.found = self.faults = 0
        self.stopped = ""

    def ports(self, plan: Plan, arm: Arm, dialogue: Dialogue) -> _Ports:
        """A conversation of which something is missing is looked at closely: what is made may need each of its clips."""
        lacked = self._known.lacking
        looked_up(plan, arm, dialogue, self._known)
        return _Ports(self, thoroughly=self._known.lacking > lacked)

    async def make(self, cell: Cell, task: Task, purpose: str, *, thoroughly: bool) -> Payload | Fault:
        key = cell.key
        found = self._find(cell)
        if found is not None and not await self.mending.needed(found, thoroughly=thoroughly):
            self._count(cell, made=False, fault=False)
            return found
        if key in self.mending.results:  # while this one was looking
            return self.mending.results[key]
        if key in self._under_way:
            return await asyncio.shield(self._under_way[key])
        future: asyncio.Future[Payload | Fault] = asyncio.get_running_loop().create_future()
        self._under_way[key] = future
        try:
            with recording() as calls:
                try:
                    result = await self.hands.do(task)
                except BaseException:
                    self._keep([], calls, key, purpose)  # what was paid is told, whatever ended the run
                    raise
            self.mending.kept(result)
            if found is not None:
                result = self.mending.made(key, found, result)
            if result is found:  # it is recorded
                self._keep([], calls, key, purpose)
                self._count(cell, made=False, fault=False)
            else:
                self._keep([Made(cell, result)], calls, key, purpose, again=found is not None)
                if not isinstance(result, Fault):
                    self._new.add(key)
            future.set_result(result)
            return result
        finally:
            if not future.done():
                future.cancel()
            del self._under_way[key]

    def _find(self, cell: Cell) -> Payload | None:
        return self._ledger.find(cell) if cell.key in self._new else self._known.find(cell)

    async def rule(self, cells: Mapping[str, tuple[Cell, ...]], exchange: Exchange) -> Rulings:
        """Judges of the workers in one call; each of the others on its own, as soon as those it needs have decided."""
        rulings: dict[str, list[Ruling | Fault | None]] = {}
        for title, repeats in cells.items():
            rulings[title] = []
            for cell in repeats:
                found = self._find(cell)
                assert found is None or isinstance(found, Ruling)
                rulings[title].append(found)
                if found is not None:
                    self._count(cell, made=False, fault=False)
        quick = tuple(title for title in cells if title in self._quick and rulings[title][0] is None)
        alone = [t for t in cells if t not in self._quick and any(ruling is None for ruling in rulings[t])]
        if len(alone) == 1 and not quick:  # a group of tasks would have one member
            await self._rule_alone(self._judges[alone[0]], cells[alone[0]], exchange, rulings, {})
        elif alone:
            async with asyncio.TaskGroup() as group:
                ready: dict[str, asyncio.Task[None]] = {}
                if quick:
                    company = group.create_task(self._rule_here(quick, cells, exchange, rulings, heavy=False))
                    ready |= dict.fromkeys(quick, company)
                for title in alone:
                    work = self._rule_alone(self._judges[title], cells[title], exchange, rulings, ready)
                    ready[title] = group.create_task(work)
        elif quick:
            await self._rule_here(quick, cells, exchange, rulings, heavy=False)
        self._watcher.turns(1)
        return {title: tuple(one or Fault("pending") for one in found) for title, found in rulings.items()}

    async def _rule_here(
        self,
        titles: tuple[str, ...],
        cells: Mapping[str, tuple[Cell, ...]],
        exchange: Exchange,
        rulings: Mapping[str, list[Ruling | Fault | None]],
        *,
        heavy: bool,
    ) -> None:
        known = {title: found[0] for title, found in rulings.items() if isinstance(found[0], Ruling)}
        done = await self.hands.rule(Rule(titles, exchange, known), heavy=heavy)
        self._keep([Made(cells[title][0], done[title]) for title in titles])
        for title in titles:
            rulings[title][0] = done[title]

    async def _rule_alone(
        self,
        judge: JudgePlan,
        repeats: tuple[Cell, ...],
        exchange: Exchange,
        rulings: Mapping[str, list[Ruling | Fault | None]],
        ready: Mapping[str, asyncio.Task[None]],
    ) -> None:
        await asyncio.gather(*(ready[need] for need in judge.needs if need in ready))
        if judge.place != "driver":
            await self._rule_here((judge.title,), {judge.title: repeats}, exchange, rulings, heavy=judge.place == "device")
            return
        known: dict[str, Ruling] = {}
        for need in judge.needs:
            ruling = rulings[need][0]
            if not isinstance(ruling, Ruling):
                cause = ruling.cause if ruling is not None else "pending"
                self._keep([Made(cell, Fault("upstream", f"{need}: {cause}")) for cell in repeats])
                rulings[judge.title][:] = [Fault("upstream", f"{need}: {cause}")] * len(repeats)
                return
            known[need] = ruling
        missing = [n for n in range(len(repeats)) if rulings[judge.title][n] is None]
        deciding = [self._decide(judge, n, repeats[n], exchange, known, rulings) for n in missing]
        if len(deciding) == 1:  # needs no task of its own
            await deciding[0]
        else:
            await asyncio.gather(*deciding)

    async def _decide(
        self,
        judge: JudgePlan,
        number: int,
        cell: Cell,
        exchange: Exchange,
        known: Mapping[str, Ruling],
        rulings: Mapping[str, list[Ruling | Fault | None]],
    ) -> None:
        key, purpose = cell.key, f"judge {judge.title}"
        if key in self._under_way:  # another arm said the same, and the model is asked once
            shared = await asyncio.shield(self._under_way[key])
            assert isinstance(shared, Ruling | Fault)
            rulings[judge.title][number] = shared
            return
        future: asyncio.Future[Payload | Fault] = asyncio.get_running_loop().create_future()
        self._under_way[key] = future
        try:
            with recording() as calls:
                try:
                    seed = judge.seed(self._seed, exchange, number)
                    ruling = await self.hands.decide(judge, exchange, known, seed=seed)
                except BaseException:
                    self._keep([], calls, key, purpose)
                    raise
            self._keep([Made(cell, ruling)], calls, key, purpose)
            if not isinstance(ruling, Fault):
                self._new.add(key)
            future.set_result(ruling)
            rulings[judge.title][number] = ruling
        finally:
            if not future.done():
                future.cancel()
            del self._under_way[key]

    def start(self, work: Coroutine[Any, Any, Rulings]) -> Awaitable[Rulings]:
        try:
            return self._group.create_task(work)
        except RuntimeError:  # the run is being stopped, and this task has not been told yet
            work.close()
            raise asyncio.CancelledError from None

    def _keep(
        self, made: list[Made], calls: Sequence[Call] = (), key: str = "", purpose: str = "", *, again: bool = False
    ) -> None:
        # What the stop itself broke is not a result.
        lasting = []
        for one in made:
            if isinstance(one.result, Fault) and one.result.cause == STOPPED:
                self.stopped = self.stopped or one.result.detail
            else:
                lasting.append(one)
        self._ledger.record(lasting, [Paid(key, purpose, call) for call in calls], again=again)
        for one in lasting:
            self._count(one.cell, made=True, fault=isinstance(one.result, Fault))

    def _count(self, cell: Cell, *, made: bool, fault: bool) -> None:
        self.faults += fault
        self.made += made and not fault
        self.found += not made
        self._watcher.cell(cell.kind, made=made, fault=fault)


def _own_company(judges: Sequence[JudgePlan], place: str) -> frozenset[str]:
    """Judges of one place that need no judge of another."""
    chosen: set[str] = set()
    for judge in judges:  # each after those it needs
        if judge.place == place and chosen.issuperset(judge.needs):
            chosen.add(judge.title)
    return frozenset(chosen)
