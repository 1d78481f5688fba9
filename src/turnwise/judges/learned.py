"""Everything the judges learn from the written corpus, learned once per process and shared.

The order of the dialogues does not matter. Learning happens on first use of a part. Each part answers without the judged
dialogue's own counts and examples; which words, values and slots are known at all, and how rare an n-gram is, it tells from
the whole corpus.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cached_property, lru_cache

from turnwise.dialogues.dialogue import Dialogue
from turnwise.judges.asking import Asking
from turnwise.judges.expected import Expected
from turnwise.judges.known_facts import KnownFacts
from turnwise.judges.likeness import Likeness
from turnwise.judges.scene import Scene, scenes
from turnwise.judges.subjects import Subjects
from turnwise.judges.wording import content, tokens


class Learned:
    """What one corpus teaches."""

    def __init__(self, dialogues: tuple[Dialogue, ...]) -> None:
        self.dialogues = tuple(sorted(dialogues, key=lambda d: d.id))

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        return tuple(scene for dialogue in self.dialogues for scene in scenes(dialogue))

    @cached_property
    def likeness(self) -> Likeness:
        return Likeness(tokens(t.text) for d in self.dialogues for t in d.turns if t.speaker == "agent")

    @cached_property
    def asking(self) -> Asking:
        return Asking(self.dialogues)

    @cached_property
    def facts(self) -> KnownFacts:
        return KnownFacts(self.scenes)

    @cached_property
    def expected(self) -> Expected:
        return Expected(self.scenes)

    @cached_property
    def subjects(self) -> Subjects:
        return Subjects(self.dialogues)

    @cached_property
    def slots(self) -> dict[str, frozenset[str]]:
        """For each intent the slots that are stated or asked for in its dialogues."""
        found: dict[str, set[str]] = {}
        for dialogue in self.dialogues:
            for turn in dialogue.turns:
                found.setdefault(dialogue.intent, set()).update(turn.asks, (fact.slot for fact in turn.facts))
        return {intent: frozenset(slots) for intent, slots in found.items()}

    @cached_property
    def _dialogues_with(self) -> tuple[Counter[str], dict[str, frozenset[str]]]:
        of = {d.id: frozenset(w for t in d.turns for w in content(tokens(t.text))) for d in self.dialogues}
        return Counter(word for words in of.values() for word in words), of

    def weight(self, word: str, without: str) -> float:
        """How telling a word is, 0 to 1: the rarity of dialogues that hold it, one dialogue left out."""
        count, of = self._dialogues_with
        n = count[word] - (word in of.get(without, ()))
        size = len(of) - (without in of)
        return math.log((1 + size) / (1 + n)) / math.log(1 + size) if size else 1.0


@lru_cache(maxsize=2)
def learned(dialogues: tuple[Dialogue, ...]) -> Learned:
    """What these dialogues teach; the same dialogues in another order teach the same."""
    return Learned(dialogues)
