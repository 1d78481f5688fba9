"""What a user does with a turn besides stating values: ask back, ask about the offer, book, thank, change their mind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from turnwise.agents.cues import any_of, cues, found, plain

_ACTS = ("book", "suggest", "thanks", "greeting")


class Acts(msgspec.Struct, frozen=True):
    """What one user turn does."""

    probes: tuple[str, ...] = ()  # slots asked back, by name, whether they exist in the intent or not
    everything: bool = False  # asks for all that is noted
    framed: bool = False  # words that appeal to memory: "did I say", "remind me"
    changes: bool = False
    questions: tuple[str, ...] = ()  # about the thing on offer: "cost", "parking"
    book: bool = False
    suggest: bool = False
    thanks: bool = False
    greeting: bool = False


def acts(text: str, slots: Sequence[str] | None = None) -> Acts:
    """The acts in one user turn. `slots` are those of the intent; None where the intent is not known."""
    return _acts(plain(text), None if slots is None else tuple(slots))


@lru_cache(maxsize=4096)
def _acts(line: str, slots: tuple[str, ...] | None) -> Acts:
    table = cues()
    everything = found(table["probe"]["everything"], line)
    framed = everything or found(table["probe"]["frames"], line)
    calm = any_of(tuple(table["probe"]["neutral"])).sub(" ", line)
    probes = tuple(_asked_back(calm, framed, slots))
    named = {name: found(patterns, line) for name, patterns in table["acts"].items() if name in _ACTS}
    return Acts(
        probes=probes,
        everything=everything,
        framed=framed,
        changes=found(table["change"]["patterns"], line),
        questions=tuple(kind for kind, patterns in table["questions"].items() if found(patterns, line)),
        **named,
    )


def _asked_back(line: str, framed: bool, slots: tuple[str, ...] | None) -> list[str]:
    """Slots the turn asks for, in the order their questions stand."""
    at: list[tuple[int, str]] = []
    # Longer questions first, so that "which day do we fly back" is the way back and leaves no plain "which day" behind.
    order = sorted(cues()["probe"]["slots"].items(), key=lambda item: item[0] != "return_day")
    for name, patterns in order:
        if slots is not None and name not in slots:
            continue
        listed = (*patterns["plain"], *(patterns["named"] if framed else ()))
        match = any_of(tuple(listed)).search(line)
        if match is None:
            continue
        at.append((match.start(), name))
        if name == "return_day" and " days " not in f" {match.group()} ":  # "which days" asks for both
            line = line[: match.start()] + " " * (match.end() - match.start()) + line[match.end() :]
    return [name for _, name in sorted(at)]


def asks_for(text: str, slots: Sequence[str]) -> tuple[str, ...]:
    """Slots an agent's turn asks the user for, judged by its questions."""
    asked: list[str] = []
    for sentence in text.replace("!", ".").replace("?", "?.").split("."):
        if sentence.strip().endswith("?"):
            line = plain(sentence)
            more = [name for name in slots if found(cues()["asks"].get(name, ()), line)]
            asked += [name for name in dict.fromkeys((*_asked_back(line, False, tuple(slots)), *more)) if name not in asked]
    return tuple(asked)
