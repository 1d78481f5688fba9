"""Two files: rule, reasons, sureness, both orders asked, position bias told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from listening_double import LISTENER, UNRATED, record
from servers.chat_server import Request, chatting
from turnwise.endpoints.remote import Remote
from turnwise.listening.ears import Choice, Hearing
from turnwise.listening.pair import Pair, paired
from turnwise.listening.ratings import Heard, Moment, Ratings
from turnwise.listening.row import Row
from turnwise.listening.session import Listening

A, B = (3.9, 4.0, 3.8, 4.1, 4.0), (2.4, 2.1, 3.5, 4.0, 3.9)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return record(tmp_path / "a.wav", A), record(tmp_path / "b.wav", B)


def compared(files: tuple[Path, Path], describer: Choice | None, remote: Remote | None = None, tie: float = 0.1) -> Pair:
    async def run() -> Pair:
        try:
            async with Listening(Hearing(Choice(LISTENER), describer), remote) as session:
                rows = (await session.row(files[0]), await session.row(files[1]))
                return await session.compare(files, rows, tie=tie)
        finally:
            if remote is not None:
                await remote.close()

    return asyncio.run(run())


def test_the_template_prefers_the_same_in_both_orders(files: tuple[Path, Path]) -> None:
    pair = compared(files, Choice("template"))
    assert (pair.rule.winner, pair.rule.token) == ("first", "[SpeechA]")
    assert [gap.dimension for gap in pair.rule.aspects] == ["noi"]
    assert pair.orders is not None and pair.orders.agreed
    assert pair.text is not None and pair.text.endswith("[SpeechA]")
    assert pair.orders.texts[1].endswith("[SpeechB]")
    assert pair.troubles == ()
    assert pair.sureness is None
    swapped = compared((files[1], files[0]), Choice("template"))
    assert swapped.rule.token == "[SpeechB]"


def answering(choose: Callable[[str], str]) -> Callable[[Request], str]:
    """A model whose comparison says which it saw first, and whose summary is `choose` of that."""

    def answer(request: Request) -> str:
        if request.turns[0][0] == "system":
            a_first = request.said.index('"mos": 3.9') < request.said.index('"mos": 2.4')
            return f"I saw the {'better' if a_first else 'worse'} one first."
        return choose(request.said)

    return answer


def by_model(files: tuple[Path, Path], answer: Any) -> Pair:
    with chatting(answer=answer) as server:
        remote = Remote({"there": server.endpoint()}, patience=0.0)
        pair = compared(files, Choice("language_model", {"endpoint": "there", "model": "m"}), remote)
        # Two descriptions, two comparisons, and their summaries.
        assert [request.turns[0][0] for request in server.requests[2:6]] == ["system", "user", "system", "user"]
    return pair


def test_a_model_that_reads_the_ratings_agrees_with_itself(files: tuple[Path, Path]) -> None:
    pair = by_model(files, answering(lambda said: "[SpeechA]" if "the better one first" in said else "[SpeechB]"))
    assert pair.orders is not None
    assert (pair.orders.agreed, pair.orders.winner, pair.troubles) == (True, "first", ())


def test_position_bias_is_told(files: tuple[Path, Path]) -> None:
    pair = by_model(files, answering(lambda said: "[SpeechA]"))
    assert pair.orders is not None
    assert (pair.orders.agreed, pair.orders.position_bias) == (False, "the one shown first")
    told = [(t.cause, t.message) for t in pair.troubles]
    assert [cause for cause, _ in told] == ["contradiction", "orders-disagree"]
    assert "asked the other way round" in told[0][1]
    assert "it prefers the one shown first" in told[1][1]
    assert pair.rule.winner == "first"  # the rule does not depend on the model


def test_a_winner_against_the_ratings_is_a_fault(files: tuple[Path, Path]) -> None:
    pair = by_model(files, answering(lambda said: "[SpeechB]" if "the better one first" in said else "[SpeechA]"))
    assert pair.orders is not None and pair.orders.agreed
    assert pair.orders.winner == "second"
    assert [t.cause for t in pair.troubles] == ["contradiction", "contradiction"]


def test_a_model_that_fails_leaves_the_rule(files: tuple[Path, Path]) -> None:
    with chatting(answer="Nothing to say.") as server:
        remote = Remote({"there": server.endpoint()}, patience=0.0)
        pair = compared(files, Choice("language_model", {"endpoint": "there", "model": "m"}), remote)
    assert pair.rule.winner == "first"
    assert pair.orders is None
    assert [(t.step, t.cause) for t in pair.troubles] == [("describe", "no-summary")]


def test_ties_and_what_cannot_be_compared(tmp_path: Path, files: tuple[Path, Path]) -> None:
    pair = compared(files, Choice("template", {"tie": 2.0}), tie=2.0)
    assert pair.rule.token == "[Tie]"
    assert pair.troubles == ()
    mute = record(tmp_path / "u.wav", (UNRATED, 1, 1, 1, 1))
    pair = compared((files[0], mute), Choice("template"))
    assert (pair.rule.winner, pair.orders, pair.troubles) == (None, None, ())
    assert pair.rule.reason == "the second has no overall rating: silent: nothing is heard"
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"")
    assert compared((files[0], broken), None).rule.reason == "one of the files was not heard"


def long(values: list[float]) -> Row:
    """Windows of 9 s, each beginning 4.5 s after the one before."""
    ratings = [Ratings(value, 3, 3, 3, 3) for value in values]
    moments = tuple(Moment(4.5 * k, 4.5 * k + 9, one) for k, one in enumerate(ratings))
    return Row("x", "", "", Heard(Ratings(sum(values) / len(values), 3, 3, 3, 3), 90, 8000, 1, moments))


def test_sureness_is_the_spread_of_windows_that_do_not_overlap() -> None:
    async def run(first: Row, second: Row) -> Pair:
        return await paired((first, second), 0.1, None, seed=3)

    low, high = [2.0, 2.2] * 6, [4.0, 4.4] * 6
    found = asyncio.run(run(long(high), long(low))).sureness
    assert found is not None
    assert found.windows == (6, 6)  # of twelve each
    assert found.low == found.high == 2.0  # every second window is alike
    mixed = asyncio.run(run(long([2.0, 0, 4.0, 0] * 4), long([3.0] * 16))).sureness
    assert mixed is not None
    assert mixed.low < -0.2 and mixed.high > 0.2
    assert asyncio.run(run(long([3.0] * 6), long([2.0] * 16))).sureness is None  # three windows are too few
