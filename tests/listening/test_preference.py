"""Which of two is better, by the rule (facts C.7-2), and what texts say in either order."""

from __future__ import annotations

import pytest

from turnwise.listening.preference import both_orders, preferred, read_summary
from turnwise.listening.ratings import DIMENSIONS, Ratings

A = Ratings(3.9, 4.0, 3.8, 4.1, 4.0)
B = Ratings(2.4, 2.1, 3.5, 4.0, 3.9)


def test_the_published_example() -> None:
    """C.7-2."""
    rule = preferred(A, B)
    assert [gap.dimension for gap in rule.aspects] == ["noi"]
    assert (rule.winner, rule.token, rule.gap) == ("first", "[SpeechA]", 1.5)
    swapped = preferred(B, A)
    assert (swapped.winner, swapped.token, swapped.gap) == ("second", "[SpeechB]", -1.5)
    assert [gap.dimension for gap in swapped.aspects] == ["noi"]
    assert swapped.aspects[0].size == -1.9


def test_a_gap_of_exactly_a_half_is_no_reason() -> None:
    # 4.1 - 3.6 is 0.4999... or 0.5000...1 in floats, depending on the pair.
    for high, low in ((4.1, 3.6), (2.3, 1.8), (1.7, 1.2), (4.9, 4.4)):
        assert preferred(Ratings(4, high, 3, 3, 3), Ratings(2, low, 3, 3, 3)).aspects == ()
    assert len(preferred(Ratings(4, 4.2, 3, 3, 3), Ratings(2, 3.6, 3, 3, 3)).aspects) == 1


def test_three_reasons_at_most_the_largest_first() -> None:
    rule = preferred(Ratings(4, 2.0, 5.0, 1.0, 4.0), Ratings(2, 4.0, 2.0, 2.0, 3.0))
    assert [(gap.dimension, gap.size) for gap in rule.aspects] == [("col", 3.0), ("noi", -2.0), ("dis", -1.0)]


@pytest.mark.parametrize(
    ("gap", "tie", "winner"),
    [(0.1, 0.1, "tie"), (0.11, 0.1, "first"), (0.0, 0.0, "tie"), (0.01, 0.0, "first"), (-0.3, 0.2, "second")],
)
def test_ties_lie_within_the_margin(gap: float, tie: float, winner: str) -> None:
    assert preferred(Ratings(3 + gap, 3, 3, 3, 3), Ratings(3, 3, 3, 3, 3), tie).winner == winner


def test_without_an_overall_rating_there_is_no_winner() -> None:
    mute = Ratings(None, None, None, None, None, missing=dict.fromkeys(DIMENSIONS, "silent"))
    rule = preferred(A, mute)
    assert (rule.winner, rule.token, rule.aspects) == (None, "", ())
    assert rule.reason == "the second has no overall rating: silent"


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("A is better\n[SpeechA]", "first"),
        ("[SpeechB].", "second"),
        ("neither\n[tie]", "tie"),
        ("[SpeechA] is noisy, [SpeechB] is not.\nSo: [SpeechB]\n", "second"),
        ("[SpeechA] or [SpeechB]", None),
        ("SpeechA", None),
        ("", None),
        ("[SpeechC]", None),
    ],
)
def test_summaries(text: str, side: str | None) -> None:
    assert read_summary(text) == side


def test_both_orders() -> None:
    same = both_orders("[SpeechA]", "[SpeechB]")
    assert (same.agreed, same.winner, same.position_bias) == (True, "first", "")
    first = both_orders("[SpeechA]", "[SpeechA]")
    assert (first.agreed, first.winner, first.position_bias) == (False, None, "the one shown first")
    second = both_orders("[SpeechB]", "[SpeechB]")
    assert (second.agreed, second.position_bias) == (False, "the one shown second")
    mute = both_orders("[Tie]", "nothing")
    assert (mute.agreed, mute.choices, mute.position_bias) == (False, ("tie", None), "")
    assert both_orders("[Tie]", "[Tie]").winner == "tie"
