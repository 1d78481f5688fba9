"""Ratings out of free text: which number a text states for what, or the reason why none can be read.

An overall rating is a number from 1 to 5 that stands with "mos" or "overall"; where none does, the last number from 1 to 5 that
belongs to nothing else. No candidate, or two different ones, is no rating: nothing is ever put in its place, and `reading_rate`
tells how often that was so.

Not read are: the 5 of "out of 5" and of "/5", numbers on another scale ("7 of 10"), list markers, ends of a scale ("from 1 to
5"), numbers with a unit (seconds, Hz, dB, per cent) or counting things ("2 clicks"), numbers that are part of a name ("P.808",
"v2.0") and numbers said of another dimension ("noise 1.8"). What a reasoning model writes before its answer is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Literal, cast

import msgspec

from turnwise.listening.ratings import DIMENSIONS, Dimension

LOW, HIGH = 1.0, 5.0
Reason = Literal["", "no number", "ambiguous", "out of range"]

# Words that say of what a number is told.
LABELS: dict[Dimension, str] = {
    "mos": r"mos\b|mean opinion score|overall",
    "noi": r"noi\b|nois\w+|clean\w*|background",
    "col": r"col\b|colou?r\w*|distort\w*|timbre",
    "dis": r"dis\b|discontinu\w*|continuity|dropouts?|stutter\w*|interruptions?",
    "loud": r"loud\w*|quiet\w*|soft but understandable|volume|level\b",
}
_LABEL = re.compile("|".join(rf"(?P<{name}>\b(?:{words}))" for name, words in LABELS.items()), re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,/])[+-]?\d+(?:[.,]\d+)*(?![\w])")
_UNIT = re.compile(
    r"\s*(?:%|°|(?:k?hz|khz|kbit|kbps|db\w*|lufs|ms|msec\w*|s|secs?|seconds?|min|minutes?|hours?|per cent|percent|bits?|"
    r"times?|dropouts?|clicks?|gaps?|breaks?|interruptions?|pauses?|words?|packets?|channels?|speakers?|voices?|stars?|"
    r"dimensions?|aspects?|points? scale|windows?|samples?|files?)\b)|\s*-\s*(?:point|second|minute|channel)",
    re.IGNORECASE,
)
_SCALE = re.compile(r"\s*\(?(?:out\s+of|of|/)\s*(?P<most>\d+(?:\.\d+)?)(?![\w])(?!\.\d)", re.IGNORECASE)
_RANGE = re.compile(r"(?:\bfrom|\bbetween|\bscale\s+of|\(|\[)\s*$", re.IGNORECASE)
_UP_TO = re.compile(r"\s*(?:-|–|—|to|and|\.\.)\s*(\d+(?:\.\d+)?)(?![\w])(?!\.\d)", re.IGNORECASE)
_MARKER = re.compile(r"\s*(?:[-*#>]+\s*)?\(?")
_AFTER = re.compile(r"\s*(?:/\s*5|out of 5)?\s*(?:\w+\s+){0,2}?(?:for|in|on|of)\s+(?:the\s+|its\s+)?", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;]|\band\b|\bbut\b|\bwhile\b", re.IGNORECASE)
_ANCHOR = re.compile(r"\s*=\s*[A-Za-z]")  # "1 = bad" explains the scale
_SENTENCE = re.compile(r"[!?\n]|\.(?!\d)")
_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_LONGEST = 20_000  # characters of a text that are read, its last ones
_TOUCH = 60  # characters between a label and the number it is said of; a clause seldom has more


class Stated(msgspec.Struct, frozen=True):
    """One number of a text that may be a rating."""

    value: float
    of: Dimension | None  # None where the text does not say
    place: int  # of its first character


class RatingRead(msgspec.Struct, frozen=True):
    """The overall rating of a text, or why there is none."""

    value: float | None
    reason: Reason = ""


class ReadingRate(msgspec.Struct, frozen=True):
    """How many texts had a rating that could be read."""

    texts: int
    read: int
    failed: dict[str, int]  # by reason

    @property
    def failure_rate(self) -> float | None:
        """Share of the texts without a rating; None of no texts."""
        return (self.texts - self.read) / self.texts if self.texts else None


def read_rating(text: str) -> RatingRead:
    """The overall rating that a text states."""
    text = _answer(text)
    numbers = stated(text)
    overall = {number.value for number in numbers if number.of == "mos"}
    within = {value for value in overall if LOW <= value <= HIGH}
    if overall:
        if len(within) == 1:
            return RatingRead(within.pop())
        return RatingRead(None, "ambiguous" if within else "out of range")
    free = [number for number in numbers if number.of is None and LOW <= number.value <= HIGH]
    if not free:
        return RatingRead(None, "no number")
    # Of "3 or maybe 4" neither is the rating; an earlier sentence's number is another matter.
    begins = _last([found.end() for found in _SENTENCE.finditer(text)], free[-1].place)
    last = {number.value for number in free if number.place >= begins}
    return RatingRead(last.pop()) if len(last) == 1 else RatingRead(None, "ambiguous")


def reading_rate(reads: Iterable[RatingRead]) -> ReadingRate:
    """The rate over many texts."""
    reasons = Counter(read.reason for read in reads)
    good = reasons.pop("", 0)
    return ReadingRate(good + sum(reasons.values()), good, dict(sorted(reasons.items())))


def stated(text: str) -> list[Stated]:
    """Every number of a text that may be a rating, and what it is said of; those said of "mos" also where beyond 1 to 5."""
    text = _answer(text)
    page = _Page(text)
    found: list[Stated] = []
    skip = -1
    for match in _NUMBER.finditer(text):
        if match.start() < skip:
            continue
        end = _end_of_scale(text, match)
        if end:
            skip = end
            continue
        scale = _SCALE.match(text, match.end())
        if scale and float(scale["most"]) == HIGH:
            skip = scale.end()
        elif scale or "," in match[0] or match[0].count(".") > 1 or _counts(text, match):
            skip = scale.end() if scale else skip
            continue
        value, of = float(match[0]), page.owner(match.start(), scale.end() if scale else match.end())
        if LOW <= value <= HIGH or of == "mos":
            found.append(Stated(value, of, match.start()))
    return found


def _answer(text: str) -> str:
    """The text without a reasoning model's draft."""
    return _THINKING.sub(lambda found: " " * len(found[0]), text[-_LONGEST:])


def _end_of_scale(text: str, match: re.Match[str]) -> int:
    """Where a scale ends that begins with this number ("from 1 to 5"), 0 where none does."""
    up_to = _UP_TO.match(text, match.end())
    before = text[max(0, match.start() - 12) : match.start()]
    told = up_to and float(up_to[1]) == HIGH and match[0] in ("0", "1", "1.0") and _RANGE.search(before)
    return up_to.end() if up_to and told else 0


def _counts(text: str, match: re.Match[str]) -> bool:
    """Whether the number is a list marker, has a unit, or counts things."""
    if _UNIT.match(text, match.end()) or _ANCHOR.match(text, match.end()):
        return True
    after = text[match.end() : match.end() + 2]
    marker = after[:1] == ")" or (after[:1] in (".", ":") and after[1:].isspace())
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    return marker and match[0].isdigit() and bool(_MARKER.fullmatch(line))


class _Page:
    """A text with the places of its labels and of the borders of its sentences and clauses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._labels = [(found.start(), found.end(), cast("Dimension", found.lastgroup)) for found in _LABEL.finditer(text)]
        self._sentences = [found.end() for found in _SENTENCE.finditer(text)]
        self._clauses = [found.end() for found in _CLAUSE.finditer(text)]

    def owner(self, start: int, end: int) -> Dimension | None:
        """What a number is said of: the label before it in its clause, the one right after it ("3.2 for noise", "2.4 overall"),
        or "mos" where its sentence speaks of that last.
        """
        sentence = _last(self._sentences, start)
        clause = max(sentence, _last(self._clauses, start))
        place = bisect_left(self._labels, (start,))
        before = self._labels[place - 1] if place and self._labels[place - 1][0] >= sentence else None
        if before and before[1] >= clause and start - before[1] <= _TOUCH:
            return before[2]
        after = _AFTER.match(self._text, end)
        for at, of in ((after.end() if after else -1, DIMENSIONS), (_blank(self._text, end), ("mos",))):
            following = bisect_left(self._labels, (at,))
            if following < len(self._labels) and self._labels[following][0] == at and self._labels[following][2] in of:
                return self._labels[following][2]
        return "mos" if before and before[2] == "mos" else None


def _last(borders: list[int], place: int) -> int:
    """The last of these borders up to a place."""
    found = bisect_right(borders, place)
    return borders[found - 1] if found else 0


def _blank(text: str, place: int) -> int:
    while place < len(text) and text[place] in " *_)":
        place += 1
    return place
