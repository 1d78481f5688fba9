"""Server-sent events, read as the HTML standard tells, from pieces that may be cut anywhere.

Two departures: an id belongs to the event that carries it and not to those after it, because an id is used here to see that an
event is repeated; and a last event without its blank line is given, because servers forget it.
"""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """One event as sent."""

    data: bytes  # its data lines, joined by line feeds
    event: str = ""
    id: str = ""


class Parser:
    """Takes bytes, gives the events they complete."""

    def __init__(self) -> None:
        self._rest = b""  # a line not yet ended
        self._returned = False  # the last piece ended with a carriage return: a line feed after it ends nothing more
        self._first = True  # nothing taken yet: a byte order mark may come
        self._data: list[bytes] = []
        self._event = ""
        self._id = ""

    def feed(self, piece: bytes) -> list[Block]:
        if self._returned and piece:
            piece = piece.removeprefix(b"\n")
            self._returned = False
        text = self._rest + piece if self._rest else piece
        if self._first:
            if len(text) < 3 and b"\xef\xbb\xbf".startswith(text):
                self._rest = text
                return []
            text = text.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        if b"\r" in text:
            self._returned = text.endswith(b"\r")
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = text.split(b"\n")
        blocks = []
        for line in lines:
            if line:
                self._field(line)
            elif block := self._block():
                blocks.append(block)
        return blocks

    def finish(self) -> list[Block]:
        """The event that was under way when the stream ended, if any."""
        blocks = self.feed(b"\n") if self._rest else []
        last = self._block()
        return [*blocks, last] if last else blocks

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")

    def _block(self) -> Block | None:
        """The fields so far as an event; None where they hold no data, as after a comment."""
        block = Block(b"\n".join(self._data), self._event, self._id) if self._data else None
        self._data, self._event, self._id = [], "", ""
        return block
