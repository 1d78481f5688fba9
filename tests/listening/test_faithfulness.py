"""Texts against ratings: every level word and every number, and what is left out."""

from __future__ import annotations

import pytest

from turnwise.listening.faithfulness import check, check_comparison
from turnwise.listening.ratings import DIMENSIONS, LEVELS, Dimension, Ratings

R = Ratings(2.4, 1.8, 3.6, 4.2, 3.9)
A = Ratings(3.9, 4.0, 3.8, 4.1, 4.0)
B = Ratings(2.4, 2.1, 3.5, 4.0, 3.9)


def wrong(text: str, ratings: Ratings = R) -> list[tuple[str, str, str | None]]:
    return [(one.kind, one.says, one.dimension) for one in check(text, ratings).contradictions]


def test_a_faithful_text() -> None:
    text = (
        "The recording is somewhat noisy (1.8) with slight distortion (3.6), slightly discontinuous, and clearly loud. "
        "Mostly for its noise the overall quality is poor. MOS: 2.4"
    )
    found = check(text, R)
    assert found.faithful
    assert found.stated == DIMENSIONS
    assert found.unstated == ()
    assert found.rating.value == 2.4


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_the_words_of_every_level_agree_with_it_and_with_no_other(dimension: Dimension, level: int) -> None:
    said = LEVELS[dimension][level - 1]
    text = f"The overall quality is {said}." if dimension == "mos" else f"The speech is {said}."
    for rated in (1.0, 2.0, 3.0, 4.0, 5.0):
        values = {d: 3.0 for d in DIMENSIONS} | {dimension: rated}
        found = wrong(text, Ratings(**values))  # type: ignore[arg-type]
        assert found == ([] if rated == level else [("words", said, dimension)])
    assert check(text, R).stated == (dimension,)


def test_half_way_either_level_agrees_and_rounding_is_forgiven() -> None:
    for mos, agree in ((2.5, {"poor", "fair"}), (2.45, {"poor", "fair"}), (2.4, {"poor"}), (2.6, {"fair"}), (0.8, {"very bad"})):
        ratings = Ratings(mos, 3, 3, 3, 3)
        assert {w for w in LEVELS["mos"] if not wrong(f"The overall quality is {w}.", ratings)} == agree


def test_numbers() -> None:
    assert wrong("MOS: 2.4") == []
    assert wrong("MOS: 2.45") == []
    assert wrong("MOS: 2.5") == [("number", "2.5", "mos")]
    assert wrong("It deserves a 3.0.") == [("number", "3", "mos")]
    assert wrong("The noise is rated 3.1. MOS: 2.4") == [("number", "3.1", "noi")]
    assert wrong("Over 3 seconds there are 2 clicks, MOS: 2.4") == []


def test_words_that_are_no_claim() -> None:
    assert wrong("It is not very noisy. MOS: 2.4") == []
    assert wrong("It is good to hear a voice in excellent company.") == []
    assert wrong("It is noisy rather than completely clean.") == []


def test_ranges_and_markup() -> None:
    assert wrong("The overall quality is poor to fair.") == []
    assert wrong("The overall quality is good to excellent.") == [("words", "good to excellent", "mos")]
    assert wrong('The overall quality is "**excellent**".') == [("words", "excellent", "mos")]
    assert wrong("It has excellent overall quality.") == [("words", "excellent", "mos")]


def test_nothing_may_be_said_of_what_was_not_rated() -> None:
    ratings = Ratings(2.4, None, 3.6, 4.2, 3.9, missing={"noi": "no pauses"})
    (one,) = check("It is somewhat noisy. MOS: 2.4", ratings).contradictions
    assert str(one) == "noi: says 'somewhat noisy', rated not at all (no pauses)"


def test_what_is_unstated_is_counted_and_no_contradiction() -> None:
    found = check("A hiss runs through it, and the voice is somewhat noisy.", R)
    assert found.faithful
    assert found.unstated == ("mos", "col", "dis", "loud")
    assert found.rating.reason == "no number"


def test_comparisons() -> None:
    good = (
        "SpeechA is better than SpeechB: it is somewhat clean (4.0), whereas SpeechB is somewhat noisy (2.1). "
        "SpeechA is cleaner than SpeechB.\n[SpeechA]"
    )
    assert check_comparison(good, A, B) == ()
    kinds = [one.kind for one in check_comparison(good, B, A)]
    assert kinds.count("winner") == 1
    assert kinds.count("order") == 2
    assert kinds.count("words") == 1  # whose "it" is, is not guessed
    (one,) = check_comparison("SpeechB it is.\n[SpeechB]", A, B)
    assert (one.kind, one.says, one.rated) == ("winner", "SpeechB", "SpeechA (mos 3.9 and 2.4)")
    (one,) = check_comparison("I like both.", A, B)
    assert (one.kind, one.says) == ("winner", "I like both.")
    assert check_comparison("[Tie]", A, A) == ()
    assert [one.kind for one in check_comparison("[SpeechA]", A, A)] == ["winner"]
    assert [one.kind for one in check_comparison("[Tie]", A, B)] == ["winner"]
    (one,) = check_comparison("SpeechB is louder than SpeechA.\n[SpeechA]", A, B)
    assert (one.kind, one.dimension) == ("order", "loud")
