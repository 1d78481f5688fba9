"""How a run goes on, for people: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from turnwise.endpoints.waiting import Awaited

EVERY = 5.0  # seconds between plain lines
QUIET = 20.0  # seconds after which a line says that the run goes on, though nothing was finished


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 cell", "2 cells"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Bars:
    """A watcher of a run; use it as a context."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.faults = 0
        self._turns = self._turns_done = self._made = 0
        self._started = self._said = self._moved = time.monotonic()
        self._awaited: Callable[[], Sequence[Awaited]] = tuple
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._over = threading.Event()

    def __enter__(self) -> Bars:
        if self.console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("turns"),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=False,
            )
            self._progress.start()
        threading.Thread(target=self._keep_talking, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        if self._progress is not None:
            self._progress.stop()
        elif kind is None and self._turns:
            self._line()

    def begin(self, conversations: int, turns: int) -> None:
        self._turns = turns
        if self._progress is not None:
            self._bar = self._progress.add_task(counted(conversations, "conversation"), total=turns, rate="")
        else:
            self.console.print(f"{counted(conversations, 'conversation')}, {counted(turns, 'turn')}")

    def servers(self, awaited: Callable[[], Sequence[Awaited]]) -> None:
        self._awaited = awaited

    def turns(self, count: int, *, faults: int = 0) -> None:
        self._turns_done += count
        self.faults += faults
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, advance=count)

    def cell(self, kind: str, *, made: bool, fault: bool) -> None:
        self._made += made
        self._moved = time.monotonic()
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, rate=self._rate())
        elif self._progress is None and time.monotonic() - self._said >= EVERY:
            self._line()

    def _keep_talking(self) -> None:
        """A long wait for a server or a model is not silence."""
        while not self._over.wait(1.0):
            if not self._turns or time.monotonic() - self._moved < QUIET:
                continue
            if self._progress is not None and self._bar is not None:
                self._progress.update(self._bar, rate=f"{self._rate()}{self._wait()}")
            elif self._progress is None and time.monotonic() - self._said >= QUIET:
                self._line()

    def _wait(self) -> str:
        """For which servers, where nothing was finished for a while."""
        if time.monotonic() - self._moved < QUIET:
            return ""
        told = [
            f"{one.endpoint} ({counted(one.calls, 'call')}{f', {one.connections} at a time' * (one.calls > one.connections)}, "
            f"the oldest for {one.seconds:.0f} s)"
            for one in self._awaited()
        ]
        return f", waiting for {' and '.join(told)}" if told else ""

    def _rate(self) -> str:
        passed = max(time.monotonic() - self._started, 1e-3)
        faults = f", {self.faults} at fault" if self.faults else ""
        return f"{self._made / passed:.0f} cells/s{faults}"

    def _line(self) -> None:
        self._said = time.monotonic()
        passed = self._said - self._started
        left = ""
        if 0 < self._turns_done < self._turns:
            left = f", about {passed / self._turns_done * (self._turns - self._turns_done):.0f} s left"
        self.console.print(
            f"{self._turns_done}/{self._turns} turns, {self._rate()}, {passed:.0f} s{left}{self._wait()}", markup=False
        )
