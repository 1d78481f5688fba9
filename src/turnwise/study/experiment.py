"""A study carried out in a folder: plan, lock, do what is missing, say what was done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from turnwise.endpoints.endpoint import resolved
from turnwise.endpoints.remote import Remote
from turnwise.endpoints.waiting import Awaited
from turnwise.foundation.errors import InputError, TurnwiseError
from turnwise.speech.clip_store import ClipStore
from turnwise.study.clip_files import there
from turnwise.study.hands import Hands
from turnwise.study.ledger import Ledger
from turnwise.study.plan import Plan, make_plan
from turnwise.study.pool import LIMIT, InProcess, Pool, Processes
from turnwise.study.reader import read_results
from turnwise.study.results import Results
from turnwise.study.run_folder import RunFolder
from turnwise.study.runner import Tally, Watcher, run
from turnwise.study.servers import endpoints_of
from turnwise.study.study import Study
from turnwise.study.worker import kit_of


class Unwatched:
    """A watcher that looks away."""

    def begin(self, conversations: int, turns: int) -> None:
        pass

    def servers(self, awaited: Callable[[], Sequence[Awaited]]) -> None:
        pass

    def turns(self, count: int, *, faults: int = 0) -> None:
        pass

    def cell(self, kind: str, *, made: bool, fault: bool) -> None:
        pass


class CarriedOut(msgspec.Struct, frozen=True):
    """What carrying out a study came to."""

    plan: str
    tally: Tally
    complete: bool  # every cell is done, without fault
    already: bool  # it was complete before


def carry_out(
    study: Study,
    out: Path | str,
    *,
    folder: Path = Path(),
    workers: int | None = None,
    watcher: Watcher | None = None,
    budget: float | None = None,
    time_limit: float = LIMIT,
) -> CarriedOut:
    """Do what is missing of a study in the run folder `out`.

    `folder` is where the study's relative paths start. `workers` is the number of processes: all cores where not given, and 0
    for none, when everything happens in this process. `budget` is the most that all runs of the folder together may spend on
    servers, in the currency of the declared prices. `time_limit`: seconds that a worker process may be at one step of its work
    (one task, or one batch of tasks of a model) before it is ended and the task is a fault.
    """
    if not time_limit > 0:
        raise InputError(f"the time limit is {time_limit}, expected seconds above 0")
    plan = make_plan(study, folder)
    place = RunFolder(out)
    place.create()
    with place.writing(), Ledger(place.ledger) as ledger:
        created = ledger.add_plan(plan.fingerprint, plan.body)
        finished = ledger.finished(plan.fingerprint)
        if not finished or not place.manifest.is_file():
            place.write_manifest(plan, created)
        if finished and not _clips_are_gone(ledger, place):
            return CarriedOut(plan.fingerprint, Tally(0, ledger.size(), 0), complete=True, already=True)
        spent = sum(call.cost or 0.0 for _, _, call in ledger.calls())
        remote = Remote(study.endpoints, budget=budget, spent=spent)
        crew = os.cpu_count() or 1 if workers is None else workers
        tally = _run(plan, ledger, place, crew, watcher or Unwatched(), remote, time_limit)
        complete = not tally.faults and not tally.stopped
        if complete:
            ledger.finish(plan.fingerprint)
        already = finished and complete and not tally.made and not tally.remarks  # what is gone was of another plan
    return CarriedOut(plan.fingerprint, tally, complete=complete, already=already)


def load_results(out: Path | str) -> Results:
    """The results of a run folder, from its ledger alone."""
    place = RunFolder(out)
    with Ledger(place.ledger, write=False) as ledger:
        return read_results(ledger, place.clips)


def _clips_are_gone(ledger: Ledger, place: RunFolder) -> bool:
    """Whether a file of a recorded clip is not there; what is in the files is for `verify` to say."""
    store = ClipStore(place.clips)
    return not all(there(store, clip) for clip in ledger.clips())


def _run(
    plan: Plan, ledger: Ledger, place: RunFolder, workers: int, watcher: Watcher, remote: Remote, time_limit: float
) -> Tally:
    kit = kit_of(plan, place.clips)
    pool: Pool = Processes(kit, workers, limit=time_limit) if workers else InProcess(kit)
    troubles: list[str] = []

    async def work() -> Tally:
        hands = Hands(kit, pool, remote)
        watcher.servers(remote.waiting.awaited)
        try:
            return await run(plan, ledger, hands, watcher, together=_together(plan, workers))
        finally:
            troubles.extend(await hands.close())
            await remote.close()

    try:
        tally = asyncio.run(work())
    except BaseExceptionGroup as group:
        raise _first(group) from group
    finally:
        troubles.extend(pool.close())
    return msgspec.structs.replace(tally, remarks=(*tally.remarks, *troubles))


def _together(plan: Plan, workers: int) -> int:
    """Conversations open at a time: four per worker keep every process busy while others wait for their turn's history, and every
    connection of a server should find a turn to ask for.
    """
    servers = sum(resolved(name, plan.study.endpoints).connections for name in endpoints_of(plan.study))
    return max(4, 4 * workers, servers)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show: one the user can act on before any other."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, TurnwiseError)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for inner in group.exceptions:
        found += _leaves(inner) if isinstance(inner, BaseExceptionGroup) else [inner]
    return found
