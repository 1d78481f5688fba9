"""Text as it is said: lower-case words, numbers spelled out, no punctuation.

This is the form language models are made of. `6:30` becomes "six thirty", `$25` "twenty five dollars", `2nd` "second", `3.5`
"three point five", `1,200` "one thousand two hundred", `40%` "forty percent", `&` "and"; letters lose their accents; hyphens
separate; apostrophes stay inside words. Numbers of more than twelve digits, and digits glued to letters, are said digit by digit.
"""

from __future__ import annotations

import re
import unicodedata

_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_SMALL += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONEY = {"$": "dollar", "€": "euro", "£": "pound"}
_TOKEN = re.compile(
    r"(?P<money>[$€£])\s?(?P<amount>\d[\d,]*)(?:\.(?P<cents>\d\d))?(?![\d.]*\d)"
    r"|(?P<hour>\d{1,2}):(?P<minute>\d\d)(?!\d)"
    r"|(?P<nth>\d[\d,]*)(?:st|nd|rd|th)\b"
    r"|(?P<number>\d[\d,]*)(?:\.(?P<fraction>\d+))?"
    r"|(?P<word>[a-z]+(?:'[a-z]+)*)"
    r"|(?P<percent>%)|(?P<and>&)"
)


def spoken_words(text: str) -> tuple[str, ...]:
    """The words of a text in the order they are said."""
    plain = unicodedata.normalize("NFKD", text).replace("\u2019", "'").lower()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    words: list[str] = []
    for match in _TOKEN.finditer(plain):
        words += _say(match)
    return tuple(words)


def cardinal(number: int) -> list[str]:
    """A number from 0 to 999,999,999,999 in words."""
    if number < 20:
        return [_SMALL[number]]
    if number < 100:
        tens, ones = divmod(number, 10)
        return [_TENS[tens - 2], *([_SMALL[ones]] if ones else [])]
    for scale, name in _SCALES:
        if number >= scale:
            many, rest = divmod(number, scale)
            return [*cardinal(many), name, *(cardinal(rest) if rest else [])]
    raise AssertionError("every number from 100 on has a scale")


def ordinal(number: int) -> list[str]:
    """The same as a rank: 22 is "twenty second"."""
    *first, last = cardinal(number)
    if last in _ORDINALS:
        return [*first, _ORDINALS[last]]
    return [*first, last[:-1] + "ieth" if last.endswith("y") else last + "th"]


def _say(match: re.Match[str]) -> list[str]:
    part = match.groupdict()
    if part["word"]:
        return [part["word"]]
    if part["percent"]:
        return ["percent"]
    if part["and"]:
        return ["and"]
    if part["money"]:
        return _amount(part["money"], part["amount"], part["cents"])
    if part["hour"]:
        return _time(int(part["hour"]), part["minute"])
    if part["nth"]:
        return ordinal(_whole(part["nth"])) if _sayable(part["nth"]) else _digits(part["nth"])
    if not _sayable(part["number"]):
        return _digits(part["number"] + (part["fraction"] or ""))
    point = ["point", *_digits(part["fraction"])] if part["fraction"] else []
    return [*cardinal(_whole(part["number"])), *point]


def _amount(sign: str, amount: str, cents: str | None) -> list[str]:
    if not _sayable(amount):
        return _digits(amount)
    unit = _MONEY[sign] + ("" if _whole(amount) == 1 else "s")
    small = cardinal(int(cents)) if cents and int(cents) else []
    return [*cardinal(_whole(amount)), unit, *small]


def _time(hour: int, minute: str) -> list[str]:
    if minute == "00":
        return cardinal(hour) if hour > 12 else [*cardinal(hour), "o'clock"]
    return [*cardinal(hour), *(["oh"] if minute[0] == "0" else []), *cardinal(int(minute))]


def _whole(digits: str) -> int:
    return int(digits.replace(",", ""))


def _sayable(digits: str) -> bool:
    return len(digits.replace(",", "")) <= 12


def _digits(digits: str) -> list[str]:
    return [_SMALL[int(d)] for d in digits if d.isdigit()]
