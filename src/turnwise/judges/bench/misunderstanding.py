"""The reply takes the user's present turn for something else: answers another question, or has a value wrong that was just given.

Two pieces of evidence. The place: maps learned from the corpus say which words a turn like this one lets expect; a reply that
would be expected at most other places of the same intent but not here answers something else. Naming a value that the turn is
about speaks against that. The value: a number, date or name in the reply that differs from what the user states in this very
turn, in a phrase where the corpus's agents name the user's own value.
Sees replies from another stage of the same task, answers to another question, and wrong values. Does not understand the
sentence: a misreading in fitting words passes, and an agent whose wording the corpus hardly knows is judged by values alone.
This is the hardest of the five and the least sure; see `turnwise audit`.
Abstains where the corpus has too few places of this intent to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.dialogues.dialogue import Turn
from turnwise.judges.instrument import TextJudge
from turnwise.judges.judge import Bench, Exchange, Spoken
from turnwise.judges.learned import Learned, learned
from turnwise.judges.scene import Scene, scene_of
from turnwise.judges.severity import criterion, graded
from turnwise.judges.verdict import Abstention, Score, Verdict

NAME = "misunderstanding"
UNEXPECTED = (-0.4, 0.4, 1.0, 1.8)  # standard deviations by which the place expects the reply less than other places do
TRUST = (0.6, 0.78, 0.88, 0.97)  # shares of agreement in the corpus with which a differing value counts
TAKEN_UP = 0.6  # standard deviations that naming a value weighs which the user has just stated or asked to hear


class _Sitting:
    def __init__(self, corpus: Learned) -> None:
        self._corpus = corpus

    def close(self) -> None:
        """Nothing is held."""

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        scene = scene_of(exchange)
        if not scene.reply:
            return {NAME: Abstention("no word of the reply was understood")}
        wrong = [c for c in self._corpus.facts.contradictions(scene, TRUST[0]) if c.slot in scene.fresh]
        contrast = self._corpus.expected.contrast(scene) if self._corpus.scenes else None
        if contrast is None and not scene.fresh:
            return {NAME: Abstention("the corpus has too little to say what should follow here")}
        found = [
            (graded(c.trust, *TRUST), f"says {c.slot} {' '.join(c.said)}, the user just said {' '.join(c.stated)}") for c in wrong
        ]
        if contrast is not None:
            reason = f"{' '.join(scene.reply)!r} is expected elsewhere, not after {' '.join(scene.user)!r}"
            found.append((graded(-contrast - TAKEN_UP * _takes_up(scene), *UNEXPECTED), reason))
        value, reason = max(found, default=(0.0, ""))
        return {NAME: Score(value, reason if value else "follows from what the user said")}


def _takes_up(scene: Scene) -> bool:
    """Whether the reply names a value that this very turn is about."""
    about = [*scene.fresh.values(), *(scene.stated[slot][0] for slot in scene.asked if slot in scene.stated)]
    return any(set(key) <= set(scene.reply) for key in about)


def _open(bench: Bench) -> _Sitting:
    return _Sitting(learned(bench.background))


def judge() -> TextJudge:
    user = Turn("user", "Could you find me a quiet hotel near the harbor?")
    exchange = Exchange(
        "example", "SearchHotel", (), (Spoken(1, user, None, None, "two tickets then", "Two tickets, then.", None),)
    )
    return TextJudge(
        version=1,
        criteria=(criterion(NAME),),
        open=_open,
        background=True,
        examples=((exchange, {NAME: Abstention("the corpus has too little to say what should follow here")}),),
    )
