"""What a reply is about, among the intents of the corpus.

A naive Bayes model over the content words of both sides of each intent's dialogues. It says how much better the reply's words are
explained by another intent than by this conversation's own; the judged dialogue's words are taken out of the counts. Words
that the corpus has not seen, and words that all intents share, say nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from turnwise.dialogues.dialogue import Dialogue
from turnwise.judges.wording import content, numeric, tokens

PRIOR = 2.0  # dialogues of an average intent added to each intent
DISCOUNT = 0.7  # of a dialogue, taken from every count: that one dialogue of an intent holds a word says little


class Subjects:
    """In how many dialogues of each intent each word occurs."""

    def __init__(self, dialogues: Sequence[Dialogue]) -> None:
        self._size: Counter[str] = Counter()
        self._count: dict[str, Counter[str]] = {}
        self._of: dict[str, tuple[str, frozenset[str]]] = {}
        for dialogue in dialogues:
            words = frozenset(w for t in dialogue.turns for w in content(tokens(t.text)) if not numeric(w))
            self._of[dialogue.id] = (dialogue.intent, words)
            self._size[dialogue.intent] += 1
            self._count.setdefault(dialogue.intent, Counter()).update(words)

    @property
    def several(self) -> bool:
        return len(self._size) > 1

    def share(self, word: str, intent: str, without: str) -> float:
        """Smoothed share of an intent's dialogues that hold the word."""
        owner, words = self._of.get(without, ("", frozenset()))
        left_out = owner == intent and without in self._of
        n = self._count.get(intent, Counter())[word] - (left_out and word in words)
        size = self._size[intent] - left_out
        return (max(0.0, n - DISCOUNT) + PRIOR * self._overall(word, without)) / (size + PRIOR)

    def _overall(self, word: str, without: str) -> float:
        n = sum(counter[word] for counter in self._count.values()) - (word in self._of.get(without, ("", frozenset()))[1])
        size = sum(self._size.values()) - (without in self._of)
        return (n + 0.25) / (size + 1)

    def foreign(self, words: tuple[str, ...], intent: str, without: str) -> tuple[float, str, tuple[str, ...]]:
        """How much more the words belong to another intent, that intent, and the words that say so, most telling first."""
        telling = tuple(dict.fromkeys(w for w in words if any(w in c for c in self._count.values())))
        best = (0.0, "", tuple[str, ...]())
        own = {w: math.log(self.share(w, intent, without)) for w in telling}
        for other in sorted(self._size):
            if other == intent:
                continue
            gain = {w: math.log(self.share(w, other, without)) - own[w] for w in telling}
            total = sum(max(-2.5, min(2.5, g)) for g in gain.values())
            if total > best[0]:
                ranked = tuple(sorted((w for w, g in gain.items() if g > 0.5), key=lambda w: (-gain[w], w)))
                best = (total, other, ranked)
        return best
