"""Whether a text says what the ratings say: the words of its levels, and the numbers it states, dimension by dimension.

A level's words agree with a rating that lies nearest to that level; half-way between two, either does. Words that claim a range
of levels (`level_words.py`) agree with a rating within half a level of it. A number agrees when it is the rating to one decimal,
which is as the writer was told it, or an end of a range that holds the rating ("2 to 3"). Words and numbers for a rating that
does not exist agree with nothing. What a text leaves out is no contradiction: it is listed as unstated, and can be counted.

In a comparison words and numbers are held against the sound that their part of the sentence names; what is said of both at once
("SpeechA is louder than SpeechB", "I prefer SpeechA") against both, and its summary against the rule of `preference.py`.

How often that is right was measured on texts written for it (tests/listening/model_texts.toml); the rates are in docs/listen.md.
What is not understood ("a hiss runs through it") counts as unstated, never as a contradiction.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from turnwise.listening.level_words import claims
from turnwise.listening.preference import NAMES, TIE, preferred, read_summary
from turnwise.listening.rating_reading import RatingRead, Stated, answer_of, read_rating, stated
from turnwise.listening.ratings import DIMENSIONS, Dimension, Ratings
from turnwise.listening.stated_orders import PART, numbers, orders, preferences, side_of

# Writers are given ratings with one decimal, so what they read may be 0.05 from the rating.
SAME_NUMBER = 0.05
SAME_LEVEL = 0.5 + SAME_NUMBER
_EXACT = 1e-9


class Contradiction(msgspec.Struct, frozen=True):
    """One thing that a text says against the ratings."""

    kind: Literal["words", "number", "winner", "order"]
    says: str
    rated: str  # what the ratings say
    dimension: Dimension | None = None

    def __str__(self) -> str:
        of = f"{self.dimension}: " if self.dimension else ""
        return f"{of}says {self.says!r}, rated {self.rated}"


class Faithfulness(msgspec.Struct, frozen=True):
    """What a check found."""

    contradictions: tuple[Contradiction, ...]
    stated: tuple[Dimension, ...]
    unstated: tuple[Dimension, ...]
    rating: RatingRead  # the overall rating that the text states

    @property
    def faithful(self) -> bool:
        return not self.contradictions


def check(text: str, ratings: Ratings) -> Faithfulness:
    """A description against the ratings of its sound."""
    text = answer_of(text)
    for reason in sorted(ratings.missing.values(), key=len, reverse=True):  # as it is, it is the listener's word and no claim
        text = text.replace(reason, "")
    wrong, told = _words(text, ratings)
    with_number: set[Dimension] = set()
    for number in stated(text):
        if number.of is not None:
            with_number.add(number.of)
            wrong += _number(number, number.of, ratings)
    rating = read_rating(text)
    if rating.value is not None and "mos" not in with_number:
        with_number.add("mos")
        wrong += _number(Stated(rating.value, "mos", 0), "mos", ratings)
    told |= with_number
    unstated = tuple(dimension for dimension in DIMENSIONS if dimension not in told)
    return Faithfulness(tuple(dict.fromkeys(wrong)), tuple(d for d in DIMENSIONS if d in told), unstated, rating)


def check_comparison(text: str, first: Ratings, second: Ratings, tie: float = TIE) -> tuple[Contradiction, ...]:
    """A comparison against the ratings of both sounds: its summary, what it says of each, and which it calls more of what."""
    text = answer_of(text)
    found: list[Contradiction] = []
    rule, choice = preferred(first, second, tie), read_summary(text)
    rated = rule.reason if rule.winner is None else f"{NAMES[rule.winner]} (mos {first.mos:.1f} and {second.mos:.1f})"
    if choice is None:
        found.append(Contradiction("winner", _ending(text), "one summary: [SpeechA], [SpeechB] or [Tie]"))
    elif choice != rule.winner:
        found.append(Contradiction("winner", NAMES[choice], rated))
    for words, side in preferences(text):
        if side != rule.winner:
            found.append(Contradiction("winner", words, rated))
    both = {"first": first, "second": second}
    for part in PART.split(text):
        if named := side_of(part):
            found += _words(part, both[named])[0]
    for number, side in numbers(text):
        if number.of is not None:
            found += _number(number, number.of, both[side])
    for order in orders(text):
        a, b = first.value(order.dimension), second.value(order.dimension)
        if a is not None and b is not None and (b - a if order.ahead == "first" else a - b) > SAME_NUMBER:
            found.append(Contradiction("order", order.words, f"SpeechA {a:.1f}, SpeechB {b:.1f}", order.dimension))
    return tuple(dict.fromkeys(found))


def _words(text: str, ratings: Ratings) -> tuple[list[Contradiction], set[Dimension]]:
    """Which words are wrong, and which dimensions there are words for."""
    wrong: list[Contradiction] = []
    told: set[Dimension] = set()
    for dimension, low, high, said in claims(text):
        told.add(dimension)
        value = ratings.value(dimension)
        if value is None or not low - SAME_LEVEL - _EXACT <= _on_scale(value) <= high + SAME_LEVEL + _EXACT:
            wrong.append(Contradiction("words", said, _rated(ratings, dimension), dimension))
    return wrong, told


def _number(number: Stated, of: Dimension, ratings: Ratings) -> list[Contradiction]:
    """The contradiction of a number, if it is one."""
    value = ratings.value(of)
    low, high = number.within or (number.value, number.value)
    if value is not None and low - SAME_NUMBER - _EXACT <= value <= high + SAME_NUMBER + _EXACT:
        return []
    return [Contradiction("number", f"{number.value:g}", _rated(ratings, of), of)]


def _on_scale(value: float) -> float:
    return min(5.0, max(1.0, value))


def _rated(ratings: Ratings, dimension: Dimension) -> str:
    value = ratings.value(dimension)
    return f"{value:.1f}" if value is not None else f"not at all ({ratings.missing[dimension]})"


def _ending(text: str) -> str:
    return text.strip()[-60:] or "nothing"
