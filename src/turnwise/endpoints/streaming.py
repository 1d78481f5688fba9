"""What a server sends piece by piece: the events of one streamed answer, and the messages of one WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from turnwise.endpoints.attempts import NOT_JSON, Answerer, AttemptFailed, json_of
from turnwise.endpoints.calls import Usage
from turnwise.endpoints.spending import added, answerer_of, sent_length, written_length
from turnwise.endpoints.sse import Block, Parser

if TYPE_CHECKING:
    import aiohttp

_PARTING = 2.0  # seconds for the other side to say goodbye to a WebSocket
_TAIL = 0.1  # seconds for the end of a body to follow `[DONE]`, so that its connection can be used again


class Event(msgspec.Struct, frozen=True):
    """One event of a stream."""

    data: Any  # decoded JSON
    at: float  # time.perf_counter() when it arrived
    id: str = ""


class Reading:
    """The events of one streamed answer, given once each, in order."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        body: Mapping[str, Any],
        answerer: Answerer,
        key: str,
        path: str,
        usage: Callable[[Any], Usage | None],
    ) -> None:
        self.usage: Usage | None = None  # as the server said last
        self.written = 0  # characters of text
        self.answered_by = ""
        self._response, self._body, self._answerer, self._key, self._path = response, body, answerer, key, path
        self._usage_of = usage
        self._parser = Parser()
        self._ready: deque[Event | AttemptFailed] = deque()
        self._seen: set[str] = set()
        self._over = False

    @property
    def sent(self) -> int:
        """Characters of text in the request."""
        return sent_length(self._body)

    async def begin(self) -> None:
        """Wait for the first event: a failure up to here costs nobody anything that was given."""
        while not self._ready and not self._over:
            await self._read()
        if self._ready and isinstance(first := self._ready[0], AttemptFailed):
            raise first

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            await self._read()
        event = self._ready.popleft()
        if isinstance(event, AttemptFailed):
            raise event
        return event

    async def close(self) -> None:
        """Free the connection: for the next request where the answer was read to its end, for good where it was not."""
        import aiohttp

        content = self._response.content
        try:
            if self._over:
                with suppress(TimeoutError, aiohttp.ClientError, OSError):
                    async with asyncio.timeout(_TAIL):
                        while not content.at_eof():
                            await content.readany()
        finally:
            self._response.close()  # what was read to its end has been given back by then

    async def _read(self) -> None:
        import aiohttp

        try:
            piece = await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._answerer.lost(error, self._key, self._path) from None
        at = time.perf_counter()
        for block in self._parser.feed(piece) if piece else self._parser.finish():
            if block.data == b"[DONE]":
                self._over = True
                return
            if not block.data or (block.id and block.id in self._seen):
                continue
            self._seen.add(block.id)
            event = self._event(block, at)
            self._ready.append(event)
            if isinstance(event, AttemptFailed):
                self._over = True
                return
        if not piece:
            self._over = True
            if not self._seen:
                self._ready.append(self._broken("ended before its first event"))

    def _event(self, block: Block, at: float) -> Event | AttemptFailed:
        try:
            data = json_of(block.data)
        except NOT_JSON:
            return self._broken("holds an event that is not JSON")
        told = data if block.event != "error" or (isinstance(data, dict) and data.get("error")) else {"error": data}
        if error := self._answerer.error_inside(told, self._key, self._path):
            return error
        used = self._usage_of(data)
        if used is not None:
            self.usage = used
        elif self.usage is None:
            self.written += written_length(data)
        if not self.answered_by:
            self.answered_by = answerer_of(data)
        return Event(data, at, block.id)

    def _broken(self, how: str) -> AttemptFailed:
        return AttemptFailed("broken-answer", f"endpoint {self._answerer.name}: the stream of {self._path} {how}")


class Socket:
    """An open WebSocket; messages are JSON objects. A closed or broken line raises EngineError("connection")."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse, answerer: Answerer, key: str, path: str, idle: float) -> None:
        self.usage: Usage | None = None
        self.sent = 0  # characters of text
        self.written = 0
        self.answered_by = ""
        self._line, self._answerer, self._key, self._path, self._idle = line, answerer, key, path, idle

    async def send(self, message: Mapping[str, Any]) -> None:
        self.sent += sent_length(message)
        try:
            await self._line.send_str(msgspec.json.encode(message).decode())
        except OSError as error:  # as aiohttp says that the line is closed
            raise self._answerer.lost(error, self._key, self._path) from None

    async def receive(self) -> Event:
        import aiohttp

        where = f"endpoint {self._answerer.name}: {self._path}"
        try:
            message = await self._line.receive(self._idle)
        except TimeoutError:
            raise AttemptFailed("timeout", f"{where} sent nothing for {self._idle:g} s") from None
        at = time.perf_counter()
        if message.type is aiohttp.WSMsgType.ERROR:
            raise self._answerer.lost(message.data, self._key, self._path)
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            why = (
                self._answerer.words(message.extra, self._key)
                if isinstance(message.extra, str) and message.extra
                else "no reason given"
            )
            raise AttemptFailed("connection", f"{where} was closed by the server (code {self._line.close_code}: {why})")
        try:
            data = json_of(message.data if isinstance(message.data, bytes) else message.data.encode())
        except NOT_JSON:
            raise AttemptFailed("broken-answer", f"{where} sent a message that is not JSON") from None
        self.written += written_length(data)
        if not self.answered_by:
            self.answered_by = answerer_of(data)
        return Event(data, at)

    def used(self, usage: Usage) -> None:
        """Tell what the server said it used; added up into the one Call of this socket."""
        self.usage = usage if self.usage is None else added(self.usage, usage)

    async def close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARTING):
                await self._line.close()
