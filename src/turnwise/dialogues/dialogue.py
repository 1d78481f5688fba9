"""What is to be said: a dialogue, its turns, and what its user states in them.

A dialogue keeps the order and the speakers of its source, irregular as they may be: an agent may open, one speaker may have two
turns in a row. A *round* is one user turn and what answers it; a study plays every user turn, so its rounds are the user
turns, counted from 1.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Speaker = Literal["user", "agent"]
Phase = Literal["chitchat", "transition", "task"]


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something the user states: the slot and its canonical value."""

    slot: str
    value: str


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn as written."""

    speaker: Speaker
    text: str
    phase: Phase | None = None
    facts: tuple[Fact, ...] = ()  # stated here, by the user
    asks: tuple[str, ...] = ()  # slots asked for here: by an agent to learn them, by a user to hear them again


class Dialogue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A written dialogue; `turns[i]` is at position i of its source."""

    id: str
    turns: tuple[Turn, ...]
    intent: str = ""
    description: str = ""  # the intent in words
    source: str = ""
    opening: int | None = None  # turns that the source calls its opening small talk, where it does; may end before the transition

    def rounds(self) -> tuple[Round, ...]:
        """One round per user turn, in order."""
        places = [i for i, turn in enumerate(self.turns) if turn.speaker == "user"]
        made = []
        for number, place in enumerate(places, start=1):
            after = self.turns[place + 1] if place + 1 < len(self.turns) else None
            written = after if after is not None and after.speaker == "agent" else None
            made.append(Round(number, place, self.turns[place], written))
        return tuple(made)


class Round(msgspec.Struct, frozen=True):
    """One user turn and the written reply to it, if the source has one."""

    number: int  # from 1
    position: int  # of the user turn in the dialogue
    user: Turn
    written: Turn | None
