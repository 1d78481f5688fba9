"""The describer without a model (facts C.7-1), and that whatever it writes agrees with the ratings."""

from __future__ import annotations

from random import Random

import pytest

from turnwise.foundation.errors import InputError
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.faithfulness import check, check_comparison
from turnwise.listening.preference import preferred, read_summary
from turnwise.listening.ratings import DIMENSIONS, PLACEHOLDER, Ratings, printed, words

R = Ratings(2.4, 1.8, 3.6, 4.2, 3.9)
A = Ratings(3.9, 4.0, 3.8, 4.1, 4.0)
B = Ratings(2.4, 2.1, 3.5, 4.0, 3.9)


def test_the_published_example() -> None:
    """C.7-1: the words of the nearest anchors, and the mos at the end."""
    text = DESCRIBERS.build("template").open().describe(R, seed=1)
    assert text == (
        "The speech is somewhat noisy (1.8), slightly distorted (3.6), slightly discontinuous (4.2) and clearly loud (3.9). "
        "What lowers the overall quality most is the noise. The overall quality is poor. MOS: 2.4"
    )
    for dimension in DIMENSIONS:
        value = R.value(dimension)
        assert value is not None
        assert words(dimension, value) in text
    assert text.endswith("2.4")


def test_plain_is_the_same_for_every_seed_and_diverse_is_not() -> None:
    plain, diverse = (DESCRIBERS.build("template", {"preset": preset}).open() for preset in ("plain", "diverse"))
    assert len({plain.describe(R, seed=seed) for seed in range(20)}) == 1
    said = [diverse.describe(R, seed=seed) for seed in range(40)]
    assert len(set(said)) > 20
    assert said == [diverse.describe(R, seed=seed) for seed in range(40)]
    assert all(text.endswith("2.4") for text in said)


def test_everything_it_writes_is_faithful_and_whole() -> None:
    draw = Random(7)
    makers = [DESCRIBERS.build("template", {"preset": preset}).open() for preset in ("plain", "diverse")]
    for seed in range(400):
        first, second = (Ratings(*(round(draw.uniform(1, 5), draw.choice((1, 2, 6))) for _ in DIMENSIONS)) for _ in "ab")
        for maker in makers:
            found = check(maker.describe(first, seed=seed), first)
            assert found.faithful
            assert found.unstated == ()
            assert found.rating.value is not None and first.mos is not None
            assert abs(found.rating.value - first.mos) <= 0.05 + 1e-9
        text = makers[0].compare(first, second, seed=seed)
        assert check_comparison(text, first, second) == ()
        assert read_summary(text) == preferred(first, second).winner


def test_what_was_not_rated_is_said_with_its_reason() -> None:
    maker = DESCRIBERS.build("template").open()
    part = Ratings(2.4, None, 3.6, 4.2, 3.9, missing={"noi": "no pause to hear it in"})
    text = maker.describe(part, seed=1)
    assert "Its noise is not rated: no pause to hear it in." in text
    assert text.endswith("MOS: 2.4")
    assert check(text, part).faithful
    mute = Ratings(None, None, None, None, None, missing=dict.fromkeys(DIMENSIONS, "silent: every sample is zero"))
    text = maker.describe(mute, seed=1)
    assert text.endswith("The overall quality is not rated: silent: every sample is zero.")
    assert check(text, mute).rating.value is None
    assert maker.compare(A, mute, seed=1) == (
        "Neither can be preferred: the second has no overall rating: silent: every sample is zero."
    )


def test_all_that_are_lowest_alike_are_named() -> None:
    maker = DESCRIBERS.build("template").open()
    ratings = Ratings(2.4, 1.8, 3.6, 1.84, 3.9)
    assert "What lowers the overall quality most are, alike, the noise and discontinuity." in maker.describe(ratings, seed=1)
    diverse = DESCRIBERS.build("template", {"preset": "diverse"}).open()
    for seed in range(30):
        text = diverse.describe(ratings, seed=seed)
        assert "noise and discontinuity" in text
        assert check(text, ratings).faithful
    bad = Ratings(1.0, 1.0, 1.0, 1.0, 1.0)
    assert maker.compare(bad, bad, seed=1).startswith(
        "Neither is better, since their overall ratings differ by no more than 0.1: "
    )
    wide = DESCRIBERS.build("template", {"tie": 2.0}).open()
    assert check_comparison(wide.compare(A, B, seed=1), A, B, 2.0) == ()


def test_nothing_wrong_with_the_parts() -> None:
    maker = DESCRIBERS.build("template").open()
    assert "None of this lowers the overall quality much." in maker.describe(Ratings(4.5, 4.5, 4.5, 4.5, 4.5), seed=1)
    assert "None of the four explains" in maker.describe(Ratings(2.0, 4.5, 4.5, 4.5, 4.5), seed=1)


def test_comparisons_in_both_orders_and_ties() -> None:
    maker = DESCRIBERS.build("template", {"tie": 0.2}).open()
    text = maker.compare(A, B, seed=1)
    assert text.endswith("\n[SpeechA]")
    assert "In noise they differ: SpeechA is somewhat clean (4.0), SpeechB is somewhat noisy (2.1)." in text
    assert text.count("they differ") == 1
    assert maker.compare(B, A, seed=1).endswith("\n[SpeechB]")
    close = Ratings(3.7, 4.0, 3.8, 4.1, 4.0)
    assert maker.compare(A, close, seed=1).endswith("They differ obviously in no single aspect.\n[Tie]")
    assert DESCRIBERS.build("template", {"tie": 0.1}).open().compare(A, close, seed=1).endswith("[SpeechA]")


@pytest.mark.parametrize("options", [{"preset": "wild"}, {"tie": -1}, {"tie": 5}, {"tone": "kind"}])
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        DESCRIBERS.build("template", options)


@pytest.mark.parametrize("reason", ["asked twice, dis is 5.0000001, which is not within 1 to 5", "window 3: very noisy, MOS: 1"])
def test_a_reason_with_numbers_is_no_claim(reason: str) -> None:
    ratings = Ratings(None, 3.0, 4.0, None, 2.0, missing={"dis": reason, "mos": reason})
    for preset in ("plain", "diverse"):
        text = DESCRIBERS.build("template", {"preset": preset}).open().describe(ratings, seed=3)
        assert reason in text
        assert check(text, ratings).contradictions == ()
    ratings = Ratings(None, 3.0, None, None, 2.0, missing={"dis": "5 is off", "mos": reason + ": 5 is off", "col": "5"})
    assert check(DESCRIBERS.build("template").open().describe(ratings, seed=3), ratings).contradictions == ()


def test_a_printed_number_has_one_word() -> None:
    """3.46 and 3.5 are printed alike, and so are their words alike."""
    for value, shown in ((3.46, 3.5), (3.45001, 3.5), (1.4501, 1.5), (2.549, 2.5), (4.44, 4.4)):
        assert printed(value) == shown
        ratings = Ratings(value, value, value, value, value)
        text = DESCRIBERS.build("template").open().describe(ratings, seed=1)
        assert text == DESCRIBERS.build("template").open().describe(Ratings(shown, shown, shown, shown, shown), seed=1)
        assert check(text, ratings).contradictions == ()


def test_numbers_that_are_no_ratings_are_not_called_mos() -> None:
    first, second = (Ratings(mos, 3.0, 4.0, 5.0, 2.0, notes=(PLACEHOLDER,)) for mos in (2.5, 3.7))
    for preset in ("plain", "diverse"):
        maker = DESCRIBERS.build("template", {"preset": preset}).open()
        text = maker.describe(first, seed=2)
        assert text.endswith("Heuristic overall: 2.5")
        assert "MOS" not in text
        assert (check(text, first).contradictions, check(text, first).unstated) == ((), ())
        text = maker.compare(first, second, seed=2)
        assert "(heuristic overall 2.5)" in text and "mos" not in text.lower()
        assert check_comparison(text, first, second) == ()
