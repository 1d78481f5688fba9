"""What can be recommended: items of `knowledge/catalogue.toml`, matched with what the user wants.

An item's attributes are lists of slot values it can serve; a slot it does not list it serves in any value. Its other fields
answer what users ask about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from turnwise.agents.cues import plain
from turnwise.agents.domains import KNOWLEDGE, Domains, read_toml
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import seed_of

_TEXTS = ("cost", "near", "parking", "lasts", "children")


class Item(msgspec.Struct, frozen=True, eq=False):
    """One thing on offer."""

    intent: str
    name: str
    blurb: str  # "with ...", goes on after the name
    serves: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, str]  # kind of question -> a sentence

    def misses(self, wishes: Mapping[str, str]) -> tuple[str, ...]:
        """The wishes this item cannot serve."""
        return tuple(slot for slot, value in wishes.items() if slot in self.serves and value not in self.serves[slot])


class Catalogue(msgspec.Struct, frozen=True):
    """All items, in the order of the file."""

    items: tuple[Item, ...]

    def best(self, intent: str, wishes: Mapping[str, str], seed: int, without: tuple[Item, ...] = ()) -> Item | None:
        """The item that misses fewest wishes; the seed decides among equals."""
        listed = [item for item in self.items if item.intent == intent and item not in without]
        return min(listed, key=lambda i: (len(i.misses(wishes)), seed_of(seed, i.name)), default=None)

    def telling(self, intent: str) -> frozenset[str]:
        """The slots by which the items of an intent differ."""
        return frozenset(slot for item in self.items if item.intent == intent for slot in item.serves)

    def named(self, text: str) -> tuple[Item, ...]:
        """Items whose names occur in a text, in their order there."""
        line = f" {plain(text)} "
        at = [(line.find(f" {plain(item.name)} "), place) for place, item in enumerate(self.items)]
        return tuple(self.items[place] for start, place in sorted(at) if start >= 0)


def read_catalogue(domains: Domains, folder: Path = KNOWLEDGE) -> Catalogue:
    """The items of `catalogue.toml` in a folder, checked against the domains; none where the file is absent."""
    path = folder / "catalogue.toml"
    if not path.is_file():
        return Catalogue(())
    items = []
    for name, entries in read_toml(path).items():
        intent = next((i for i in domains.intents if i.name == name), None)
        if intent is None:
            raise InputError(f"{path}: {name} is no intent of the domains")
        items += [_item(name, entry, {s.name: tuple(s.values) for s in intent.slots}, path) for entry in entries]
    return Catalogue(tuple(items))


def _item(intent: str, entry: Mapping[str, Any], slots: Mapping[str, tuple[str, ...]], path: Path) -> Item:
    place = f"{path}: {intent}.{entry.get('name', '?')}"
    serves = {}
    for key, value in entry.items():
        if key in ("name", "blurb", *_TEXTS):
            continue
        if key not in slots:
            raise InputError(f"{place} has the unknown key {key!r}", f"slots of {intent}: {', '.join(slots)}")
        values = (value,) if isinstance(value, str) else tuple(value)
        unknown = [v for v in values if slots[key] and v not in slots[key]]
        if unknown:
            raise InputError(f"{place}.{key} has the unknown value {unknown[0]!r}", f"known: {', '.join(slots[key])}")
        serves[key] = values
    try:
        return Item(intent, entry["name"], entry["blurb"], serves, {k: entry[k] for k in _TEXTS if k in entry})
    except KeyError as error:
        raise InputError(f"{place} has no {error.args[0]!r}") from error
