"""What became of one file: its ratings, its description, and whatever went wrong on the way.

A row always exists: a file that cannot be read is a row with that trouble. Ratings that do not exist are no trouble; they are
None with their reason. A description that contradicts the ratings is kept, with the contradiction as a trouble beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from turnwise.foundation.plain_text import plain_text
from turnwise.listening.faithfulness import Faithfulness
from turnwise.listening.ratings import DIMENSIONS, Heard, Ratings

Step = Literal["file", "listen", "describe", "faithfulness"]
COLUMNS = (
    *("file", "seconds", "rate", "channels", *DIMENSIONS, "description", "stated_mos", "unstated"),
    *("missing", "notes", "troubles", "content", "made_by"),
)


class Trouble(msgspec.Struct, frozen=True):
    """What went wrong, where."""

    step: Step
    cause: str  # a short stable word
    message: str

    def __str__(self) -> str:
        return f"{self.step}: {self.cause}: {self.message}"


class Row(msgspec.Struct, frozen=True):
    """One file."""

    file: str  # as it was given or found
    content: str  # digest of its bytes, "" where they could not be read
    made_by: str  # fingerprint of all that shapes the rest
    heard: Heard | None = None
    description: str | None = None
    checked: Faithfulness | None = None  # of the description
    troubles: tuple[Trouble, ...] = ()

    @property
    def ratings(self) -> Ratings | None:
        return self.heard.ratings if self.heard else None


def shown(path: Path) -> str:
    """A path as text, whatever bytes are in it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def with_trouble(row: Row, step: Step, cause: str, message: str) -> Row:
    trouble = Trouble(step, cause, plain_text(message)[:500])
    return msgspec.structs.replace(row, troubles=(*row.troubles, trouble))


def flat(row: Row) -> dict[str, str | float | int | None]:
    """A row as one line of a table; the timeline has no place in it."""
    heard, ratings, checked = row.heard, row.ratings, row.checked
    return {
        "file": row.file,
        "seconds": heard.seconds if heard else None,
        "rate": heard.rate if heard else None,
        "channels": heard.channels if heard else None,
        **{dimension: ratings.value(dimension) if ratings else None for dimension in DIMENSIONS},
        "description": row.description,
        "stated_mos": checked.rating.value if checked else None,
        "unstated": " ".join(checked.unstated) if checked else None,
        "missing": "; ".join(f"{dimension}: {why}" for dimension, why in ratings.missing.items()) if ratings else None,
        "notes": "; ".join(ratings.notes) if ratings else None,
        "troubles": "; ".join(map(str, row.troubles)),
        "content": row.content,
        "made_by": row.made_by,
    }
