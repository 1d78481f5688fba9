"""The words of a turn in one form, whether they were written or heard.

A written turn says "7:30 pm" and "March 2nd", a recogniser says "seven thirty p m" and "march second". `tokens` brings both to
the same tokens: lower case, no punctuation, numbers as digits, clock times as h:mm on twelve hours ("7" for the full
hour), ordinals as "2nd", dates as month and ordinal.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise


def word_list(words: str) -> tuple[str, ...]:
    """The words of a text that is easier to read than a list."""
    return tuple(words.split())


_UNITS = word_list("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen""")
_TENS = word_list("twenty thirty forty fifty sixty seventy eighty ninety")
NUMBERS = {word: n for n, word in enumerate(_UNITS)} | {word: 10 * n for n, word in enumerate(_TENS, start=2)}
_ORDINAL_UNITS = word_list("""
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth
    seventeenth eighteenth nineteenth""")
_ORDINALS = {word: n for n, word in enumerate(_ORDINAL_UNITS, start=1)} | {"twentieth": 20, "thirtieth": 30}
MONTHS = word_list("january february march april may june july august september october november december")

_ISO_DATE = re.compile(r"\b\d{4}-(\d{2})-(\d{2})\b")
_DOLLARS = re.compile(r"\$(\d+)")
_SPACED_HALF_OF_DAY = re.compile(r"\b([ap])\.? ?m\b\.?(?!\w)")
_TOKEN = re.compile(r"\d{1,2}:\d\d|\d+(?:st|nd|rd|th)\b|\d+|[^\W\d_]+(?:'[^\W\d_]+)*")
_CLOCK = re.compile(r"\d{1,2}:\d\d")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")

# Words that carry the grammar of a sentence and nothing of what it is about.
FUNCTION_WORDS = frozenset(
    word_list("""
    a an and any are am as at be been being but by can can't could did do does doesn't don't for from had has have he her here
    hers him his how i i'd i'll i'm i've if in into is isn't it it's its just let let's like may me mine more my no not of
    oh ok okay on one or our out shall she should so some than that that's the their them then there there's they this those
    to too up us very was we we'd we'll we're we've well were what what's when where which who will with would yes you you'd
    you'll you're you've your yours am pm about also right sure please""")
)


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _clock(hour: int, minute: int) -> str:
    hour = (hour - 1) % 12 + 1
    return f"{hour}:{minute:02d}" if minute else str(hour)


@lru_cache(maxsize=1 << 15)
def tokens(text: str) -> tuple[str, ...]:
    """The tokens of a turn."""
    text = text.lower().replace("\u2019", "'").replace(",000", " thousand")
    text = _ISO_DATE.sub(lambda m: f"{MONTHS[(int(m[1]) - 1) % 12]} {_ordinal(int(m[2]))}", text)
    text = _DOLLARS.sub(r"\1 dollars", text)
    text = _SPACED_HALF_OF_DAY.sub(r"\1m", text)
    return tuple(_joined(_numbered(_TOKEN.findall(text))))


def _numbered(raw: list[str]) -> list[str]:
    """Number words as digits, words of one number together."""
    made: list[str] = []
    i = 0
    while i < len(raw):
        word = raw[i]
        following = raw[i + 1] if i + 1 < len(raw) else ""
        if word in NUMBERS:
            number = NUMBERS[word]
            if number >= 20 and following in NUMBERS and 0 < NUMBERS[following] < 10:
                number, i = number + NUMBERS[following], i + 1
            elif number >= 20 and following in _ORDINALS and _ORDINALS[following] < 10:
                made.append(_ordinal(number + _ORDINALS[following]))
                i += 2
                continue
            made.append(str(number))
        elif word in _ORDINALS:
            made.append(_ordinal(_ORDINALS[word]))
        elif word in ("noon", "midnight"):
            made.append("12")
        elif word not in ("o'clock", "clock"):
            made.append(word)
        i += 1
    return made


def _joined(raw: list[str]) -> list[str]:
    """Hundreds, clock times and dates from their parts."""
    made: list[str] = []
    i = 0
    while i < len(raw):
        word, rest = raw[i], raw[i + 1 : i + 4]
        if word.isdigit() and rest[:1] == ["hundred"]:
            number, i = int(word) * 100, i + 1
            after = 2 if rest[1:2] == ["and"] else 1
            if rest[after : after + 1] and re.fullmatch("[0-9]{1,2}", rest[after]):
                number, i = number + int(rest[after]), i + after
            made.append(str(number))
        elif _CLOCK.fullmatch(word):
            made.append(_clock(*map(int, word.split(":"))))
        elif word in ("half", "quarter") and rest[:1] in (["past"], ["to"], ["after"]) and rest[1:2] and rest[1].isdigit():
            hour, part = int(rest[1]), 30 if word == "half" else 15
            made.append(_clock(hour, part) if rest[0] != "to" else _clock(hour - 1, 60 - part))
            i += 2
        elif word.isdigit() and 1 <= int(word) <= 12 and rest[:1] and re.fullmatch("[1-5][0-9]", rest[0]):
            made.append(_clock(int(word), int(rest[0])))
            i += 1
        elif word in MONTHS and rest[:1] and rest[0].isdigit() and 1 <= int(rest[0]) <= 31:
            made.extend((word, _ordinal(int(rest[0]))))
            i += 1
        else:
            made.append(word)
        i += 1
    return made


def numeric(token: str) -> bool:
    """Whether a token is a number, a clock time or an ordinal."""
    return token[0].isdigit()


def ordinal(token: str) -> bool:
    """Whether a token is an ordinal, as of a date."""
    return _ORDINAL.fullmatch(token) is not None


def content(words: tuple[str, ...]) -> tuple[str, ...]:
    """The tokens that say what a turn is about."""
    return tuple(word for word in words if word not in FUNCTION_WORDS)


def grams(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words and pairs of neighbours."""
    return words + tuple(f"{a} {b}" for a, b in pairwise(words))


_SENTENCE = re.compile(r"[^.!?]+[.!?]*")


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a written turn, with their punctuation; a heard turn is one sentence."""
    return tuple(s.strip() for s in _SENTENCE.findall(text) if re.search(r"\w", s))
