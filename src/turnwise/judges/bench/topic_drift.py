"""The reply is about something else than this conversation.

Three pieces of evidence: how much better another intent of the corpus explains the reply's words than this conversation's own
(naive Bayes, judged dialogue left out); how much of the reply takes up words of the user's turn or of the conversation so
far; and whether it asks for something that this intent needs. Small talk that takes up the user's words is no drift, whatever
it is about.
Sees another subject's vocabulary. Does not see a change to another matter of the same intent (see misunderstanding), nor a
drift into a subject the corpus has never met unless nothing ties it to the conversation; short courtesies are no evidence
either way. Abstains where the corpus has a single intent or none.
"""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.dialogues.dialogue import Turn
from turnwise.judges.instrument import TextJudge
from turnwise.judges.judge import Bench, Exchange, Spoken
from turnwise.judges.learned import Learned, learned
from turnwise.judges.likeness import same_word
from turnwise.judges.phrasing import GENERAL
from turnwise.judges.scene import Scene, scene_of
from turnwise.judges.severity import criterion, graded
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.judges.wording import content

NAME = "topic_drift"
STEPS = (1.5, 3.0, 5.0, 9.0)  # evidence in nats: none, and the upper ends of mild, moderate, severe
TIED = 1.6  # nats that one fully telling word taken up from the conversation weighs against a drift

PURSUED = 2.0  # nats that a sure question for a slot of this intent weighs against a drift
SURELY = 0.4  # below that, words merely resemble a question


class _Sitting:
    def __init__(self, corpus: Learned) -> None:
        self._corpus = corpus

    def close(self) -> None:
        """Nothing is held."""

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        if not self._corpus.subjects.several:
            return {NAME: Abstention("the corpus has no second intent to tell this one from")}
        scene = scene_of(exchange)
        words = tuple(w for w in dict.fromkeys(content(scene.reply)) if w not in GENERAL)
        if not words:
            return {NAME: Score(0.0, "says nothing that belongs to a subject")}
        tied = self._tied(scene, words)
        own = tuple(w for w in words if w not in scene.user)
        gain, other, telling = self._corpus.subjects.foreign(own, scene.intent, scene.dialogue)
        value = graded(gain - TIED * sum(tied.values()) - PURSUED * self._pursues(scene), *STEPS)
        if value:
            return {NAME: Score(value, f"{', '.join(telling[:5])} belong to {other}, not to {scene.intent}")}
        return {NAME: Score(0.0, f"takes up: {', '.join(list(tied)[:5])}" if tied else "no other subject explains it better")}

    def _pursues(self, scene: Scene) -> float:
        """How surely the reply asks for something that this intent needs, 0 to 1."""
        asked = self._corpus.asking.asked(scene.reply, scene.dialogue)
        own = self._corpus.slots.get(scene.intent, frozenset())
        surest = max((sure for slot, sure in asked.items() if slot in own), default=0.0)
        return min(1.0, surest) if surest > SURELY else 0.0

    def _tied(self, scene: Scene, words: tuple[str, ...]) -> dict[str, float]:
        """The reply's words that the conversation has used, with their weight; the present turn counts in full."""
        now, past = content(scene.user), {w for t in (*scene.past_user, *scene.past_agent) for w in content(t)}
        found: dict[str, float] = {}
        for word in words:
            if any(same_word(word, other) for other in now):
                found[word] = self._corpus.weight(word, scene.dialogue)
            elif word in past:
                found[word] = 0.6 * self._corpus.weight(word, scene.dialogue)
        return found


def _open(bench: Bench) -> _Sitting:
    return _Sitting(learned(bench.background))


def judge() -> TextJudge:
    user = Turn("user", "Could you find me a quiet hotel near the harbor?")
    exchange = Exchange("example", "SearchHotel", (), (Spoken(1, user, None, None, "yes", "Yes.", None),))
    return TextJudge(
        version=1,
        criteria=(criterion(NAME),),
        open=_open,
        background=True,
        examples=((exchange, {NAME: Abstention("the corpus has no second intent to tell this one from")}),),
    )
