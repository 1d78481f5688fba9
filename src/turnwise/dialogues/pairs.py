"""What was said and answered in a dialogue that is already written.

A study plays every user turn, so its rounds are the user turns. A written dialogue is judged as it stands: a pair is a user
turn directly followed by an agent turn. A user turn that nobody answers makes no pair, and is reported; it stays in the
history of those after it.
"""

from __future__ import annotations

import msgspec

from turnwise.dialogues.dialogue import Dialogue, Turn


class Pair(msgspec.Struct, frozen=True):
    """One user turn and its answer, with all that was said before."""

    number: int  # from 1, answered turns only
    position: int  # of the user turn in the dialogue
    history: tuple[Turn, ...]
    user: Turn
    agent: Turn


class Pairs(msgspec.Struct, frozen=True):
    """A dialogue cut into its pairs; every position of the dialogue is in a pair or in one of the two lists."""

    answered: tuple[Pair, ...]
    unanswered: tuple[int, ...]  # positions of user turns without a reply
    unprompted: tuple[int, ...]  # positions of agent turns that do not follow a user turn


def pairs(dialogue: Dialogue) -> Pairs:
    """The pairs in order."""
    turns = dialogue.turns
    answered: list[Pair] = []
    unanswered: list[int] = []
    unprompted: list[int] = []
    for position, turn in enumerate(turns):
        if turn.speaker == "agent":
            if position == 0 or turns[position - 1].speaker == "agent":
                unprompted.append(position)
        elif position + 1 < len(turns) and turns[position + 1].speaker == "agent":
            answered.append(Pair(len(answered) + 1, position, turns[:position], turn, turns[position + 1]))
        else:
            unanswered.append(position)
    return Pairs(tuple(answered), tuple(unanswered), tuple(unprompted))
