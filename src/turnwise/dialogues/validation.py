"""What departs from the format, counted by kind, and the departures any dialogue can have.

A dialogue may be irregular and still be used; only an `Irregularity` with `dropped` says that it was left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from turnwise.dialogues.corpus import Irregularity, Reading
from turnwise.dialogues.dialogue import Dialogue


class Finding(msgspec.Struct, frozen=True):
    """Everything of one kind."""

    kind: str
    count: int
    dialogues: int  # how many dialogues have it
    dropped: int  # how many dialogues were left out because of it
    items: tuple[Irregularity, ...]


class Validation(msgspec.Struct, frozen=True):
    """A reading in numbers: `kept` dialogues can be used, `dropped` cannot."""

    kept: int
    dropped: int
    irregular: int  # kept dialogues with at least one irregularity
    findings: tuple[Finding, ...]  # most frequent first, then by name
    digest: str


def validate(reading: Reading) -> Validation:
    """The reading's irregularities by kind."""
    kinds: dict[str, list[Irregularity]] = {}
    for item in reading.irregularities:
        kinds.setdefault(item.kind, []).append(item)
    findings = [
        Finding(kind, len(items), len({i.dialogue for i in items if i.dialogue}), sum(i.dropped for i in items), tuple(items))
        for kind, items in kinds.items()
    ]
    kept = {dialogue.id for dialogue in reading.dialogues}
    marked = {item.dialogue for item in reading.irregularities if not item.dropped}
    return Validation(
        kept=len(reading.dialogues),
        dropped=sum(item.dropped for item in reading.irregularities),
        irregular=len(kept & marked),
        findings=tuple(sorted(findings, key=lambda f: (-f.count, f.kind))),
        digest=reading.digest,
    )


def structural(dialogue: Dialogue) -> Iterator[Irregularity]:
    """Departures from user-first alternation of spoken turns, and an id that looks like more than a name."""
    if unsafe_id(dialogue.id):
        yield Irregularity(dialogue.id, None, "unsafe-id", f"the id {dialogue.id!r} is not a plain name; it never becomes a path")
    if dialogue.turns and dialogue.turns[0].speaker == "agent":
        yield Irregularity(dialogue.id, 0, "agent-first", "the agent opens the dialogue")
    for position, turn in enumerate(dialogue.turns):
        if position and turn.speaker == dialogue.turns[position - 1].speaker:
            detail = f"the {turn.speaker} speaks at {position - 1} and again at {position}"
            yield Irregularity(dialogue.id, position, "same-speaker", detail)
        if not turn.text.strip():
            yield Irregularity(dialogue.id, position, "empty-turn", f"the {turn.speaker} says nothing")


def unsafe_id(name: str) -> bool:
    """Whether this id would mean something to a file system, a terminal or a spreadsheet."""
    plain = all(letter.isalnum() or letter in "._- " for letter in name)
    return not plain or ".." in name or name != name.strip() or name.startswith((".", "-")) or len(name) > 120
