"""What the user has stated, and which values in a reply contradict it.

An agent names many values that are not the user's: prices, departure times, other restaurants. Which of them are meant to be the
user's own is learned from the corpus: after "table for" a number is the user's in nearly every dialogue, after "costs" in
none. For each slot and each neighbourhood of a value (the words before and after it) the share of namings that agree with
the value in force is counted; a value that differs where nearly all agree contradicts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from turnwise.judges.scene import Scene
from turnwise.judges.values import Key, Mention, family, index, mentions

LEAST = 3  # namings that a share must rest on
PRIOR = 0.5  # agreements assumed of one naming beyond those counted


@dataclass(frozen=True)
class Contradiction:
    """A value named that is not the user's."""

    slot: str
    said: Key  # by the agent
    stated: Key  # by the user
    trust: float  # share of the corpus's namings in such a place that agree with the user


class KnownFacts:
    """Counts of agreement, from the scenes of a corpus."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._slots: dict[Key, set[str]] = {}  # the slots that a word value belongs to
        families: dict[str, Counter[str]] = {}
        for scene in scenes:
            for slot, key in scene.fresh.items():
                families.setdefault(slot, Counter())[family(key)] += 1
                self._slots.setdefault(key, set()).add(slot)
        self._families = {
            slot: {kind for kind, n in kinds.items() if n >= 0.2 * kinds.total()} for slot, kinds in families.items()
        }
        self.vocabulary = index(self._slots)
        self._agree: Counter[tuple[str, str]] = Counter()
        self._named: Counter[tuple[str, str]] = Counter()
        self._of: dict[str, tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]] = {}
        for scene in scenes:
            agree, named = self._of.setdefault(scene.dialogue, (Counter(), Counter()))
            for slot, stated, mention in self._comparable(scene):
                for place in _places(scene.reply, mention):
                    named[slot, place] += 1
                    agree[slot, place] += stated == mention.key
        for agree, named in self._of.values():
            self._agree.update(agree)
            self._named.update(named)

    def contradictions(self, scene: Scene, least_trust: float) -> list[Contradiction]:
        """The values of the reply that contradict what is in force, with at least this trust."""
        best: dict[int, tuple[float, str, Key, Mention]] = {}
        for slot, stated, mention in self._comparable(scene):
            trust = self._trust(scene, slot, mention)
            if trust is not None and trust > best.get(mention.start, (0.0,))[0]:
                best[mention.start] = (trust, slot, stated, mention)
        return [
            Contradiction(slot, mention.key, stated, trust)
            for _, (trust, slot, stated, mention) in sorted(best.items())
            if stated != mention.key and trust >= least_trust
        ]

    def _trust(self, scene: Scene, slot: str, mention: Mention) -> float | None:
        """Share that agrees in the narrowest neighbourhood with enough namings, the judged dialogue's own left out."""
        agree, named = self._of.get(scene.dialogue, (Counter(), Counter()))
        for place in _places(scene.reply, mention):
            n = self._named[slot, place] - named[slot, place]
            if n >= LEAST:
                return (self._agree[slot, place] - agree[slot, place] + PRIOR) / (n + 1)
        return None

    def _comparable(self, scene: Scene) -> Iterator[tuple[str, Key, Mention]]:
        """Every value named in the reply with every stated slot it could be a value of.

        Left out are values with another source than the agent's memory: named in the user's present words, or by the agent
        itself since the slot was stated (an offer that the user may have taken); and other values beside the right one.
        """
        force: dict[str, tuple[Key, int]] = {**scene.stated, **{slot: (key, scene.number) for slot, key in scene.fresh.items()}}
        if not force:
            return
        present = {m.key for m in mentions(scene.user, self.vocabulary)}
        named = mentions(scene.reply, self.vocabulary)
        right = {mention.key for mention in named}
        for mention in named:
            others = {key for key, _ in force.values()}
            for slot, (stated, number) in force.items():
                if not self._can_be(slot, mention.key):
                    continue
                if stated != mention.key:
                    if stated in right or family(stated) != family(mention.key) or mention.key in present:
                        continue
                    if mention.key in others and family(mention.key) == "word":
                        continue
                    if self._offered(scene, mention.key, number):
                        continue
                yield slot, stated, mention

    def _can_be(self, slot: str, key: Key) -> bool:
        kind = family(key)
        return slot in self._slots.get(key, ()) if kind == "word" else kind in self._families.get(slot, ())

    def _offered(self, scene: Scene, key: Key, since: int) -> bool:
        recent = scene.past_agent[max(0, len(scene.past_agent) - (scene.number - since)) :]
        return any(m.key == key for words in recent for m in mentions(words, self.vocabulary))


def _places(words: tuple[str, ...], mention: Mention) -> tuple[str, ...]:
    """Neighbourhoods of a value, narrowest first."""
    padded = ("<", "<", *words, ">", ">")
    first, second = padded[mention.start], padded[mention.start + 1]
    after, further = padded[mention.end + 2], padded[mention.end + 3]
    kind = family(mention.key)
    if kind == "word":
        return (f"{second} _ {after}", f"{second} _", f"_ {after}", kind)
    return (f"{second} _ {after}", f"_ {after} {further}", f"{first} {second} _", f"_ {after}", f"{second} _")
