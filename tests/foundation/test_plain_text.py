from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.foundation.plain_text import plain_text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("hello  there\n", "hello there"),
        ("a\0b\x01c", "abc"),
        ("tab\tand\u2028line", "tab and line"),
        ("zero\u200bwidth", "zerowidth"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("Zoë & <b>日本</b>", "Zoë & <b>日本</b>"),
        ("", ""),
    ],
)
def test_examples(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@given(st.text())
def test_nothing_that_could_be_a_command_is_left(text: str) -> None:
    plain = plain_text(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in plain)
    assert plain_text(plain) == plain
    plain.encode("utf-8")
