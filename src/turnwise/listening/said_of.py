"""What a number in a text is said of: the overall quality, one of its four aspects, nothing that is told, or no rating at all.

In this order: the key of a JSON object; the column of a table; the label before the number in its clause; the label right after
it ("3.2 for noise", "2.4 overall"); "overall" or "mos" where the sentence speaks of that last; a heading above it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import Literal, cast

from turnwise.listening.ratings import DIMENSIONS, Dimension

# Words that say of what a number is told.
LABELS: dict[Dimension, str] = {
    "mos": r"mos(?![A-Za-z0-9])|mean opinion score|overall|total of|final (?:score|rating|grade|verdict)",
    "noi": r"noi(?![A-Za-z0-9])|nois\w+|clean\w*|background|hiss",
    "col": r"col(?![A-Za-z0-9])|colou?r\w*|distort\w*|timbre",
    "dis": r"dis(?![A-Za-z0-9])|discontinu\w*|continuity|dropouts?|stutter\w*|interruptions?|breaks",
    "loud": r"loud\w*|quiet\w*|soft but understandable|volume|(?:audio|listening|output|playback|signal|sound|speech) level",
}
LABEL = re.compile("|".join(rf"(?P<{name}>(?<![A-Za-z0-9])(?:{words}))" for name, words in LABELS.items()), re.IGNORECASE)

Owner = Dimension | Literal["else"] | None  # "else": of something that is no rating

_TOUCH = 60  # characters between a label and the number it is said of; a clause seldom has more
_AFTER = re.compile(r"[\s*_]*(?:/\s*5|out of 5)?\s*(?:\w+\s+){0,2}?(?:for|in|on|of)\s+(?:the\s+|its\s+)?", re.IGNORECASE)
_CLAUSE = re.compile(r",(?!\d)|;|\band\b|\bbut\b|\bwhile\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[!?\n]|\.(?!\d)")
_KEY = re.compile(r"""["']([^"'\n]{1,60})["']\s*:\s*["']?\s*$""")
_WHOLE_KEY = re.compile(r"\A(?:final|total|audio|speech|sound)?[ _-]?quality(?:[ _-]?(?:score|rating|value))?\Z", re.IGNORECASE)
_PLAIN_KEY = re.compile(r"(?:score|rating|value|result|estimate|prediction|grade|number)s?\Z", re.IGNORECASE)
_NAME_KEY = re.compile(
    r"""["'](?:dimension|name|aspect|metric|category|criterion|key)["']\s*:\s*["']([^"'\n]{1,60})["']""", re.IGNORECASE
)
_OUTWARD = 1500  # characters before a number in which the objects around it may begin
_DEEPEST = 8  # objects around a number that are looked at
_HEADING = 60  # characters of a line that may be one
_ROWS, _TABLE = 12, 2000  # of a table between its head and a number, rows and characters


class Page:
    """A text with the places of its labels and of the borders of its sentences and clauses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._labels = [(found.start(), found.end(), cast("Dimension", found.lastgroup)) for found in LABEL.finditer(text)]
        self._sentences = [found.end() for found in _SENTENCE.finditer(text)]
        self._clauses = [found.end() for found in _CLAUSE.finditer(text)]
        self._heads: dict[int, list[str]] = {}  # of the columns of the rows, by where the row begins

    def sentence(self, place: int) -> int:
        """Where the sentence begins in which a place is."""
        return _last(self._sentences, place)

    def owner(self, start: int, end: int) -> Owner:
        """What the number from start to end is said of."""
        key = _KEY.search(self._text[max(0, start - 80) : start])
        if key:
            return self._of_key(key[1], max(0, start - 80) + key.start())
        if column := self._of_column(start):
            return column
        sentence = self.sentence(start)
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
        if before:
            return "mos" if before[2] == "mos" else None
        return self._of_heading(start)

    def _of_key(self, key: str, place: int) -> Owner:
        """The key itself, or where it says no more than "score" what the objects around it are called."""
        if of := _label_of(key):
            return of
        if not _PLAIN_KEY.search(key):
            return "else"
        depth, opened = 0, 0
        for at in range(place - 1, max(-1, place - _OUTWARD), -1):
            character = self._text[at]
            if character in "}]":
                depth += 1
            elif character in "{[" and depth:
                depth -= 1
            elif character in "{[" and opened < _DEEPEST:
                opened += 1
                named = _NAME_KEY.search(self._text, at, place) if character == "{" else None
                around = named or _KEY.search(self._text[max(0, at - 80) : at])
                if around and (of := _label_of(around[1])):
                    return of
        return None

    def _of_column(self, start: int) -> Dimension | None:
        """The head of the number's column, in a table whose rows name nothing."""
        line = self._text.rfind("\n", 0, start) + 1
        if line not in self._heads:
            self._heads[line] = self._head(line)
        heads = self._heads[line]
        cell = self._text.count("|", line, start) if heads else 0
        return _label_of(heads[cell]) if cell < len(heads) else None

    def _head(self, line: int) -> list[str]:
        """The heads of the columns of the table row that begins here; none where it is no row, or says itself what it is of."""
        stop = self._text.find("\n", line)
        row = self._text[line : stop if stop >= 0 else len(self._text)]
        if row.count("|") < 2 or LABEL.search(row):
            return []
        for above in reversed(self._text[max(0, line - _TABLE) : line].splitlines()[-_ROWS:]):
            cells = above.split("|")
            if len(cells) < 3:
                return []
            if sum(bool(LABEL.search(one)) for one in cells) > 1:
                return cells
        return []

    def _of_heading(self, start: int) -> Dimension | None:
        """The line above, where that is a label alone and the number begins its own line."""
        line = self._text.rfind("\n", 0, start) + 1
        if self._text[line:start].strip(" \t*_`#>-:"):
            return None
        above = self._text[max(0, line - 2 * _HEADING) : line].rstrip()
        heading = above[above.rfind("\n") + 1 :]
        short = len(heading) <= _HEADING and not re.search(r"\d|[.!?]\s*\Z", heading)
        return _label_of(heading) if short else None


def _label_of(name: str) -> Dimension | None:
    """What a key or a heading names: an aspect before the whole ("overall noise")."""
    found = [cast("Dimension", match.lastgroup) for match in LABEL.finditer(name)]
    aspects = [one for one in found if one != "mos"]
    return aspects[0] if aspects else "mos" if found or _WHOLE_KEY.match(name.strip()) else None


def _last(borders: list[int], place: int) -> int:
    """The last of these borders up to a place."""
    found = bisect_right(borders, place)
    return borders[found - 1] if found else 0


def _blank(text: str, place: int) -> int:
    while place < len(text) and text[place] in " *_)":
        place += 1
    return place
