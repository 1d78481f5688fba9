"""What there is to talk about: intents, the slots each needs, and how people say their values.

Read from `knowledge/domains.toml` or from a file of the same form. A slot's values are canonical; the words after each are
how else people say it. Records compare by identity: each file is read once, and they are part of caches' keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnwise.foundation.errors import InputError

KNOWLEDGE = Path(__file__).parent / "knowledge"
KINDS = ("choice", "number", "time", "city")

Kind = Literal["choice", "number", "time", "city"]


class Slot(msgspec.Struct, frozen=True, eq=False):
    """One thing to know about what the user wants."""

    name: str
    kind: Kind
    ask: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]  # canonical value -> every form, the canonical one first; empty for numbers and times


class Intent(msgspec.Struct, frozen=True, eq=False):
    """Something the user may want."""

    name: str
    description: str
    cues: tuple[str, ...]
    slots: tuple[Slot, ...]

    def slot(self, name: str) -> Slot:
        return next(s for s in self.slots if s.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.slots)


class Domains(msgspec.Struct, frozen=True, eq=False):
    """All intents of one file, in its order."""

    intents: tuple[Intent, ...]

    def intent(self, name: str) -> Intent:
        return next(i for i in self.intents if i.name == name)


def load_domains(folder: Path = KNOWLEDGE) -> Domains:
    """The domains of `domains.toml` in a folder."""
    return _domains(folder / "domains.toml")


@lru_cache(maxsize=8)
def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file; what is wrong with it is said with its place."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error


@lru_cache(maxsize=8)
def _domains(path: Path) -> Domains:
    data = read_toml(path)
    shared = data.get("shared", {})
    cities = {city: (city,) for city in data.get("cities", {}).get("values", [])}
    intents = []
    for name, table in data.get("intents", {}).items():
        place = f"{path}: intents.{name}"
        for key in ("description", "cues", "slots"):
            if key not in table:
                raise InputError(f"{place} has no {key!r}")
        slots = tuple(_slot(s, table.get(s, shared.get(s)), cities, f"{place}.{s}") for s in table["slots"])
        intents.append(Intent(name, table["description"], tuple(table["cues"]), slots))
    if not intents:
        raise InputError(f"{path} defines no intent", "expected a table [intents.NAME] with description, cues and slots")
    return Domains(tuple(intents))


def _slot(name: str, table: Mapping[str, Any] | None, cities: Mapping[str, tuple[str, ...]], place: str) -> Slot:
    if table is None:
        raise InputError(f"{place} is named in `slots` but defined nowhere", f"define it there or as [shared.{name}]")
    kind = table.get("kind")
    if kind not in KINDS:
        raise InputError(f"{place} has the kind {kind!r}", f"one of {', '.join(KINDS)}")
    if not table.get("ask"):
        raise InputError(f"{place} has no question in `ask`")
    values: Mapping[str, tuple[str, ...]] = {}
    if kind == "choice":
        values = {value: (value, *forms) for value, forms in table.get("values", {}).items()}
    elif kind == "city":
        values = cities
    return Slot(name, kind, tuple(table["ask"]), values)
