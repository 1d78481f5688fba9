from __future__ import annotations

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper_normalizer.english import EnglishTextNormalizer

from turnwise.speech.word_errors import WordErrors, normalised, total, word_errors

WORDS = st.lists(st.sampled_from(["red", "green", "blue", "river", "table", "quiet", "seven"]), max_size=12).map(" ".join)


def test_a_worked_example() -> None:
    found = word_errors("Book a quiet table by the river today", "book the quiet table by river today please")
    assert found == WordErrors(hits=6, substitutions=1, deletions=1, insertions=1)
    assert found.rate == pytest.approx(3 / 8)


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS)
def test_agrees_with_jiwer(said: str, heard: str) -> None:
    found = word_errors(said, heard)
    if not said:
        assert found == WordErrors(0, 0, 0, len(normalised(heard).split())) and found.rate is None
        return
    plain = EnglishTextNormalizer()
    assert found.rate == pytest.approx(jiwer.wer(plain(said), plain(heard)))
    assert found.words == len(plain(said).split())


@given(WORDS.filter(bool))
def test_a_text_against_itself_is_perfect_and_against_nothing_all_wrong(text: str) -> None:
    assert word_errors(text, text).rate == 0.0
    assert word_errors(text, "").rate == 1.0


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("I'd like twenty-five tickets, please!", "i would like 25 tickets please"),
        ("It's the colour I wanted.", "it is the color i wanted"),
        ("Uh, yes.", "yes"),
        ("$30", "thirty dollars"),
    ],
)
def test_spelling_is_no_error(said: str, heard: str) -> None:
    assert word_errors(said, heard).errors == 0


@pytest.mark.parametrize("nothing", ["", "  ", "...", "uh"])
def test_a_reference_without_words_has_no_rate(nothing: str) -> None:
    found = word_errors(nothing, "hello there")
    assert (found.rate, found.insertions, found.words) == (None, 2, 0)
    assert word_errors(nothing, nothing).rate is None


def test_the_total_weighs_words_alike() -> None:
    parts = [word_errors("one", "two"), word_errors("red green blue", "red green blue")]
    assert total(parts).rate == pytest.approx(0.25)
    assert total([]).rate is None


def test_normalised_text_has_single_blanks() -> None:
    assert normalised("  Hello,\n  World!  ") == "hello world"
