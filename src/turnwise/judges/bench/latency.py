"""Seconds the agent takes, per stage: to hear, to think, to speak, and until its first sound.

Reports what was measured when the stage really ran: a clip that was made before keeps the time of its making. A stage that
an agent does not have, or does not tell of, is an abstention. `first_audio_seconds` counts from the end of the user's turn
to the first sample of the reply, which is what a caller waits for; the stages need not add up to it where they overlap.
Cannot see the network between a caller and the agent, nor how busy the machine was: compare arms of one run on one machine.
Needs nothing beyond the core.
"""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.agents.agent import Timings
from turnwise.dialogues.dialogue import Turn
from turnwise.judges.judge import Bench, Criterion, Exchange, Judge, Spoken
from turnwise.judges.verdict import Abstention, Score, Verdict

STAGES = {"hear_seconds": "hear", "think_seconds": "think", "speak_seconds": "speak", "first_audio_seconds": "first_audio"}


class _Sitting:
    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        taken = exchange.now.timings
        return {name: _verdict(getattr(taken, stage), stage) for name, stage in STAGES.items()}

    def close(self) -> None:
        """Nothing is held."""


def _verdict(seconds: float | None, stage: str) -> Verdict:
    if seconds is None:
        return Abstention(f"no time was measured for {stage.replace('_', ' ')}")
    if not 0 <= seconds < float("inf"):
        return Abstention(f"no duration: {seconds}")
    return Score(seconds)


def _open(bench: Bench) -> _Sitting:
    return _Sitting()


def _example(timings: Timings) -> Exchange:
    now = Spoken(1, Turn("user", "Hello there."), None, None, "Good morning.", "Good morning.", None, timings)
    return Exchange("example", "", (), (now,))


_NOTHING: Mapping[str, Verdict] = {
    "hear_seconds": Abstention("no time was measured for hear"),
    "think_seconds": Abstention("no time was measured for think"),
    "speak_seconds": Abstention("no time was measured for speak"),
    "first_audio_seconds": Abstention("no time was measured for first audio"),
}


def judge() -> Judge:
    return Judge(
        version=1,
        criteria=tuple(Criterion(name, "seconds", "lower", 0.0) for name in STAGES),
        open=_open,
        examples=(
            (
                _example(Timings(hear=0.5, think=0.25, first_audio=1.0)),
                {
                    "hear_seconds": Score(0.5),
                    "think_seconds": Score(0.25),
                    "speak_seconds": Abstention("no time was measured for speak"),
                    "first_audio_seconds": Score(1.0),
                },
            ),
            (_example(Timings()), dict(_NOTHING)),
            (_example(Timings(speak=-1.0)), {**_NOTHING, "speak_seconds": Abstention("no duration: -1.0")}),
        ),
    )
