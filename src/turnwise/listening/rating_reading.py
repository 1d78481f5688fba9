"""Ratings out of free text: which number a text states for what, or the reason why none can be read.

An overall rating is a number from 1 to 5 that stands with "mos" or "overall"; where none does, the last number from 1 to 5 that
belongs to nothing else. No candidate, or two different ones, is no rating: nothing is ever put in its place, and `reading_rate`
tells how often that was so. Numbers may have a decimal comma; "four out of five" and "MOS: four" are numbers too.

Not read are: the 5 of "out of 5" and of "/5", numbers on another scale ("7 of 10"), shares ("3/5 of the words"), list markers and
numbers of dimensions ("(2) noise"), ends and anchors of a scale ("from 1 to 5", "5 being the best"), numbers with a unit
(seconds, Hz, dB, per cent) or counting things ("2 clicks"), ratios and times ("2:1", "1:30"), margins ("± 0.2"), differences
("1.5 points higher"), numbers that are part of a name ("P.808", "v2.0") and numbers said of another dimension ("noise 1.8";
`said_of.py`). What a reasoning model writes before its answer is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec

from turnwise.listening.ratings import DIMENSIONS, Dimension
from turnwise.listening.said_of import LABELS, Page

LOW, HIGH = 1.0, 5.0
Reason = Literal["", "no number", "ambiguous", "out of range"]

_NUMBER = re.compile(r"(?<![\w.,/#])(?<!\d:)[+\-−]?\d+(?:[.,]\d+)*(?!\w|[.,]\d|:\d)")
_COMMA = re.compile(r"[+\-−]?\d,\d{1,2}")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORD = re.compile(
    rf"(?<![\w-])(?P<whole>{'|'.join(_WORDS[1:6])})(?:\s+point\s+(?P<tenth>{'|'.join(_WORDS)})|(?P<half>\s+and\s+a\s+half))?(?![\w-])",
    re.IGNORECASE,
)
_ASKED = re.compile(r"\b(?:mos|score|rating|rate\w*)\b[^.;\n]{0,15}$", re.IGNORECASE)
_ENDS = re.compile(r"[\s*_]*(?:\Z|[.,;!)\n])")
_UNIT = re.compile(
    r"\s*(?:%|°|(?:[kmg]?hz|kbit|kbps|db\w*|lufs|ms|msec\w*|s|secs?|seconds?|min|minutes?|hours?|per cent|percent|bits?|x|"
    r"times?|dropouts?|clicks?|gaps?|breaks?|interruptions?|pauses?|words?|packets?|channels?|speakers?|voices?|stars?|"
    r"dimensions?|aspects?|points? scale|windows?|samples?|files?)\b)|\s*-\s*(?:point|second|minute|channel)|\s+point\b",
    re.IGNORECASE,
)
# "2 microphones", and no verb: "a 3 reflects".
_COUNTED = re.compile(
    r"\s+(?!(?:seems|reflects|indicates|means|suggests|shows|corresponds|represents|gives|makes|remains|reads|sits|matches|"
    r"appears|feels|sounds|fits|stands|lies|always|perhaps|across|towards|points)\b)[a-z]{3,}[^\Ws]s\b"
)
_SCALE = re.compile(
    r"[*_`\s]*(?:stars?\s+|points?\s+)?\(?(?P<how>out\s+of|of|/)\s*(?:a\s+)?(?:(?:possible|maximum|total)\s+(?:of\s+)?)?"
    r"(?P<most>\d+(?:[.,]\d+)?|five|ten)(?![\w])(?!\.\d)",
    re.IGNORECASE,
)
_SHARE = re.compile(r"\s+(?:of\s+(?:the|all|its|these|them)\b|(?!stars|points)[a-z]{3,}[^\Ws]s\b)")
_ANCHOR = re.compile(
    r"\s*(?:=|(?:being|means?|meaning|denot\w+|represent\w*|stands? for)\b)\s*(?:that\s+)?[A-Za-z]", re.IGNORECASE
)
_IS_END = (re.compile(r"\b(?:where|with|and)\s+$", re.IGNORECASE), re.compile(r"\s+is\s+(?:the\s+)?[A-Za-z]"))
_NAMED = re.compile(
    r"(?:\b(?:step|dimension|aspect|item|number|part|section|category|criterion|speaker|channel|file|clip|version)\s*[(#]?|±|\+/-)\s*$",
    re.IGNORECASE,
)
# "a gap of 1.9", "by 1.5", "1.5 points higher": a difference of two ratings.
_DIFFERENCE = re.compile(
    r"\b(?:by|margin of|gap of|difference of|differ(?:s|ence)? by|lead of|advantage of)\s+"
    r"(?:about |around |only |just |some |roughly |no more than |less than |more than )?$",
    re.IGNORECASE,
)
_DIFFERS = re.compile(
    r"\s*(?:points? |units? )?(?:higher|lower|better|worse|more|less|above|below|ahead|behind|apart)\b", re.IGNORECASE
)
_MARKER = re.compile(r"\s*(?:[-*#>]+\s*)?\(?")
_TOLD = r"(?:\s*\([^()\n]{0,40}\))?"
_SCALE_TOLD = re.compile(
    rf"\b(?:scale|rang\w+|from|between|of)\s+(?:of\s+|from\s+|between\s+)?[01](?:\.0)?{_TOLD}\s*(?:-|–|—|to|and|through|\.\.+)\s*5(?:\.0)?(?!\d|\.\d){_TOLD}"
    r"|\b[01](?:\.0)?\s*(?:-|–|—|to)\s*5(?:\.0)?[\s-]+(?:point\s+|mos\s+)?(?:scale|range)\b"
    r"|[(\[]\s*[01](?:\.0)?\s*(?:-|–|—|to|,)\s*5(?:\.0)?\s*[)\]]"
    r"|[(\[][^()\[\]\n]{0,20}\b(?:CI|confidence interval)\b[^()\[\]\n]{0,30}[)\]]",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*(?:-|–|—|to|and|bis)\s*", re.IGNORECASE)
_THINKING = re.compile(r"\A(?:(?!<think>).)*</think>|<think>.*?(?:</think>|\Z)", re.DOTALL)
_LINE = 400  # characters before a number, in which a parenthesis may have begun
_LONGEST = 20_000  # characters of a text that are read, its last ones


class Stated(msgspec.Struct, frozen=True):
    """One number of a text that may be a rating."""

    value: float
    of: Dimension | None  # None where the text does not say
    place: int  # of its first character
    within: tuple[float, float] | None = None  # where it is an end of a range ("3 to 3.5"): both ends


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
    begins = Page(answer_of(text)).sentence(free[-1].place)
    last = {number.value for number in free if number.place >= begins}
    return RatingRead(last.pop()) if len(last) == 1 else RatingRead(None, "ambiguous")


def reading_rate(reads: Iterable[RatingRead]) -> ReadingRate:
    """The rate over many texts."""
    reasons = Counter(read.reason for read in reads)
    good = reasons.pop("", 0)
    return ReadingRate(good + sum(reasons.values()), good, dict(sorted(reasons.items())))


def stated(text: str) -> list[Stated]:
    """Every number of a text that may be a rating, and what it is said of; those said of "mos" also where beyond 1 to 5."""
    text = answer_of(text)
    page = Page(text)
    found: list[tuple[Stated, int]] = []
    for number in _numbers(text):
        of = page.owner(number.start, number.end)
        if of != "else" and (LOW <= number.value <= HIGH or of == "mos"):
            found.append((Stated(number.value, of, number.start), number.end))
    return _with_ranges(text, found)


def answer_of(text: str) -> str:
    """The text without a reasoning model's draft, blanks in its place."""
    return _THINKING.sub(lambda found: " " * len(found[0]), text[-_LONGEST:])


class _Number(NamedTuple):
    value: float
    start: int
    end: int  # of its scale, where it has one


def _numbers(text: str) -> Iterator[_Number]:
    """The numbers that may be ratings, by what stands around each."""
    text = _SCALE_TOLD.sub(lambda found: " " * len(found[0]), text)
    skip = -1
    for match in sorted((*_NUMBER.finditer(text), *_WORD.finditer(text)), key=lambda found: found.start()):
        if match.start() < skip:
            continue
        scale = _SCALE.match(text, match.end())
        in_words = match.re is _WORD
        if in_words and not scale and not _said_alone(text, match):
            continue
        end = scale.end() if scale else match.end()
        skip = end
        if scale:
            if _most(scale["most"]) == HIGH and not _SHARE.match(text, end):
                yield _Number(_value(match), match.start(), end)
        elif in_words or not (_odd(match[0]) or _counts(text, match)):
            yield _Number(_value(match), match.start(), end)


def _value(match: re.Match[str]) -> float:
    if match.re is not _WORD:
        return float(match[0].replace("−", "-").replace(",", "."))
    tenth = 0.5 if match["half"] else _WORDS.index(match["tenth"].lower()) / 10 if match["tenth"] else 0.0
    return _WORDS.index(match["whole"].lower()) + tenth


def _most(told: str) -> float:
    return {"five": 5.0, "ten": 10.0}.get(told.lower()) or float(told.replace(",", "."))


def _odd(number: str) -> bool:
    """Whether it is no single number: "1.2.3", "10,000", "2,3,4"."""
    return number.count(".") > 1 or ("," in number and not _COMMA.fullmatch(number))


def _said_alone(text: str, match: re.Match[str]) -> bool:
    """Whether a word for a number ends a clause that asks for one: "MOS: four", "I rate it four."."""
    asked = _ASKED.search(text[max(0, match.start() - 40) : match.start()])
    return bool(asked and _ENDS.match(text, match.end())) and match[0].lower() != "one"


def _counts(text: str, match: re.Match[str]) -> bool:
    """Whether the number is a list marker or has a name, a unit, or things that it counts."""
    start, end = match.span()
    whole = match[0].isdigit()
    before = text[max(0, start - 30) : start]
    if _UNIT.match(text, end) or _NAMED.search(before) or _DIFFERENCE.search(before) or _DIFFERS.match(text, end):
        return True
    if whole and (_ANCHOR.match(text, end) or _COUNTED.match(text, end)):
        return True
    if whole and _IS_END[0].search(before) and _IS_END[1].match(text, end):
        return True
    if whole and before.endswith("(") and 1 <= int(match[0]) <= len(DIMENSIONS) and text[end : end + 1] == ")":
        label = LABELS[DIMENSIONS[int(match[0]) - 1]]
        if re.match(rf"\)[\s*_]*(?:{label}|overall)", text[end : end + 40], re.IGNORECASE):
            return True
    after = text[end : end + 2]
    line = text[max(text.rfind("\n", 0, start) + 1, start - _LINE) : start]
    if whole and after == ") " and line.count("(") <= line.count(")"):
        return True
    marker = after[:1] == ")" or (after[:1] in (".", ":") and after[1:].isspace())
    return marker and whole and bool(_MARKER.fullmatch(line))


def _with_ranges(text: str, found: list[tuple[Stated, int]]) -> list[Stated]:
    """The numbers, of which those that are ends of one range know it."""
    made = [one for one, _ in found]
    for place in range(len(found) - 1):
        (low, end), (high, _) = found[place], found[place + 1]
        if low.value < high.value and _BETWEEN.fullmatch(text, end, high.place):
            within = (low.value, high.value)
            of = low.of or high.of
            made[place] = msgspec.structs.replace(made[place], of=of, within=within)
            made[place + 1] = msgspec.structs.replace(made[place + 1], of=of, within=within)
    return made
