"""Dialogues on the disk as JSON Lines: one `Dialogue` per line, strict to read, nothing lost in writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnwise.dialogues.corpus import Irregularity, Reading
from turnwise.dialogues.dialogue import Dialogue, Fact, Turn
from turnwise.dialogues.document import read_text, write_text
from turnwise.dialogues.validation import structural
from turnwise.foundation.errors import InputError


def read(path: Path) -> Reading:
    """Every line of the file as a dialogue."""
    document = read_text(path)
    dialogues: list[Dialogue] = []
    odd = list(document.irregularities)
    lines: dict[str, int] = {}
    # Only a line feed ends a record: JSON text may hold U+2028 and the like, which `splitlines` would cut at.
    for number, line in enumerate(document.content.removesuffix("\n").split("\n"), start=1):
        if not line.strip():
            odd.append(Irregularity("", None, "blank-line", f"line {number} is blank"))
            continue
        dialogue = _dialogue(line, f"{path}: line {number}")
        if dialogue.id in lines:
            raise InputError(f"{path}: line {number}: the id {dialogue.id!r} was already on line {lines[dialogue.id]}")
        lines[dialogue.id] = number
        dialogues.append(dialogue)
        odd.extend(structural(dialogue))
    return Reading(tuple(dialogues), tuple(odd), document.digest)


def write(dialogues: Sequence[Dialogue], path: Path) -> None:
    """One line per dialogue, keys in the order of the record, defaults left out."""
    encoder = msgspec.json.Encoder()
    write_text(path, "".join(encoder.encode(dialogue).decode() + "\n" for dialogue in dialogues))


def _dialogue(line: str, where: str) -> Dialogue:
    try:
        raw = _without_nulls(msgspec.json.decode(line))
        dialogue = msgspec.convert(raw, Dialogue)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: JSON nested too deeply to be a dialogue") from None
    unknown = next(_unknown(raw), None)
    if unknown is not None:
        raise InputError(f"{where}: unknown key {unknown!r}")
    if not dialogue.id:
        raise InputError(f"{where}: the id is empty")
    return dialogue


def _without_nulls(raw: Any) -> Any:
    """Keys whose value is null left out: tables of other tools write null for what a record leaves out."""
    if isinstance(raw, dict):
        return {key: _without_nulls(value) for key, value in raw.items() if value is not None}
    return [_without_nulls(value) for value in raw] if isinstance(raw, list) else raw


def _unknown(raw: dict[str, Any]) -> Iterator[str]:
    yield from (key for key in raw if key not in Dialogue.__struct_fields__)
    for turn in raw["turns"]:
        yield from (f"turns.{key}" for key in turn if key not in Turn.__struct_fields__)
        for fact in turn.get("facts", ()):
            yield from (f"turns.facts.{key}" for key in fact if key not in Fact.__struct_fields__)
