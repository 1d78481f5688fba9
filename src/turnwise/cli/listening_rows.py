"""The rows of many files as they come, with a progress bar."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from turnwise.cli.listening_choices import Asked, check_servers, hearing_of, remote_of
from turnwise.cli.listening_progress import Progress
from turnwise.listening.results import Results
from turnwise.listening.row import Row
from turnwise.listening.session import Listening

FILES_PER_PROCESS = 8  # fewer are heard before another process has started


async def heard(
    files: Iterable[Path], total: int, asked: Asked, results: Results | None, jobs: int | None, take: Callable[[Row], None]
) -> int:
    """Give every row to `take`; how many of them an earlier session had made."""
    many = jobs if jobs is not None else max(1, min(os.cpu_count() or 1, total // FILES_PER_PROCESS))
    remote = remote_of(asked)
    try:
        hearing = hearing_of(asked)
        check_servers(hearing, remote)
        async with Listening(hearing, remote, jobs=many) as session:
            with Progress(total) as progress:
                waiting = asyncio.create_task(progress.waiting())
                try:
                    async for row in session.rows(files, results):
                        take(row)
                        progress.row(row, session.found)
                finally:
                    waiting.cancel()
            return session.found
    finally:
        await remote.close()
