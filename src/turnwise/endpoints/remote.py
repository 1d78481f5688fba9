"""All servers of a run: one line per endpoint, with its limits, retries, prices and the budget they share.

`remote.line(name)` gives the line to an endpoint; building a `Remote` or a `Line` opens nothing; sessions open at the first call,
on the running event loop, and `await remote.close()` closes them. Every call, success or not, is `calls.note`d once.

A failed attempt is retried (with jitter, honouring Retry-After) on 408, 409, 425, 429, 5xx, refused or reset connections,
stalls, time-outs, bodies cut short or not JSON where JSON was promised; never on other 4xx. When nothing helps, `EngineError`
with cause `timeout`, `rate-limit`, `server-error`, `connection`, `broken-answer`, `context-length` (the request is longer than
the model reads), `refused` (other 4xx). 401, 403 and 404 (wrong
key, wrong model or path) are `InputError`s, as is an account without credit: nothing can go on until the user mends them; their
message never holds the key. When the budget is spent, `BudgetSpent` is raised before anything is sent.

A stream that breaks in the middle cannot be mended here, because its events have been given. Read it to its end in `retried`:

    async def read(once: Line) -> str:  # done again from the start when it breaks
        async with once.stream("/chat/completions", body, model=model) as (sent, events):
            return "".join([text_of(event.data) async for event in events])
    text = await retried(line, read)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from turnwise.endpoints.attempts import NOT_JSON, Answerer, AttemptFailed, decoded, json_of, worth_another
from turnwise.endpoints.calling import Calling, back_off, cause_of
from turnwise.endpoints.calls import Call, Usage, note, recording
from turnwise.endpoints.endpoint import Endpoint, resolved
from turnwise.endpoints.limits import Limits
from turnwise.endpoints.sending import EVENTS, JSON, Address, encoded, form, opened, price_table
from turnwise.endpoints.spending import (
    BudgetSpent,
    Purse,
    added,
    answerer_of,
    expected,
    sent_length,
    tokens_of,
    told,
    written_length,
)
from turnwise.endpoints.streaming import Event, Reading, Socket
from turnwise.endpoints.waiting import Waiting
from turnwise.foundation.errors import EngineError, InputError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["BudgetSpent", "Event", "Line", "Remote", "Socket", "retried"]

T = TypeVar("T")
_LARGEST_MESSAGE = 64 << 20  # bytes of one WebSocket message
_NO_STREAM = ("application/json", "text/html", "application/xhtml+xml", "application/xml", "text/xml")
_HEARTBEAT = 20.0  # seconds without a message after which a WebSocket is asked whether it lives


class Line:
    """The way to one endpoint."""

    def __init__(self, remote: Remote, name: str, endpoint: Endpoint, limits: Limits) -> None:
        self.name = name
        self.endpoint = endpoint
        self.remote = remote
        self._limits = limits
        self._answerer = Answerer(name, endpoint.url, endpoint.key)
        self._address = Address(name, endpoint)

    async def post(
        self, path: str, body: Mapping[str, Any], *, model: str, usage: Callable[[Any], Usage | None] | None = None
    ) -> Any:
        """Send JSON, get JSON. `usage` reads the answer; by default OpenAI's `usage` object, or Gemini's."""
        with self._calling(path, model, body) as call:
            answer = await call.carry_out(partial(self._json, call, path, partial(encoded, body), JSON, usage or told))
            used = call.told
            call.done(used or _guessed(sent_length(body), written_length(answer)), estimated=used is None)
            return answer

    async def fetch(self, path: str, body: Mapping[str, Any], *, model: str, usage: Usage) -> tuple[bytes, str]:
        """Send JSON, get bytes and their content type (speech)."""
        with self._calling(path, model, usage) as call:
            data, kind = await call.carry_out(partial(self._bytes, call, path, partial(encoded, body)))
            call.done(usage, estimated=False)
            return data, kind

    async def upload(
        self, path: str, fields: Mapping[str, str], file: tuple[str, bytes, str], *, model: str, usage: Usage
    ) -> Any:
        """Send a form with a file (name, content, type), get JSON (transcription). Tokens are those the server tells."""
        with self._calling(path, model, usage) as call:
            answer = await call.carry_out(partial(self._json, call, path, partial(form, fields, file), {}, told))
            if said := call.told:
                seconds, characters = usage.seconds or said.seconds, usage.characters or said.characters
                usage = msgspec.structs.replace(said, seconds=seconds, characters=characters)
            call.done(usage, estimated=False)
            return answer

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any], *, model: str, usage: Callable[[Any], Usage | None] | None = None
    ) -> AsyncIterator[tuple[float, AsyncIterator[Event]]]:
        """Send JSON, get server-sent events: the time.perf_counter() of sending, and the events until `[DONE]` or the end.

        An event repeated with the same SSE id is given once. Nothing is retried here once the first event has been given: a
        broken stream raises EngineError, and `retried` below wraps the whole reading where it can be done again.
        """
        with self._calling(path, model, body) as call:
            reading = await call.carry_out(partial(self._events, call, path, body, usage or told))
            async with _accounted(call, reading):
                yield call.sent, reading

    @asynccontextmanager
    async def socket(self, path: str, *, model: str, query: Mapping[str, str] | None = None) -> AsyncIterator[Socket]:
        """A WebSocket under the same limits; counts as one call."""
        with self._calling(path, model, Usage()) as call:
            socket = await call.carry_out(partial(self._open, path, dict(query or {}), model))
            async with _accounted(call, socket):
                yield socket

    def once(self) -> Line:
        """The same line without another attempt."""
        return Line(self.remote, self.name, msgspec.structs.replace(self.endpoint, retries=0), self._limits)

    @contextmanager
    def _calling(self, path: str, model: str, need: Usage | Mapping[str, Any]) -> Iterator[Calling]:
        """A call to be made; what keeps every call from being made is told here, before anything waits or is sent."""
        self._address.key()
        price = self.endpoint.prices.get(model)
        purse = self.remote.purse
        if price is None and purse.budget is not None:
            raise InputError(
                f"{price_table(self.name, model)}: a run with a budget needs the price of every model it asks",
                "a free one has input = 0",
            )
        endpoint = self.endpoint
        call = Calling(self.name, model, path, self._limits, purse, price, endpoint.retries, self.remote.patience)
        if isinstance(need, Usage):
            call.expect(need)
        elif self._limits.counts_tokens or purse.budget is not None:
            call.expect(expected(need))
        with self.remote.waiting.call(self.name, endpoint.connections):
            yield call

    async def _json(
        self,
        call: Calling,
        path: str,
        payload: Callable[[], Any],
        headers: Mapping[str, str],
        usage: Callable[[Any], Usage | None],
    ) -> Any:
        data, status, kind, key = await self._exchange(call, path, payload, headers)
        try:
            answer = json_of(data)
        except NOT_JSON:
            raise self._answerer.not_json(status, kind, data, key, path) from None
        if error := self._answerer.error_inside(answer, key, path):
            raise error
        call.answered_by = answerer_of(answer)
        call.told = usage(answer)
        return answer

    async def _bytes(self, call: Calling, path: str, payload: Callable[[], Any]) -> tuple[bytes, str]:
        data, status, kind, key = await self._exchange(call, path, payload, JSON)
        if not data:
            raise AttemptFailed("broken-answer", f"endpoint {self.name}: {path} was answered with {status} and no content")
        if kind == "application/json" and (error := self._answerer.error_inside(decoded(data), key, path)):
            raise error
        return data, kind

    async def _exchange(
        self, call: Calling, path: str, payload: Callable[[], Any], headers: Mapping[str, str]
    ) -> tuple[bytes, int, str, str]:
        """Bytes, the status, their type, and the key that was sent."""
        import aiohttp

        key = self._address.key()
        try:
            response = await self._post(call, path, payload(), headers, key)
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._answerer.lost(error, key, path) from None
        if not 200 <= response.status < 300:
            raise self._answerer.error_of_status(response.status, response.headers, data, key, call.model, path)
        return data, response.status, _kind(response), key

    async def _events(self, call: Calling, path: str, body: Mapping[str, Any], usage: Callable[[Any], Usage | None]) -> Reading:
        import aiohttp

        key = self._address.key()
        response = None
        try:
            try:
                response = await self._post(call, path, encoded(body), EVENTS, key)
                refused = not 200 <= response.status < 300
                kind = _kind(response)
                whole = refused or response.status == 204 or kind in _NO_STREAM
                data = await response.read() if whole else b""
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._answerer.lost(error, key, path) from None
            if refused:
                raise self._answerer.error_of_status(response.status, response.headers, data, key, call.model, path)
            if whole and (kind != "application/json" or not data.strip()):
                raise self._answerer.not_json(response.status, kind, data, key, path)
            if kind == "application/json":
                error_inside = self._answerer.error_inside(decoded(data), key, path)
                asked = f"endpoint {self.name}: {path} was answered with one piece of JSON where a stream of events was asked for"
                raise error_inside or AttemptFailed("refused", asked)
            reading = Reading(response, body, self._answerer, key, path, usage)
            await reading.begin()
            return reading
        except BaseException:
            if response is not None:
                response.close()
            raise

    async def _open(self, path: str, query: dict[str, str], model: str) -> Socket:
        import aiohttp

        key = self._address.key()
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                line = await self.remote.session().ws_connect(
                    self._address.url(path),
                    params=query,
                    headers=self._address.headers(key, {}),
                    heartbeat=_HEARTBEAT,
                    max_msg_size=_LARGEST_MESSAGE,
                    proxy=self._address.proxy,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise self._answerer.error_of_status(error.status, error.headers or {}, b"", key, model, path) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._answerer.lost(error, key, path) from None
        return Socket(line, self._answerer, key, path, self.endpoint.idle)

    async def _post(self, call: Calling, path: str, payload: Any, headers: Mapping[str, str], key: str) -> aiohttp.ClientResponse:
        import aiohttp

        endpoint = self.endpoint
        return await self.remote.session().post(
            self._address.url(path),
            data=payload,
            headers=self._address.headers(key, headers),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=endpoint.timeout, sock_connect=endpoint.idle, sock_read=endpoint.idle),
            proxy=self._address.proxy,
            trace_request_ctx=call,
        )


class Remote:
    """The endpoints of a run."""

    def __init__(
        self,
        declared: Mapping[str, Endpoint] | None = None,
        *,
        budget: float | None = None,
        spent: float = 0.0,
        patience: float = 1.0,
    ) -> None:
        """`budget` in the currency of the prices, `spent` by earlier runs of the same folder; `patience` scales every wait that
        a failure brings.
        """
        self.purse = Purse(budget, spent)
        self.patience = patience
        self.waiting = Waiting()
        self._declared = dict(declared or {})
        self._lines: dict[str, Line] = {}
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def spent(self) -> float:
        """By this run and those before it, as far as prices are declared."""
        return self.purse.spent

    @property
    def exhausted(self) -> bool:
        """The budget has stopped a call, or would stop the next."""
        return self.purse.exhausted

    def line(self, name: str) -> Line:
        if name not in self._lines:
            endpoint = resolved(name, self._declared)
            limits = Limits(endpoint.connections, endpoint.requests_per_minute, endpoint.tokens_per_minute)
            self._lines[name] = Line(self, name, endpoint, limits)
        return self._lines[name]

    def session(self) -> aiohttp.ClientSession:
        """The connections of all lines, opened at first need."""
        loop = asyncio.get_running_loop()
        if self._session is None:
            self._session = opened()
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("this Remote is open on another event loop; close it there first")
        return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def retried(line: Line, work: Callable[[Line], Awaitable[T]]) -> T:
    """The result of work that asks this line once and reads the answer to its end; done again from the start when it raises an
    EngineError that another attempt may mend. However often it was done, one call is recorded.
    """
    once = line.once()
    made: list[Call] = []
    failures: list[str] = []
    failed = ""
    waited = 0.0
    try:
        while True:
            with recording() as calls:
                try:
                    return await work(once)
                except BaseException as error:
                    failed = failures.pop() if failures and isinstance(error, BudgetSpent) else cause_of(error)
                    if not isinstance(error, EngineError) or not worth_another(error):
                        raise
                    if len(failures) >= line.endpoint.retries:
                        error.hint = f"{len(failures) + 1} attempts were made"
                        raise
                    paused = isinstance(error, AttemptFailed) and error.pause is not None and not failures
                finally:
                    made += calls
            failures.append(failed)
            failed = ""
            began = time.perf_counter()
            try:
                await asyncio.sleep(0.0 if paused else back_off(len(failures), line.remote.patience))
            finally:
                waited += time.perf_counter() - began
    finally:
        if made:
            note(_one(made, waited, tuple(failures), failed))


def _one(made: list[Call], waited: float, failures: tuple[str, ...], failed: str) -> Call:
    """The calls of several runs of one piece of work as one."""
    usage, costs = Usage(), [call.cost for call in made]
    for call in made:
        usage = added(usage, call.usage)
    return msgspec.structs.replace(
        made[-1],
        attempts=sum(call.attempts for call in made),
        waited=waited + sum(call.waited for call in made),
        failures=failures,
        usage=usage,
        estimated=any(call.estimated for call in made),
        cost=None if None in costs else sum(cost for cost in costs if cost is not None),
        failed=failed,
    )


@asynccontextmanager
async def _accounted(call: Calling, source: Reading | Socket) -> AsyncIterator[None]:
    """Closes what a call has opened, and then the call: what it used, and how it ended."""
    failed: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failed = error
        raise
    finally:
        call.ended()
        try:
            await source.close()
        finally:
            call.answered_by = source.answered_by
            used = source.usage or _guessed(source.sent, source.written)
            if failed is None:
                call.done(used, estimated=source.usage is None)
            else:
                call.broken(failed, used, estimated=source.usage is None)


def _kind(response: aiohttp.ClientResponse) -> str:
    """The content type as the server said it; "" where it said none."""
    return response.content_type if "content-type" in response.headers else ""


def _guessed(sent: int, written: int) -> Usage:
    """From characters, where the server says nothing of what was used."""
    return Usage(input=tokens_of(sent), output=tokens_of(written))
