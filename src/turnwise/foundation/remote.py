"""All servers of a run: one line per endpoint, with its limits, retries, prices and the budget they share.

CONTRACT (to be implemented):

`remote.line(name)` gives the line to an endpoint; building a `Remote` or a `Line` opens nothing; sessions open at the first call,
on the running event loop, and `await remote.close()` closes them. Every call, success or not, is `calls.note`d once.

A failed attempt is retried (with jitter, honouring Retry-After) on 408, 409, 425, 429, 5xx, refused or reset connections,
stalls, time-outs, bodies cut short or not JSON where JSON was promised; never on other 4xx. When nothing helps, `EngineError`
with cause `timeout`, `rate-limit`, `server-error`, `connection`, `broken-answer`, `refused` (other 4xx). 401, 403 and 404 (wrong
key, wrong model or path) are `InputError`s: nothing can go on until the user mends them; their message never holds the key.
When the budget is spent, `BudgetSpent` is raised before anything is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from turnwise.foundation.calls import Usage
from turnwise.foundation.endpoint import Endpoint
from turnwise.foundation.errors import EngineError


class BudgetSpent(EngineError):
    """The run may spend no more: not a fault of the cell, which is left for the next run."""

    def __init__(self, message: str) -> None:
        super().__init__("budget", message)


class Event(msgspec.Struct, frozen=True):
    """One event of a stream."""

    data: Any  # decoded JSON
    at: float  # time.perf_counter() when it arrived
    id: str = ""


class Socket:
    """An open WebSocket; messages are JSON objects. A closed or broken line raises EngineError("connection")."""

    async def send(self, message: Mapping[str, Any]) -> None: ...

    async def receive(self) -> Event:
        raise NotImplementedError

    def used(self, usage: Usage) -> None:
        """Tell what the server said it used; added up into the one Call of this socket."""
        ...


class Line:
    """The way to one endpoint."""

    name: str
    endpoint: Endpoint

    async def post(
        self, path: str, body: Mapping[str, Any], *, model: str, usage: Callable[[Any], Usage | None] | None = None
    ) -> Any:
        """Send JSON, get JSON. `usage` reads the answer; by default OpenAI's `usage` object."""
        raise NotImplementedError

    async def fetch(self, path: str, body: Mapping[str, Any], *, model: str, usage: Usage) -> tuple[bytes, str]:
        """Send JSON, get bytes and their content type (speech)."""
        raise NotImplementedError

    async def upload(
        self, path: str, fields: Mapping[str, str], file: tuple[str, bytes, str], *, model: str, usage: Usage
    ) -> Any:
        """Send a form with a file (name, content, type), get JSON (transcription)."""
        raise NotImplementedError

    def stream(
        self, path: str, body: Mapping[str, Any], *, model: str, usage: Callable[[Any], Usage | None] | None = None
    ) -> AbstractAsyncContextManager[tuple[float, AsyncIterator[Event]]]:
        """Send JSON, get server-sent events: the time.perf_counter() of sending, and the events until `[DONE]` or the end.

        An event repeated with the same SSE id is given once. Nothing is retried here once the first event has been given: a
        broken stream raises EngineError, and `retried` below wraps the whole reading where it can be done again.
        """
        raise NotImplementedError

    def socket(self, path: str, *, model: str, query: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[Socket]:
        """A WebSocket under the same limits; counts as one call."""
        raise NotImplementedError


class Remote:
    """The endpoints of a run."""

    def __init__(
        self, declared: Mapping[str, Endpoint] | None = None, *, budget: float | None = None, spent: float = 0.0
    ) -> None:
        """`budget` in the currency of the prices, `spent` by earlier runs of the same folder."""
        raise NotImplementedError

    def line(self, name: str) -> Line:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
