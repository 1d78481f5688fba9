"""Figures as others published them, with source and date; nothing in them is ours.

The files are in `published/`; what follows from the figures (means, slopes, ratios, falls) is computed by the statistics of this
package, and the claims made with them are looked at in `claims`.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import msgspec

from turnwise.foundation.errors import InputError, StorageError
from turnwise.statistics.curve import drops
from turnwise.statistics.sheet import Cell, Sheet, row
from turnwise.statistics.slope import least_squares
from turnwise.statistics.wording import plain, signed

SOURCES = ("context_trap", "salesagent")
TABLES = ("1", "2", "3", "4", "5", "salesagent")
ABSENT = "-"  # what the source prints where it has no figure
DROP = 10.0  # points below the first round that the paper prints in bold


class Published(msgspec.Struct, frozen=True):
    """One table of one source."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]
    source: str
    date: str
    note: str

    def of(self, system: str, column: str) -> float | None:
        return self.rows[system][self.columns.index(column)]


def published(*keys: str) -> tuple[Published, ...]:
    """The tables of these keys, all where none is given; "5" stands for both of its halves."""
    found: list[Published] = []
    for name in SOURCES:
        path = files("turnwise.statistics") / "published" / f"{name}.toml"
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise StorageError(f"{path} cannot be read: {error}", "install turnwise again") from error
        found += [_table(entry, data) for entry in data["table"]]
    if not keys:
        return tuple(found)
    chosen = [t for key in keys for t in found if t.key == key or t.key[:-1] == key]
    if unknown := [key for key in keys if not any(key in (t.key, t.key[:-1]) for t in found)]:
        raise InputError(f"no published table is called {unknown[0]!r}", f"known: {', '.join(TABLES)}")
    return tuple(chosen)


def means(table: Published) -> dict[str, float]:
    """Mean over the rounds of each row, rounds counting alike."""
    return {name: sum(v for v in values if v is not None) / len(values) for name, values in _complete(table).items()}


def tilts(table: Published) -> dict[str, float]:
    """Least-squares slope per round of each row."""
    return {name: least_squares([v for v in values if v is not None]) for name, values in _complete(table).items()}


def falls(table: Published) -> dict[str, tuple[int, ...]]:
    """Rounds more than ten points below the first, which the paper prints in bold."""
    return {name: drops(values, DROP) for name, values in _complete(table).items()}


def ratios(table: Published) -> dict[str, tuple[float, ...]]:
    """End-to-end over modular, for each model that has both."""
    made = {}
    for name, values in table.rows.items():
        model, _, kind = name.partition(" ")
        other = table.rows.get(f"{model} (M)")
        if kind == "(E2E)" and other is not None:
            made[model] = tuple(a / b for a, b in zip(values, other, strict=True) if a is not None and b is not None and b != 0)
    return made


def sheets(table: Published) -> tuple[Sheet, ...]:
    """The table as printed, with what follows from it."""
    note = f"{table.source}, {table.date}. {table.note}"
    if table.key.startswith("5"):
        mean, tilt, fall = means(table), tilts(table), falls(table)
        rows = tuple(
            row(
                name,
                *(Cell(plain(v), i in fall[name]) for i, v in enumerate(values, start=1)),
                plain(mean[name], 2),
                signed(tilt[name], 2),
                str(len(fall[name])),
            )
            for name, values in table.rows.items()
        )
        note += " Mean, slope and falls are computed here; bold (or *): more than 10 points below R1. No n per round is printed."
        return (Sheet(f"Table 5. {table.title}", ("system", *table.columns, "mean", "slope", "falls"), rows, note),)
    title = f"Table {table.key}. {table.title}" if table.key.isdigit() else table.title
    places = [_places([values[k] for values in table.rows.values()]) for k in range(len(table.columns))]
    if table.key == "3":  # one column of unlike quantities
        body = tuple(row(name, f"{values[0]:g}") for name, values in table.rows.items())
    else:
        body = tuple(
            row(name, *(ABSENT if v is None else plain(v, k) for v, k in zip(values, places, strict=True)))
            for name, values in table.rows.items()
        )
    made = [Sheet(title, ("system" if table.key not in "34" else "", *table.columns), body, note)]
    if table.key == "2":
        lines = tuple(row(model, *(plain(v, 2) for v in values)) for model, values in ratios(table).items())
        heading = "Severity of end-to-end over modular (computed here)"
        made.append(Sheet(heading, ("model", *table.columns), lines, "Above 1: end-to-end is worse."))
    return tuple(made)


def _table(entry: dict[str, Any], data: dict[str, Any]) -> Published:
    rows = {name: tuple(None if v == ABSENT else float(v) for v in values) for name, values in entry["rows"].items()}
    columns = tuple(entry["columns"])
    if any(len(values) != len(columns) for values in rows.values()):
        raise StorageError(f"the published table {entry['key']!r} has rows of the wrong length", "install turnwise again")
    return Published(entry["key"], entry["title"], columns, rows, data["source"], data["date"], data["note"])


def _places(column: list[float | None]) -> int:
    """Decimals of the most precise figure of a column."""
    return max(len(f"{v:g}".partition(".")[2]) for v in column if v is not None)


def _complete(table: Published) -> dict[str, tuple[float | None, ...]]:
    return {name: values for name, values in table.rows.items() if None not in values}
