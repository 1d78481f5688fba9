"""The agent forgets what the user has told it in earlier turns.

Three signs: it asks for a slot that is already answered without naming the answer (which words ask for which slot is learned
from the corpus); it names a value that contradicts the one in force, where later statements replace earlier ones (in which
phrases an agent names the user's own values is learned too); asked to repeat what was stated, it does not name it.
Sees only what the corpus annotates: facts of its users, and slots asked for. A forgotten remark that is no slot goes unseen,
as does a value said in words the corpus does not use for it. Asking again in order to confirm counts as asking where it is
put as an open question. Misheard numbers look like forgotten ones.
Abstains where nothing was stated before this turn: nothing can have been forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.dialogues.dialogue import Fact, Turn
from turnwise.judges.instrument import TextJudge
from turnwise.judges.judge import Bench, Exchange, Spoken
from turnwise.judges.learned import Learned, learned
from turnwise.judges.likeness import same_word
from turnwise.judges.phrasing import GENERAL
from turnwise.judges.scene import Scene, scene_of
from turnwise.judges.severity import criterion, graded
from turnwise.judges.values import value_key
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.judges.wording import content, tokens

NAME = "memory"
ASKED = (0.34, 0.46, 0.6, 0.8)  # how surely the reply asks for the slot, 0-1
TRUST = (0.6, 0.78, 0.88, 0.97)  # shares of agreement in the corpus with which a differing value counts
UNTOLD = 90.0  # severity of telling nothing of what the user asks to hear again
PARTLY = 60.0  # times the share left out, where some of it is told: the agent has not forgotten, or was misheard


class _Sitting:
    def __init__(self, corpus: Learned) -> None:
        self._corpus = corpus

    def close(self) -> None:
        """Nothing is held."""

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        scene = scene_of(exchange)
        if not scene.stated:
            return {NAME: Abstention("the user has stated nothing earlier that is annotated")}
        if not scene.reply:
            return {NAME: Abstention("no word of the reply was understood")}
        found = [*self._asked_again(scene), *self._contradicted(scene), *self._untold(scene, exchange)]
        value, reason = max(found, default=(0.0, ""))
        return {NAME: Score(value, reason if value else f"nothing forgotten of {', '.join(scene.stated)}")}

    def _asked_again(self, scene: Scene) -> list[tuple[float, str]]:
        sure = self._corpus.asking.asked(scene.reply, scene.dialogue)
        return [
            (graded(sure[slot], *ASKED), f"asks for {slot}, which was {' '.join(key)} in turn {number}")
            for slot, (key, number) in scene.stated.items()
            if slot not in scene.fresh and slot in sure and not set(key) <= set(scene.reply)
        ]

    def _contradicted(self, scene: Scene) -> list[tuple[float, str]]:
        return [
            (graded(c.trust, *TRUST), f"says {c.slot} {' '.join(c.said)}, the user said {' '.join(c.stated)}")
            for c in self._corpus.facts.contradictions(scene, TRUST[0])
            if c.slot in scene.stated and c.slot not in scene.fresh
        ]

    def _untold(self, scene: Scene, exchange: Exchange) -> list[tuple[float, str]]:
        wanted = [slot for slot in scene.asked if slot in scene.stated]
        missing = [slot for slot in wanted if not _told(scene, slot, exchange)]
        if not missing:
            return []
        value = UNTOLD if len(missing) == len(wanted) else round(PARTLY * len(missing) / len(wanted), 1)
        return [(value, f"does not tell {', '.join(missing)}: {', '.join(' '.join(scene.stated[s][0]) for s in missing)}")]


def _told(scene: Scene, slot: str, exchange: Exchange) -> bool:
    """Whether the reply names the value, or takes up the telling words with which the user stated it and nothing else."""
    key, number = scene.stated[slot]
    parts = [piece for part in key for piece in part.split(":")]  # a clock time may be heard with a word between
    if set(key) <= set(scene.reply) or all(any(same_word(part, word) for word in scene.reply) for part in parts):
        return True
    turn = next(r.user for r in exchange.rounds if r.number == number)
    others = {part for fact in turn.facts if fact.slot != slot for part in value_key(fact.value)}
    theirs = {w for w in content(tokens(turn.text)) if w not in GENERAL and w not in others}
    return any(same_word(w, other) for w in content(scene.reply) if w not in GENERAL for other in theirs)


def _open(bench: Bench) -> _Sitting:
    return _Sitting(learned(bench.background))


def _example(reply: str) -> Exchange:
    first = Turn("user", "A room in Portland, please.", facts=(Fact("destination", "portland"),))
    second = Turn("user", "Remind me, which city did I say?", asks=("destination",))
    rounds = (
        Spoken(1, first, None, None, "with pleasure", "With pleasure.", None),
        Spoken(2, second, None, None, reply, reply, None),
    )
    return Exchange("example", "SearchHotel", (), rounds)


def judge() -> TextJudge:
    return TextJudge(
        version=1,
        criteria=(criterion(NAME),),
        open=_open,
        background=True,
        examples=(
            (_example("you said portland"), {NAME: Score(0.0, "nothing forgotten of destination")}),
            (_example("i could not say"), {NAME: Score(90.0, "does not tell destination: portland")}),
        ),
    )
