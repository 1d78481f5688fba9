from __future__ import annotations

import re

import pytest

from judges.judging import Corpus
from turnwise.judges.phrasing import COURTESY, GENERAL
from turnwise.judges.wording import FUNCTION_WORDS, content, grams, numeric, ordinal, sentences, tokens


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("It's at 7:30 pm.", "it's at seven thirty p m"),
        ("March 2nd, please!", "march second please"),
        ("The 21st?", "the twenty first"),
        ("That is $308.", "that is three hundred and eight dollars"),
        ("25 people", "twenty five people"),
        ("half past 11", "half past eleven"),
        ("7:45", "quarter to eight"),
        ("at 12", "at noon"),
        ("at 9:15", "at nine fifteen"),
        ("8 o\u2019clock", "eight o'clock"),
    ],
)
def test_written_and_heard_are_the_same_tokens(written: str, heard: str) -> None:
    assert tokens(written) == tokens(heard)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19:00", ("7",)),
        ("13:30", ("1:30",)),
        ("00:15", ("12:15",)),
        ("2019-03-02", ("march", "2nd")),
        ("2019-03-11", ("march", "11th")),
        ("march 3", ("march", "3rd")),
        ("two one way tickets", ("2", "1", "way", "tickets")),
        ("7pm", ("7", "pm")),
        ("", ()),
        ("?!", ()),
    ],
)
def test_numbers_clocks_and_dates(text: str, expected: tuple[str, ...]) -> None:
    assert tokens(text) == expected


def test_tokens_of_tokens_are_themselves(demo: Corpus) -> None:
    for dialogue in demo[:12]:
        for turn in dialogue.turns:
            once = tokens(turn.text)
            assert tokens(" ".join(once)) == once


def test_tokens_carry_no_case_and_no_punctuation(demo: Corpus) -> None:
    words = {w for d in demo for t in d.turns for w in tokens(t.text)}
    assert all(re.fullmatch(r"\d+(:\d\d|st|nd|rd|th)?|[^\W\d_A-Z]+('[^\W\d_A-Z]+)*", w) for w in words)


def test_content_leaves_the_grammar_out() -> None:
    assert content(tokens("I would like to have a table for two")) == ("table", "2")


def test_grams_are_words_and_pairs() -> None:
    assert grams(("a", "b", "c")) == ("a", "b", "c", "a b", "b c")


def test_sentences_keep_their_mark() -> None:
    assert sentences("Fine. Which day? Tell me") == ("Fine.", "Which day?", "Tell me")
    assert sentences("...") == ()


def test_kinds_of_tokens() -> None:
    assert numeric("7:30")
    assert not numeric("seven")
    assert ordinal("2nd")
    assert not ordinal("2")


def test_lexicons_hold_single_words_only() -> None:
    for word in COURTESY | GENERAL | FUNCTION_WORDS:
        assert re.fullmatch(r"[a-z]+('[a-z]+)?", word), word
    assert COURTESY < GENERAL
