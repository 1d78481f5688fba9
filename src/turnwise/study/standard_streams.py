"""Standard streams that outlive their readers.

What is printed of a run is for whoever reads along; the run does not depend on it. Where the reader has gone (`| head`), the
terminal was closed or the disk is full, what would be written is let go from then on, and `lost` says why. A stream that was
closed from the start is opened on nothing, so that no file of the run is given its number and written over.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

NOBODY_READS = (errno.EPIPE, errno.EIO)  # the reader of a pipe has left, the terminal was closed


class Lasting(io.RawIOBase):
    """Writes to a file descriptor for as long as that can be done."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.lost: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: Any, /) -> int:
        while self.lost is None:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # another program that shares the stream has made it non-blocking
                select.select([], [self._number], [])
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes


def outlive_readers() -> tuple[Lasting, Lasting]:
    """Make the standard streams of this process lasting; gives those of the output and of the errors."""
    for number in (0, 1, 2):
        _opened(number)
    output, errors = Lasting(1), Lasting(2)
    sys.stdout = _text(output, sys.stdout, by_line=output.isatty())
    sys.stderr = _text(errors, sys.stderr, by_line=True)
    return output, errors


def _opened(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        nothing = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if nothing != number:
            os.dup2(nothing, number)
            os.close(nothing)


def _text(raw: Lasting, before: TextIO | None, *, by_line: bool) -> TextIO:
    """A text stream like the one before; a character that its encoding lacks is written as an escape."""
    encoding, errors = (before.encoding, before.errors or "strict") if before is not None else ("utf-8", "strict")
    if before is not None:
        before.flush()
    kept = "backslashreplace" if errors == "strict" else errors
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=kept, line_buffering=by_line)
