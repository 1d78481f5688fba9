"""Server-sent events, as the HTML standard tells and another implementation reads them, however their bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.endpoints.sse import Block, Parser

STREAM = ("data: é1\r\n\r\n: a comment\ndata:two\ndata: lines\nid: 7\n\nevent: error\rdata: {}\r\rdata: last").encode()
EVENTS = [Block("é1".encode()), Block(b"two\nlines", id="7"), Block(b"{}", event="error"), Block(b"last")]


def read(*pieces: bytes) -> list[Block]:
    parser = Parser()
    given = [block for piece in pieces for block in parser.feed(piece)]
    return [*given, *parser.finish()]


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_a_stream_may_be_cut_anywhere(at: int) -> None:
    assert read(STREAM[:at], STREAM[at:]) == EVENTS


def test_a_stream_may_come_byte_by_byte() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


@pytest.mark.parametrize(
    ("stream", "blocks"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Block(b"YHOO\n+2\n10")]),
        (b"data\n\ndata\ndata\n\ndata:", [Block(b""), Block(b"\n"), Block(b"")]),
        (b"data:test\n\ndata: test\n\ndata:  test\n\n", [Block(b"test"), Block(b"test"), Block(b" test")]),
        (b"event: a\n\ndata: b\n\n", [Block(b"b")]),  # an event without data is none, and leaves nothing behind
        (b"id: 1\ndata: a\n\ndata: b\n\n", [Block(b"a", id="1"), Block(b"b")]),
        (b"id: 1\0\ndata: a\n\n", [Block(b"a")]),
        (b"retry: 10\nwhatever: x\ndata: a\n\n", [Block(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Block(b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Block(b"a")]),  # a mark elsewhere is part of a name nobody knows
        (b"data: a: b\n\n", [Block(b"a: b")]),
        (b"\n\n\n: nothing\n\n", []),
        (b"", []),
    ],
)
def test_the_standard(stream: bytes, blocks: list[Block]) -> None:
    assert read(stream) == blocks
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == blocks


def test_an_event_is_given_as_soon_as_it_is_complete() -> None:
    parser = Parser()
    assert parser.feed(b"data: a\n") == []
    assert parser.feed(b"\n") == [Block(b"a")]
    assert parser.feed(b"data: b\r\r") == [Block(b"b")]  # whether a line feed follows or not
    assert parser.feed(b"\ndata: c\n\n") == [Block(b"c")]


LINES = st.sampled_from(
    ["data: a", "data:", "data: b:c", "id: 1", "id", "event: e", ": x", "", "", "data:é", "other: 1", "retry: 5"]
)


@settings(deadline=None)  # the other implementation is slow to import
@given(st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r", "\r\n"]))), st.lists(st.integers(0, 120)))
def test_another_implementation_reads_the_same(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    httpx2 = pytest.importorskip("httpx2")
    stream = "".join(line + end for line, end in lines).encode()
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    ours = read(*(stream[one:other] for one, other in pairwise(places)))
    response = httpx2.Response(
        200,
        headers={"content-type": "text/event-stream; charset=utf-8"},
        content=stream,
        request=httpx2.Request("POST", "http://x"),
    )
    # It gives events without data too, and drops one without its blank line.
    theirs = [(event.data, event.event) for event in httpx2.EventSource(response) if event.data]
    mine = [(block.data.decode(), block.event or "message") for block in ours if block.data]
    assert mine[: len(theirs)] == theirs
    assert len(mine) - len(theirs) in (0, 1)
