"""A pool of worker processes that survives the death of any of them, and ends those that take too long.

One thread of the driver waits on each process, so the event loop never blocks. A worker that dies gives the tasks it had as
faults and is replaced. So is one that is silent for longer than the time limit: it tells after every step (a part opened, a task
or a batch of them done), so that neither loading weights nor many batches one after the other count as one. One process per
device loads weights; it is given all that waits for the same part at once. Workers leave Ctrl-C and its like to the driver, and
leave when the driver is gone, however it went.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

from turnwise.foundation.errors import TurnwiseError
from turnwise.judges.verdict import Fault
from turnwise.study.caught import STOPPED
from turnwise.study.standard_streams import outlive_readers
from turnwise.study.task import Free, Task
from turnwise.study.worker import Done, Kit, Worker

_STARTING = threading.Lock()  # a child inherits the environment of the whole process, so one is started at a time
DIED, LATE = "worker-died", "time-limit"
LIMIT = 1800.0  # seconds for one step where nothing else is said: a large model on a few cores may well take minutes
LONGEST = 1e6  # seconds; more than that cannot be waited for
READY = 300.0  # seconds for a process to start, whatever the limit: the machine may be busy
LEAVING = 5.0  # seconds that a worker which is told to end waits for the driver to end it
_STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
TOGETHER = 64  # tasks a device is given at once at most; the part there divides them by what it takes at a time
# Each process works with one thread: two processes with one thread each beat one with two, and never fight over the cores. A
# process that holds a GPU has what it finds.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Pool(Protocol):
    """Where tasks are done."""

    async def do(self, task: Task, *, heavy: bool = False) -> Done:
        """The task's result; `heavy` tasks are done where the device is."""
        ...

    async def free(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """Give back what these heavy parts hold; tells of those that failed while they were closed."""
        ...

    def close(self) -> tuple[str, ...]:
        """End it all; tells of the parts that failed while they were closed."""
        ...


class InProcess:
    """No processes at all: for tests, tiny studies and debugging. Nothing can be ended here that takes too long."""

    def __init__(self, kit: Kit) -> None:
        self._worker = Worker(kit)

    async def do(self, task: Task, *, heavy: bool = False) -> Done:
        await asyncio.sleep(0)  # between two tasks a stop is heeded
        return self._worker.do(task)

    async def free(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        return _told(self._worker.do(Free(parts)))

    def close(self) -> tuple[str, ...]:
        return self._worker.close()


class Processes:
    """`size` worker processes on this machine, and one more per device, all started when first needed."""

    def __init__(self, kit: Kit, size: int, devices: Sequence[str] | None = None, limit: float = LIMIT) -> None:
        """`devices` are the GPUs' numbers as the driver of the GPU counts them; found out where not given. `limit`: seconds that
        one step of a worker may take.
        """
        packed = pickle.dumps(kit)
        limit = min(limit, LONGEST)
        held = visible_devices() if devices is None else tuple(devices)
        light = [_Seat(packed, _ONE_THREAD, limit) for _ in range(size)]
        half = dict.fromkeys(_ONE_THREAD, str(max(1, (os.cpu_count() or 1) // 2)))  # the other half is for the rest of the run
        heavy = [_Seat(packed, {"CUDA_VISIBLE_DEVICES": device}, limit) for device in held] or [_Seat(packed, half, limit)]
        self._seats = [*light, *heavy]
        self._threads = ThreadPoolExecutor(len(self._seats), thread_name_prefix="turnwise-pool")
        self._light = _Room(light, self._threads, together=1)
        self._heavy = _Room(heavy, self._threads, together=TOGETHER)
        self._closed = False

    async def do(self, task: Task, *, heavy: bool = False) -> Done:
        return await (self._heavy if heavy else self._light).do(task)

    async def free(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        return _told(*await self._heavy.tell_all(Free(parts)))

    def close(self) -> tuple[str, ...]:
        """End every worker at once; what they were doing is lost, what they had done is recorded."""
        if not self._closed:
            self._closed = True
            for seat in self._seats:
                seat.close()
            self._threads.shutdown(wait=True)
        return ()


def _told(*done: Done) -> tuple[str, ...]:
    """What is to be said of parts that were freed."""
    return tuple(one.detail for one in done if isinstance(one, Fault) and one.cause != STOPPED)


def visible_devices() -> tuple[str, ...]:
    """The GPUs of this machine, found without loading anything; none where there is none."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return tuple(part.strip() for part in told.split(",") if part.strip() and part.strip() != "-1")
    numbers = sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit())
    return tuple(map(str, numbers))


class _Room:
    """Seats that share a queue. A free seat takes the oldest task, and with it those of the same part that wait behind it."""

    def __init__(self, seats: Sequence[_Seat], threads: ThreadPoolExecutor, *, together: int) -> None:
        self._idle = list(reversed(seats))
        self._size = len(seats)
        self._threads = threads
        self._together = together
        self._waiting: deque[tuple[Task, asyncio.Future[Done]]] = deque()
        self._gone: set[asyncio.Task[None]] = set()

    async def do(self, task: Task) -> Done:
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, future))
        self._serve()
        return await future

    async def tell_all(self, task: Task) -> list[Done]:
        """The same task for every seat that has started, one after the other."""
        done: list[Done] = []
        for seat in [seat for seat in self._idle if seat.started]:
            self._idle.remove(seat)
            try:
                done += await asyncio.get_running_loop().run_in_executor(self._threads, seat.do, [task])
            finally:
                self._idle.append(seat)
        self._serve()
        return done

    def _serve(self) -> None:
        while self._idle and self._waiting:
            some = self._next()
            if some:
                going = asyncio.get_running_loop().create_task(self._work(self._idle.pop(), some))
                self._gone.add(going)  # the loop itself holds tasks only weakly
                going.add_done_callback(self._gone.discard)

    def _next(self) -> list[tuple[Task, asyncio.Future[Done]]]:
        """The oldest tasks that can be done together; whoever waited for a cancelled one has left."""
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        if not self._waiting:
            return []
        first = self._waiting.popleft()
        some, rest = [first], deque[tuple[Task, asyncio.Future[Done]]]()
        while self._waiting and len(some) < self._together:
            one = self._waiting.popleft()
            if not one[1].done():
                (some if _alike(first[0], one[0]) else rest).append(one)
        self._waiting.extendleft(reversed(rest))
        return some

    async def _work(self, seat: _Seat, some: list[tuple[Task, asyncio.Future[Done]]]) -> None:
        tasks = [task for task, _ in some]
        loop = asyncio.get_running_loop()
        try:
            done = await loop.run_in_executor(self._threads, seat.do, tasks)
            if len(tasks) > 1 and all(isinstance(one, Fault) and one.cause in (DIED, LATE) for one in done):
                done = await self._alone(seat, tasks)
        except BaseException as error:
            for _, future in some:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), result in zip(some, done, strict=True):
                if not future.done():
                    future.set_result(result)
        finally:
            self._idle.append(seat)
            self._serve()

    async def _alone(self, seat: _Seat, tasks: list[Task]) -> list[Done]:
        """One of them took the process with it or took too long: alone, each shows whether it was that one. When two in a row
        take too long it is none of them in particular, and the rest is not waited for.
        """
        done: list[Done] = []
        for task in tasks:
            if len(done) > 1 and all(isinstance(one, Fault) and one.cause == LATE for one in done[-2:]):
                done += [Fault(LATE, "not tried: two before it had gone over the time limit")] * (len(tasks) - len(done))
                break
            done += await asyncio.get_running_loop().run_in_executor(self._threads, seat.do, [task])
        return done


def _alike(one: Task, other: Task) -> bool:
    """Whether a part may do both at once."""
    mine, its = getattr(one, "part", None), getattr(other, "part", None)
    return type(one) is type(other) and mine is not None and its is not None and mine.key == its.key


class _Seat:
    """One process and the line to it."""

    def __init__(self, kit: bytes, environment: Mapping[str, str], limit: float) -> None:
        self._kit = kit
        self._environment = environment
        self._limit = limit
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._closed = False
        self._coming_or_going = threading.Lock()  # a run may be stopped while its processes are being started

    @property
    def started(self) -> bool:
        return self._process is not None

    def do(self, tasks: list[Task]) -> list[Done]:
        stopped: list[Done] = [Fault(STOPPED, "the run was stopped")] * len(tasks)
        if self._closed:
            return stopped
        fresh = self._process is None or not self._process.is_alive()
        if fresh:
            self._start()
        if self._process is None:  # stopped before it could start
            return stopped
        assert self._line is not None and self._process is not None
        try:
            if fresh:
                self._line.send_bytes(self._kit)
                self._heard(self._line, max(READY, self._limit))  # it is ready
            self._line.send(tasks)
            result: list[Done] | TurnwiseError | None = None  # None after each step on the way
            while result is None:
                result = self._heard(self._line, self._limit)
        except TimeoutError:
            self._process.kill()
            self._left()
            late = Fault(LATE, f"nothing was done within {self._limit:g} s, and the process at work was ended")
            return stopped if self._closed else [late] * len(tasks)
        except (EOFError, OSError):
            code = self._left()
            return stopped if self._closed else [Fault(DIED, f"exit code {code}")] * len(tasks)
        if isinstance(result, TurnwiseError):
            raise result
        return result

    @staticmethod
    def _heard(line: Connection, limit: float) -> list[Done] | TurnwiseError | None:
        if not line.poll(limit):
            raise TimeoutError
        heard: list[Done] | TurnwiseError | None = line.recv()
        return heard

    def _left(self) -> int | None:
        """The process is gone; its exit code."""
        assert self._line is not None and self._process is not None
        self._process.join(5)
        code = self._process.exitcode
        self._line.close()
        self._process, self._line = None, None
        return code

    def close(self) -> None:
        with self._coming_or_going:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        with self._coming_or_going, _STARTING:
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            before = {name: os.environ.get(name) for name in self._environment}
            os.environ.update(self._environment)
            try:
                if not self._closed:
                    # A Ctrl-C of the terminal reaches the child too, which must not die of it before it can ignore it.
                    resource_tracker.ensure_running()  # else starting it would lift the block again
                    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
                    process.start()
                    self._process = process
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
                for name, value in before.items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value
        theirs.close()


def _serve(line: Connection, driver: int) -> None:
    """A worker process: tasks as they come until the line closes."""
    _leave_stops_to_the_driver()
    outlive_readers()
    threading.Thread(target=_leave_with, args=(driver,), daemon=True).start()
    worker = Worker(pickle.loads(line.recv_bytes()), step=lambda: line.send(None))
    line.send(None)
    while True:
        try:
            tasks = line.recv()
        except (EOFError, OSError):
            break
        try:
            result: list[Done] | TurnwiseError = worker.do_many(tasks)
        except TurnwiseError as error:
            result = error
        line.send(result)
    worker.close()


def _leave_stops_to_the_driver() -> None:
    """Signals that a terminal or a scheduler sends to all processes: the driver ends the run, and with it this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Handlers, as what is ignored stays ignored in the programs that plug-ins start.
    signal.signal(signal.SIGHUP, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(LEAVING, os._exit, (128 + signal.SIGTERM,)).start())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _leave_with(driver: int) -> None:
    """End this process when the driver has gone, even in the middle of a long task."""
    while os.getppid() == driver:
        time.sleep(1.0)
    os._exit(0)
