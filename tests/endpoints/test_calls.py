"""Calls are recorded where they belong: in the innermost recording of the work that made them."""

from __future__ import annotations

import asyncio

import msgspec

from turnwise.endpoints.calls import Call, Usage, note, recording


def call(name: str) -> Call:
    return Call("it", name, "/p", 1.0)


def names(made: list[Call]) -> list[str]:
    return [one.model for one in made]


def test_the_innermost_recording_gets_it() -> None:
    with recording() as outer:
        note(call("a"))
        with recording() as inner:
            note(call("b"))
        note(call("c"))
    assert (names(outer), names(inner)) == (["a", "c"], ["b"])


def test_without_a_recording_nothing_happens() -> None:
    note(call("a"))
    with recording() as made:
        pass
    note(call("b"))
    assert made == []


def test_work_at_the_same_time_is_kept_apart_and_its_parts_together() -> None:
    async def part(name: str) -> None:
        await asyncio.sleep(0)
        note(call(name))

    async def work(name: str) -> list[str]:
        with recording() as made:
            await asyncio.gather(part(name + "1"), part(name + "2"))
            await part(name + "3")
        return names(made)

    async def both() -> list[list[str]]:
        return list(await asyncio.gather(work("a"), work("b")))

    assert asyncio.run(both()) == [["a1", "a2", "a3"], ["b1", "b2", "b3"]]


def test_a_recording_ends_with_an_error_too() -> None:
    with recording() as outer:
        try:
            with recording():
                raise ValueError
        except ValueError:
            note(call("a"))
    assert names(outer) == ["a"]


def test_a_call_is_stored_without_what_it_has_not() -> None:
    full = Call("it", "m", "/p", 1.5, 2, 0.5, ("timeout",), Usage(1, 2, 3, 4, 5.0, 6), True, 0.25, "m-1 fp", "refused")
    for one in (call("a"), full):
        assert msgspec.json.decode(msgspec.json.encode(one), type=Call) == one
    assert msgspec.json.encode(call("a")) == b'{"endpoint":"it","model":"a","path":"/p","seconds":1.0}'
