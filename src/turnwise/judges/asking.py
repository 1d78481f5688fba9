"""Which slots a reply asks for, learned from the corpus.

The examples are the agent's turns annotated with `asks`; in a corpus without such annotation, the agent's questions before a
user turn that states a fact. Each question is credited with the slots it fits best among the questions of its turn, each
statement with none; a few made-up questions from the slot's own name help where examples are rare. Recognised speech has no
sentences, so a reply is read through a window of a question's length, and the best window counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from turnwise.dialogues.dialogue import Dialogue
from turnwise.judges.ridge import Columns, Ridge
from turnwise.judges.wording import grams, sentences, tokens

WINDOWS = (7, 14)  # tokens: a short question, and a long one
PENALTY = 0.3


class Asking:
    """A detector for every slot that the corpus knows."""

    def __init__(self, dialogues: Sequence[Dialogue]) -> None:
        rows: list[tuple[str, ...]] = []
        owners: list[str | None] = []
        turns: list[int] = []  # of the question; -1 for statements
        wanted: list[tuple[str, ...]] = []
        annotated = any(turn.asks for d in dialogues for turn in d.turns if turn.speaker == "agent")
        serial = 0
        for dialogue in dialogues:
            for place, turn in enumerate(dialogue.turns):
                if turn.speaker != "agent":
                    continue
                asks = turn.asks if annotated else _implied(dialogue, place)
                parts = sentences(turn.text)
                questions = [s for s in parts if s.endswith("?")] or (list(parts) if asks else [])
                serial += 1
                for part in parts:
                    is_question = part in questions
                    rows.append(grams(tokens(part)))
                    owners.append(dialogue.id)
                    turns.append(serial if is_question else -1)
                    wanted.append(asks if is_question else ())
        self.slots = tuple(sorted({slot for asks in wanted for slot in asks}))
        for slot in self.slots:
            name = slot.replace("_", " ")
            for made in (f"what {name}", f"which {name} would you like", f"what is the {name}"):
                rows.append(grams(tokens(made)))
                owners.append(None)
                turns.append(-1)
                wanted.append((slot,))
        self._place = {slot: i for i, slot in enumerate(self.slots)}
        self._columns = Columns(rows, least=2, most=1000)
        if not self.slots:
            return
        x = self._columns.matrix(rows)
        y = np.zeros((len(rows), len(self.slots)), np.float32)
        for i, asks in enumerate(wanted):
            y[i, [self._place[slot] for slot in asks]] = 1
        self._ridge = Ridge(x, self._credited(x, y, turns, owners), owners, PENALTY)

    @staticmethod
    def _credited(x: np.ndarray, y: np.ndarray, turns: list[int], owners: list[str | None]) -> np.ndarray:
        """Each slot asked for in a turn of several questions goes to the question that fits it best."""
        first = x @ Ridge(x, y, owners, PENALTY).weights
        by_turn: dict[int, list[int]] = {}
        for i, turn in enumerate(turns):
            if turn >= 0:
                by_turn.setdefault(turn, []).append(i)
        out = y.copy()
        for members in by_turn.values():
            if len(members) > 1:
                for slot in np.flatnonzero(y[members[0]]):
                    best = members[int(np.argmax(first[members, slot]))]
                    out[members, slot] = 0
                    out[best, slot] = 1
        return out

    def asked(self, words: tuple[str, ...], without: str) -> dict[str, float]:
        """For each slot how surely these words ask for it, about 0 to 1, learned without one dialogue."""
        if not self.slots or not words:
            return {}
        best = np.zeros(len(self.slots), np.float32)
        for part in _windows(words):
            places = self._columns.of(grams(part))
            if places:
                np.maximum(best, self._ridge.at(places, without) / np.sqrt(len(places)), out=best)
        return {slot: float(best[i]) for i, slot in enumerate(self.slots)}


def _windows(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    made = [words]
    for size in WINDOWS:
        if len(words) > size:
            made += [words[i : i + size] for i in range(0, len(words) - size + 1, 2)]
            made.append(words[-size:])
    return made


def _implied(dialogue: Dialogue, place: int) -> tuple[str, ...]:
    after = dialogue.turns[place + 1] if place + 1 < len(dialogue.turns) else None
    if after is None or after.speaker != "user" or "?" not in dialogue.turns[place].text:
        return ()
    return tuple(dict.fromkeys(fact.slot for fact in after.facts))
