"""Results read from a ledger: the same walk as the run's, with ports that only look up."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import StorageError
from turnwise.judges.judge import Exchange
from turnwise.judges.verdict import Fault
from turnwise.study.cell import PAYLOADS, Cell, Kind, Payload, Ruling
from turnwise.study.conversation import Rulings, converse
from turnwise.study.expenses import expenses
from turnwise.study.ledger import UNREADABLE, Ledger, Row, unreadable
from turnwise.study.plan import Plan, load_plan
from turnwise.study.results import Conversation, Instrument, Results
from turnwise.study.study import Arm
from turnwise.study.task import Task

PENDING = Fault("pending", "not done yet: run the study again")


def read_results(ledger: Ledger, clips: Path) -> Results:
    """The newest plan of a ledger with everything that has been done of it."""
    newest = ledger.plan()
    if newest is None:
        raise StorageError(f"{ledger.path} holds no plan", "run the study first: turnwise run STUDY --out FOLDER")
    name, created, body = newest
    plan = load_plan(body)
    conversations, ports = walk(plan, ledger)
    return Results(
        study=plan.study,
        plan=name,
        created=created,
        tool=plan.tool,
        corpus_digest=plan.corpus_digest,
        corpus_size=len(plan.background),
        notes=plan.notes,
        instruments=tuple(
            Instrument(c, judge.title, judge.identity, judge.models, judge.repeats)
            for judge in plan.judges
            for c in judge.criteria
        ),
        conversations=tuple(conversations),
        clips=clips,
        arm_models={name: arm.models for name, arm in plan.arms.items() if arm.models},
        expenses=expenses(ledger.calls(), ports.used),
        drawn=tuple(dialogue.id for dialogue in plan.dialogues),
    )


class LookUp:
    """Ports without hands."""

    def __init__(self, ledger: Path, done: Mapping[str, Row], faults: Mapping[str, Fault]) -> None:
        self.ledger = ledger
        self.done = done
        self.faults = faults
        self.used: set[str] = set()
        self.lacking = 0  # cells that were looked up and are not done
        self._decoders = {kind: msgspec.json.Decoder(type_) for kind, type_ in PAYLOADS.items()}
        self._keep: dict[str, Payload] = {}  # user clips and their transcripts, which every arm asks for

    def find(self, cell: Cell) -> Payload | None:
        key = cell.key
        self.used.add(key)
        if key in self._keep:
            return self._keep[key]
        row = self.done.get(key)
        if row is None:
            return None
        try:
            found = self._decoders[cell.kind].decode(row.payload)
        except UNREADABLE as error:
            raise unreadable(self.ledger, f"row {row.seq} ({cell.kind})", error) from error
        if cell.kind in _SHARED:
            self._keep[key] = found
        return found

    async def make(self, cell: Cell, task: Task, purpose: str) -> Payload | Fault:
        return self._found(cell)

    async def rule(self, cells: Mapping[str, tuple[Cell, ...]], exchange: Exchange) -> Rulings:
        found: dict[str, tuple[Ruling | Fault, ...]] = {}
        for title, repeats in cells.items():
            rulings = tuple(map(self._found, repeats))
            found[title] = tuple(one for one in rulings if isinstance(one, Ruling | Fault))
        return found

    def _found(self, cell: Cell) -> Payload | Fault:
        found = self.find(cell)
        self.lacking += found is None
        return found or self.faults.get(cell.key, PENDING)

    def start(self, work: Coroutine[Any, Any, Rulings]) -> Awaitable[Rulings]:
        return _Ready(_finish(work))


_SHARED: frozenset[Kind] = frozenset({"user-clip", "user-line", "user-transcript"})


class _Ready(Awaitable[Rulings]):
    def __init__(self, value: Rulings) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Rulings]:
        return self._value
        yield  # makes this a generator


def _finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Drive a coroutine that never waits to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a look-up waited")


def walk(plan: Plan, ledger: Ledger) -> tuple[list[Conversation], LookUp]:
    """The plan's conversations and which cells they are made of."""
    ports = LookUp(ledger.path, ledger.done(), ledger.faults())
    return [looked_up(plan, arm, dialogue, ports) for arm in plan.study.arms for dialogue in plan.dialogues], ports


def looked_up(plan: Plan, arm: Arm, dialogue: Dialogue, ports: LookUp) -> Conversation:
    """One dialogue of one arm, as far as it is done."""
    made: Conversation = _finish(converse(plan, arm, dialogue, ports))
    return made
