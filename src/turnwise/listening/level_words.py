"""The words by which a text claims a level of overall quality, freedom from noise, coloration or discontinuity, or loudness.

The words of the listening tests (`ratings.LEVELS`) and their plain variants ("severe distortion") claim one level. Common
paraphrases ("heavy background noise", "very good quality") claim a range, as wide as careful readers differ: "minor distortion"
is 3.5 to 5. Where two readings of a phrase exclude each other ("the noise is low": little noise, or a low rating), it claims
nothing.

No claim is what is denied ("not very noisy", "no severe distortion", "prevents it from being excellent"), supposed ("were it
louder, it would be excellent"), or said of a rating and not of the sound ("a low noise score").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from turnwise.listening.ratings import LEVELS, Dimension
from turnwise.listening.said_of import LABELS

_DEGREES = ("severe", "significant", "moderate", "slight")
_QUALIFIED = r"(?: (?:noticeable|audible|perceptible|discernible|background|real|obvious))*"
_NONE = rf"(?:free (?:of|from)|without|no)(?: any| a)?{_QUALIFIED}"
_HEAVILY = r"(?:very|extremely|heavily|terribly|badly|awfully|horribly|strongly|massively|hugely|highly)"
_HEAVY = (
    r"(?:(?:very )?(?:heavy|strong|severe|extreme|massive|intense|excessive|overwhelming|considerable|"
    r"substantial|serious|major|prominent)|"
    r"(?:very )?high(?: levels?(?: of)?)?|a lot of|lots of|(?:a )?high (?:amount|degree) of)"
)
_SOME = r"(?:moderate(?: levels? of)?|medium)"
_LIGHT = (
    r"(?:(?:only |just )?(?:very )?(?:slight|minor|mild|light|faint|subtle|minimal|negligible)|"
    r"(?:very |only )?(?<!a )little|(?:very )?low(?: levels?(?: of)?)?|barely any|hardly any|scarcely any|next to no|almost no)"
)
_RATED = r"(?! (?:score|rating|value|mark|dimension|quality)s?\b)"
_NOISE = rf"(?: (?:background|steady|constant|white|static|audible))* (?:noise|hiss|static|hum)\b{_RATED}"
_DISTORTION = rf"(?: (?:harmonic|audible|vocal))* (?:distortions?|colou?ration)\b{_RATED}"
_BREAK = r"(?:interruptions?|drop-?outs?|breaks?|gaps?|stutter(?:s|ing)?)"
_BREAKS = rf"(?: (?:short|brief|audible|long))* (?:{_BREAK}|discontinuit(?:y|ies))\b{_RATED}"
_WITH_NUMBER = r"(?: (?:of )?\(?\d(?:[.,]\d+)?\)?,?)?(?: which)?"
_IS = rf"{_WITH_NUMBER} (?:is|remains|seems)(?: only| also| rather)?"
_LOUDNESS = r"(?: (?:listening|speech))? (?:volume|loudness)"

# By dimension: the lowest and the highest level that words claim. Of overlapping words the earlier in the list count.
_ASPECTS: dict[Dimension, list[tuple[float, float, str]]] = {
    "noi": [
        (3, 3, r"neither noisy nor (?:completely |entirely |quite )?clean"),
        *((k, k, re.escape(words)) for k, words in enumerate(LEVELS["noi"], 1)),
        (1, 1.5, rf"(?!very){_HEAVILY} noisy"),
        (1.5, 2.5, r"(?:quite|rather|fairly|pretty) noisy"),
        (3.5, 4.5, r"(?:fairly|rather|quite|mostly|relatively|largely|reasonably|pretty) clean"),
        (4, 5, r"(?:perfectly|entirely|absolutely|totally|very|crystal) clean|pristine"),
        (4.5, 5, rf"noise-free|{_NONE} noise\b{_RATED}|silent background|background is (?:completely |perfectly )?silent"),
        (1, 2.5, rf"(?:{_HEAVY}|significant){_NOISE}|noise level{_WITH_NUMBER} is (?:very |quite )?high\b"),
        (2.5, 3.5, rf"{_SOME}{_NOISE}"),
        (3.5, 5, rf"{_LIGHT}{_NOISE}|noise floor is (?:very |quite )?low\b"),
    ],
    "col": [
        *((k, k, rf"{d}(?:ly)? (?:distort\w*|colou?r\w*)") for k, d in enumerate(_DEGREES, 1)),
        (5, 5, rf"{_NONE} (?:distort\w*|colou?ration)\b{_RATED}|undistorted"),
        *((k, k, rf"(?:distortion|colou?ration){_IS} {d}(?! \w)") for k, d in enumerate(_DEGREES, 1)),
        (1, 2.5, rf"{_HEAVY}{_DISTORTION}|{_HEAVILY} (?:distorted|colou?red)"),
        (3.5, 5, rf"{_LIGHT}{_DISTORTION}|(?:mildly|minimally|barely) (?:distorted|colou?red)"),
        (4, 5, r"(?:perfectly|completely|entirely|fully) natural"),
    ],
    "dis": [
        *((k, k, rf"{d}(?:ly)? discontinu\w*{_RATED}") for k, d in enumerate(_DEGREES, 1)),
        (5, 5, rf"{_NONE} discontinu\w*{_RATED}"),
        *((k, k, rf"discontinuity{_IS} {d}(?! \w)") for k, d in enumerate(_DEGREES, 1)),
        (1, 2.5, rf"(?:{_HEAVY}|frequent|constant|many|numerous|countless){_BREAKS}"),
        (1, 2.5, rf"(?:breaks up|stutters) (?:constantly|badly|all the time)|{_HEAVILY} (?:choppy|discontinuous)"),
        (1, 2.5, r"constantly (?:interrupted|breaking up)"),
        (1, 3.5, r"choppy"),
        (2.5, 5, rf"(?:{_LIGHT}|occasional|a few|rare){_BREAKS}"),
        (3.5, 5, rf"(?:{_NONE}|without a single) {_BREAK}\b|uninterrupted|flows smoothly|seamless"),
        (3.5, 5, r"(?<!more )(?<!less )(?<!as )continuous (?:speech|voice|flow)|continuous, fluent|fluent, continuous"),
    ],
    "loud": [
        *((k, k, re.escape(words)) for k, words in enumerate(LEVELS["loud"], 1)),
        (1, 2.5, r"(?:very|too|much too|far too) (?:quiet|soft)(?! background)|barely audible|hardly audible|inaudible"),
        (1, 2.5, rf"(?:very|too|extremely) low{_LOUDNESS}"),
        (2, 3.5, r"(?:somewhat|slightly|a bit|rather|quite) (?:quiet|soft)(?! background)"),
        (3.5, 5, rf"(?:nice and|pleasantly|sufficiently|comfortably) loud|(?:good|comfortable|pleasant){_LOUDNESS}"),
        (3.5, 5, r"(?:volume|loudness) is (?:just |quite |very )?(?:good|comfortable|pleasant|fine|spot on|right)"),
        (4, 5, rf"(?:ideal|perfect|optimal){_LOUDNESS}|(?:volume|loudness) is (?:ideal|perfect|optimal)"),
    ],
}  # fmt: skip
_GRADES: list[tuple[float, float, str]] = [(k, k, words) for k, words in enumerate(LEVELS["mos"], 1)]
_PARAPHRASES: list[tuple[float, float, str]] = [
    (1, 1.5, r"(?:very|extremely|really) poor|terrible|awful|horrible|abysmal|dreadful"),
    (1, 2, r"bad"),
    (1.5, 2.5, r"(?:rather|fairly|quite|somewhat|pretty|relatively) poor|below average"),
    (2, 3, r"mediocre|(?:barely|just) acceptable"),
    (2.5, 3.5, r"average|acceptable|middling"),
    (3, 4, r"decent|satisfactory"),
    (3, 4.5, r"(?:rather|fairly|quite|pretty|reasonably|relatively|moderately) good"),
    (3.5, 4.5, r"above average"),
    (4, 5, r"(?:very|really) good|(?:almost|nearly|close to) (?:excellent|perfect)"),
    (4.5, 5, r"outstanding|superb|exceptional|flawless|perfect"),
]
_HIGH_OR_LOW = [(1.0, 2.5, r"(?:very )?low"), (3.5, 5.0, r"(?:very )?high")]
_OTHER = "|".join(words for dimension, words in LABELS.items() if dimension != "mos")
_KINDS = r"(?: (?:overall|speech|sound|audio|listening|voice|technical))*"
_UNQUALIFIED = "".join(rf"(?<!{word} )" for word in ("very", "fairly", "quite", "rather", "pretty"))
_FILLED = (
    r"(?: (?:impression|quality|score|rating))?(?: of (?:the|this) (?:speech|sound|audio|clip|recording|file))?"
    r"(?:\s*(?:[:=,–—-]|\b(?:is|as|remains|seems|sounds|only|just|still|a|an|of|to be|rated)\b))*\s*"
)


def _overall() -> Iterator[tuple[float, float, str]]:
    """How grades stand with "quality", "overall" or "mos"; paraphrases have to stand close."""
    for low, high, words in (*_PARAPHRASES, *_GRADES):
        close = rf"\b(?:overall|quality|mos)\b{_FILLED}(?P<g>{words})\b"
        yield low, high, rf"{close}|\b(?P<b>{words})\b[ -]?{_KINDS} ?quality\b|\b(?P<w>{words})\b (?:overall|mos)\b"
    for low, high, words in _GRADES:
        between = rf"(?:(?!\b(?:{_OTHER}))[^.!?;\n]){{0,60}}?"
        yield (
            low,
            high,
            rf"\b(?:overall|quality|mos)\b{between}\b{_UNQUALIFIED}(?P<g>{words})\b",
        )
    for low, high, words in _HIGH_OR_LOW:
        yield low, high, rf"\b(?P<b>{words})[ -]{_KINDS} ?quality\b{_RATED}|\bquality is (?P<g>{words})\b"


def _compiled(pattern: str, low: float, high: float) -> tuple[float, float, re.Pattern[str]]:
    return low, high, re.compile(pattern, re.IGNORECASE)


_PATTERNS: dict[Dimension, list[tuple[float, float, re.Pattern[str]]]] = {
    **{d: [_compiled(rf"\b(?P<g>{words})", low, high) for low, high, words in rows] for d, rows in _ASPECTS.items()},
    "mos": [_compiled(words, low, high) for low, high, words in _overall()],
}
_MARKUP = re.compile(r"[*_`\"“”]")
# What turns the words after it into no claim: at once, within some words, or as a subject that denies all that it is said of.
_LACKING = re.compile(
    r"\b(?:no|without|free (?:of|from)|lacks?|lacking|absence of|(?:sign|trace|hint|evidence)s? of|than)"
    r"(?: (?:any|the|a|such|real|audible|noticeable))*\s*$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\bnot\b|n't\b|\bcannot\b|\bnever\b|\bhardly\b|\bscarcely\b|\bnor\b|\bneither\b|\brather than\b|\binstead of\b|"
    r"\bfar from\b|\bless than\b|\banything but\b|\bshort of\b|\bfrom (?:being|becoming|sounding|getting|reaching)\b|"
    r"\b(?:would|could|should|might) (?:have been|otherwise be)\b|"
    r"\b(?:nothing|nobody|no one|none|cannot (?:call|say|claim))\b[^.,;!?\n]{0,20})[^.,;!?\n]{0,25}$",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(r"\b(?:if|(?:were|had) (?:it|there|the)|without|but for|otherwise)\b", re.IGNORECASE)
_WOULD = re.compile(r"\b(?:would|could|might)(?!n't| say| rate| call| give| put| describe| not)\b", re.IGNORECASE)
_NEARLY = re.compile(r"\b(?:almost|nearly|close to|bordering on|verging on|approaching|between)(?: being)?\s*$", re.IGNORECASE)
_AT_THE_END = re.compile(r"\s*,?\s*at (?:most|best|worst)\b", re.IGNORECASE)
_JOINED = re.compile(r"\s*(?:to|or|/|-|–)\s*", re.IGNORECASE)
_DEGREE_BEFORE = re.compile(rf"\b(?P<d>{'|'.join(_DEGREES)})(?:ly)?\s*(?:to|or|/|-|–)\s*$", re.IGNORECASE)
_GRADE_AFTER = re.compile(rf"(?:{'|'.join(LEVELS['mos'])})\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[!?\n]|\.(?!\d)")
_LONG = 400  # characters of a sentence before a claim


class Claim(NamedTuple):
    """A level that a text claims."""

    dimension: Dimension
    low: float
    high: float
    words: str


def claims(text: str) -> Iterator[Claim]:
    """Every level that a text claims, dimension by dimension."""
    text = _MARKUP.sub("", text).replace("’", "'")
    for dimension, rows in _PATTERNS.items():
        taken: list[tuple[int, int]] = []
        for low, high, pattern in rows:
            for match in pattern.finditer(text):
                start, end = match.span(match.lastgroup or 0)
                if any(start < other_end and other_start < end for other_start, other_end in taken):
                    continue
                claim, end = _widened(text, dimension, low, high, start, end)
                taken.append((start, end))
                if not _no_claim(text, start):
                    yield claim


def _widened(text: str, dimension: Dimension, low: float, high: float, start: int, end: int) -> tuple[Claim, int]:
    """The claim with what widens it ("almost", "poor to fair", "moderate to slight distortion"), and where its words end."""
    if _NEARLY.search(text[max(0, start - 20) : start]) or _AT_THE_END.match(text, end):
        low, high = low - 1, high + 1
    joint = _JOINED.match(text, end) if dimension == "mos" else None
    second = _GRADE_AFTER.match(text, joint.end()) if joint and joint[0].strip() else None
    if second:
        grade = LEVELS["mos"].index(second[0].lower()) + 1
        low, high, end = min(low, grade), max(high, grade), second.end()
    if degree := _DEGREE_BEFORE.search(text[max(0, start - 20) : start]):
        other = _DEGREES.index(degree["d"].lower()) + 1
        low, high = min(low, other), max(high, other)
    return Claim(dimension, low, high, text[start:end]), end


def _no_claim(text: str, start: int) -> bool:
    """Whether the words from here on are denied or supposed."""
    before = text[max(0, start - 60) : start]
    if _LACKING.search(before) or _DENIED.search(before):
        return True
    begin = max(
        (found.end() for found in _SENTENCE_END.finditer(text, max(0, start - _LONG), start)), default=max(0, start - _LONG)
    )
    stop = _SENTENCE_END.search(text, start)
    sentence = text[begin : stop.start() if stop else len(text)]
    return bool(_WOULD.search(sentence) and _SUPPOSED.search(sentence))
