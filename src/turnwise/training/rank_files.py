"""Work shared by the processes of a training: each adds to a file of its own, and all know what any has done.

Files are `<stem>.<process>.jsonl`; a later run with another number of processes reads them all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from turnwise.training.growing_file import GrowingFile, read_lines

Record = TypeVar("Record", bound=msgspec.Struct)


class RankFiles(Generic[Record]):
    """The files of one kind of work in a folder; to be made, and asked for `all`, by every process at the same point."""

    def __init__(self, folder: Path, stem: str, kind: type[Record], key: Callable[[Record], str], accelerator: Any) -> None:
        self._folder, self._stem, self._kind, self._key = folder, stem, kind, key
        self._accelerator = accelerator
        # Every process mends its own file before any reads those of others.
        self._mine = GrowingFile(folder / f"{stem}.{accelerator.process_index}.jsonl", kind, key)
        accelerator.wait_for_everyone()
        self.known = self._read()
        accelerator.wait_for_everyone()

    def add(self, *records: Record) -> None:
        self._mine.add(*records)

    def all(self) -> dict[str, Record]:
        """Everything by key, once all processes have come here."""
        self._accelerator.wait_for_everyone()
        return self._read()

    def _read(self) -> dict[str, Record]:
        paths = sorted(self._folder.glob(f"{self._stem}.*.jsonl"))
        return {self._key(record): record for path in paths for record in read_lines(path, self._kind)}
