"""Where sounds are heard: in this process, or in several that each open the same listener and describer.

A process that dies takes its files with it: they are heard again one by one in a new one, so that only the file that kills it has
that as its trouble. Processes leave when the one that started them is gone, however it went. Where one process is enough, a
thread of this one does the work, so that nothing has to start.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError
from turnwise.listening.ears import ON_A_SOUND, Ears, Hearing, cause_of
from turnwise.listening.ratings import Ratings
from turnwise.listening.row import Row, Step, with_trouble

T = TypeVar("T")
_SPAWN = get_context("spawn")
_WATCH = 1.0  # seconds between looks whether the driver lives
_ears: Ears | None = None  # of a worker process
_hearing: Hearing | None = None


class Crew:
    """Seats at which files are heard; use it as an asynchronous context. Nothing is opened before it is needed."""

    def __init__(self, hearing: Hearing, seats: int) -> None:
        """With one seat the work is done in a thread of this process."""
        self._hearing = hearing
        self._seats: list[_Thread | _Process] = [_Thread(hearing)] if seats <= 1 else [_Process(hearing) for _ in range(seats)]
        self._idle: asyncio.Queue[_Thread | _Process] = asyncio.Queue()

    async def __aenter__(self) -> Crew:
        for seat in self._seats:
            self._idle.put_nowait(seat)
        return self

    async def __aexit__(self, *_: object) -> None:
        for seat in self._seats:
            await seat.close()

    async def hear(self, rows: Sequence[tuple[Path, Row]]) -> list[Row]:
        """The rows of these files, heard."""
        seat = await self._idle.get()
        try:
            return await seat.hear(rows)
        finally:
            self._idle.put_nowait(seat)

    async def describe(self, path: Path, row: Row) -> Row:
        """A row whose ratings came from elsewhere, described here."""
        seat = await self._idle.get()
        try:
            return await seat.describe(path, row)
        finally:
            self._idle.put_nowait(seat)

    async def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, seed: int) -> str:
        """The describer's comparison."""
        seat = await self._idle.get()
        try:
            return await seat.compare(first, second, sounds, seed)
        finally:
            self._idle.put_nowait(seat)


class _Thread:
    """One thread, always the same: some libraries may only be used by the thread that opened them."""

    def __init__(self, hearing: Hearing) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="listening")
        self._hearing = hearing
        self._ears: Ears | None = None
        self._as_one_of_many = hearing.seat() == "worker"
        self._threads: Any = None  # of the libraries that the ears brought

    async def hear(self, rows: Sequence[tuple[Path, Row]]) -> list[Row]:
        return await self._do(lambda: self._opened().hear(rows))

    async def describe(self, path: Path, row: Row) -> Row:
        return await self._do(lambda: _describe(self._opened(), path, row))

    async def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, seed: int) -> str:
        return await self._do(lambda: self._opened().compare(first, second, sounds, seed))

    async def close(self) -> None:
        """Also in the middle of a file, when the session is stopped."""
        if self._ears is not None:
            self._ears.stopped.set()
            await self._do(self._ears.close)
        self._executor.shutdown()

    def _opened(self) -> Ears:
        if self._ears is None:
            self._ears = Ears(self._hearing)
        return self._ears

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._as_a_worker, work)

    def _as_a_worker(self, work: Callable[[], T]) -> T:
        """With one thread, as the processes have, where they could have done it: so rows are the same whoever made them."""
        if not self._as_one_of_many:
            return work()
        if self._threads is None:
            import threadpoolctl

            self._opened()
            self._threads = threadpoolctl.ThreadpoolController()
        with self._threads.limit(limits=1):
            return work()


class _Process:
    """One process, replaced when it dies."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._executor: Executor | None = None
        self._line: Connection | None = None  # nothing is said on it: the process leaves when it closes

    async def hear(self, rows: Sequence[tuple[Path, Row]]) -> list[Row]:
        done = await self._do(_hear, list(rows))
        if done is not None:
            return done
        if len(rows) > 1:
            return [(await self.hear([one]))[0] for one in rows]
        return [with_trouble(rows[0][1], "listen", "worker-died", "the process that heard this file died of it")]

    async def describe(self, path: Path, row: Row) -> Row:
        done = await self._do(_describe_there, path, row)
        died = "the process that described this file died of it"
        return done if done is not None else with_trouble(row, "describe", "worker-died", died)

    async def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, seed: int) -> str:
        text = await self._do(_compare_there, first, second, sounds, seed)
        if text is None:
            raise EngineError("worker-died", "the process that compared these files died of it")
        return text

    async def close(self) -> None:
        """Also in the middle of a file, when the session is stopped."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._hang_up()

    async def _do(self, work: Callable[..., T], *arguments: object) -> T | None:
        """The result; None where the process died."""
        if self._executor is None:
            theirs, self._line = _SPAWN.Pipe(duplex=False)
            self._executor = ProcessPoolExecutor(1, _SPAWN, _begin, (self._hearing, os.getpid(), theirs))
        try:
            with _ctrl_c_waits():  # the first task starts the process
                doing = asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
            return await doing
        except BrokenProcessPool:
            self._executor.shutdown(wait=False)
            self._executor = None
            self._hang_up()
            return None

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """A process that is started meanwhile never gets Ctrl-C, not even while it imports: it is born with it blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(hearing: Hearing, driver: int, line: Connection) -> None:
    """Prepare a worker process. Opening waits for the first file, so that what fails there is told as itself."""
    global _hearing
    import threadpoolctl

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    threading.Thread(target=_leave_with, args=(driver, line), daemon=True).start()
    if hearing.seat() == "worker":  # one thread each: processes that share the cores are slower with more
        os.environ["OMP_NUM_THREADS"] = "1"
        threadpoolctl.threadpool_limits(1)
    _hearing = hearing


def _opened() -> Ears:
    global _ears
    assert _hearing is not None
    if _ears is None:
        _ears = Ears(_hearing)
    return _ears


def _hear(rows: list[tuple[Path, Row]]) -> list[Row]:
    return _opened().hear(rows)


def _describe_there(path: Path, row: Row) -> Row:
    return _describe(_opened(), path, row)


def _compare_there(first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, seed: int) -> str:
    return _opened().compare(first, second, sounds, seed)


def _describe(ears: Ears, path: Path, row: Row) -> Row:
    try:
        sound = ears.sound(path)
    except ON_A_SOUND as error:
        step: Step = "describe" if isinstance(error, EngineError) else "file"
        return with_trouble(row, step, cause_of(error, "unreadable"), str(error))
    return ears.describe(row, sound)


def _leave_with(driver: int, line: Connection) -> None:
    """End this process when the line closes or the driver has gone, even in the middle of a file."""
    while os.getppid() == driver and not line.poll(_WATCH):
        pass
    os._exit(0)
