"""The reply could stand anywhere: it takes up nothing of what the user said and adds nothing of its own.

Counts what a reply really says: its words without those of courtesy and general talk, weighted by how rare they are in the
corpus; more where they take up the user's own words, values or numbers, or where the reply asks for a slot. The less is left
although the user said something specific, the more generic it is. After "thanks, that is all" a stock phrase is the right
answer and is no failure.
Sees empty acknowledgements and stock phrases of service. Does not see a reply that drops a specific word without meaning it, and
takes a reply full of unusual words for specific even where it is an idiom. Word lists are English.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from turnwise.dialogues.dialogue import Turn
from turnwise.judges.instrument import TextJudge
from turnwise.judges.judge import Bench, Exchange, Spoken
from turnwise.judges.learned import Learned, learned
from turnwise.judges.likeness import same_word
from turnwise.judges.phrasing import COURTESY, GENERAL
from turnwise.judges.scene import Scene, scene_of
from turnwise.judges.severity import criterion, graded
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.judges.wording import content, numeric

NAME = "generic"
STEPS = (0.35, 0.5, 0.7, 0.95)  # lack of content, 0-1
ASKING = 0.25  # how surely a reply must ask for a slot to count as specific


class _Sitting:
    def __init__(self, corpus: Learned) -> None:
        self._corpus = corpus

    def close(self) -> None:
        """Nothing is held."""

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        scene = scene_of(exchange)
        if not scene.reply:
            return {NAME: Abstention("no word of the reply was understood")}
        said, telling = self._substance(scene)
        wanted = _specificity(scene)
        value = graded(math.exp(-said / 1.5) * wanted, *STEPS)
        if value == 0:
            reason = f"says: {', '.join(telling[:4])}" if telling else "the user's turn asks for no more"
        else:
            reason = f"little beyond {' '.join(scene.reply)!r} in answer to {' '.join(scene.user)!r}"
        return {NAME: Score(value, reason)}

    def _substance(self, scene: Scene) -> tuple[float, list[str]]:
        """Weight of what the reply says, and the words that say it."""
        theirs = content(scene.user)
        heard = {w for words in (*scene.past_user, *scene.past_agent) for w in content(words)}
        said, telling = 0.0, []
        for word in dict.fromkeys(content(scene.reply)):
            if word in COURTESY:
                continue
            worth = 0.03 if word in GENERAL else 0.5 * self._corpus.weight(word, scene.dialogue) + 0.1
            if numeric(word) or any(same_word(word, other) for other in theirs):
                worth += 0.15 if word in GENERAL else 0.6
            elif word in heard and word not in GENERAL:
                worth += 0.4
            if worth > 0.3:
                telling.append(word)
            said += worth
        asked = self._corpus.asking.asked(scene.reply, scene.dialogue)
        surest = max(asked, key=lambda slot: (asked[slot], slot), default="")
        if surest and asked[surest] > ASKING:
            said += 4 * (asked[surest] - ASKING)
            telling.append(f"asks for {surest}")
        return said, telling


def _specificity(scene: Scene) -> float:
    """How much the user's turn calls for an answer of its own, 0 to 1."""
    if scene.fresh or scene.asked:
        return 1.0
    words = [w for w in dict.fromkeys(content(scene.user)) if w not in GENERAL]
    return min(1.0, len(words) / 4)


def _open(bench: Bench) -> _Sitting:
    return _Sitting(learned(bench.background))


def _example(reply: str) -> Exchange:
    user = Turn("user", "My sister visits on Friday, and she adores spicy food and old jazz clubs.")
    return Exchange("example", "FindRestaurants", (), (Spoken(1, user, None, None, reply, reply, None),))


def judge() -> TextJudge:
    user = "my sister visits on friday and she adores spicy food and old jazz clubs"
    return TextJudge(
        version=1,
        criteria=(criterion(NAME),),
        open=_open,
        background=True,
        examples=(
            (_example("okay great"), {NAME: Score(100.0, f"little beyond 'okay great' in answer to {user!r}")}),
            (
                _example("a spicy curry house beside a jazz club is free on friday"),
                {NAME: Score(0.0, "says: spicy, curry, house, beside")},
            ),
        ),
    )
