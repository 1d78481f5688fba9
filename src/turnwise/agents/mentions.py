"""Slot values in one utterance: what the user says of the things an intent needs to know.

Exact forms are found first. Where a slot got none, phrases that merely sound like one of its values are considered, for
recognisers err; those count only beside words that announce a value of that kind, or when they sound almost the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from turnwise.agents.cues import cues, plain_words, word_set
from turnwise.agents.domains import Intent, Slot
from turnwise.agents.likeness import likeness, sounds
from turnwise.agents.spoken_numbers import number_at, time_at

ALIKE = 0.93  # likeness from which a phrase counts by itself
ALIKE_ANNOUNCED = 0.84  # likeness enough after a word that announces such a value, or in answer to a question for it
SHORTEST_ALIKE = 4  # sounds; shorter values are too easily found in anything
LONGEST_SMALL_WORD = 4  # letters; phrases of shorter words alone ("me and a") must be announced and sound the same
REACH = 6  # words before a value within which a role cue still governs it

_PAIRS = (("destination", "origin"), ("dropoff", "pickup"), ("day", "return_day"))  # the first of a pair is the ordinary one
_PARTY = word_set("people person persons seats seat tickets ticket guests adults passengers travelers chairs places")
_COUNTED = word_set("table room rooms seats tickets dinner lunch supper plan ride flight reservation cab movie film")
_GROUPS = word_set("party group")
_MEASURES = word_set(
    """nights night days day hours hour minutes weeks week months years thirty fifteen forty twenty oclock dollars of in
    blocks miles times percent kids children oh ten forty fifty"""
)
_TOTALS = (
    "we are",
    "we were",
    "well be",
    "will be",
    "there are",
    "thats",
    "that is",
    "that makes",
    "makes it",
    "it makes",
    "make it",
    "make that",
)
_BEFORE_OF_US = word_set("be are makes make just all only the is with")
_MISHEARD = {"for": 4, "to": 2, "too": 2, "ate": 8}
_ALONE = (
    "just me",
    "only me",
    "just myself",
    "by myself",
    "be alone",
    "coming alone",
    "going alone",
    "traveling alone",
    "on my own",
)
_ANNOUNCE: Mapping[str, frozenset[str]] = {
    "day": word_set("on this next by until"),
    "city": word_set("to from in visit leaving"),
    "choice": word_set("some love something prefer near by want"),
}


class Mention(msgspec.Struct, frozen=True):
    """One value found."""

    slot: str
    value: str
    place: int  # of its first word
    sure: bool = True  # by its exact form
    weak: bool = False  # by a word that is a value only where a value is expected


@lru_cache(maxsize=16384)
def mentions(text: str, intent: Intent, expected: str | None = None, *, alike: bool = True) -> tuple[Mention, ...]:
    """Values in the order they are said; `expected` is the slot the agent asked for just before.

    `alike` admits phrases that only sound like a value.
    """
    words = plain_words(text)
    named = {slot.name: slot for slot in intent.slots}
    made: list[Mention] = []
    for slot in intent.slots:
        if slot.kind in ("choice", "city"):
            if any(second == slot.name and first in named for first, second in _PAIRS):
                continue  # read together with the first of its pair
            partner = next((named[b] for a, b in _PAIRS if a == slot.name and b in named), None)
            made += _choices(words, slot, partner, expected, alike)
        elif slot.kind == "time":
            made += _times(words, slot.name)
        elif slot.name == "people":
            made += _people(words, slot.name, expected)
        else:
            made += _durations(words, slot.name, expected)
    return tuple(sorted(made, key=lambda m: (m.place, m.slot)))


def _choices(words: tuple[str, ...], slot: Slot, partner: Slot | None, expected: str | None, alike: bool) -> list[Mention]:
    forms = {form: value for s in (slot, partner) if s for value, listed in s.values.items() for form in listed}
    exact = _exact(words, tuple(sorted(forms)))
    weak = frozenset(cues()["weak"]["words"])
    asked = expected in (slot.name, partner.name if partner else slot.name)
    made = []
    for place, length, form in exact:
        if _rejected(words, place):
            continue
        name = _role(words, place, length, slot, partner, expected)
        value = forms[form]
        if value not in (slot if name == slot.name else partner or slot).values:
            name = slot.name
        made.append(Mention(name, value, place, weak=form in weak and not asked))
    if alike and not exact:
        kind = "city" if slot.kind == "city" else "day" if "monday" in slot.values else "choice"
        for place, length, form in _alike(words, tuple(sorted(forms)), kind, asked):
            if not _rejected(words, place):
                made.append(Mention(_role(words, place, length, slot, partner, expected), forms[form], place, sure=False))
    return made


@lru_cache(maxsize=8192)
def _exact(words: tuple[str, ...], forms: tuple[str, ...]) -> tuple[tuple[int, int, str], ...]:
    """Places, lengths and forms; of forms that begin alike the longest counts, an ending of the last word is forgiven."""
    text = " ".join(words)
    pattern, named = _pattern(forms)
    return tuple(
        (text.count(" ", 0, match.start()), match.group(1).count(" ") + 1, named[match.group(1)])
        for match in pattern.finditer(text)
    )


@lru_cache(maxsize=256)
def _pattern(forms: tuple[str, ...]) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """A pattern for all forms with their endings, and the form behind each spelling."""
    named: dict[str, str] = {}
    for form in forms:
        stem = form.replace("'", "")
        endings = [stem + "s", stem + "es", stem + "y", *([stem[:-1]] if stem.endswith("s") and len(stem) > 4 else [])]
        for spelling in endings:
            named.setdefault(spelling, form)
    named.update({form.replace("'", ""): form for form in forms})
    longest = sorted(named, key=lambda spelling: (-len(spelling), spelling))
    return re.compile(r"(?<!\S)(" + "|".join(map(re.escape, longest)) + r")(?!\S)"), named


@lru_cache(maxsize=8192)
def _alike(words: tuple[str, ...], forms: tuple[str, ...], kind: str, asked: bool) -> tuple[tuple[int, int, str], ...]:
    """The one phrase that sounds most like a form, if any sounds enough like it; the first sound must be right."""
    best: tuple[float, int, int, str] | None = None
    weak = cues()["weak"]["words"]
    rows = [(form, sounds(form), len(form.split()) + 2) for form in forms if form not in weak]
    for place, length, heard in _windows(words, max((most for _, _, most in rows), default=0)):
        window = words[place : place + length]
        announced = asked or (place > 0 and words[place - 1] in _ANNOUNCE[kind])
        small = max(map(len, window)) < LONGEST_SMALL_WORD
        if small and not announced:
            continue
        least = ALIKE_ANNOUNCED if announced and not small else ALIKE
        for form, row, most in rows:
            if len(row) < SHORTEST_ALIKE or length > most or heard[:1] != row[:1] or abs(len(heard) - len(row)) > 1:
                continue
            score = likeness(" ".join(window), form)
            if score >= least and (best is None or score > best[0]):
                best = (score, place, length, form)
    return (best[1:],) if best else ()


def _windows(words: tuple[str, ...], longest: int) -> Iterator[tuple[int, int, str]]:
    """Runs of words that may be something misheard, with how they sound."""
    for place in range(len(words)):
        for length in range(1, min(longest, len(words) - place) + 1):
            if words[place + length - 1] in _LOOKALIKES:
                break
            yield place, length, sounds(" ".join(words[place : place + length]))


def _rejected(words: Sequence[str], place: int) -> bool:
    before = " ".join(words[max(0, place - 6) : place])
    return _rejection().search(before) is not None


@lru_cache(maxsize=1)
def _rejection() -> re.Pattern[str]:
    listed = "|".join(sorted(cues()["reject"]["before"], key=len, reverse=True))
    return re.compile(rf"\b(?:{listed})(?: (?:the|a|an|in|on|any|at|for|by|too|so|very|near|to))*$")


def _role(words: Sequence[str], place: int, length: int, slot: Slot, partner: Slot | None, expected: str | None) -> str:
    """Which of two slots that share their values is meant."""
    if partner is None:
        return slot.name
    roles = cues()["roles"]
    before = " ".join(words[max(0, place - REACH) : place])
    after = " ".join(words[place + length : place + length + 4])
    if any(re.match(rf"(?:{cue})\b", after) for s in (slot, partner) for cue in roles[s.name]["after"]):
        return next(s.name for s in (slot, partner) for cue in roles[s.name]["after"] if re.match(rf"(?:{cue})\b", after))
    nearest = (-1, -1, "")
    for name in (slot.name, partner.name):
        for cue in roles[name]["before"]:
            for match in re.finditer(rf"\b(?:{cue})\b", before):
                nearest = max(nearest, (match.end(), match.end() - match.start(), name))
    if nearest[2]:
        return nearest[2]
    return expected if expected in (slot.name, partner.name) else slot.name


def _times(words: Sequence[str], slot: str) -> list[Mention]:
    made, place = [], 0
    while place < len(words):
        value, length = time_at(words, place)
        if length and not _rejected(words, place):
            made.append(Mention(slot, value, place))
        place += max(1, length)
    return made


def _people(words: Sequence[str], slot: str, expected: str | None) -> list[Mention]:
    made = []
    text = " ".join(words)
    for phrase in _ALONE:
        at = re.search(rf"\b{phrase}\b", text)
        if at:
            place = len(text[: at.start()].split())
            made.append(Mention(slot, "1", place, weak=phrase == "on my own"))
    place = 0
    while place < len(words):
        value, length = number_at(words, place)
        if not length and words[place] in _MISHEARD and words[place + 1 : place + 3] == ("of", "us"):
            if place and words[place - 1] in _BEFORE_OF_US:
                made.append(Mention(slot, str(_MISHEARD[words[place]]), place, sure=False))
        elif length and _counts_people(words, place, length, value) and not _rejected(words, place):
            made.append(Mention(slot, str(_with_children(words, place + length, value)), place))
        elif length and expected == slot and not time_at(words, place)[1] and _free(words, place + length):
            made.append(Mention(slot, str(value), place, weak=True))
        place += max(1, length)
    return made


def _counts_people(words: Sequence[str], place: int, length: int, value: int) -> bool:
    after = [*words[place + length : place + length + 3], "", "", ""]
    before = ["", "", "", *words[max(0, place - 3) : place]]
    if words[place] == "both":
        return after[0] == "of" and after[1] == "us"
    if words[place] in ("couple", "pair"):
        return after[0] == "of" and after[1] in _PARTY
    if after[0] == "of" and after[1] in ("us", "you"):
        return value > 1
    if after[0] in _PARTY or (after[1] in _PARTY and after[0] in ("more", "good", "adult")):
        return True
    if time_at(words, place)[1] or not _free(words, place + length):
        return False
    if before[-1] == "for" and before[-2] in _COUNTED:
        return True
    if before[-1] == "of" and before[-2] in _GROUPS:
        return True
    if after[0] in ("altogether",) or " ".join(after[:2]) in ("in all", "in total"):
        return True
    return " ".join(before[-2:]) in _TOTALS and after[0] in (
        "",
        "and",
        "including",
        "counting",
        "with",
        "instead",
        "now",
        "then",
        "please",
        "so",
    )


def _with_children(words: Sequence[str], place: int, adults: int) -> int:
    """ "two adults and three children" are five."""
    if tuple(words[place : place + 2]) == ("adults", "and"):
        value, length = number_at(words, place + 2)
        if length and words[place + 2 + length : place + 3 + length] and words[place + 2 + length] in ("kids", "children"):
            return adults + value
    return adults


def _free(words: Sequence[str], place: int) -> bool:
    return place >= len(words) or words[place] not in _MEASURES


def _durations(words: Sequence[str], slot: str, expected: str | None) -> list[Mention]:
    """Nights or days, as the slot is called."""
    unit = slot.rstrip("s")
    made, place = [], 0
    while place < len(words):
        value, length = number_at(words, place)
        end = place + max(1, length)
        after = [*words[end : end + 2], "", ""]
        before = words[place - 1] if place else ""
        free = bool(length) and _free(words, end)
        counted = bool(length) and after[0] in (unit, slot) and after[1] not in ("ago", "later", "left") and before != "in"
        stays = free and unit == "night" and before in ("stay", "staying")
        if words[place] in ("a", "one") and after[0] == "week" and before != "once":
            made.append(Mention(slot, "7", place))
        elif counted or stays:
            made.append(Mention(slot, str(value), place))
        elif free and expected == slot and not time_at(words, place)[1] and after[0] not in _PARTY:
            made.append(Mention(slot, str(value), place, weak=True))
        place = end
    return made


# Everyday words that sound like a value and are not one.
_LOOKALIKES = word_set(
    """money many thirsty sandy someday dollars dollar then there done down town company called cold could party pretty
    parking parked market made modern moment mother music water matter better letter later front fond sister sitting city
    seat seats set said stay start started store story station still free place places just least lovely curious
    lively love here hear please people expect second"""
)
