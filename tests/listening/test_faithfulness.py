"""Texts against ratings: every level word and every number, and what is left out."""

from __future__ import annotations

import time

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


@pytest.mark.parametrize(
    "text",
    [
        "There is no severe distortion.",
        "It isn’t completely clean.",
        "It is neither very noisy nor completely clean.",
        "The noise prevents the overall quality from being excellent.",
        "Were it perfectly loud, it would be completely clean too.",
        "Without the breaks the overall quality would have been excellent.",
        "It is anything but free of distortion.",
        "One cannot call this free of discontinuity.",
        "Its noise score is low.",
        "The overall quality is better than very bad.",
        "<think>very noisy? excellent overall?</think>It is somewhat noisy.",
    ],
)
def test_denials_suppositions_and_drafts_are_no_claims(text: str) -> None:
    assert check(text, Ratings(2.9, 2.0, 2.9, 2.9, 2.9)).faithful


def test_freedom_from_a_fault_is_not_its_amount() -> None:
    """The rating of a fault is high where the fault is small: the mistake that readers of `dis` and `col` make."""
    good = Ratings(4.4, 4.6, 4.4, 4.7, 4.3)
    for dimension, text in (
        ("noi", "The noise of 4.6 means significant background noise."),
        ("noi", "There is a high level of noise (4.6)."),
        ("col", "With 4.4 there is strong coloration."),
        ("dis", "The discontinuity of 4.7 is severe."),
        ("dis", "Frequent dropouts (4.7)."),
    ):
        assert {one[2] for one in wrong(text, good)} == {dimension}, text
    for text in (
        "Low noise (4.6).",
        "Minimal distortion (4.4).",
        "A high noise score of 4.6: hardly any noise.",
        "Few breaks (4.7).",
    ):
        assert wrong(text, good) == [], text


def test_what_widens_a_claim() -> None:
    assert wrong("The overall quality is almost excellent.", Ratings(4.2, 3, 3, 3, 3)) == []
    assert wrong("Moderate to slight distortion.", Ratings(3, 3, 3.4, 3, 3)) == []
    assert wrong("Moderate distortion.", Ratings(3, 3, 3.6, 3, 3)) == [("words", "Moderate distortion", "col")]
    assert wrong("The overall quality is very good.", Ratings(4.7, 3, 3, 3, 3)) == []
    assert wrong("The overall quality is very poor.", Ratings(2.4, 3, 3, 3, 3)) == [("words", "very poor", "mos")]


def test_ranges_of_numbers_hold_the_rating_or_not() -> None:
    assert wrong("MOS between 2 and 3") == []
    assert {one[0] for one in wrong("MOS 3-4")} == {"number"}


def test_a_closing_number_counts_beside_words() -> None:
    assert wrong("The overall quality is poor. I would say 3.4.") == [("number", "3.4", "mos")]


def test_ranges_and_markup() -> None:
    assert wrong("The overall quality is poor to fair.") == []
    assert wrong("The overall quality is good to excellent.") == [("words", "good to excellent", "mos")]
    assert wrong('The overall quality is "**excellent**".') == [("words", "excellent", "mos")]
    assert wrong("It has excellent overall quality.") == [("words", "excellent", "mos")]


def test_nothing_may_be_said_of_what_was_not_rated() -> None:
    ratings = Ratings(2.4, None, 3.6, 4.2, 3.9, missing={"noi": "no pauses"})
    (one,) = check("It is somewhat noisy. MOS: 2.4", ratings).contradictions
    assert str(one) == "noi: says 'somewhat noisy', rated not at all (no pauses)"


def test_the_reason_of_a_missing_rating_may_be_told() -> None:
    reason = "mos is 85, which is not within 1 to 5"
    ratings = Ratings(None, 1.8, 3.6, 4.2, 3.9, missing={"mos": reason})
    assert check(f"It is somewhat noisy. The overall quality is not rated: {reason}.", ratings).faithful


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


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("SpeechA scores 4.0 in noise compared to SpeechB's 2.1.", []),
        ("SpeechA scores 4.0 in noise compared to SpeechB's 3.1.", ["number"]),
        ("Noise: SpeechA 4.0, SpeechB 2.1", []),
        ("Noise: SpeechA 2.1, SpeechB 4.0", ["number", "number"]),
        ("SpeechA has a higher MOS than SpeechB (3.9 vs. 2.4), a gap of 1.5.", []),
        ("SpeechB (noise 2.1) is noisier than SpeechA (noise 4.0).", []),
        ("SpeechB (noise 2.1) is cleaner than SpeechA (noise 4.0).", ["order"]),
        ("SpeechA has more noise than SpeechB.", ["order"]),
        ("SpeechA has a higher noise rating than SpeechB.", []),
        ("SpeechB is not cleaner than SpeechA.", []),
        ("SpeechA is better than SpeechB in noise.", []),
        ("SpeechB is better than SpeechA in noise.", ["order"]),
        ("I prefer SpeechA.", []),
        ("I prefer SpeechB.", ["winner"]),
        ("I do not prefer SpeechB.", []),
        ("The winner is SpeechB.", ["winner"]),
        ("SpeechB is better overall.", ["winner"]),
    ],
)
def test_what_a_comparison_says_of_both(text: str, kinds: list[str]) -> None:
    assert [one.kind for one in check_comparison(f"{text}\n[SpeechA]", A, B)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "{" * 15000 + '"score": 1,' * 400,
        "severe " * 3000,
        "SpeechA " * 2500 + "better than SpeechB",
        "|mos|noi|\n" + "|1|2|\n" * 3000,
    ],
)
def test_a_text_that_runs_away_is_checked_in_no_time(text: str) -> None:
    began = time.perf_counter()
    check(text, A)
    check_comparison(text, A, B)
    assert time.perf_counter() - began < 15
