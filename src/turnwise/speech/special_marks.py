"""Marks that a tokenizer takes for structure, found in ordinary text.

Text of users, of models and of corpora may hold a mark such as `<|im_end|>`: read as one it would end a message, open another or
stand for a sound that is not there. A blank after its first character leaves it as what it is there: text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_BRACKETS = "<>[]|"  # an added token without any of them is ordinary text, such as four blanks


def marks_of(tokenizer: Any) -> tuple[str, ...]:
    """The marks of a tokenizer of transformers: its special tokens, and what else was added to it that looks like one."""
    added = (mark for mark in tokenizer.get_added_vocab() if any(bracket in mark for bracket in _BRACKETS))
    return tuple(sorted({*tokenizer.all_special_tokens, *added}))


def broken_up(text: str, marks: Iterable[str]) -> str:
    """The text with no mark in it; the same text where there is none."""
    for mark in sorted(marks, key=len, reverse=True):
        if len(mark) > 1:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text
