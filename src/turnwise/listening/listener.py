"""A listener: sound in, the five ratings out, whatever they are computed from.

Building a listener costs nothing; `open` may load weights; `close` may be called twice. It is given whole sounds of at most
`longest` seconds; cutting longer files into windows is not its business (`listening/windows.py`). A listener that waits for a
server declares `place = "driver"` and has `reach` instead of `open`. What cannot be rated is a rating of None with its
reason; what fails is an EngineError, with the cause `UNREADABLE` where an answer holds no rating at all.

One of the device whose weights are small and that computes on the CPU alone says `everywhere = True`: a session over many files
then opens it in as many processes as it is allowed, where a listener with large weights is opened once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.catalog import Catalog
from turnwise.listening.ratings import Ratings

UNREADABLE = "unreadable-answer"


class Listening(Protocol):
    """An opened listener."""

    batch: int  # sounds it takes at a time

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]: ...

    def close(self) -> None: ...


class Listener(Protocol):
    """A listener that can be opened."""

    longest: float  # seconds

    def identity(self) -> Mapping[str, str]: ...

    def open(self) -> Listening: ...


class RemoteListening(Protocol):
    """A listener behind a server."""

    async def rate(self, sound: Sound, *, seed: int) -> Ratings: ...

    async def close(self) -> None: ...


class RemoteListener(Protocol):
    """A listener behind a server: `place` is "driver"."""

    longest: float

    def identity(self) -> Mapping[str, str]: ...

    def reach(self, remote: Remote) -> RemoteListening: ...


LISTENERS = Catalog("listener", "turnwise.listening.listeners", "turnwise.listeners")
