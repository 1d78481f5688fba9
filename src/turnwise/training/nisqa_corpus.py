"""The NISQA corpus: speech with the ratings that listeners gave it, read from its tables.

The corpus is one folder (NISQA_Corpus.zip, about 16 GB, Zenodo 4728081) with a folder per part, each with its own table
`<part>_file.csv`, and one table of everything, `NISQA_corpus_file.csv`. Paths in the tables start at the corpus folder. A row has
five ratings, their standard deviations over the listeners, and the number of votes; columns beyond those named here (conditions
of the simulated parts) are left alone. Nothing is guessed: a row without a rating, or with one off the scale of 1 to 5, is an
InputError with its file and line, and so is a sound that is not there.

Sounds made from one clean recording belong together: `Row.origin` says which, so that no recording is both trained and tested on.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from turnwise.foundation.errors import InputError
from turnwise.listening.ratings import DIMENSIONS, Dimension, Ratings

WHOLE = "NISQA_corpus_file.csv"
SOURCE = "NISQA corpus"
PARTS = {  # with the number of sounds each is published with
    "NISQA_TRAIN_SIM": 10_000,
    "NISQA_TRAIN_LIVE": 1_020,
    "NISQA_VAL_SIM": 2_500,
    "NISQA_VAL_LIVE": 200,
    "NISQA_TEST_LIVETALK": 232,
    "NISQA_TEST_FOR": 240,
    "NISQA_TEST_P501": 240,
}
_NEEDED = ("db", "filename_deg", "votes", *DIMENSIONS, *(f"{d}_std" for d in DIMENSIONS), "filepath_deg")


class Row(msgspec.Struct, frozen=True):
    """One sound and what its listeners said."""

    part: str  # the column `db`
    path: Path
    origin: str  # the clean recording it was made from; itself where the table names none
    ratings: Ratings
    deviations: dict[Dimension, float]  # over listeners
    votes: int
    condition: str = ""  # the column `con`, a whole number where it reads as one


def read_corpus(folder: Path, parts: Sequence[str] = ()) -> tuple[Row, ...]:
    """The rows of these parts, or of all, in the order of the tables.

    A part is read from its own table where there is one, else from the table of everything.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "give the folder NISQA_Corpus.zip was unpacked to")
    if len(set(parts)) != len(parts):
        raise InputError(f"{folder}: a part is named twice: {', '.join(parts)}")
    whole = folder / WHOLE
    if not parts:
        if not whole.is_file():
            raise InputError(f"{folder} holds no {WHOLE}", "name the parts to be read, or give the folder of the whole corpus")
        return tuple(_rows(whole, folder))
    found: list[Row] = []
    for part in parts:
        own = folder / part / f"{part}_file.csv"
        table = own if own.is_file() else whole
        if not table.is_file():
            raise InputError(f"{folder} has no part {part!r}: neither {part}/{part}_file.csv nor {WHOLE}", _known(folder))
        rows = [row for row in _rows(table, folder) if row.part == part]
        if not rows:
            raise InputError(f"{table} has no rows of {part!r}", _known(folder))
        found += rows
    return tuple(found)


def _rows(table: Path, folder: Path) -> Iterator[Row]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{table} lacks the columns {', '.join(missing)}", "is it a table of the NISQA corpus?")
            for cells in reader:
                yield _row(cells, f"{table}, line {reader.line_num}", folder)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read: {error}") from error


def _row(cells: dict[str, str], where: str, folder: Path) -> Row:
    if None in cells.values() or None in cells:
        raise InputError(f"{where}: another number of cells than the header has")
    inside = PurePosixPath(cells["filepath_deg"].strip().replace("\\", "/"))
    path = folder / inside
    if inside.is_absolute() or ".." in inside.parts:
        raise InputError(f"{where}: filepath_deg {cells['filepath_deg']!r} leads out of the corpus")
    if not path.is_file():
        raise InputError(f"{where}: {path} does not exist", "is the archive unpacked whole?")
    mos, noi, col, dis, loud = (_number(cells, d, where, 1.0, 5.0) for d in DIMENSIONS)
    votes = _number(cells, "votes", where, 1.0, math.inf)
    if not votes.is_integer():
        raise InputError(f"{where}: votes is {cells['votes']!r}, expected a whole number")
    reference = (cells.get("filename_ref") or "").strip()
    part = cells["db"].strip()
    return Row(
        part=part,
        path=path,
        # The same name in another part may be another recording of the same speaker: together is the safe side.
        origin=reference if reference and reference.lower() not in ("nan", "none") else f"{part}/{cells['filename_deg'].strip()}",
        ratings=Ratings(mos, noi, col, dis, loud, sources=dict.fromkeys(DIMENSIONS, SOURCE)),
        deviations={d: _number(cells, f"{d}_std", where, 0.0, math.inf) for d in DIMENSIONS},
        votes=int(votes),
        condition=_condition(cells.get("con") or ""),
    )


def _number(cells: dict[str, str], name: str, where: str, least: float, most: float) -> float:
    text = cells[name].strip()
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where}: {name} is {text!r}, expected a number") from None
    if not least <= value <= most or math.isinf(value):
        expected = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
        raise InputError(f"{where}: {name} is {text!r}, expected a number {expected}")
    return value


def _condition(text: str) -> str:
    """Tables written by pandas have 12.0 for 12."""
    text = text.strip()
    return text.removesuffix(".0") if text.removesuffix(".0").isdigit() else text


def _known(folder: Path) -> str:
    here = sorted(path.name for path in folder.iterdir() if (path / f"{path.name}_file.csv").is_file())
    return f"parts here: {', '.join(here)}" if here else f"parts of the corpus: {', '.join(PARTS)}"
