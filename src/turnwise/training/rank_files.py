"""Work shared by the processes of a training: each adds to a file of its own, and all know what any has done.

Files are `<stem>.<process>.jsonl`; a later run with another number of processes reads them all. Work is done in batches that
depend on the items alone: the last bits of what a model computes depend on who stands beside an item, and so a batch of which a
part is missing after a crash is done again as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from turnwise.training.growing_file import GrowingFile, read_lines

Record = TypeVar("Record", bound=msgspec.Struct)
Item = TypeVar("Item")


class RankFiles(Generic[Record]):
    """The files of one kind of work in a folder; to be made, and asked for `all`, by every process at the same point."""

    def __init__(self, folder: Path, stem: str, kind: type[Record], key: Callable[[Record], str], accelerator: Any) -> None:
        self._folder, self._stem, self._kind, self._key = folder, stem, kind, key
        self._accelerator = accelerator
        # Lines that a crash tore are cut off before any process reads: also those of processes that are no more.
        if accelerator.is_main_process:
            for path in self._paths():
                GrowingFile(path, kind, key)
        accelerator.wait_for_everyone()
        self._mine = GrowingFile(folder / f"{stem}.{accelerator.process_index}.jsonl", kind, key)
        self.known = self._read()
        accelerator.wait_for_everyone()

    def share(self, batches: Sequence[Sequence[Item]], key: Callable[[Item], str]) -> list[Sequence[Item]]:
        """The batches that are left to this process."""
        left = [batch for batch in batches if any(key(item) not in self.known for item in batch)]
        return left[self._accelerator.process_index :: self._accelerator.num_processes]

    def add(self, *records: Record) -> None:
        """What of a batch was not known."""
        self._mine.add(*(record for record in records if self._key(record) not in self.known))

    def all(self) -> dict[str, Record]:
        """Everything by key, once all processes have come here."""
        self._accelerator.wait_for_everyone()
        return self._read()

    def _read(self) -> dict[str, Record]:
        return {self._key(record): record for path in self._paths() for record in read_lines(path, self._kind)}

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._stem}.*.jsonl"))
