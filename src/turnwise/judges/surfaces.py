"""How a value may be written in a reply, so that another can be put in its place."""

from __future__ import annotations

import re

from turnwise.judges.wording import MONTHS, NUMBERS

_WORD_OF = {n: word for word, n in NUMBERS.items()}


def spelled(value: str) -> tuple[str, ...]:
    """Ways to write a value, in an order that is the same for all values of a kind."""
    if iso := re.fullmatch(r"\d{4}-(\d\d)-(\d\d)", value):
        month, day = MONTHS[int(iso[1]) - 1].capitalize(), int(iso[2])
        suffix = "th" if day % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
        return f"{month} {day}{suffix}", f"{day}{suffix} of {month}", f"the {day}{suffix}", f"{month} {day}"
    if clock := re.fullmatch(r"(\d{1,2}):(\d\d)", value):
        hour, minute = (int(clock[1]) - 1) % 12 + 1, int(clock[2])
        half = "pm" if int(clock[1]) >= 12 else "am"
        in_words = f"{_number(hour)} {_number(minute)}" if minute else _number(hour)
        short = f"{hour}:{minute:02d}" if minute else str(hour)
        return f"{short} {half}", short, in_words, f"half past {_number(hour)}" if minute == 30 else in_words
    if value.isdigit() and int(value) < 100:
        return value, _number(int(value))
    return (value,)


def replaced(text: str, value: str, other: str) -> str | None:
    """The text with every naming of `value` turned into `other`, None where it is not named or they look the same."""
    for old, new in zip(spelled(value), spelled(other), strict=False):
        pattern = re.compile(rf"(?<![\w:]){re.escape(old)}(?![\w:])", re.IGNORECASE)
        if old.lower() != new.lower() and pattern.search(text):
            return pattern.sub(new, text)
    return None


def _number(n: int) -> str:
    if n in _WORD_OF:
        return _WORD_OF[n]
    tens = n - n % 10
    return f"{_WORD_OF[tens]} {_WORD_OF[n % 10]}" if tens in _WORD_OF else str(n)
