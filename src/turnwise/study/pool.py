"""A pool of worker processes that survives the death of any of them.

One thread of the driver waits on each process, so the event loop never blocks. A worker that dies gives the task it had as a
fault and is replaced. Workers ignore Ctrl-C (the driver decides) and leave when the driver is gone, however it went.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Protocol

from turnwise.foundation.errors import TurnwiseError
from turnwise.judges.verdict import Fault
from turnwise.study.task import Task
from turnwise.study.worker import Done, Kit, Worker

# Each process works with one thread: two processes with one thread each beat one with two, and never fight over the cores.
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Pool(Protocol):
    """Where tasks are done."""

    async def do(self, task: Task) -> Done: ...

    def close(self) -> None: ...


class InProcess:
    """No processes at all: for tests, tiny studies and debugging."""

    def __init__(self, kit: Kit) -> None:
        self._worker = Worker(kit)

    async def do(self, task: Task) -> Done:
        return self._worker.do(task)

    def close(self) -> None:
        self._worker.close()


class Processes:
    """`size` worker processes on this machine, started when first needed."""

    def __init__(self, kit: Kit, size: int) -> None:
        self._kit = pickle.dumps(kit)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="turnwise-pool")
        self._idle: asyncio.LifoQueue[_Seat] = asyncio.LifoQueue()
        self._seats = [_Seat(self._kit) for _ in range(size)]
        for seat in reversed(self._seats):
            self._idle.put_nowait(seat)
        self._closed = False

    async def do(self, task: Task) -> Done:
        seat = await self._idle.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, seat.do, task)
        finally:
            self._idle.put_nowait(seat)

    def close(self) -> None:
        """End every worker at once; what they were doing is lost, what they had done is recorded."""
        if not self._closed:
            self._closed = True
            for seat in self._seats:
                seat.close()
            self._threads.shutdown(wait=True)


class _Seat:
    """One process and the line to it."""

    def __init__(self, kit: bytes) -> None:
        self._kit = kit
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._closed = False
        self._coming_or_going = threading.Lock()  # a run may be stopped while its processes are being started

    def do(self, task: Task) -> Done:
        if self._closed:
            return Fault("stopped", "the run was stopped")
        fresh = self._process is None or not self._process.is_alive()
        if fresh:
            self._start()
        if self._process is None:  # stopped before it could start
            return Fault("stopped", "the run was stopped")
        assert self._line is not None and self._process is not None
        try:
            if fresh:
                self._line.send_bytes(self._kit)
            self._line.send(task)
            result: Done | TurnwiseError = self._line.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            self._line.close()
            self._process, self._line = None, None
            return Fault("stopped", "the run was stopped") if self._closed else Fault("worker-died", f"exit code {code}")
        if isinstance(result, TurnwiseError):
            raise result
        return result

    def close(self) -> None:
        with self._coming_or_going:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        with self._coming_or_going:
            before = {name: os.environ.get(name) for name in _THREADS}
            os.environ.update(_THREADS)
            try:
                if not self._closed:
                    # A Ctrl-C of the terminal reaches the child too, which must not die of it before it can ignore it.
                    resource_tracker.ensure_running()  # else starting it would lift the block again
                    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                    process.start()
                    self._process = process
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                for name, value in before.items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value
        theirs.close()


def _serve(line: Connection, driver: int) -> None:
    """A worker process: one task at a time until the line closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(driver,), daemon=True).start()
    worker = Worker(pickle.loads(line.recv_bytes()))
    while True:
        try:
            task = line.recv()
        except (EOFError, OSError):
            break
        try:
            result: Done | TurnwiseError = worker.do(task)
        except TurnwiseError as error:
            result = error
        line.send(result)
    worker.close()


def _leave_with(driver: int) -> None:
    """End this process when the driver has gone, even in the middle of a long task."""
    while os.getppid() == driver:
        time.sleep(1.0)
    os._exit(0)
