"""A long wait is not silence: the line says for which servers, how many calls, and since when."""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from local_server import served
from small_study import small_study
from turnwise.cli import progress
from turnwise.cli.progress import Bars
from turnwise.endpoints.calls import Usage
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.remote import Remote
from turnwise.endpoints.waiting import Awaited
from turnwise.foundation.errors import EngineError
from turnwise.study.experiment import carry_out


def waiting_bars(monkeypatch: pytest.MonkeyPatch, awaited: Sequence[Awaited], terminal: bool = False) -> str:
    """What is printed while nothing is finished."""
    monkeypatch.setattr(progress, "QUIET", 0.0)
    console = Console(file=io.StringIO(), width=200, force_terminal=terminal)
    with Bars(console) as bars:
        bars.begin(2, 8)
        bars.servers(lambda: tuple(awaited))
        bars._over.wait(1.6)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_line_names_endpoints_calls_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    awaited = [Awaited("house", 48, 16, 95.4), Awaited("http://10.0.0.1:8000/v1", 1, 16, 3.2)]
    printed = waiting_bars(monkeypatch, awaited)
    told = (
        "waiting for house (48 calls, 16 at a time, the oldest for 95 s) and http://10.0.0.1:8000/v1 (1 call, the oldest for 3 s)"
    )
    assert re.search(rf"^0/8 turns, 0 cells/s, [12] s, {re.escape(told)}$", printed, re.MULTILINE)
    assert "waiting for house (48 calls" in waiting_bars(monkeypatch, awaited, terminal=True)


def test_where_no_server_is_asked_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = waiting_bars(monkeypatch, [])
    assert "0/8 turns" in printed
    assert "waiting" not in printed


def test_calls_are_counted_while_they_are_under_way() -> None:
    """Whatever their kind, and however they end."""
    answered = threading.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await request.read()
        await asyncio.to_thread(answered.wait, 30)
        if request.path.endswith("broken"):
            return web.Response(status=400)
        if request.path.endswith("stream"):
            return web.Response(text="data: {}\n\ndata: [DONE]\n\n", content_type="text/event-stream")
        return web.json_response({})

    async def work(address: str) -> None:
        declared = {"house": Endpoint(f"{address}/v1", connections=3), "barn": Endpoint(f"{address}/v1")}
        remote = Remote(declared)
        assert remote.waiting.awaited() == ()
        house, barn = remote.line("house"), remote.line("barn")
        assert remote.line("house") is house

        async def streamed() -> None:
            async with house.once().stream("/stream", {}, model="m") as (_, events):
                assert [event async for event in events]

        async def refused() -> None:
            with pytest.raises(EngineError):
                await barn.post("/broken", {}, model="m")

        post, used = house.post("/post", {}, model="m"), Usage()
        form = house.upload("/form", {}, ("a.wav", b"", "audio/wav"), model="m", usage=used)
        works = [asyncio.create_task(one) for one in (post, house.fetch("/x", {}, model="m", usage=used), form, streamed())]
        await asyncio.sleep(0.3)
        works.append(asyncio.create_task(refused()))
        await asyncio.sleep(0.2)
        first, second = remote.waiting.awaited()
        assert (first.endpoint, first.calls, first.connections) == ("house", 4, 3)
        assert (second.endpoint, second.calls, second.connections) == ("barn", 1, 16)
        assert 0.45 < first.seconds < 20
        assert 0.15 < second.seconds < first.seconds - 0.2
        answered.set()
        await asyncio.gather(*works)
        assert remote.waiting.awaited() == ()
        await remote.close()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", slow)
    with served(app) as server:
        asyncio.run(work(server.url))


def test_a_run_tells_its_watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the agent's call in a study to the line of the terminal."""
    seen: list[Awaited] = []

    class Looking:
        awaited: Any

        def begin(self, conversations: int, turns: int) -> None: ...
        def turns(self, count: int, *, faults: int = 0) -> None: ...
        def cell(self, kind: str, *, made: bool, fault: bool) -> None: ...
        def servers(self, awaited: Any) -> None:
            self.awaited = awaited

    looking = Looking()

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        await asyncio.sleep(0.05)
        seen.extend(looking.awaited())
        return web.json_response({"id": asked["id"], "text": "Yes."})

    app = web.Application()
    app.router.add_post("/answer", answer)
    with served(app) as server:
        url = f"{server.url}/answer"
        arms = {"own": {"agent": "command", "options": {"url": url, "speaks": False}, "context": {"user": "written"}}}
        done = carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0, watcher=looking)
    assert done.complete
    assert {one.endpoint for one in seen} == {server.url}
    assert {one.calls for one in seen} <= {1, 2, 3}
    assert looking.awaited() == ()
