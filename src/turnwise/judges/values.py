"""The value of a slot in comparable form, and the places in a reply where a value is named.

A value is its tokens without the small words around it; one that holds a number, a clock time or a date is that number alone:
"next monday" and "monday", "half past 11 in the morning" and "11:30", "2019-03-02" and "the second" are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from turnwise.judges.wording import FUNCTION_WORDS, numeric, ordinal, tokens

Key = tuple[str, ...]
_EMPTY = frozenset(("true", "false", "dontcare"))  # annotations that nobody says aloud
_SOFT = FUNCTION_WORDS | {"next", "coming", "morning", "evening", "afternoon", "night", "city"}


@lru_cache(maxsize=1 << 14)
def value_key(value: str) -> Key:
    """The comparable form of a value, empty where there is nothing to say."""
    words = tokens(value)
    if not words or words[0] in _EMPTY:
        return ()
    numbers = tuple(w for w in words if numeric(w))
    if len(numbers) == 1:
        return numbers
    return tuple(w for w in words if w not in _SOFT) or words


def family(key: Key) -> str:
    """What a value can be mistaken for: another date, another number or time, or another word."""
    if len(key) == 1 and numeric(key[0]):
        return "date" if ordinal(key[0]) else "number"
    return "word"


class Mention:
    """A value named at a place of a reply."""

    __slots__ = ("end", "key", "start")

    def __init__(self, key: Key, start: int, end: int) -> None:
        self.key, self.start, self.end = key, start, end


def mentions(words: tuple[str, ...], vocabulary: dict[str, tuple[Key, ...]]) -> list[Mention]:
    """Every number and every value of the vocabulary (by first token, longest first) in these words, left to right."""
    found: list[Mention] = []
    i = 0
    while i < len(words):
        for key in vocabulary.get(words[i], ()):
            if words[i : i + len(key)] == key:
                found.append(Mention(key, i, i + len(key)))
                i += len(key)
                break
        else:
            if numeric(words[i]):
                found.append(Mention((words[i],), i, i + 1))
            i += 1
    return found


def index(keys: Iterable[Key]) -> dict[str, tuple[Key, ...]]:
    """A vocabulary for `mentions`, of the values that are words."""
    by_first: dict[str, list[Key]] = {}
    for key in sorted(set(keys)):
        if family(key) == "word":
            by_first.setdefault(key[0], []).append(key)
    return {first: tuple(sorted(keys, key=lambda k: (-len(k), k))) for first, keys in by_first.items()}
