"""Slot values in one utterance: what the user says of the things an intent needs to know.

Exact forms are found first. Where a slot got none, phrases that merely sound like one of its values are considered, for
recognisers err; those count only beside words that announce a value of that kind, or when they sound almost the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from turnwise.agents.cues import any_of, cues, found, plain_words
from turnwise.agents.domains import Intent, Slot
from turnwise.agents.likeness import likeness, sounds
from turnwise.agents.spoken_numbers import number_at, time_at

ALIKE = 0.9  # likeness from which a phrase counts by itself
ALIKE_ANNOUNCED = 0.74  # likeness enough after a word that announces such a value, or in answer to a question for it
SHORTEST_ALIKE = 4  # sounds; shorter values are too easily found in anything
REACH = 6  # words before a value within which a role cue still governs it

_PAIRS = (("destination", "origin"), ("dropoff", "pickup"), ("day", "return_day"))  # the first of a pair is the ordinary one
_PARTY = frozenset("people person persons seats seat tickets ticket guests adults passengers travelers chairs places friends".split())
_COUNTED = frozenset("table room rooms seats tickets dinner lunch supper plan ride flight reservation party group booking cab".split())
_MEASURES = frozenset(
    """nights night days day hours hour minutes weeks week months years thirty fifteen forty twenty oclock dollars of in blocks
    miles times percent""".split()
)
_BEFORE_TOTAL = frozenset(("we are", "were", "well be", "will be", "there are", "makes", "makes it", "it be", "count"))
_MISHEARD = {"for": 4, "to": 2, "too": 2, "ate": 8}
_ANNOUNCE: Mapping[str, frozenset[str]] = {
    "day": frozenset("on this next by until for make it".split()),
    "city": frozenset("to from in visit leaving".split()),
    "choice": frozenset("some a an the for like love something prefer be in with by near at".split()),
}


class Mention(msgspec.Struct, frozen=True):
    """One value found."""

    slot: str
    value: str
    place: int  # of its first word
    sure: bool  # by its exact form
    weak: bool  # a word that is a value only where a value is expected


def mentions(text: str, intent: Intent, expected: str | None = None) -> tuple[Mention, ...]:
    """Values in the order they are said; `expected` is the slot the agent asked for just before."""
    return _mentions(plain_words(text), intent.name, intent.slots, expected)


@lru_cache(maxsize=8192)
def _cached(words: tuple[str, ...], key: str, expected: str | None) -> tuple[Mention, ...]:
    raise NotImplementedError


def _mentions(words: tuple[str, ...], intent: str, slots: tuple[Slot, ...], expected: str | None) -> tuple[Mention, ...]:
    named = {slot.name: slot for slot in slots}
    made: list[Mention] = []
    for slot in slots:
        if slot.kind in ("choice", "city"):
            partner = next((a for a, b in _PAIRS if b == slot.name and a in named), None)
            if partner is None:  # the second of a pair is read together with the first
                other = next((named[b] for a, b in _PAIRS if a == slot.name and b in named), None)
                made += _choices(words, slot, other, expected)
        elif slot.kind == "time":
            made += _times(words, slot.name)
        elif slot.name == "people":
            made += _people(words, slot.name, expected)
        else:
            made += _durations(words, slot.name, expected)
    return tuple(sorted(made, key=lambda m: (m.place, m.slot)))
