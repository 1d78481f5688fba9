"""Whether a text says what the ratings say: the words of its levels, and the numbers it states, dimension by dimension.

A level's words agree with a rating that lies nearest to that level; half-way between two, either does. A number agrees when it
is the rating to one decimal, which is as the writer was told it. Words and numbers for a rating that does not exist agree with
nothing. What a text leaves out is no contradiction: it is listed as unstated, and can be counted.

What is understood are the words of the listening tests (`ratings.LEVELS`) and their plain variants ("severe distortion"); of the
overall quality, "poor" and its like only where the sentence speaks of the quality. A level in a denial ("not very noisy") is no
claim. Free paraphrase ("a hiss runs through it") is not understood and counts as unstated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from turnwise.listening.preference import NAMES, TIE, preferred, read_summary
from turnwise.listening.rating_reading import LABELS, RatingRead, read_rating, stated
from turnwise.listening.ratings import DIMENSIONS, LEVELS, Dimension, Ratings

# Writers are given ratings with one decimal, so what they read may be 0.05 from the rating.
SAME_NUMBER = 0.05
SAME_LEVEL = 0.5 + SAME_NUMBER
_EXACT = 1e-9

_DEGREES = ("severe", "significant", "moderate", "slight")
_NONE = r"(?:free (?:of|from)|without|no)(?: any)?(?: (?:noticeable|audible|perceptible))?"
_VARIANTS: dict[Dimension, tuple[str, ...]] = {
    "noi": tuple(re.escape(words) for words in LEVELS["noi"]),
    "col": (*(rf"{d}(?:ly)? (?:distort\w*|colou?r\w*)" for d in _DEGREES), rf"{_NONE} (?:distort\w*|colou?ration)|undistorted"),
    "dis": (*(rf"{d}(?:ly)? discontinu\w*" for d in _DEGREES), rf"{_NONE} discontinu\w*"),
    "loud": tuple(re.escape(words) for words in LEVELS["loud"]),
}
_CLAIMS: dict[Dimension, re.Pattern[str]] = {
    dimension: re.compile("|".join(rf"(?P<l{k}>\b(?:{words})\b)" for k, words in enumerate(variants, 1)), re.IGNORECASE)
    for dimension, variants in _VARIANTS.items()
}
_GRADES = {words: k for k, words in enumerate(LEVELS["mos"], 1)}
_GRADE = "|".join(_GRADES)
_OTHER = "|".join(words for dimension, words in LABELS.items() if dimension != "mos")
_OVERALL = re.compile(
    rf"\b(?:overall|quality|mos)\b(?:(?!\b(?:{_OTHER}))[^.!?;\n]){{0,60}}?\b(?P<after>{_GRADE})\b"
    rf"|\b(?P<before>{_GRADE})(?: (?:overall|speech|sound|audio|listening))* quality\b"
    rf"|\b(?P<whole>{_GRADE})\b (?:overall|mos)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\bnot\b|n't\b|\bnever\b|\bhardly\b|\brather than\b|\binstead of\b|\bfar from\b)[^.,;!?\n]{0,25}$", re.IGNORECASE
)
_JOINED = re.compile(r"\s*(?:to|or|/|-|–)\s*", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`\"“”]")

_SPEECH = re.compile(r"\bSpeech\s?([AB])\b", re.IGNORECASE)
_PART = re.compile(
    r"(?<=[.!?;])\s|\n|,|\bwhile\b|\bwhereas\b|\bbut\b|\bagainst\b|\bcompared (?:to|with)\b|\band (?=Speech)", re.IGNORECASE
)
_THAN = re.compile(
    r"\bSpeech\s?(?P<side>[AB])\b[^.!?;\n]{0,40}?\b(?P<how>cleaner|less noisy|noisier|more noisy|less distorted|more distorted|"
    r"less discontinuous|more discontinuous|louder|quieter|better|worse)(?: overall)? than Speech\s?(?P<other>[AB])\b",
    re.IGNORECASE,
)
_MORE: dict[str, tuple[Dimension, int]] = {
    "cleaner": ("noi", 1),
    "less noisy": ("noi", 1),
    "noisier": ("noi", -1),
    "more noisy": ("noi", -1),
    "less distorted": ("col", 1),
    "more distorted": ("col", -1),
    "less discontinuous": ("dis", 1),
    "more discontinuous": ("dis", -1),
    "louder": ("loud", 1),
    "quieter": ("loud", -1),
    "better": ("mos", 1),
    "worse": ("mos", -1),
}


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
    wrong, told = _against(text, ratings)
    unstated = tuple(dimension for dimension in DIMENSIONS if dimension not in told)
    return Faithfulness(wrong, tuple(d for d in DIMENSIONS if d in told), unstated, read_rating(text))


def check_comparison(text: str, first: Ratings, second: Ratings, tie: float = TIE) -> tuple[Contradiction, ...]:
    """A comparison against the ratings of both sounds: its summary, what it says of each, and which it calls more of what."""
    found: list[Contradiction] = []
    rule, choice = preferred(first, second, tie), read_summary(text)
    if choice is None:
        found.append(Contradiction("winner", _ending(text), "one summary: [SpeechA], [SpeechB] or [Tie]"))
    elif rule.winner is None:
        found.append(Contradiction("winner", NAMES[choice], rule.reason))
    elif choice != rule.winner:
        found.append(Contradiction("winner", NAMES[choice], f"{NAMES[rule.winner]} (mos {first.mos:.1f} and {second.mos:.1f})"))
    for part in _PART.split(text):
        named = {match[1].upper() for match in _SPEECH.finditer(part)}
        if len(named) == 1:
            found += _against(part, first if named == {"A"} else second)[0]
    found += _orders(text, first, second)
    return tuple(dict.fromkeys(found))


def _against(text: str, ratings: Ratings) -> tuple[tuple[Contradiction, ...], set[Dimension]]:
    """What is wrong, and which dimensions are told of."""
    wrong: list[Contradiction] = []
    told: set[Dimension] = set()
    for dimension, low, high, said in _claimed(text):
        told.add(dimension)
        value = ratings.value(dimension)
        if value is None or not low - SAME_LEVEL - _EXACT <= _on_scale(value) <= high + SAME_LEVEL + _EXACT:
            wrong.append(Contradiction("words", said, _rated(ratings, dimension), dimension))
    for number in stated(text):
        if number.of is not None:
            told.add(number.of)
            value = ratings.value(number.of)
            if value is None or abs(value - number.value) > SAME_NUMBER + _EXACT:
                wrong.append(Contradiction("number", f"{number.value:g}", _rated(ratings, number.of), number.of))
    closing = read_rating(text).value
    if closing is not None and "mos" not in told:
        told.add("mos")
        if ratings.mos is None or abs(ratings.mos - closing) > SAME_NUMBER + _EXACT:
            wrong.append(Contradiction("number", f"{closing:g}", _rated(ratings, "mos"), "mos"))
    return tuple(dict.fromkeys(wrong)), told


def _claimed(text: str) -> Iterator[tuple[Dimension, int, int, str]]:
    """Every level that a text claims: the dimension, the lowest and highest level ("fair to good"), and the words."""
    text = _MARKUP.sub("", text)
    for dimension, pattern in _CLAIMS.items():
        for match in pattern.finditer(text):
            if not _DENIED.search(text[max(0, match.start() - 60) : match.start()]):
                level = int((match.lastgroup or "l0")[1:])
                yield dimension, level, level, match[0]
    for match in _OVERALL.finditer(text):
        group = next(name for name in ("after", "before", "whole") if match[name])
        start, end = match.span(group)
        if _DENIED.search(text[max(0, start - 60) : start]):
            continue
        low = high = _GRADES[match[group].lower()]
        joint = _JOINED.match(text, end)
        second = re.compile(rf"(?:{_GRADE})\b", re.IGNORECASE).match(text, joint.end()) if joint and joint[0].strip() else None
        if second:
            low, high = sorted((low, _GRADES[second[0].lower()]))
            end = second.end()
        yield "mos", low, high, text[start:end]


def _orders(text: str, first: Ratings, second: Ratings) -> Iterator[Contradiction]:
    """Every "SpeechA is cleaner than SpeechB" that the ratings turn round."""
    for match in _THAN.finditer(_MARKUP.sub("", text)):
        if match["side"].upper() == match["other"].upper():
            continue
        dimension, sign = _MORE[match["how"].lower()]
        a, b = first.value(dimension), second.value(dimension)
        if a is not None and b is not None:
            ahead = (a - b) * sign * (1 if match["side"].upper() == "A" else -1)
            if ahead < -SAME_NUMBER:
                yield Contradiction("order", match[0], f"SpeechA {a:.1f}, SpeechB {b:.1f}", dimension)


def _on_scale(value: float) -> float:
    return min(5.0, max(1.0, value))


def _rated(ratings: Ratings, dimension: Dimension) -> str:
    value = ratings.value(dimension)
    return f"{value:.1f}" if value is not None else f"not at all ({ratings.missing[dimension]})"


def _ending(text: str) -> str:
    return text.strip()[-60:] or "nothing"
