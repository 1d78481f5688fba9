"""One call in the making: its turns in the limits of its endpoint, its attempts, its money, and in the end its record."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from turnwise.endpoints.attempts import BASE, LONGEST, AttemptFailed
from turnwise.endpoints.calls import Call, Usage, note
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.limits import Limits
from turnwise.endpoints.spending import Purse, cost, tokens_of
from turnwise.foundation.errors import EngineError, TurnwiseError
from turnwise.foundation.secrets import without_keys

T = TypeVar("T")
_NOTHING = Usage()
_jitter = random.Random()  # its own, so that nobody's seeded draws move; it decides only when something is tried again


def back_off(failures: int, patience: float) -> float:
    """Seconds to rest after so many failures: anything up to a bound that doubles, so that those who fail together part."""
    return patience * _jitter.uniform(0.0, min(LONGEST, BASE * 2.0 ** (failures - 1)))


def cause_of(error: BaseException) -> str:
    """The word under which a call that ended so is accounted for."""
    if isinstance(error, EngineError):
        return error.cause
    if isinstance(error, TurnwiseError):
        return "refused"
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "abandoned"


class Calling:
    """The limits see each attempt, the recording sees one call."""

    def __init__(
        self,
        endpoint: str,
        model: str,
        path: str,
        limits: Limits,
        purse: Purse,
        price: Price | None,
        retries: int,
        patience: float,
    ) -> None:
        self.model = model
        self.sent = 0.0  # time.perf_counter() of the last attempt's sending
        self.answered_by = ""
        self.told: Usage | None = None  # by the server, of what it used
        self._endpoint, self._path = endpoint, path
        self._limits, self._purse, self._price = limits, purse, price
        self._retries, self._patience = retries, patience
        self._ticket = limits.ticket()
        self._tokens = 0.0  # expected of an attempt
        self._money = 0.0
        self._attempts = 0
        self._seconds = 0.0  # of the last attempt
        self._waited = 0.0
        self._failures: list[str] = []
        self._has_turn = False
        self._paid = price is not None and any(msgspec.structs.astuple(price))  # what is free is not stopped by a budget
        self._held: int | None = None  # in the purse, by number
        self._kind = (endpoint, model, path)  # of calls that are expected to cost alike
        self._entered = 0.0  # time.monotonic()
        self._noted = False

    def expect(self, usage: Usage) -> None:
        """What an attempt will use at most, for the limits and the budget."""
        self._tokens = _tokens(usage)
        self._money = cost(usage, self._price) if self._price is not None else 0.0

    async def carry_out(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make attempts until one succeeds; then the turn is still held, and `done` or `broken` gives it back."""
        while True:
            await self._enter()
            try:
                return await attempt()
            except AttemptFailed as error:
                rest = self._failed(error)
            except BaseException as error:
                self.broken(error)
                raise
            began = time.perf_counter()
            try:
                await asyncio.sleep(rest)
            except asyncio.CancelledError as error:
                self._note(Usage(), False, cause_of(error))
                raise
            finally:
                self._waited += time.perf_counter() - began

    def ended(self) -> None:
        """The last byte is there."""
        self._seconds = time.perf_counter() - self.sent

    def done(self, usage: Usage, *, estimated: bool) -> None:
        """The last attempt succeeded."""
        self._leave(usage, ended=True)
        self._limits.succeeded()
        self._note(usage, estimated, "")

    def broken(self, error: BaseException, used: Usage = _NOTHING, *, estimated: bool = False) -> None:
        """The last attempt came to nothing, and nothing more is tried here."""
        self._heed(error)
        self._leave(used)
        self._note(used, estimated, cause_of(error))

    async def _enter(self) -> None:
        began = time.perf_counter()
        try:
            await self._limits.enter(self._ticket, self._tokens)
            try:
                self._held = await self._purse.hold(self._money, self._kind) if self._paid else None
            except BaseException:
                self._limits.withdraw(self._tokens)
                raise
        except BaseException as error:
            if self._failures:  # something was sent before
                self._note(Usage(), False, cause_of(error) if isinstance(error, asyncio.CancelledError) else self._failures.pop())
            raise
        finally:
            self._waited += time.perf_counter() - began
        self._has_turn = True
        self._attempts += 1
        self._seconds = 0.0
        self._entered = time.monotonic()
        self.sent = time.perf_counter()

    def _failed(self, error: AttemptFailed) -> float:
        """Seconds to rest before the next attempt; raises the error where there is none."""
        if not error.again or self._attempts > self._retries:
            if self._attempts > 1:
                error.hint = "; ".join(filter(None, (error.hint, f"{self._attempts} attempts were made")))
            self.broken(error)
            raise error
        self._heed(error)
        self._leave(Usage())
        self._failures.append(error.cause)
        if error.pause is not None and self._attempts == 1:
            return 0.0  # the pause of the whole endpoint is rest enough
        return back_off(self._attempts, self._patience)

    def _heed(self, error: BaseException) -> None:
        """What a failure says of the server's load. Where it names a time to come again, that is enough, once."""
        if isinstance(error, AttemptFailed) and error.too_much:
            if error.pause is not None and error.again:
                self._limits.pause(error.pause * self._patience)
            if error.pause is None or self._attempts > 1:
                self._limits.pushed_back(self._entered)

    def _leave(self, used: Usage, *, ended: bool = False) -> None:
        if not self._has_turn:
            return
        self._has_turn = False
        if not self._seconds:
            self.ended()
        if self._held is not None and self._price is not None:
            self._purse.settle(self._held, cost(used, self._price), ended=ended)
            self._held = None
        self._limits.settle(self._tokens, _tokens(used))
        self._limits.leave()

    def _note(self, usage: Usage, estimated: bool, failed: str) -> None:
        if self._noted:
            return
        self._noted = True
        note(
            Call(
                endpoint=self._endpoint,
                model=self.model,
                path=self._path,
                seconds=self._seconds,
                attempts=self._attempts,
                waited=self._waited,
                failures=tuple(self._failures),
                usage=usage,
                estimated=estimated,
                cost=cost(usage, self._price) if self._price is not None else None,
                answered_by=without_keys(self.answered_by),
                failed=failed,
            )
        )


def _tokens(usage: Usage) -> int:
    return usage.input + usage.output + usage.audio_input + usage.audio_output + tokens_of(usage.characters)
