"""The results of listening as a file of JSON lines that only grows, so that a session can go on where it was.

The first line says what the file is; each further line is one row, written by one call, so that a process that dies leaves at
most one unfinished line, which the next session cuts off. A row is found again by the content of its file and by all that made
it, whatever the file is called now; rows with a trouble are not found, so they are tried again, and the later row counts. One
process writes at a time; its lock dies with it. What is kept in memory is 24 bytes a row.
"""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from turnwise.foundation.errors import InputError, StorageError
from turnwise.foundation.fingerprint import fingerprint
from turnwise.listening.ratings import DIMENSIONS, Ratings
from turnwise.listening.row import Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FORM = 1
_FIRST = b'{"turnwise":"listen","form":%d}\n' % _FORM
_HALF = (1 << 64) - 1
_BEYOND = 0.5  # of a level: models trained on 1 to 5 may end a little outside, what is further out is damage


class _Head(msgspec.Struct):
    """The first line of a file of any version."""

    turnwise: str = ""
    form: int = 0


class _Key(msgspec.Struct):
    """The part of a row that finds it."""

    content: str
    made_by: str
    troubles: list[msgspec.Raw]


class Results:
    """A file of results, open for reading and writing; use it as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unread = 0  # lines that are no rows
        new = not os.path.lexists(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}", "name another file with --results") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin()
            self._index()
            self._reading = path.open("rb")
        except BlockingIOError as error:
            self._file.close()
            raise StorageError(f"{path} is in use by another process", "wait for it or name another file") from error
        except OSError as error:  # some network disks have no locks
            self._file.close()
            if new:  # nothing of it is left to be taken for results
                with suppress(OSError):
                    path.unlink()
            raise StorageError(f"{path} cannot hold results: {error.strerror}", "name a file on another disk") from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self._reading.close()
        self._file.close()

    def find(self, content: str, made_by: str) -> Row | None:
        """The row that an earlier session made of this content in this way, without trouble."""
        import numpy as np

        high, low = _halves(content, made_by)
        first, last = (int(np.searchsorted(self._high, np.uint64(high), side)) for side in ("left", "right"))
        for place in range(last - 1, first - 1, -1):
            if self._low[place] == low:
                return self._at(int(self._places[place]), content, made_by)
        return None

    def add(self, row: Row) -> None:
        """Write a row, or nothing of it."""
        size = self._file.seek(0, os.SEEK_END)
        try:
            self._write(msgspec.json.encode(row) + b"\n")
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(size)
            raise StorageError(f"{self.path} cannot be written: {error.strerror}", "make room and run the same again") from error

    def _at(self, place: int, content: str, made_by: str) -> Row | None:
        self._reading.seek(place)
        try:
            row = msgspec.json.decode(self._reading.readline(), type=Row)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):  # its name can be read and the rest cannot
            return None
        return row if (row.content, row.made_by) == (content, made_by) and _credible(row) else None

    def _begin(self) -> None:
        """See that the file is ours, and cut off what a process that died left unfinished."""
        self._file.seek(0)
        first = self._file.read(len(_FIRST))
        if _FIRST.startswith(first):  # new, or cut within its first line
            if first != _FIRST:
                self._file.truncate(0)
                self._write(_FIRST)
            size = self._file.seek(0, os.SEEK_END)
            end = size
            while end and (piece := self._piece(max(0, end - 65536), end)):
                if b"\n" in piece:
                    end = end - len(piece) + piece.rindex(b"\n") + 1
                    break
                end -= len(piece)
            if end < size:
                self._file.truncate(end)
        else:
            raise self._foreign()

    def _foreign(self) -> InputError:
        """What to say of a file that begins otherwise."""
        self._file.seek(0)
        try:
            head = msgspec.json.decode(self._file.read(200).partition(b"\n")[0], type=_Head)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            head = _Head()
        if head.turnwise != "listen":
            return InputError(f"{self.path} is no file of results of turnwise listen", "name another with --results")
        known = f"form {head.form}, this version writes form {_FORM}"
        return InputError(f"{self.path} was written by another version of turnwise: {known}", "name another with --results")

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _piece(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        return self._file.read(end - start) or b""

    def _index(self) -> None:
        import numpy as np

        highs, lows, places = array("Q"), array("Q"), array("q")
        for place, line in _lines(self.path):
            try:
                key = msgspec.json.decode(line, type=_Key)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self.unread += 1
                continue
            if not key.troubles:
                high, low = _halves(key.content, key.made_by)
                highs.append(high)
                lows.append(low)
                places.append(place)
        order = np.lexsort((places, lows, highs)) if highs else np.zeros(0, np.intp)
        self._high: NDArray[np.uint64] = np.array(highs, np.uint64)[order]
        self._low: NDArray[np.uint64] = np.array(lows, np.uint64)[order]
        self._places: NDArray[np.int64] = np.array(places, np.int64)[order]


def _credible(row: Row) -> bool:
    """Whether all ratings of a row are on their scale, those of its windows too; a damaged digit is read as any other."""
    if row.heard is None:
        return True
    return all(map(_on_scale, (row.heard.ratings, *(moment.ratings for moment in row.heard.timeline))))


def _on_scale(ratings: Ratings) -> bool:
    values = (ratings.value(dimension) for dimension in DIMENSIONS)
    return all(value is None or 1 - _BEYOND <= value <= 5 + _BEYOND for value in values)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every line after the first, with where it begins."""
    with path.open("rb") as file:
        place = len(file.readline())
        for line in file:
            yield place, line
            place += len(line)


def _halves(content: str, made_by: str) -> tuple[int, int]:
    """The name of a row as two numbers of 64 bits."""
    number = int(fingerprint("row", content, made_by).removeprefix("b2:"), 16)
    return number >> 64, number & _HALF
