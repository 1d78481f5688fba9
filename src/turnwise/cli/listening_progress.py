"""How `turnwise listen` goes on, on the error output: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from turnwise.cli.progress import EVERY
from turnwise.listening.row import Row

FEWEST = 2  # files that are worth a bar
PATIENCE = 15.0  # seconds without a word before a line says that it goes on


class Progress:
    """A watcher of rows; use it as a context."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = self._in_trouble = 0
        self._started = self._said = time.monotonic()
        self._console = Console(stderr=True)
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal and self._total >= FEWEST:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("files{task.fields[said]}"),
            )
            self._bar = Bar(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self._console, transient=True)
            self._task = self._bar.add_task("listening", total=self._total, said="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def row(self, row: Row, found: int) -> None:
        self._done += 1
        self._in_trouble += bool(row.troubles)
        said = (f", {found} heard before" if found else "") + (f", {self._in_trouble} in trouble" if self._in_trouble else "")
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, said=said)
        elif time.monotonic() - self._said >= EVERY and self._done < self._total:
            self._say(said)

    async def waiting(self) -> None:
        """Say now and then that it goes on, also while no file gets done: a server may be slow, a file long."""
        while True:
            await asyncio.sleep(PATIENCE)
            if self._bar is None and time.monotonic() - self._said >= PATIENCE:
                self._say("")

    def _say(self, said: str) -> None:
        self._said = time.monotonic()
        passed = self._said - self._started
        left = f", about {passed / self._done * (self._total - self._done):.0f} s left" if self._done else ""
        self._console.print(f"{self._done}/{self._total} files{said}, {passed:.0f} s{left}")
