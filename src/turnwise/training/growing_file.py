"""A file of JSON lines that grows while work is done and survives whatever ends the work.

Every line is one finished piece of work with a key; a piece that is there is not done again. A line is on the disk before `add`
returns. A last line that was torn by a crash is cut off at the next opening; anything else that is no record is an InputError,
never skipped. One process writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from turnwise.foundation.errors import InputError, StorageError

Record = TypeVar("Record", bound=msgspec.Struct)


class GrowingFile(Generic[Record]):
    """The records of a file, in their order, and by key."""

    def __init__(self, path: Path, kind: type[Record], key: Callable[[Record], str]) -> None:
        self.path = path
        self._kind, self._key = kind, key
        self._encode = msgspec.json.Encoder().encode
        self.records: dict[str, Record] = {}
        if path.exists():
            self._cut_torn_line()
            for record in read_lines(path, kind):
                self.records[key(record)] = record

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def add(self, *records: Record) -> None:
        """Records at the end of the file, together, and on the disk."""
        data = b"".join(self._encode(record) + b"\n" for record in records)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror}", "make room or permit writing there") from error
        self.records.update((self._key(record), record) for record in records)

    def _cut_torn_line(self) -> None:
        """Only a whole line ends with a line feed."""
        try:
            with self.path.open("rb+") as file:
                data = file.read()
                if data and not data.endswith(b"\n"):
                    file.truncate(data.rfind(b"\n") + 1)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be opened: {error.strerror}") from error


def read_lines(path: Path, kind: type[Record]) -> list[Record]:
    """Every line of a file as a record."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    decoder = msgspec.json.Decoder(kind)
    found: list[Record] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                raise InputError(f"{path}, line {number}: {error}") from error
    return found
