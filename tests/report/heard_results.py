"""Results with the five ratings of a listener in them: one arm noisier from round to round, one without a voice."""

from __future__ import annotations

import msgspec

from made_results import made_results
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Abstention, Outcome, Score
from turnwise.listening.ratings import DIMENSIONS
from turnwise.study.results import Instrument, Results
from turnwise.study.study import JudgeChoice

CLEAR = {"mos": 3.8, "noi": 4.2, "col": 3.6, "dis": 3.7, "loud": 4.0}


def heard_results(judge: str = "listener", options: dict[str, object] | None = None) -> Results:
    """`frame` keeps its sound, `retrieval` loses 0.3 of noise and 0.2 overall a round, `text-only` cannot be heard."""
    made = made_results(("frame", "retrieval", "text-only"), dialogues=6, rounds=6)
    label = judge.removesuffix("listener")
    rated = [f"{label}{name}" for name in DIMENSIONS]
    criteria = tuple(Criterion(name, "rating 1-5", "higher", 1.0, 5.0) for name in rated)
    conversations = []
    for c in made.conversations:
        answered = []
        for a in c.rounds:
            outcomes: dict[str, Outcome] = dict(a.outcomes)
            for name, dimension in zip(rated, DIMENSIONS, strict=True):
                fall = {"noi": 0.3, "mos": 0.2}.get(dimension, 0.0) * (a.number - 1) if c.arm == "retrieval" else 0.0
                outcomes[name] = Abstention("no audio") if c.arm == "text-only" else Score(CLEAR[dimension] - fall, "made")
            answered.append(msgspec.structs.replace(a, outcomes=outcomes))
        conversations.append(msgspec.structs.replace(c, rounds=tuple(answered)))
    study = msgspec.structs.replace(
        made.study, judges=(JudgeChoice("listener", dict(options or {}), label=label.removesuffix("/")),)
    )
    return msgspec.structs.replace(
        made,
        study=study,
        instruments=(*made.instruments, *(Instrument(criterion, judge, "b2:77") for criterion in criteria)),
        conversations=tuple(conversations),
    )
