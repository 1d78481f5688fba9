"""The road from files to rows: sounds, windows, ratings, description, check; for one file or a folder of any size.

    async with Listening(hearing, remote) as session:
        async for row in session.rows(paths, results): ...
        pair = await session.compare(first, second, tie=0.1)

Rows come in the order of the files. A bounded number of files is under way at any time, so the memory does not grow with the
folder. With `results` every finished row is written at once, and files whose content was heard in the same way before are not
heard again. What computes here is done by a crew of processes; what waits for a server is awaited here.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from turnwise.endpoints.remote import Remote
from turnwise.foundation.errors import RunStopped
from turnwise.foundation.fingerprint import file_digest
from turnwise.foundation.plugin import naming
from turnwise.listening import windows
from turnwise.listening.crew import Crew
from turnwise.listening.describer import RemoteDescribing
from turnwise.listening.ears import ON_A_SOUND, Hearing, begun, cause_of, described, unrated
from turnwise.listening.listener import RemoteListening
from turnwise.listening.pair import Pair, Question, paired
from turnwise.listening.preference import TIE
from turnwise.listening.recording import recording, short
from turnwise.listening.results import Results
from turnwise.listening.row import Row, with_trouble

TOGETHER = 8  # files of one task where a model may take a batch; elsewhere each is a task of its own, and written at once
AHEAD = 2  # tasks that wait for each seat
AT_SERVERS = 8  # tasks under way where servers are asked; what they may be asked at the same time is their line's business


class Listening:
    """A session; use it as an asynchronous context."""

    def __init__(self, hearing: Hearing, remote: Remote | None = None, *, jobs: int = 1, together: int | None = None) -> None:
        self.hearing = hearing
        self.made_by = hearing.made_by()
        self.found = 0  # rows taken from earlier results
        self._together = together or (TOGETHER if hearing.seat() == "device" else 1)
        self._remote = remote or Remote()
        self._closes_remote = remote is None
        listener, describer = hearing.built()
        self._listens_here, self._describes_here = hearing.here()
        self._describer = describer
        self._longest: float = listener.longest
        self._listening: RemoteListening | None = None
        self._describing: RemoteDescribing | None = None
        if not self._listens_here:
            with naming("listener", hearing.listener.name):
                self._listening = listener.reach(self._remote)
        if describer is not None and hearing.describer is not None and not self._describes_here:
            with naming("describer", hearing.describer.name):
                self._describing = describer.reach(self._remote)
        self._seats = 1 if hearing.seat() == "device" else max(1, jobs)
        self._crew = Crew(hearing, self._seats)

    async def __aenter__(self) -> Listening:
        await self._crew.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._crew.__aexit__()
        for part in (self._listening, self._describing):
            if part is not None:
                await part.close()
        if self._closes_remote:
            await self._remote.close()

    async def rows(self, paths: Iterable[Path], results: Results | None = None) -> AsyncIterator[Row]:
        """A row for every file, in order."""
        most = AHEAD * self._seats if self._listening is None and self._describing is None else AT_SERVERS
        under_way: deque[asyncio.Task[list[Row]]] = deque()
        try:
            for some in _cut(paths, self._together):
                under_way.append(asyncio.create_task(self._task(some, results)))
                if len(under_way) > most:
                    for row in await under_way.popleft():
                        yield row
            while under_way:
                for row in await under_way.popleft():
                    yield row
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def row(self, path: Path, results: Results | None = None) -> Row:
        """The row of one file."""
        return (await self._task([path], results))[0]

    async def describe(self, path: Path, row: Row) -> Row:
        """The row with a description of its own by this session's describer, its other parts kept."""
        bare = msgspec.structs.replace(row, description=None, checked=None, troubles=())
        if self._describes_here:
            return await self._crew.describe(path, bare)
        return await self._described(path, bare)

    async def compare(self, paths: tuple[Path, Path], rows: tuple[Row, Row], *, tie: float = TIE) -> Pair:
        """Which of two heard files is better, by the rule and, where there is a describer, in its words, asked in both orders."""

        async def ask(question: Question) -> str:
            first, second = question.ratings
            sounds = None
            if self._describer.listens:
                a, b = [await asyncio.to_thread(short, paths[k], self.hearing.channel) for k in question.order]
                sounds = (a, b)
            if self._describing is not None:
                return await self._describing.compare(first, second, sounds, seed=question.seed)
            return await self._crew.compare(first, second, sounds, question.seed)

        seed = self.hearing.seed_for(rows[0]) ^ self.hearing.seed_for(rows[1])
        return await paired(rows, tie, ask if self._describer is not None else None, seed)

    async def _task(self, paths: list[Path], results: Results | None) -> list[Row]:
        files = [await asyncio.to_thread(self._begun, path) for path in paths]
        rows = [row for row, _ in files]
        for place, row in enumerate(rows):
            known = results.find(row.content, self.made_by) if results is not None and row.content else None
            if known is not None:
                rows[place] = msgspec.structs.replace(known, file=row.file)
                self.found += 1
        fresh = [place for place, row in enumerate(rows) if row.heard is None and not row.troubles]
        made = await self._heard([(paths[place], rows[place]) for place in fresh])
        for place, row in zip(fresh, made, strict=True):
            rows[place] = await asyncio.to_thread(_as_it_was, paths[place], row, *files[place])
        if results is not None:
            for place in range(len(rows)):
                if place in fresh or rows[place].troubles:
                    results.add(rows[place])
        return rows

    def _begun(self, path: Path) -> tuple[Row, os.stat_result | None]:
        """A row of which nothing but the file is known, and what the file was like then."""
        row = begun(path, "", self.made_by)
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                os.listdir(path)  # says why a folder could not be read
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, or be empty the second time
                return with_trouble(row, "file", "unreadable", f"{path} is no regular file"), None
            return begun(path, file_digest(path), self.made_by), status
        except OSError as error:
            return with_trouble(row, "file", "unreadable", f"{path}: {error.strerror or error}"), None

    async def _heard(self, files: list[tuple[Path, Row]]) -> list[Row]:
        """Ratings and descriptions of files that have neither."""
        if not files:
            return []
        if self._listening is None:
            rows = await self._crew.hear(files)
        else:
            rows = list(await asyncio.gather(*(self._asked(path, row) for path, row in files)))
        waiting = self._describer is not None and (self._describing is not None or self._listening is not None)
        if waiting:
            rows = list(await asyncio.gather(*(self._with_words(path, row) for (path, _), row in zip(files, rows, strict=True))))
        return rows

    async def _with_words(self, path: Path, row: Row) -> Row:
        if row.ratings is None or unrated(row.ratings):
            return row
        return await (self._crew.describe(path, row) if self._describes_here else self._described(path, row))

    async def _asked(self, path: Path, row: Row) -> Row:
        """Ratings by a server."""
        assert self._listening is not None
        step: Any = "file"
        try:
            file = await asyncio.to_thread(recording, path, self.hearing.channel)
            step = "listen"
            seed = self.hearing.seed_for(row)
            heard = await windows.hear_remote(self._listening, file, self._longest, self.hearing.window, seed=seed)
        except RunStopped:
            raise
        except ON_A_SOUND as error:
            return with_trouble(row, step, cause_of(error, "unreadable" if step == "file" else type(error).__name__), str(error))
        return msgspec.structs.replace(row, heard=heard)

    async def _described(self, path: Path, row: Row) -> Row:
        """A description by a server."""
        assert self._describing is not None and row.ratings is not None
        try:
            sound = None
            if self._describer.listens:
                sound = await asyncio.to_thread(short, path, self.hearing.channel)
            text = await self._describing.describe(row.ratings, sound, seed=self.hearing.seed_for(row))
        except RunStopped:
            raise
        except ON_A_SOUND as error:
            return with_trouble(row, "describe", cause_of(error, type(error).__name__), str(error))
        return described(row, text)


def _cut(paths: Iterable[Path], size: int) -> Iterator[list[Path]]:
    waiting = iter(paths)
    while some := list(islice(waiting, size)):
        yield some


def _as_it_was(path: Path, row: Row, before: Row, status: os.stat_result | None) -> Row:
    """The row, where the file is still the one whose content it names; one that is gone by now was heard as it was."""
    try:
        now = os.stat(path)
    except OSError:
        return row
    if status is None or (now.st_size, now.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
        return row
    return with_trouble(before, "file", "changed", f"{path} became another file while it was heard")
