"""What a comparison says of two sounds at once: which is more of what ("SpeechA is cleaner than SpeechB"), which it prefers, and
which number it gives to which of them. The summary in brackets is not read here (`preference.read_summary`).

"Less noise" is better in noise, as is "a higher noise rating". What is denied ("not noisier than") says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, cast

from turnwise.listening.rating_reading import Stated, stated
from turnwise.listening.ratings import Dimension
from turnwise.listening.said_of import LABEL

Which = Literal["first", "second"]

SPEECH = re.compile(r"\bSpeech\s?([AB])\b", re.IGNORECASE)
PART = re.compile(
    r"(?<=[.!?;])\s|\n|,(?!\d)|\bwhile\b|\bwhereas\b|\bwhere\b|\bbut\b|\bagainst\b|\bcompared (?:to|with)\b|\band (?=Speech)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^\n]*?(?:[.!?;](?=\s)|\n|\Z)")
_TOKEN = re.compile(r"\[\s*Speech\s?[AB]\s*\]", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`\"“”]")
_BESIDE = re.compile(r"\b(?:than|unlike|over|beats|outperforms)(?: that of)? Speech", re.IGNORECASE)
_SIDES: dict[str, Which] = {"a": "first", "b": "second"}
_GAP = r"(?:[^.!?;\n]|\.(?=\d)){0,60}?"
_FAULTS = r"noise|hiss|distortion|colou?ration|discontinuity|interruptions?|drop-?outs?|breaks?|gaps?"
_GOODS = r"loudness|volume|(?:overall )?(?:quality|rating|score)|mos"
_THAN = re.compile(
    rf"\bSpeech\s?(?P<side>[AB])\b(?P<gap>{_GAP})\b(?:"
    r"(?P<plain>cleaner|noisier|louder|quieter)"
    r"|(?P<more>more|less) (?P<what>noisy|distorted|colou?red|discontinuous|choppy|continuous|natural)"
    rf"|(?P<much>more|less|fewer|higher|lower|greater)(?: levels? of)?(?: background)? "
    rf"(?:(?P<fault>{_FAULTS})|(?P<good>{_GOODS}))"
    r"(?P<rated> (?:rating|score|value))?(?: level)?"
    r"|(?P<worth>better|worse)(?: (?:overall|speech|sound|audio))?"
    r"(?: (?P<respect>quality|noise|coloration|discontinuity|loudness|mos))?"
    r"(?: (?:rating|score))?"
    r")(?:\s*\([^()\n]{0,30}\))?(?: overall)? than (?:that of |in )?Speech\s?(?P<other>[AB])\b(?P<after>[^.!?;,\n]{0,60})",
    re.IGNORECASE,
)  # fmt: skip
_PLAIN: dict[str, tuple[Dimension, int]] = {
    "cleaner": ("noi", 1),
    "noisier": ("noi", -1),
    "louder": ("loud", 1),
    "quieter": ("loud", -1),
}
_WHAT: dict[str, tuple[Dimension, int]] = {
    "noisy": ("noi", -1),
    "distorted": ("col", -1),
    "natural": ("col", 1),
    "discontinuous": ("dis", -1),
    "choppy": ("dis", -1),
    "continuous": ("dis", 1),
}
_DOWN = ("less", "fewer", "lower", "worse")
_NOT = re.compile(r"\b(?:not|never|no|neither|hardly)\b|n['’]t\b", re.IGNORECASE)
_RESPECT = re.compile(r"\b(?:in|on|for|of|regarding|concerning|to)\s+(?:the\s+|its\s+)?", re.IGNORECASE)
_BETTER = (
    r"(?:\w+ly |much |far |a bit )?"
    r"(?:better|preferred|preferable|to be preferred|superior|the better(?: one| recording)?|the winner)"
)
_PREFERS = re.compile(
    r"\b(?:prefer|choose|pick|favou?r|select|go with|go for)\s+Speech\s?(?P<a>[AB])\b"
    r"|\b(?:preferred|preference|winner|verdict|choice)(?:\s*:|\s+is|\s+goes to)\s*Speech\s?(?P<b>[AB])\b"
    rf"|\bSpeech\s?(?P<c>[AB])\s+(?:is|was)\s+(?:therefore\s+|thus\s+|clearly\s+)*{_BETTER}"
    r"(?! (?:than|in|on|regarding|to|at)\b)\b"
    r"|\bSpeech\s?(?P<d>[AB])\s+wins\b(?! (?:in|on)\b)",
    re.IGNORECASE,
)


class Order(NamedTuple):
    """One sound is said to be ahead of the other."""

    words: str
    dimension: Dimension
    ahead: Which


def orders(text: str) -> Iterator[Order]:
    """Every "SpeechA is cleaner than SpeechB"."""
    text = _plain(text)
    for match in _THAN.finditer(text):
        if match["side"].upper() == match["other"].upper() or _NOT.search(match["gap"]):
            continue
        found = _meant(match)
        if found is not None:
            dimension, sign = found
            side = match["side"] if sign > 0 else match["other"]
            yield Order(match[0].removesuffix(match["after"]), dimension, _SIDES[side.lower()])


def preferences(text: str) -> Iterator[tuple[str, Which]]:
    """Every "I prefer SpeechA", with its words."""
    text = _plain(text)
    for match in _PREFERS.finditer(text):
        if not _NOT.search(text[max(0, match.start() - 20) : match.start()]):
            yield match[0], _SIDES[next(side for side in match.groups() if side).lower()]


def numbers(text: str) -> Iterator[tuple[Stated, Which]]:
    """Every number that is said of one of the sounds and of one dimension."""
    text = re.sub(r"\bvs\.", "vs ", _plain(text))
    for match in _SENTENCE.finditer(text):
        sentence = match[0]
        labels = {found.lastgroup for found in LABEL.finditer(sentence)}
        only = cast("Dimension", labels.pop()) if len(labels) == 1 else None
        found = [Stated(one.value, one.of or only, one.place, one.within) for one in stated(sentence)]
        for part, begin in _parts(sentence):
            inside = [one for one in found if begin <= one.place < begin + len(part)]
            for one, side in zip(inside, _sides_of(part, begin, inside), strict=True):
                if one.of is not None and side is not None:
                    yield one, side


def side_of(part: str) -> Which | None:
    """The one sound that a part of a sentence names and speaks of; None where it names both, none, or one to compare with."""
    named: set[Which] = {_SIDES[match[1].lower()] for match in SPEECH.finditer(part)}
    return named.pop() if len(named) == 1 and not _BESIDE.search(part) else None


def _meant(match: re.Match[str]) -> tuple[Dimension, int] | None:
    """The dimension, and 1 where the side that is named first is ahead in it."""
    if match["plain"]:
        return _PLAIN[match["plain"].lower()]
    if match["what"]:
        dimension, sign = _WHAT.get(match["what"].lower(), ("col", -1))
        return dimension, -sign if match["more"].lower() in _DOWN else sign
    if match["much"]:
        sign = -1 if match["much"].lower() in _DOWN else 1
        if match["fault"]:
            return _dimension(match["fault"]) or "dis", sign if match["rated"] else -sign
        return _dimension(match["good"]) or "mos", sign
    sign = -1 if match["worth"].lower() in _DOWN else 1
    if match["respect"]:
        return _dimension(match["respect"]) or "mos", sign
    respects = set()
    for told in (match["gap"], match["after"]):
        for begins in _RESPECT.finditer(told):
            if label := LABEL.match(told, begins.end()):
                respects.add(cast("Dimension", label.lastgroup))
    return (respects.pop() if respects else "mos", sign) if len(respects) < 2 else None


def _dimension(word: str) -> Dimension | None:
    label = LABEL.match(word)
    return cast("Dimension", label.lastgroup) if label else None


def _parts(sentence: str) -> Iterator[tuple[str, int]]:
    begin = 0
    for border in PART.finditer(sentence):
        yield sentence[begin : border.start()], begin
        begin = border.end()
    yield sentence[begin:], begin


def _sides_of(part: str, begin: int, inside: list[Stated]) -> list[Which | None]:
    """Of which sound each number of a part is said: of the only one named, of the one named just before it, or in turn."""
    alone = side_of(part)
    if alone:
        return [alone] * len(inside)
    marks: list[tuple[int, Which | None]] = [(found.start(), _SIDES[found[1].lower()]) for found in SPEECH.finditer(part)]
    marks = sorted((*marks, *((one.place - begin, None) for one in inside)), key=lambda mark: mark[0])
    shape = "".join("#" if side is None else "S" for _, side in marks)
    names = [side for _, side in marks if side is not None]
    return list(names) if shape in ("S#S#", "SS##") else [None] * len(inside)


def _plain(text: str) -> str:
    return _MARKUP.sub("", _TOKEN.sub("", text))
