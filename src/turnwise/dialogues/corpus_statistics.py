"""The shape of a corpus in numbers: the quantities of Tables 3 and 4 of the Context Trap paper, and how far its rounds reach.

Lengths are counted in turns, positions from 0. The paper gives one standard deviation without its kind, so both are given:
`sd_population` divides by n, `sd_sample` by n - 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.pairs import pairs
from turnwise.foundation.errors import InputError


class Spread(msgspec.Struct, frozen=True):
    """A whole-number quantity over the dialogues that have it."""

    n: int
    total: int
    mean: float
    sd_population: float
    sd_sample: float | None  # None for a single dialogue
    min: int
    max: int


class IntentCount(msgspec.Struct, frozen=True):
    """How often one intent is the dialogue's."""

    intent: str
    count: int
    percent: float


class CorpusStatistics(msgspec.Struct, frozen=True):
    """One corpus."""

    dialogues: int
    turns: Spread  # per dialogue
    rounds: Spread  # user turns per dialogue
    transition: Spread | None  # position of the first turn in the transition phase
    opening: Spread | None  # length of the small talk: as the source counts it, otherwise the turns in the chitchat phase
    intents: tuple[IntentCount, ...]  # most frequent first, then by name
    reaching: tuple[int, ...]  # reaching[k - 1] dialogues have a round k
    unanswered: int  # user turns that no agent turn follows
    facts: int  # stated by users, where annotated
    asked: int  # slots asked for, where annotated


def corpus_statistics(dialogues: Sequence[Dialogue]) -> CorpusStatistics:
    """Count everything once."""
    if not dialogues:
        raise InputError("there is no dialogue to count", "see `turnwise corpus validate` for what was left out")
    rounds = [sum(turn.speaker == "user" for turn in dialogue.turns) for dialogue in dialogues]
    counts = Counter(dialogue.intent for dialogue in dialogues)
    openings = [length for length in map(opening_length, dialogues) if length is not None]
    transitions = [position for position in map(transition_position, dialogues) if position is not None]
    every_turn = [turn for dialogue in dialogues for turn in dialogue.turns]
    return CorpusStatistics(
        dialogues=len(dialogues),
        turns=spread([len(dialogue.turns) for dialogue in dialogues]),
        rounds=spread(rounds),
        transition=spread(transitions) if transitions else None,
        opening=spread(openings) if openings else None,
        intents=tuple(
            IntentCount(intent, count, 100 * count / len(dialogues))
            for intent, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ),
        reaching=tuple(sum(length >= number for length in rounds) for number in range(1, max(rounds) + 1)),
        unanswered=sum(len(pairs(dialogue).unanswered) for dialogue in dialogues),
        facts=sum(len(turn.facts) for turn in every_turn),
        asked=sum(len(turn.asks) for turn in every_turn),
    )


def transition_position(dialogue: Dialogue) -> int | None:
    """Where the intent first shows, or None in a dialogue without a transition."""
    return next((i for i, turn in enumerate(dialogue.turns) if turn.phase == "transition"), None)


def opening_length(dialogue: Dialogue) -> int | None:
    """Turns of small talk at the start, or None where nothing says which they are."""
    if dialogue.opening is not None:
        return dialogue.opening
    phases = [turn.phase for turn in dialogue.turns]
    return phases.count("chitchat") if any(phases) else None


def spread(values: Sequence[int]) -> Spread:
    """Mean and both standard deviations from exact whole-number sums, so that equal values have a deviation of exactly 0."""
    n, total = len(values), sum(values)
    squares = n * sum(value * value for value in values) - total * total  # n² times the population variance
    return Spread(
        n=n,
        total=total,
        mean=total / n,
        sd_population=math.sqrt(squares) / n,
        sd_sample=math.sqrt(squares / (n * (n - 1))) if n > 1 else None,
        min=min(values),
        max=max(values),
    )
