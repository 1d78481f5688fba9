"""Turnwise's own JSON Lines: one dialogue per line, nothing lost on the way.

Each line is one `Dialogue` with its turns, phases, stated facts and asked slots. Reading is strict: a wrong type, an
unknown key or a repeated id is refused with its line number, since these files are written by this program. What is
merely unusual in a conversation (the agent opens, one speaker twice in a row, an empty turn) is kept and reported.
Licence: that of the dialogues inside.
"""

from __future__ import annotations

from pathlib import Path

from turnwise.dialogues.corpus import Corpus, Reading
from turnwise.dialogues.document import required
from turnwise.dialogues.json_lines import read, write


def corpus() -> Corpus:
    return Corpus(licence="that of the dialogues inside", source="turnwise", read=_read, write=write)


def _read(path: Path | None) -> Reading:
    return read(required(path, "jsonl"))
