"""Results judged by several: an embedded judge and two that ask a model, one of them three times; with what that cost.

The scores are those of `made_results`. "gpt" reads each of them 5 points milder (and its own model's arm 8 more), asked three
times with known noise; "qwen" reads them 10 points stricter and never answers for round 7.
"""

from __future__ import annotations

from typing import Any

import msgspec

from made_results import INSTRUMENTS, made_results
from turnwise.endpoints.calls import Usage
from turnwise.judges.verdict import Fault, Outcome, Score, Silence
from turnwise.study.results import Answered, Conversation, Expense, Instrument, Results

MILD, OWN, STRICT = 5.0, 8.0, 10.0
WOBBLE = (-3.0, 0.0, 3.0)  # of the three repeats: a standard deviation of 3
READ = ("consistency", "naturalness")
GPT, QWEN = "gpt-4o-mini-2024-07-18", "Qwen/Qwen2.5-Omni-7B"
ARM_MODELS = {"frame": ("gpt-4o-mini",), "retrieval": ("openai/whisper-large-v3",)}


def panel_instruments() -> tuple[Instrument, ...]:
    read = [i for i in INSTRUMENTS if i.criterion.name in READ]
    made = list(INSTRUMENTS)
    for label, model, repeats in (("gpt", GPT, 3), ("qwen", QWEN, 1)):
        for i in read:
            criterion = msgspec.structs.replace(i.criterion, name=f"{label}/{i.criterion.name}")
            made.append(Instrument(criterion, f"{label}/dialogue_quality", f"b2:{label}", (model,), repeats))
    return tuple(made)


def panel_results(**options: Any) -> Results:
    results = made_results(**options)
    conversations = tuple(
        Conversation(c.arm, c.dialogue, tuple(_read(c.arm, answered) for answered in c.rounds)) for c in results.conversations
    )
    return msgspec.structs.replace(
        results,
        conversations=conversations,
        instruments=panel_instruments(),
        arm_models={arm: models for arm, models in ARM_MODELS.items() if arm in {a.name for a in results.study.arms}},
        expenses=expenses(),
    )


def expenses() -> tuple[Expense, ...]:
    return (
        Expense(
            endpoint="openai",
            model=GPT,
            purpose="judge gpt/dialogue_quality",
            calls=300,
            attempts=312,
            failed=2,
            failures={"rate-limit": 10, "timeout": 4},
            usage=Usage(input=200_000, output=30_000),
            cost=0.048,
            seconds=298.0,
            waited=12.5,
            answered_by=("gpt-4o-mini-2024-07-18 fp_1",),
        ),
        Expense("local", QWEN, "judge qwen/dialogue_quality", 100, 100, 0, {}, Usage(70_000, 9_000), None, 50.0, 0.0),
        Expense("openai", "gpt-4o-mini", "arm frame", 90, 90, 0, {}, Usage(40_000, 6_000), 0.0096, 45.0, 0.0),
        Expense("openai", "whisper-1", "transcriber", 10, 11, 0, {"http-500": 1}, Usage(seconds=60.0), 0.006, 8.0, 0.5),
    )


def _read(arm: str, answered: Answered) -> Answered:
    outcomes, repeats = dict(answered.outcomes), {}
    for name in READ:
        first = answered.outcomes[name]
        if not isinstance(first, Score):
            outcomes[f"gpt/{name}"] = outcomes[f"qwen/{name}"] = first if isinstance(first, Silence) else Fault("refused")
            continue
        mild = first.value + MILD + (OWN if arm == "frame" else 0.0)
        asked: list[Outcome] = [Score(mild + wobble) for wobble in WOBBLE]
        if answered.number == 2:
            asked[1] = Fault("parse", "no JSON")
        repeats[f"gpt/{name}"] = tuple(asked)
        scores = [o.value for o in asked if isinstance(o, Score)]
        outcomes[f"gpt/{name}"] = Score(sum(scores) / len(scores))
        outcomes[f"qwen/{name}"] = Fault("timeout") if answered.number == 7 else Score(first.value - STRICT)
    return msgspec.structs.replace(answered, outcomes=outcomes, repeats=repeats)
