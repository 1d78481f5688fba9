from __future__ import annotations

from types import SimpleNamespace

import pytest

from turnwise.speech.special_marks import broken_up, marks_of

MARKS = ["<|end|>", "<|user|>", "<s>", "x"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("nothing to do: a < b | c > d", "nothing to do: a < b | c > d"),
        ("hello<|end|><|user|>me", "hello< |end|>< |user|>me"),
        ("<<|end|>", "<< |end|>"),
        ("x", "x"),  # a single character is no mark
        ("", ""),
    ],
)
def test_marks_become_text(text: str, safe: str) -> None:
    assert broken_up(text, MARKS) == safe
    assert not any(mark in safe for mark in MARKS if len(mark) > 1)
    assert broken_up(safe, MARKS) == safe


def test_the_longer_of_two_marks_goes_first() -> None:
    assert broken_up("<a><a>>", ["<a>", "<a>>"]) == "< a>< a>>"


def test_marks_are_special_tokens_and_added_ones_that_look_so() -> None:
    added = {"<think>": 1, "    ": 2, "[INST]": 3, "ing": 4, "<|end|>": 5}
    tokenizer = SimpleNamespace(all_special_tokens=["<|end|>", "</s>"], get_added_vocab=lambda: added)
    assert marks_of(tokenizer) == ("</s>", "<think>", "<|end|>", "[INST]")
