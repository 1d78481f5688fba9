"""A server that answers as it is told, in order, and keeps what it was asked; and a line to it.

with scripted(Told(503), Told(body={"answer": 1})) as server:
    outcome = asked(server.url, lambda line: line.post("/p", {}, model="m"))
outcome.result, outcome.calls, server.seen
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from local_server import served
from turnwise.endpoints.calls import Call, recording
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.remote import Line, Remote
from turnwise.foundation.errors import TurnwiseError

PATIENCE = 0.002  # waits after failures, against those of real runs


@dataclass(frozen=True)
class Told:
    """One answer: JSON, or bytes as they are."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at: float  # time.perf_counter()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Where it listens and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.at_once = 0
        self.most_at_once = 0


@contextmanager
def scripted(*answers: Told | Callable[[Seen], Told]) -> Iterator[Server]:
    """The last answer is given again and again."""
    server = Server()

    async def answer(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, request.path_qs, headers, await request.read(), time.perf_counter())
        told = answers[min(len(server.seen), len(answers) - 1)]
        server.seen.append(seen)
        server.at_once += 1
        server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            told = told if isinstance(told, Told) else told(seen)
            await asyncio.sleep(told.delay)
        finally:
            server.at_once -= 1
        data = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
        return web.Response(status=told.status, body=data, headers={"Content-Type": "application/json", **told.headers})

    app = web.Application(client_max_size=1 << 28)
    app.router.add_route("*", "/{path:.*}", answer)
    with served(app) as local:
        server.url = local.url
        yield server


@dataclass
class Outcome:
    """What became of work on a line: its result or its error, its recorded calls, and how long it took."""

    result: Any
    calls: list[Call]
    seconds: float
    remote: Remote

    @property
    def call(self) -> Call:
        (call,) = self.calls
        return call


def asked(
    url: str,
    work: Callable[[Line], Awaitable[Any]],
    *,
    budget: float | None = None,
    spent: float = 0.0,
    patience: float = PATIENCE,
    **options: Any,
) -> Outcome:
    """Do the work on a line to an address; a TurnwiseError is its result."""

    async def main() -> Outcome:
        declared = {"it": Endpoint(**{"url": url, "timeout": 5.0, "idle": 5.0, **options})}
        remote = Remote(declared, budget=budget, spent=spent, patience=patience)
        began = time.perf_counter()
        with recording() as made:
            try:
                result = await work(remote.line("it"))
            except TurnwiseError as error:
                result = error
            finally:
                await remote.close()
        return Outcome(result, made, time.perf_counter() - began, remote)

    return asyncio.run(main())
