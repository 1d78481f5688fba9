"""How natural the words of a turn are: 100 where nothing is repeated or stock, less by those two severities.

    naturalness = 100 x (1 - 0.8 x repetition / 100) x (1 - 0.6 x generic / 100)

A severe repetition leaves 20 points, a severe stock phrase 40; the more severe of either, the fewer points, whatever the
other is. A part that abstains counts as without failure and is named in the reason; if both abstain, so does this; a fault of
a part is a fault here.
Sees what its parts see and nothing else: grammar, tone and voice are outside it. It is not the number an LLM judge or a
person would give, though it moves the same way.
"""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.dialogues.dialogue import Turn
from turnwise.judges.composition import composed
from turnwise.judges.instrument import TextJudge
from turnwise.judges.judge import Bench, Criterion, Exchange, Spoken
from turnwise.judges.verdict import Score, Verdict

NAME = "naturalness"
LOSS = {"repetition": 0.8, "generic": 0.6}  # share of the points that a severity of 100 takes


class _Sitting:
    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        return {NAME: composed(exchange.verdicts, LOSS)}

    def close(self) -> None:
        """Nothing is held."""


def _open(bench: Bench) -> _Sitting:
    return _Sitting()


def judge() -> TextJudge:
    heard = Spoken(1, Turn("user", "Hello."), None, None, "hello", "Hello.", None)
    verdicts: dict[str, Verdict] = {"repetition": Score(50.0), "generic": Score(0.0)}
    return TextJudge(
        version=1,
        criteria=(Criterion(NAME, "points of 100", "higher", 0.0, 100.0),),
        open=_open,
        needs=tuple(LOSS),
        examples=((Exchange("example", "", (), (heard,), verdicts), {NAME: Score(60.0, "repetition 50: -40 points")}),),
    )
