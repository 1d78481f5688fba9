"""Rows of `turnwise listen` as they come: lines for people, JSON lines, CSV, Parquet; and what they come to in the end."""

from __future__ import annotations

import csv
import io
import shutil
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import click
import msgspec

from turnwise.foundation.errors import StorageError
from turnwise.foundation.plain_text import plain_text
from turnwise.listening.rating_reading import RatingRead, reading_rate
from turnwise.listening.ratings import DIMENSIONS, PLACEHOLDER, Dimension
from turnwise.listening.row import COLUMNS, Row, flat

WIDTH_OF_A_FILE = 120  # columns of descriptions when the output is not a terminal
_PART = 5000  # rows of a Parquet part, to bound the memory
_NUMBERS = ("seconds", *DIMENSIONS, "stated_mos")
_COUNTS = ("rate", "channels")


class Output(Protocol):
    """Where rows go."""

    def row(self, row: Row) -> None: ...

    def close(self) -> None: ...


class Lines:
    """Numbers first, the file, and below it what is said of it."""

    def __init__(self) -> None:
        self._width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_A_FILE
        self._begun = False
        self._placeholders = False

    def row(self, row: Row) -> None:
        if not self._begun:
            self._begun = True
            click.secho("".join(f"{dimension:>5}" for dimension in DIMENSIONS) + "   seconds  file", bold=True)
        ratings = row.ratings
        numbers = "".join(f"{number(ratings.value(d) if ratings else None):>5}" for d in DIMENSIONS)
        seconds = f"{row.heard.seconds:10.1f}" if row.heard else f"{'–':>10}"
        click.echo(f"{numbers}{seconds}  {plain_text(row.file)}")
        if row.description:
            self._below(row.description)
        if ratings:
            for why in dict.fromkeys(ratings.missing.values()):
                self._below(f"not rated ({', '.join(d for d, w in ratings.missing.items() if w == why)}): {why}")
            for note in ratings.notes:
                self._below(f"note: {note}")
            self._placeholders = self._placeholders or ratings.placeholder
            left_out = [d for d in row.checked.unstated if ratings.value(d) is not None] if row.checked else []
            if left_out:
                self._below(f"the text leaves out: {', '.join(left_out)}")
        for trouble in row.troubles:
            self._below(f"trouble: {trouble}", fg="red")

    def close(self) -> None:
        """Say of numbers that are no ratings what they are, where the table ends."""
        if self._placeholders:
            click.echo(f"mos above is no mean opinion score: {PLACEHOLDER}")

    def _below(self, text: str, **style: Any) -> None:
        for line in textwrap.wrap(plain_text(text), max(40, self._width - 4)):
            click.secho(f"    {line}", **style)


class JsonLines:
    """Rows whole, with their timelines."""

    def row(self, row: Row) -> None:
        click.echo(msgspec.json.encode(row).decode())

    def close(self) -> None:
        """Everything is printed."""


class Csv:
    """Rows as lines of a table."""

    def __init__(self) -> None:
        self._line([*COLUMNS])

    def row(self, row: Row) -> None:
        values = flat(row)
        self._line([values[column] for column in COLUMNS])

    def close(self) -> None:
        """Everything is printed."""

    def _line(self, values: list[Any]) -> None:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(values)  # only what ends a line is quoted for it
        click.echo(buffer.getvalue(), nl=False)


class Parquet:
    """Rows as a table in a file, which is there when all are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="turnwise-", ignore_cleanup_errors=True)
        self._count = 0

    def row(self, row: Row) -> None:
        self._rows.append(flat(row))
        if len(self._rows) >= _PART:
            self._write()

    def close(self) -> None:
        import polars

        self._write()
        whole = self._path.with_name(f".part-{self._path.name}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            polars.scan_parquet(Path(self._folder.name) / "*.parquet").sink_parquet(whole)
            whole.replace(self._path)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror}") from error
        finally:
            self._folder.cleanup()

    def _write(self) -> None:
        import polars

        types: dict[str, Any] = {
            c: polars.Float64 if c in _NUMBERS else polars.Int64 if c in _COUNTS else polars.String for c in COLUMNS
        }
        table = polars.DataFrame(self._rows, schema=types, orient="row")
        table.write_parquet(Path(self._folder.name) / f"{self._count:06}.parquet")
        self._rows = []
        self._count += 1


class Sums:
    """What many rows come to."""

    def __init__(self) -> None:
        self.files = 0
        self.in_trouble = 0
        self._sums: dict[Dimension, float] = dict.fromkeys(DIMENSIONS, 0.0)
        self._rated: Counter[Dimension] = Counter()
        self._causes: Counter[str] = Counter()
        self._reads: Counter[str] = Counter()  # reasons, "" where the rating was read
        self._unstated: Counter[Dimension] = Counter()
        self._contradict = 0

    def row(self, row: Row) -> None:
        self.files += 1
        self.in_trouble += bool(row.troubles)
        self._causes.update({trouble.cause for trouble in row.troubles})
        for dimension in DIMENSIONS:
            value = row.ratings.value(dimension) if row.ratings else None
            if value is not None:
                self._sums[dimension] += value
                self._rated[dimension] += 1
        if row.checked is not None:
            self._reads[row.checked.rating.reason] += 1
            self._unstated.update(row.checked.unstated)
            self._contradict += not row.checked.faithful

    def lines(self, found: int) -> list[str]:
        """In words; `found` is how many rows an earlier session had made."""
        told = [_files(self.files) + (f", {found} of them heard before" if found else "")]
        means = [f"{d} {self._sums[d] / n:.2f} (n = {n})" for d in DIMENSIONS if (n := self._rated[d])]
        if means:
            told.append(f"means: {', '.join(means)}")
        rate = reading_rate(RatingRead(None if reason else 0.0, reason) for reason in self._reads.elements())  # type: ignore[arg-type]
        if rate.texts:
            unstated = ", ".join(f"{d} in {n}" for d, n in sorted(self._unstated.items())) or "nothing"
            failed = "".join(f", {reason}: {n}" for reason, n in rate.failed.items())
            told.append(
                f"descriptions: {rate.texts}, of which {self._contradict} contradict their ratings; left unstated: {unstated}; "
                f"the overall rating could be read from {rate.read}{failed}"
            )
        if self.in_trouble:
            causes = ", ".join(f"{cause} {n}" for cause, n in sorted(self._causes.items()))
            told.append(f"{_files(self.in_trouble)} in trouble: {causes}")
        return told


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
