"""Cue words: the patterns of `knowledge/cues.toml`, compiled once, and an utterance to look for them in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from turnwise.agents.domains import KNOWLEDGE, read_toml
from turnwise.speech.spoken_words import spoken_words


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


@lru_cache(maxsize=4096)
def plain_words(text: str) -> tuple[str, ...]:
    """Lower-case words, numbers spelled out, without punctuation and apostrophes."""
    return tuple(word.replace("'", "") for word in spoken_words(text))


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    return " ".join(plain_words(text))


@lru_cache(maxsize=1)
def cues() -> dict[str, Any]:
    return read_toml(KNOWLEDGE / "cues.toml")


@lru_cache(maxsize=512)
def any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One pattern that matches any of these at word boundaries; longer ones are tried first."""
    return re.compile(r"\b(?:" + "|".join(sorted(patterns, key=len, reverse=True)) + r")\b")


def found(patterns: Iterable[str], text: str) -> bool:
    """Whether any pattern occurs in a plain text."""
    listed = tuple(patterns)
    return bool(listed) and any_of(listed).search(text) is not None
