"""A program that answers JSON lines: one process, asked by many at a time, and everything that can go wrong with it.

A request is one line to its standard input, with an id; an answer is one line from its standard output with the same id. Answers
may come in any order. What it writes to standard error is kept for the account of what went wrong. A program that does not
answer in time is asked nothing more; what it owes others is waited for, then it is ended. One that breaks the contract is ended
at once. It ends when its input ends; if it does not, it is told to (SIGTERM) and then killed, with all processes it started.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from turnwise.foundation.errors import EngineError, InputError

GRACE = 1.0  # seconds to end by itself, and again after being told to
_LONGEST_LINE = 256 << 20  # bytes; an hour of 16-bit sound at 24 kHz in base64 is 230 MB
_LAST_WORDS = 20  # lines of standard error that are kept
_SHOWN = 200  # characters of a line that are shown


class _Head(msgspec.Struct, frozen=True):
    id: str


async def start(command: Sequence[str], folder: Path) -> Program:
    """Start a program in this folder; one that cannot be started is for the user to mend."""
    shown = shlex.join(command)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", f"it is the working directory of {shown}")
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=folder, limit=_LONGEST_LINE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"the program {shown} cannot be started: {what}", "check command and working_directory") from error
    return Program(shown, process)


class Program:
    """A running program."""

    def __init__(self, shown: str, process: Process) -> None:
        self.shown = shown
        self.usable = True  # may be asked
        self.answered = 0  # requests
        self.complaint = ""  # what it did wrong while nobody was waiting
        self.left = ""  # how it ended, where it ended by itself
        self._process = process
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._given_up: set[str] = set()  # ids that nobody waits for any more
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._ending: asyncio.Task[None] | None = None
        self._listening = asyncio.create_task(self._listen())
        self._reading = asyncio.create_task(self._read())

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left."""
        return self._reading.done() and (self._ending is None or self._ending.done()) and not self.usable

    async def ask(self, id: str, line: bytes, patience: float) -> bytes:
        """Its line of the same id."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[id] = answer
        try:
            async with asyncio.timeout(patience):
                await self._write(line)
                return await answer
        except TimeoutError:
            self.usable = False
            raise EngineError("timeout", f"{self.shown} did not answer within {patience:g} s{self._said()}") from None
        finally:
            if self._waiting.pop(id, None) is not None:
                self._given_up.add(id)
            if not self.usable and not self._waiting:
                self._end_soon(at_once=True)

    async def end(self) -> None:
        """Let it end, or end it."""
        self.usable = False
        self._end_soon(at_once=False)
        assert self._ending is not None
        await self._ending
        await asyncio.wait((self._reading, self._listening))

    def _end_soon(self, at_once: bool) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(at_once))

    async def _end(self, at_once: bool) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.close()
        for told in (None, signal.SIGTERM, signal.SIGKILL):
            if told is None and at_once:
                continue
            if told is not None:
                self._signal(told)
            try:
                await asyncio.wait_for(self._process.wait(), GRACE)
                break
            except TimeoutError:
                continue
        await self._process.wait()
        self._signal(signal.SIGKILL)  # whatever it started and left behind
        # A process that left the group may hold the pipes open for ever: they are not waited for.
        for task in (self._reading, self._listening):
            await asyncio.wait((task,), timeout=GRACE)
            task.cancel()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # all of it is gone
            os.killpg(self._process.pid, number)

    async def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # it has gone; the reader tells how to everyone who waits
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                self._broken(f"{self.shown} wrote a line of more than {_LONGEST_LINE >> 20} MiB")
                return
            if not line:
                break
            if line.strip():
                self._take(line)
        self.usable = False
        try:
            status = await asyncio.wait_for(self._process.wait(), GRACE)
            self.left = f"killed by signal {-status}" if status < 0 else f"status {status}"
        except TimeoutError:
            self.left = "it closed its output"
        await asyncio.wait((self._listening,), timeout=GRACE)
        self._fail(EngineError("program-died", f"{self.shown} ended ({self.left}){self._said()}"))
        self._end_soon(at_once=True)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:
                continue  # a line longer than any that would be shown; its rest comes as the next
            if not line:
                return
            self._last_words.append(line.decode("utf-8", "replace").rstrip()[:_SHOWN])

    def _take(self, line: bytes) -> None:
        try:
            id = msgspec.json.decode(line, type=_Head).id
        except (msgspec.DecodeError, UnicodeDecodeError):
            text = line.decode("utf-8", "replace").strip()
            self._broken(f"{self.shown} wrote a line that is no answer: {text[:_SHOWN]!r}")
            return
        answer = self._waiting.pop(id, None)
        if answer is not None:
            self.answered += 1
            if not answer.done():
                answer.set_result(line)
        elif id in self._given_up:
            self._given_up.discard(id)
        else:
            self._broken(f"{self.shown} answered {id[:40]!r}, which was not asked or is answered already")

    def _broken(self, complaint: str) -> None:
        self.usable = False
        if self._waiting:
            self._fail(EngineError("contract", f"{complaint}{self._said()}"))
        else:
            self.complaint = self.complaint or f"{complaint}{self._said()}"
        self._end_soon(at_once=True)

    def _fail(self, error: EngineError) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _said(self) -> str:
        return f"; it last wrote: {' / '.join(self._last_words)}" if self._last_words else ""
