"""Items of a file read one by one: what cannot be read is said and left out, what is odd is said and kept.

Of two dialogues with one id the first counts; ids name results, so the second would be confused with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from turnwise.dialogues.corpus import Irregularity
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.spoken_text import mended
from turnwise.dialogues.validation import structural

Remark = Callable[[int | None, str, str], None]  # position, kind, detail


class Unusable(Exception):
    """This item cannot become a dialogue."""

    def __init__(self, kind: str, detail: str, position: int | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.position = kind, detail, position


class Sieve:
    """Collects the dialogues and the irregularities of one or more files."""

    def __init__(self, id_key: str) -> None:
        self.id_key = id_key
        self.dialogues: list[Dialogue] = []
        self.irregularities: list[Irregularity] = []
        self._seen: dict[str, tuple[str, Dialogue]] = {}

    def pass_through(self, items: Sequence[Any], place: str, read: Callable[[str, dict[str, Any], Remark], Dialogue]) -> None:
        """Read each item of the file called `place`."""
        for number, raw in enumerate(items):
            self._one(raw, f"item {number} of {place}", read)

    def _one(self, raw: Any, where: str, read: Callable[[str, dict[str, Any], Remark], Dialogue]) -> None:
        label = ""
        remarks: list[Irregularity] = []

        def remark(position: int | None, kind: str, detail: str) -> None:
            remarks.append(Irregularity(label, position, kind, detail))

        try:
            label = self._id(raw, remark)
            remarks = [Irregularity(label, r.position, r.kind, r.detail) for r in remarks]
            dialogue = read(label, raw, remark)
            if all(turn.speaker == "agent" for turn in dialogue.turns):
                raise Unusable("no-user-turn", "no turn is the user's")
            try:
                msgspec.json.encode(dialogue)
            except UnicodeEncodeError:
                raise Unusable("broken-character", "an id, an intent or a slot holds half of a surrogate pair") from None
            if label in self._seen:
                first, same = self._seen[label]
                what = "the same dialogue again" if dialogue == same else "another dialogue under the same id"
                raise Unusable("duplicate-id", f"{what} as {first}")
        except Unusable as reason:
            detail = f"{where}: {reason.detail}; left out"
            self.irregularities.append(Irregularity(label, reason.position, reason.kind, detail, dropped=True))
            return
        self._seen[label] = (where, dialogue)
        self.dialogues.append(dialogue)
        self.irregularities += remarks
        self.irregularities += structural(dialogue)

    def _id(self, raw: Any, remark: Remark) -> str:
        if not isinstance(raw, dict):
            raise Unusable("wrong-type", f"expected an object, found {json_type(raw)}")
        value = raw.get(self.id_key)
        if isinstance(value, int) and not isinstance(value, bool):
            remark(None, "wrong-type", f"{self.id_key}: expected a text, found the number {value}; its digits are used")
            return str(value)
        clean, damaged = mended(value) if isinstance(value, str) else ("", "")
        if not clean.strip():
            raise Unusable("missing-id", f"{self.id_key} is absent, empty or not a text")
        if damaged:
            remark(None, "broken-character", f"{self.id_key}: {damaged}")
        return clean


def json_type(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "nothing"}
    return names.get(type(value), "a number")
