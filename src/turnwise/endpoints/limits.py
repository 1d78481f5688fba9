"""How much may be asked of a server at once and per minute, and less of it for a while when the server pushes back.

Requests wait in one line, in the order in which their calls arrived; a call that tries again keeps its place. Requests and tokens
per minute are buckets that hold one second's worth and fill evenly, so that no minute, wherever it starts, holds more requests
than allowed. A server that pushes back gets half the connections, and one more again after each full round of successes.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from itertools import count

_ROUNDING = 1e-9  # of a request or token: what is short by less is there


class Bucket:
    """Fills evenly up to one second's worth; a request that needs more than it holds waits until it is full and leaves a debt."""

    def __init__(self, per_minute: float) -> None:
        self._most = max(1.0, per_minute / 60)
        self._rate = (per_minute - self._most + 1) / 60  # per second: with a full bucket at its start, a minute's worth a minute
        self._held = self._most
        self._at = time.monotonic()

    def wait(self, needed: float) -> float:
        """Seconds until so much may be taken."""
        self._fill()
        short = min(needed, self._most) - self._held
        return short / self._rate if short > _ROUNDING else 0.0

    def take(self, amount: float) -> None:
        """Less than nothing gives back."""
        self._fill()
        self._held = min(self._most, self._held - amount)

    def _fill(self) -> None:
        now = time.monotonic()
        self._held = min(self._most, self._held + (now - self._at) * self._rate)
        self._at = now


class Limits:
    """Who may send to one server now."""

    def __init__(
        self, connections: int, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self._most = max(1, connections)
        self._width = self._most
        self._under_way = 0
        self._successes = 0  # since the width last changed
        self._narrowed = float("-inf")  # when; time.monotonic()
        self._paused_until = float("-inf")
        self._requests = Bucket(requests_per_minute) if requests_per_minute is not None else None
        self._tokens = Bucket(tokens_per_minute) if tokens_per_minute is not None else None
        self._queue: list[tuple[int, asyncio.Future[None], float]] = []  # a heap by ticket
        self._tickets = count()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def width(self) -> int:
        """Connections in use at most, for now."""
        return self._width

    @property
    def counts_tokens(self) -> bool:
        return self._tokens is not None

    def ticket(self) -> int:
        """A place in the line, for all attempts of one call."""
        return next(self._tickets)

    async def enter(self, ticket: int, tokens: float = 0.0) -> None:
        """Wait for one's turn; then `leave` must follow."""
        if not self._queue and self._under_way < self._width and self._wait(tokens) <= 0:
            self._admit(tokens)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (ticket, turn, tokens))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._let_in()  # those behind may be able to go now
            else:  # admitted in the same moment
                self.withdraw(tokens)
            raise

    def leave(self) -> None:
        self._under_way -= 1
        self._let_in()

    def withdraw(self, tokens: float) -> None:
        """Leave without having sent anything."""
        if self._requests is not None:
            self._requests.take(-1.0)
        self.settle(tokens, 0.0)
        self.leave()

    def settle(self, estimated: float, used: float) -> None:
        """Correct the tokens taken on entering by those that were used."""
        if self._tokens is not None:
            self._tokens.take(used - estimated)

    def succeeded(self) -> None:
        """A request was answered: after a full round of them one more connection is tried."""
        if self._width < self._most:
            self._successes += 1
            if self._successes >= self._width:
                self._successes = 0
                self._width += 1
                self._let_in()

    def pushed_back(self, sent: float) -> None:
        """A request sent at that time.monotonic() was too much: half the connections, once for all that were sent together."""
        if sent > self._narrowed:
            self._width = max(1, self._width // 2)
            self._successes = 0
            self._narrowed = time.monotonic()

    def pause(self, seconds: float) -> None:
        """Nobody goes before then."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def _wait(self, tokens: float) -> float:
        wait = self._paused_until - time.monotonic()
        if self._requests is not None:
            wait = max(wait, self._requests.wait(1.0))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens))
        return wait

    def _admit(self, tokens: float) -> None:
        self._under_way += 1
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(tokens)

    def _let_in(self) -> None:
        """Let in as many at the head of the line as may go now; where time alone holds the next back, come again then."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._queue:
            _, turn, tokens = self._queue[0]
            if turn.done():  # gone
                heapq.heappop(self._queue)
                continue
            if self._under_way >= self._width:
                return  # `leave` comes here again
            wait = self._wait(tokens)
            if wait > 0:
                self._alarm = asyncio.get_running_loop().call_later(wait, self._let_in)
                return
            heapq.heappop(self._queue)
            self._admit(tokens)
            turn.set_result(None)
