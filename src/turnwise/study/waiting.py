"""Whom a run waits for: the calls to servers that are under way, by endpoint."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec

from turnwise.endpoints.calls import Usage
from turnwise.endpoints.endpoint import Endpoint, resolved
from turnwise.endpoints.limits import Limits
from turnwise.endpoints.remote import Event, Line, Remote, Socket


class Awaited(msgspec.Struct, frozen=True):
    """The calls to one endpoint that have not come back."""

    endpoint: str
    calls: int  # those that wait for a connection included
    connections: int  # how many of them are sent at a time
    seconds: float  # since the oldest of them was to be made, failed attempts and pauses included


class WatchedRemote(Remote):
    """Servers that are asked, with an account of who has not answered yet."""

    def __init__(
        self,
        declared: Mapping[str, Endpoint] | None = None,
        *,
        budget: float | None = None,
        spent: float = 0.0,
        patience: float = 1.0,
    ) -> None:
        super().__init__(declared, budget=budget, spent=spent, patience=patience)
        self._endpoints = dict(declared or {})
        self._watched: dict[str, Line] = {}
        self._since: dict[str, dict[int, float]] = {}  # time.monotonic() of each call under way, by endpoint
        self._numbers = itertools.count()

    def line(self, name: str) -> Line:
        if name not in self._watched:
            endpoint = resolved(name, self._endpoints)
            limits = Limits(endpoint.connections, endpoint.requests_per_minute, endpoint.tokens_per_minute)
            self._watched[name] = _WatchedLine(self, name, endpoint, limits)
        return self._watched[name]

    @contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        calls, number = self._since.setdefault(name, {}), next(self._numbers)
        calls[number] = time.monotonic()
        try:
            yield
        finally:
            del calls[number]

    def awaited(self) -> tuple[Awaited, ...]:
        """Any thread may ask; the endpoint with the oldest call comes first."""
        now, found = time.monotonic(), []
        for name, calls in list(self._since.items()):
            since = list(calls.values())
            if since:
                found.append(Awaited(name, len(since), self._watched[name].endpoint.connections, now - min(since)))
        return tuple(sorted(found, key=lambda one: -one.seconds))


class _WatchedLine(Line):
    """A line whose calls are counted while they are under way."""

    def __init__(self, remote: WatchedRemote, name: str, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(remote, name, endpoint, limits)
        self._watcher, self._shared = remote, limits

    def once(self) -> Line:
        return _WatchedLine(self._watcher, self.name, msgspec.structs.replace(self.endpoint, retries=0), self._shared)

    async def post(
        self, path: str, body: Mapping[str, Any], *, model: str, usage: Callable[[Any], Usage | None] | None = None
    ) -> Any:
        with self._watcher.under_way(self.name):
            return await super().post(path, body, model=model, usage=usage)

    async def fetch(self, path: str, body: Mapping[str, Any], *, model: str, usage: Usage) -> tuple[bytes, str]:
        with self._watcher.under_way(self.name):
            return await super().fetch(path, body, model=model, usage=usage)

    async def upload(
        self, path: str, fields: Mapping[str, str], file: tuple[str, bytes, str], *, model: str, usage: Usage
    ) -> Any:
        with self._watcher.under_way(self.name):
            return await super().upload(path, fields, file, model=model, usage=usage)

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any], *, model: str, usage: Callable[[Any], Usage | None] | None = None
    ) -> AsyncIterator[tuple[float, AsyncIterator[Event]]]:
        with self._watcher.under_way(self.name):
            async with super().stream(path, body, model=model, usage=usage) as told:
                yield told

    @asynccontextmanager
    async def socket(self, path: str, *, model: str, query: Mapping[str, str] | None = None) -> AsyncIterator[Socket]:
        with self._watcher.under_way(self.name):
            async with super().socket(path, model=model, query=query) as socket:
                yield socket
