"""Whom a run waits for: the calls to servers that are under way, by endpoint."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class Awaited(msgspec.Struct, frozen=True):
    """The calls to one endpoint that have not come back."""

    endpoint: str
    calls: int  # those that wait for a connection included
    connections: int  # how many of them are sent at a time
    seconds: float  # since the oldest of them was to be made, failed attempts and pauses included


class Waiting:
    """An account of who has not answered yet."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], dict[int, float]] = {}  # time.monotonic() of each call, by endpoint and connections
        self._numbers = itertools.count()

    @contextmanager
    def call(self, endpoint: str, connections: int) -> Iterator[None]:
        """One call, from when it is to be made until it has come back, or never will."""
        calls, number = self._since.setdefault((endpoint, connections), {}), next(self._numbers)
        calls[number] = time.monotonic()
        try:
            yield
        finally:
            del calls[number]

    def awaited(self) -> tuple[Awaited, ...]:
        """Any thread may ask; the endpoint with the oldest call comes first."""
        now, found = time.monotonic(), []
        for (endpoint, connections), calls in list(self._since.items()):
            since = list(calls.values())
            if since:
                found.append(Awaited(endpoint, len(since), connections, now - min(since)))
        return tuple(sorted(found, key=lambda one: -one.seconds))
