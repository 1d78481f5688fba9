"""Connections, requests and tokens per minute, pauses, and less of everything when a server pushes back."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from turnwise.endpoints.limits import Bucket, Limits

TICK = 0.02  # seconds; long against what the loop needs, short against what is asserted


class Clock:
    """Time that passes when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("turnwise.endpoints.limits.time", self)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("per_minute", [1, 7, 60, 90, 600, 6000])
def test_no_minute_holds_more_requests_than_allowed_and_few_less(clock: Clock, per_minute: int) -> None:
    bucket = Bucket(per_minute)
    went: list[float] = []
    start = clock.now
    while clock.now < start + 200:
        if wait := bucket.wait(1.0):
            clock.now += wait
        bucket.take(1.0)
        went.append(clock.now)
        if random.Random(len(went)).random() < 0.02:  # now and then nothing is asked for a while
            clock.now += 3
    fullest = max(bisect_left(went, at + 60 - 1e-6) - index for index, at in enumerate(went))
    assert fullest <= per_minute

    bucket, clock.now, start = Bucket(per_minute), 5000.0, 5000.0
    for _ in range(3 * per_minute):
        clock.now += bucket.wait(1.0)
        bucket.take(1.0)
    assert clock.now - start <= 3 * 60 * 1.02


def test_a_bucket_says_how_long(clock: Clock) -> None:
    bucket = Bucket(60)
    assert bucket.wait(1.0) == 0
    bucket.take(1.0)
    assert bucket.wait(1.0) == pytest.approx(1.0)
    clock.now += 0.25
    assert bucket.wait(1.0) == pytest.approx(0.75)
    clock.now += 100
    bucket.take(1.0)  # a long rest is not saved up beyond one second's worth
    assert bucket.wait(1.0) == pytest.approx(1.0)
    bucket.take(-1.0)  # given back
    assert bucket.wait(1.0) == 0
    bucket.take(-5.0)
    bucket.take(1.0)
    assert bucket.wait(1.0) == pytest.approx(1.0)


def test_more_than_a_bucket_holds_leaves_a_debt(clock: Clock) -> None:
    bucket = Bucket(6000)  # tokens: 100 a second; and (6000 - 100 + 1) / 60 flow in
    assert bucket.wait(5000) == 0
    bucket.take(5000)
    assert bucket.wait(1) == pytest.approx(4901 / (5901 / 60))
    bucket.take(-4000)  # it used only a thousand
    assert bucket.wait(1) == pytest.approx(901 / (5901 / 60))


def test_as_many_at_once_as_there_are_connections() -> None:
    async def work() -> None:
        limits, at_once, most = Limits(3), 0, 0

        async def one() -> None:
            nonlocal at_once, most
            await limits.enter(limits.ticket())
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1
            limits.leave()

        await asyncio.gather(*(one() for _ in range(50)))
        assert most == 3

    asyncio.run(work())


def test_first_come_first_served_and_who_tries_again_keeps_its_place() -> None:
    async def work() -> None:
        limits = Limits(1)
        order: list[str] = []
        old = limits.ticket()
        await limits.enter(old)

        async def one(name: str, ticket: int) -> None:
            await limits.enter(ticket)
            order.append(name)
            limits.leave()

        tasks = [asyncio.create_task(one(name, limits.ticket())) for name in "abc"]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(one("again", old)))
        await asyncio.sleep(0)
        limits.leave()
        await asyncio.gather(*tasks)
        assert order == ["again", "a", "b", "c"]

    asyncio.run(work())


async def waiting(limits: Limits, number: int, tokens: float = 0.0) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(limits.enter(limits.ticket(), tokens)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


def test_who_leaves_the_line_leaves_nothing_behind() -> None:
    async def work() -> None:
        limits = Limits(1)
        await limits.enter(limits.ticket())
        first, second, third = await waiting(limits, 3)
        second.cancel()
        await asyncio.sleep(0)
        limits.leave()
        await first
        limits.leave()
        await third  # the second holds nothing
        (fourth,) = await waiting(limits, 1)
        limits.leave()  # the fourth is let in now, and is cancelled before it knows
        fourth.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fourth
        await asyncio.wait_for(limits.enter(limits.ticket()), 1)

    asyncio.run(work())


def test_a_hundred_cancelled_at_random_leak_nothing() -> None:
    async def work(seed: int) -> None:
        limits, dice = Limits(4, 6e6, 6e6), random.Random(seed)

        async def one() -> None:
            await limits.enter(limits.ticket(), dice.random() * 10)
            try:
                await asyncio.sleep(dice.random() * 0.003)
            finally:
                limits.leave()

        tasks = [asyncio.create_task(one()) for _ in range(100)]
        while not all(task.done() for task in tasks):
            dice.choice(tasks).cancel()
            await asyncio.sleep(0.0003)
        async with asyncio.timeout(1):
            for _ in range(4):
                await limits.enter(limits.ticket())

    for seed in range(5):
        asyncio.run(work(seed))


async def took(work: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def test_requests_per_minute_are_spread() -> None:
    async def work() -> None:
        limits = Limits(100, requests_per_minute=1200)  # twenty at once, then one each 51 ms ((1200 - 20 + 1) a minute)
        started = time.perf_counter()
        times: list[float] = []

        async def one() -> None:
            await limits.enter(limits.ticket())
            times.append(time.perf_counter() - started)
            limits.leave()

        await asyncio.gather(*(one() for _ in range(25)))
        assert times == sorted(times) and times[19] < 60 / 1181
        assert 5 * 60 / 1181 - 0.001 <= times[-1] < 1

    asyncio.run(work())


def test_tokens_per_minute_hold_back_and_are_corrected() -> None:
    async def work() -> None:
        limits = Limits(10, tokens_per_minute=60_000)  # a thousand a second
        assert limits.counts_tokens
        await limits.enter(limits.ticket(), 6100)
        (next_one,) = await waiting(limits, 1, 10)
        await asyncio.sleep(TICK)
        assert not next_one.done()
        limits.settle(6100, 100)  # it was much less: the line moves when it leaves
        limits.leave()
        await asyncio.wait_for(next_one, 1)
        limits.settle(10, 1100)  # and this one much more
        assert await took(lambda: limits.enter(limits.ticket(), 1)) > 0.05

    asyncio.run(work())


def test_a_large_one_at_the_head_is_not_overtaken_but_may_go_away() -> None:
    async def work() -> None:
        limits = Limits(10, tokens_per_minute=60_000)
        await limits.enter(limits.ticket(), 900)
        large, small = *(await waiting(limits, 1, 1000)), *(await waiting(limits, 1, 50))
        await asyncio.sleep(TICK)
        assert not large.done() and not small.done()
        large.cancel()
        await asyncio.sleep(0)
        await asyncio.wait_for(small, 0.5)  # the large one would have gone after 0.9 s

    asyncio.run(work())


def test_a_pause_is_for_everybody() -> None:
    async def work() -> None:
        limits = Limits(2)
        limits.pause(0.1)
        limits.pause(0.01)  # the longer one counts
        began = time.perf_counter()
        await asyncio.gather(*(await waiting(limits, 2)))
        assert 0.099 < time.perf_counter() - began < 1

    asyncio.run(work())


def test_half_the_connections_after_a_push_and_one_more_after_each_round(clock: Clock) -> None:
    limits = Limits(8)
    sent = clock.now
    clock.now += 1
    for _ in range(5):  # all five were sent before anybody knew
        limits.pushed_back(sent)
    assert limits.width == 4
    limits.pushed_back(clock.now + 1)
    assert limits.width == 2
    rounds = {2: 3, 5: 4, 9: 5, 14: 6, 20: 7, 27: 8}
    for successes in range(1, 40):
        limits.succeeded()
        if successes in rounds:
            assert limits.width == rounds[successes], successes
        if successes + 1 in rounds:
            assert limits.width == rounds[successes + 1] - 1, successes
    assert limits.width == 8
    for step in range(10):
        limits.pushed_back(clock.now + 2 + step)
        clock.now += 3 + step
    assert limits.width == 1


def test_a_narrower_line_lets_fewer_in() -> None:
    async def work() -> None:
        limits = Limits(4)
        for _ in range(4):
            await limits.enter(limits.ticket())
        limits.pushed_back(time.monotonic())
        (next_one,) = await waiting(limits, 1)
        for _ in range(2):
            limits.leave()
            await asyncio.sleep(0)
            assert not next_one.done()
        limits.leave()
        await asyncio.wait_for(next_one, 1)

    asyncio.run(work())
