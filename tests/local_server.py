"""Real servers on this machine for tests: each runs in a thread with a loop of its own, so that a test may use `asyncio.run`.

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    with served(app) as server:
        Endpoint(f"{server.url}/v1")

Handlers run in the server's thread; what they append to lists or put into dicts may be read by the test afterwards.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

WAIT = 10.0  # seconds for a server to come up or go away


class Server:
    """Where a server listens."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.url = f"http://{host}:{port}"


@contextmanager
def served(app: web.Application) -> Iterator[Server]:
    """Serve an application on a free port until the block is left. Handlers still under way are cancelled then."""

    async def start() -> tuple[int, Callable[[], Awaitable[None]]]:
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1]), runner.cleanup

    with _in_thread(start) as port:
        yield Server("127.0.0.1", port)


@contextmanager
def listening(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Iterator[Server]:
    """Serve bare connections, for answers that no proper server gives: cut short, reset, or silent."""

    async def start() -> tuple[int, Callable[[], Awaitable[None]]]:
        tasks: set[asyncio.Task[None]] = set()

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await answer(reader, writer)
            except ConnectionError:
                pass  # the client left first, as some tests make it do
            except asyncio.CancelledError:
                pass  # the server is being closed
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(meet, "127.0.0.1", 0)

        async def close() -> None:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        return int(server.sockets[0].getsockname()[1]), close

    with _in_thread(start) as port:
        yield Server("127.0.0.1", port)


async def request_head(reader: asyncio.StreamReader) -> bytes:
    """The head of a request on a bare connection; its body is read and dropped."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


@contextmanager
def _in_thread(start: Callable[[], Awaitable[tuple[int, Callable[[], Awaitable[None]]]]]) -> Iterator[int]:
    ready = threading.Event()
    state: dict[str, object] = {}

    async def live() -> None:
        leave = asyncio.Event()
        state["leave"] = (asyncio.get_running_loop(), leave)
        try:
            state["port"], close = await start()
        finally:
            ready.set()
        await leave.wait()
        await close()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # told to the test below, whatever it is
            state["error"] = error

    thread = threading.Thread(target=run, name="local-server", daemon=True)
    thread.start()
    if not ready.wait(WAIT):
        raise TimeoutError("the server did not start")
    if "port" not in state:
        thread.join(WAIT)
        raise RuntimeError("the server did not start") from state.get("error")  # type: ignore[misc]
    try:
        yield state["port"]  # type: ignore[misc]
    finally:
        loop, leave = state["leave"]  # type: ignore[misc]
        loop.call_soon_threadsafe(leave.set)
        thread.join(WAIT)
    if "error" in state:
        raise RuntimeError("the server failed") from state["error"]  # type: ignore[misc]
