"""How things are put: values named in words, summaries, and phrasings chosen so that nothing is said twice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from turnwise.agents.cues import plain
from turnwise.agents.domains import KNOWLEDGE, Intent, read_toml
from turnwise.agents.spoken_numbers import say_number, say_time
from turnwise.foundation.fingerprint import seed_of

_UNITS = {"people": ("person", "people"), "nights": ("night", "nights"), "days": ("day", "days")}
_PAIRS = (("origin", "destination"), ("pickup", "dropoff"), ("day", "return_day"))  # told apart by their prepositions
_AFTER_COMMA = frozenset(("cuisine", "area", "price", "cabin", "return_day"))
_GAP = re.compile(r"\{(\w+)\}")
_MAY_BE_EMPTY = frozenset(("where",))


class Phrasebook(msgspec.Struct, frozen=True):
    """The phrases of `knowledge/phrases.toml`."""

    table: Mapping[str, Any]

    def say(self, act: str) -> tuple[str, ...]:
        return tuple(self.table["say"][act])

    def noun(self, intent: Intent | None, slot: str) -> str:
        return str(self._entry("nouns", intent, slot) or slot.replace("_", " "))

    def value(self, intent: Intent | None, slot: str, value: str) -> str:
        """A value by itself: "Friday", "seven thirty", "four people", "Italian food"."""
        listed = self._entry("values", intent, slot) or {}
        if value in listed:
            return str(listed[value])
        if slot == "time":
            return say_time(value)
        if value.isdigit():
            one, many = _UNITS.get(slot, ("", ""))
            return f"{say_number(int(value))} {one if value == '1' else many}".strip()
        if slot in ("day", "return_day"):
            return value if value in ("today", "tomorrow") else value.capitalize()
        if slot in ("origin", "destination"):
            return value.title()
        return value

    def within(self, intent: Intent | None, slot: str, value: str) -> str:
        """A value as part of a sentence: "on Friday", "at seven thirty", "for four people"."""
        shape = self.table["within"].get(f"{slot}.{value}") or self._entry("within", intent, slot) or "{v}"
        return str(shape).replace("{v}", self.value(intent, slot, value))

    def listed(self, intent: Intent | None, values: Mapping[str, str]) -> str:
        """Several values: "Friday, seven thirty and four people"; with their prepositions where roles could be confused."""
        if self.routed(intent, values):
            order = self._order(intent)
            slots = sorted(values, key=lambda s: order.index(s) if s in order else -1)
            return self._joined(intent, slots, values)
        named = [self.value(intent, slot, value) for slot, value in values.items()]
        return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"

    def routed(self, intent: Intent | None, values: Mapping[str, str]) -> bool:
        """Whether some of the values need their prepositions to be told apart."""
        names = () if intent is None else intent.names
        return any(slot in values for pair in _PAIRS if set(pair) <= set(names) for slot in pair)

    def summary(self, intent: Intent, known: Mapping[str, str]) -> str:
        """Everything known in one phrase: "a table for four people on Friday at seven thirty, with Italian food"."""
        shape = self._shape(intent)
        left = dict(known)
        first = str(shape.get("first", ""))
        head = self.value(intent, first, left.pop(first)) if first in left else shape["head"]
        head = " ".join([*(left.pop(slot) for slot in shape.get("before", ()) if slot in left), head])
        slots = [s for s in shape["order"] if s in left] + [s for s in left if s not in shape["order"]]
        return f"{head} {self._joined(intent, slots, left)}".strip()

    def where(self, intent: Intent, known: Mapping[str, str]) -> str:
        """ " downtown" or " in Denver", where an item is to be placed by what the user said; else nothing."""
        slot = str(self._shape(intent).get("where", ""))
        return f" {self.within(intent, slot, known[slot])}" if slot in known else ""

    def thing(self, intent: Intent) -> str:
        return str(self._shape(intent)["thing"])

    def by(self, intent: Intent, name: str) -> str:
        """, at the Copper Lantern": how a booking names its item."""
        return ", " + str(self._shape(intent).get("by", "with {name}")).replace("{name}", name)

    def _joined(self, intent: Intent | None, slots: Sequence[str], values: Mapping[str, str]) -> str:
        text = ""
        for slot in slots:
            comma = "," if slot in _AFTER_COMMA and text else ""
            text += f"{comma} {self.within(intent, slot, values[slot])}"
        return text.strip()

    def _shape(self, intent: Intent) -> Mapping[str, Any]:
        shape: Mapping[str, Any] | None = self.table["summary"].get(intent.name)
        return shape or {"head": intent.description, "order": list(intent.names), "thing": intent.description}

    def _order(self, intent: Intent | None) -> list[str]:
        return [] if intent is None else list(self._shape(intent)["order"])

    def _entry(self, group: str, intent: Intent | None, slot: str) -> Any:
        table = self.table[group]
        special = None if intent is None else table.get(f"{intent.name}.{slot}")
        return special if special is not None else table.get(slot)


class Chooser:
    """Picks phrasings for one reply: by seed, and never one that the shown past or this reply has used while another is left."""

    def __init__(self, seed: int, said: Sequence[str]) -> None:
        self._seed = seed
        self._said = [plain(s) for text in said for s in re.split(r"(?<=[.!?:])\s+", text) if s]
        self._whole = " | ".join(plain(text) for text in said)

    def pick(self, act: str, phrases: Sequence[str], **fill: str) -> str:
        """One phrase with its gaps filled; a gap spelled with a capital takes its filling capitalised."""
        gaps = {**fill, **{k.capitalize(): _capital(v) for k, v in fill.items()}}
        usable = [p for p in phrases if all(gaps.get(g) or g in _MAY_BE_EMPTY for g in _GAP.findall(p))]
        order = sorted(usable, key=lambda p: seed_of(self._seed, act, p))
        made = [(self._uses(p, text), text) for p, text in ((p, _GAP.sub(lambda m: gaps[m.group(1)], p)) for p in order)]
        text = min(made, key=lambda pair: pair[0])[1]  # the first of those used least
        self._said += [plain(s) for s in re.split(r"(?<=[.!?:])\s+", text)]
        self._whole += " | " + plain(text)
        return text

    def _uses(self, phrase: str, text: str) -> int:
        shape = _shape(re.split(r"(?<=[.!?])\s+", phrase)[0])
        same = self._whole.count(plain(text))
        return same + (sum(shape.fullmatch(s) is not None for s in self._said) if shape else 0)


@lru_cache(maxsize=2048)
def _shape(phrase: str) -> re.Pattern[str] | None:
    """What every filling of a phrase looks like; None where the phrase is little more than its gaps."""
    parts = [plain(part) for part in _GAP.split(phrase)[::2]]
    if not any(parts):
        return None
    return re.compile(r" ?.* ?".join(re.escape(part) for part in parts))


def read_phrasebook() -> Phrasebook:
    return Phrasebook(read_toml(KNOWLEDGE / "phrases.toml"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
