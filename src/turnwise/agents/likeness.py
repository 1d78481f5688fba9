"""How alike two phrases sound, from their spelling alone.

A recogniser that errs puts words that sound like the spoken ones. Spelling is reduced to a rough row of sounds (vowels to one
letter, silent letters dropped, voiced and voiceless partners near each other), and two rows are compared by weighted edit
distance. It knows no dictionary and is English only.
"""

from __future__ import annotations

import re
from functools import lru_cache

_RULES = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"^(?:kn|gn|pn)", "n"),
        (r"^wr", "r"),
        (r"^wh", "w"),
        (r"ph", "f"),
        (r"tch|ch", "C"),
        (r"sh|ti(?=o)|ci(?=a)|ssi", "S"),
        (r"th", "T"),
        (r"gh(?=t|$)|gh", ""),
        (r"ck|q(?:u)?", "k"),
        (r"c(?=[eiy])", "s"),
        (r"c", "k"),
        (r"x", "ks"),
        (r"g(?=[ei])", "J"),
        (r"j|dg", "J"),
        (r"mb$", "m"),
        (r"(?<=[a-zA-Z])e$", ""),
        (r"[aeiou][rwy](?![aeiou])", "V"),
        (r"[aeiouy]+", "V"),
    )
)
_NEAR = frozenset(frozenset(p) for p in ("bp", "dt", "gk", "vf", "zs", "CS", "CJ", "mn", "Td", "Tf", "JS", "rl", "wv"))
_SWAP_NEAR = 0.4  # cost of a confusion that recognisers make often
_VOWEL = 0.5  # cost of a vowel too many or too few
_CONSONANT = 1.0


def sounds(phrase: str) -> str:
    """A rough row of sounds, one character each, word boundaries gone."""
    row = ""
    for word in phrase.split():
        for sound in _word(word):
            if not row.endswith(sound):
                row += sound
    return row


@lru_cache(maxsize=20_000)
def _word(word: str) -> str:
    word = word.lower().replace("'", "")
    for pattern, sound in _RULES:
        word = pattern.sub(sound, word)
    return word


@lru_cache(maxsize=100_000)
def likeness(one: str, other: str) -> float:
    """1.0 for phrases that sound the same, 0.0 for nothing in common."""
    a, b = sounds(one), sounds(other)
    if not a or not b:
        return 0.0
    return max(0.0, 1.0 - _distance(a, b) / max(_weight(a), _weight(b)))


def _weight(row: str) -> float:
    return sum(_VOWEL if sound == "V" else _CONSONANT for sound in row)


def _distance(a: str, b: str) -> float:
    before = [0.0]
    for sound in b:
        before.append(before[-1] + (_VOWEL if sound == "V" else _CONSONANT))
    for left in a:
        gap = _VOWEL if left == "V" else _CONSONANT
        now = [before[0] + gap]
        for place, right in enumerate(b, start=1):
            swap = 0.0 if left == right else _SWAP_NEAR if frozenset((left, right)) in _NEAR else 1.0
            other_gap = _VOWEL if right == "V" else _CONSONANT
            now.append(min(before[place - 1] + swap, before[place] + gap, now[-1] + other_gap))
        before = now
    return before[-1]
