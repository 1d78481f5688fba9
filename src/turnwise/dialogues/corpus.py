"""A corpus: dialogues read from one file or folder, with everything irregular about them said.

Nothing is skipped silently: a reader returns what it could read and one `Irregularity` for each departure from the format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.catalog import Catalog


class Irregularity(msgspec.Struct, frozen=True):
    """One departure from the format, where it is, and whether the item was left out because of it."""

    dialogue: str  # id, or "" when the file itself is meant
    position: int | None  # of the turn, from 0
    kind: str  # a stable word: "agent-first", "same-speaker", "quoted-turn", "unknown-intent", ...
    detail: str
    dropped: bool = False  # the dialogue could not be used


class Reading(msgspec.Struct, frozen=True):
    """What one file held."""

    dialogues: tuple[Dialogue, ...]
    irregularities: tuple[Irregularity, ...]
    digest: str  # fingerprint of the bytes read


@dataclass(frozen=True)
class Corpus:
    """A reader of one format; `write` is None where the format cannot be written back."""

    licence: str
    source: str
    read: Callable[[Path | None], Reading]  # None: the corpus's own embedded data, refused by the others
    write: Callable[[Sequence[Dialogue], Path], None] | None = None


CORPORA = Catalog("corpus", "turnwise.dialogues.corpora", "turnwise.corpora")
