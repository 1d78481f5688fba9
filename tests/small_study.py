"""A small study with stub engines that every study test can shape."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from turnwise.dialogues.dialogue import Dialogue, Fact, Turn
from turnwise.study.study import Study
from turnwise.study.study_file import read_study

SAID = (
    "Good morning, I hope the weather is kind to you today.",
    "I would like to go to the old museum with my sister.",
    "There will be two of us and we come on friday.",
    "Remind me, which day did I say?",
    "Thank you, that is all I need for now.",
)


def dialogues(count: int, rounds: int = 4) -> list[Dialogue]:
    made = []
    for number in range(count):
        turns: list[Turn] = []
        for round in range(rounds):
            facts = (Fact("people", "2"), Fact("day", "friday")) if round == 2 else ()
            asks = ("day",) if round == 3 else ()
            text = f"{SAID[round % len(SAID)]} This is call {number}."
            turns.append(Turn("user", text, phase="task", facts=facts, asks=asks))
            turns.append(Turn("agent", f"Of course, I note point {round} of call {number} for you.", phase="task"))
        made.append(Dialogue(f"call-{number:03d}", tuple(turns), intent=("FindAttraction", "FindEvents")[number % 2]))
    return made


def write_corpus(folder: Path, made: list[Dialogue]) -> Path:
    path = folder / "corpus.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(d) + b"\n" for d in made))
    return path


def raw_study(corpus: Path, **changes: Any) -> dict[str, Any]:
    """The study as plain values; `changes` replace top-level keys."""
    raw: dict[str, Any] = {
        "name": "small",
        "seed": 7,
        "corpus": {"format": "jsonl", "path": str(corpus)},
        "user": {"engine": "stub"},
        "transcriber": "stub",
        "judges": ["repetition"],
        "arms": {
            "voice": {"agent": "echo", "options": {"voice": True}},
            "short": {"base": "voice", "context": {"past": 0}},
            "text": {"agent": "echo", "context": {"user": "written"}},
        },
    }
    raw.update(changes)
    return raw


def small_study(folder: Path, count: int = 3, rounds: int = 4, **changes: Any) -> Study:
    return read_study(raw_study(write_corpus(folder, dialogues(count, rounds)), **changes), "small")


@contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """A database for a look or a change behind the ledger's back; what was changed is kept and the file is closed."""
    db = sqlite3.connect(database)
    try:
        yield db
        db.commit()
    finally:
        db.close()
