"""Numbers and times of day as people say them, read and said.

Times are "H:MM" on a twelve hour clock, as spoken: "half past seven" is 7:30, "noon" is 12:00, "eight in the evening" is 8:00.
"""

from __future__ import annotations

from collections.abc import Sequence

from turnwise.agents.cues import word_set
from turnwise.speech.spoken_words import cardinal

_VALUES = {" ".join(cardinal(n)): n for n in range(1, 100)}
_SINGLE = {word: n for word, n in _VALUES.items() if " " not in word}
_MORE = {"couple": 2, "pair": 2, "dozen": 12, "both": 2}
_HOURS = {word: n for word, n in _SINGLE.items() if n <= 12}
_BEFORE_HOUR = word_set("at around about by before after until till from")
_DAY_PARTS = word_set("morning afternoon evening night")
_NOT_A_TIME = word_set(
    """people person persons of guests seats tickets adults kids children friends nights days weeks hours minutes months
    years dollars percent blocks miles stops rooms tables times cents passengers travelers chairs places"""
)


def number_at(words: Sequence[str], place: int) -> tuple[int, int]:
    """The number that begins at this word and how many words it takes; (0, 0) where none does."""
    if place >= len(words):
        return 0, 0
    if place + 1 < len(words):
        pair = f"{words[place]} {words[place + 1]}"
        if pair in _VALUES:
            return _VALUES[pair], 2
    word = words[place]
    if word in _SINGLE:
        return _SINGLE[word], 1
    if word in _MORE:
        return _MORE[word], 1
    return 0, 0


def time_at(words: Sequence[str], place: int) -> tuple[str, int]:
    """The time of day that begins at this word and how many words it takes; ("", 0) where none does."""
    word = words[place]
    after = [*words[place + 1 : place + 4], "", "", ""]
    if word == "noon":
        return "12:00", 1
    if word == "midnight":
        return "12:00", 1
    if word in ("half", "quarter") and after[0] in ("past", "passed", "after", "to") and after[1] in _HOURS:
        hour = _HOURS[after[1]]
        if after[0] == "to":
            return (f"{(hour - 2) % 12 + 1}:45", 3) if word == "quarter" else ("", 0)
        return f"{hour}:{30 if word == 'half' else 15}", 3
    if word not in _HOURS:
        return "", 0
    hour = _HOURS[word]
    minutes, length = _minutes(words, place + 1)
    if length and (words[place + 1 + length : place + 2 + length] or [""])[0] not in _NOT_A_TIME:
        return f"{hour}:{minutes:02d}", 1 + length
    if after[0] in ("oclock", "am", "pm") or (after[0] in ("a", "p") and after[1] == "m"):
        return f"{hour}:00", 2 if after[0] in ("oclock", "am", "pm") else 3
    if after[0] == "in" and after[1] == "the" and after[2] in _DAY_PARTS:
        return f"{hour}:00", 4
    if after[0] == "tonight":
        return f"{hour}:00", 1
    if after[0] == "at" and after[1] == "night":
        return f"{hour}:00", 3
    before = words[place - 1] if place else ""
    if before in _BEFORE_HOUR and after[0] not in _NOT_A_TIME and number_at(words, place)[1] == 1:
        return f"{hour}:00", 1
    return "", 0


def say_number(number: int) -> str:
    return " ".join(cardinal(number))


def say_time(time: str) -> str:
    """ "7:30" as "seven thirty", "7:05" as "seven oh five", "7:00" as "seven o'clock", "12:00" as "noon"."""
    hour, _, minute = time.partition(":")
    if time == "12:00":
        return "noon"
    if minute == "00":
        return f"{say_number(int(hour))} o'clock"
    return f"{say_number(int(hour))} {'oh ' if int(minute) < 10 else ''}{say_number(int(minute))}"


def _minutes(words: Sequence[str], place: int) -> tuple[int, int]:
    if place + 1 < len(words) and words[place] in ("oh", "o") and 0 < _SINGLE.get(words[place + 1], 0) < 10:
        return _SINGLE[words[place + 1]], 2
    value, length = number_at(words, place)
    return (value, length) if 10 <= value <= 59 and words[place] not in _MORE else (0, 0)
