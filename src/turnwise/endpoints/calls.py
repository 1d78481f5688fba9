"""A record of every call to a server: how often it was tried, what it took, what it cost.

Whoever runs a piece of work opens a `recording`; every call made inside it, however deep, is added to that list and to no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a call used, as the server said; zero where it did not say."""

    input: int = 0  # tokens of text sent, audio left out
    output: int = 0
    audio_input: int = 0
    audio_output: int = 0
    seconds: float = 0.0  # of audio sent, for what is priced by time
    characters: int = 0  # of text sent, for what is priced by length


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call, whatever became of it. Holds neither keys nor what was sent."""

    endpoint: str  # name
    model: str
    path: str
    seconds: float  # of the attempt that counted, from sending to the last byte
    attempts: int = 1
    waited: float = 0.0  # seconds in queues, limits and pauses between attempts
    failures: tuple[str, ...] = ()  # causes of the attempts that did not count
    usage: Usage = Usage()
    estimated: bool = False  # the server did not say what was used; tokens are estimated from the length of the text
    cost: float | None = None  # None where the model has no declared price
    answered_by: str = ""  # what the server calls itself: its model name and fingerprint
    failed: str = ""  # cause, where no attempt succeeded


_LIST: ContextVar[list[Call] | None] = ContextVar("calls", default=None)


@contextmanager
def recording() -> Iterator[list[Call]]:
    """The calls made inside, as a list that grows."""
    made: list[Call] = []
    token = _LIST.set(made)
    try:
        yield made
    finally:
        _LIST.reset(token)


def note(call: Call) -> None:
    """Add a call to the innermost recording, if there is one."""
    made = _LIST.get()
    if made is not None:
        made.append(call)
