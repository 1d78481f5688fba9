from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.speech.spoken_words import cardinal, ordinal, spoken_words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello, World!", "hello world"),
        ("At 6:30, please.", "at six thirty please"),
        ("7:00", "seven o'clock"),
        ("19:05", "nineteen oh five"),
        ("it's $25 or £1.50", "it's twenty five dollars or one pound fifty"),
        ("the 2nd, 3rd, 20th and 31st", "the second third twentieth and thirty first"),
        ("3.5 km", "three point five km"),
        ("1,200 people", "one thousand two hundred people"),
        ("40% off & more", "forty percent off and more"),
        ("mid-range", "mid range"),
        ("Café Zoë", "cafe zoe"),
        ("don\u2019t \u2018quote\u2019 me", "don't quote me"),
        ("room 007", "room seven"),
        ("1234567890123", "one two three four five six seven eight nine zero one two three"),
        ("B2B", "b two b"),
        ("日本", ""),
        ("...", ""),
        ("", ""),
    ],
)
def test_text_as_it_is_said(text: str, said: str) -> None:
    assert " ".join(spoken_words(text)) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (101, "one hundred one"),
        (2_017, "two thousand seventeen"),
        (1_000_000, "one million"),
    ],
)
def test_cardinals(number: int, said: str) -> None:
    assert " ".join(cardinal(number)) == said


@pytest.mark.parametrize(
    ("number", "said"), [(1, "first"), (12, "twelfth"), (30, "thirtieth"), (42, "forty second"), (100, "one hundredth")]
)
def test_ordinals(number: int, said: str) -> None:
    assert " ".join(ordinal(number)) == said


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_different_numbers_are_said_differently(a: int, b: int) -> None:
    assert (cardinal(a) == cardinal(b)) == (a == b)


@given(st.text())
def test_only_plain_words_come_out_and_saying_them_again_changes_nothing(text: str) -> None:
    words = spoken_words(text)
    assert all(word.replace("'", "").isascii() and word.replace("'", "").isalpha() and word == word.lower() for word in words)
    assert spoken_words(" ".join(words)) == words
