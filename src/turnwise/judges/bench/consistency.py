"""How well a turn keeps the thread: 100 where it fits what was said, less by drift, misunderstanding, memory and repetition.

    consistency = 100 x (1 - 0.8 x topic_drift / 100) x (1 - 0.7 x misunderstanding / 100)
                      x (1 - 0.9 x memory / 100) x (1 - 0.4 x repetition / 100)

The more severe any of them, the fewer points, whatever the others are; misunderstanding weighs less than memory because its
judge is less sure. A part that abstains counts as without failure and is named in the reason (memory abstains before anything
was stated); if all abstain, so does this; a fault of a part is a fault here.
Sees what its parts see and nothing else. It is not the number an LLM judge or a person would give, though it moves the same
way.
"""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.dialogues.dialogue import Turn
from turnwise.judges.composition import composed
from turnwise.judges.instrument import TextJudge
from turnwise.judges.judge import Bench, Criterion, Exchange, Spoken
from turnwise.judges.verdict import Abstention, Score, Verdict

NAME = "consistency"
LOSS = {"topic_drift": 0.8, "misunderstanding": 0.7, "memory": 0.9, "repetition": 0.4}  # share taken by a severity of 100


class _Sitting:
    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        return {NAME: composed(exchange.verdicts, LOSS)}

    def close(self) -> None:
        """Nothing is held."""


def _open(bench: Bench) -> _Sitting:
    return _Sitting()


def judge() -> TextJudge:
    heard = Spoken(1, Turn("user", "Hello."), None, None, "hello", "Hello.", None)
    verdicts: dict[str, Verdict] = {
        "topic_drift": Score(0.0),
        "misunderstanding": Score(0.0),
        "memory": Abstention("nothing stated"),
        "repetition": Score(50.0),
    }
    reason = "repetition 50: -20 points; not judged: memory"
    return TextJudge(
        version=1,
        criteria=(Criterion(NAME, "points of 100", "higher", 0.0, 100.0),),
        open=_open,
        needs=tuple(LOSS),
        examples=((Exchange("example", "", (), (heard,), verdicts), {NAME: Score(80.0, reason)}),),
    )
