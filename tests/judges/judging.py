"""The types of what `conftest.py` hands to tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.judges.judge import Exchange, Sitting

Corpus = tuple[Dialogue, ...]


class Talk(Protocol):
    """An exchange from user turns and replies in turn; the last reply is the one under judgement."""

    def __call__(self, *said: Turn | str, intent: str = "FindRestaurants", dialogue: str = "new") -> Exchange: ...


class Open(Protocol):
    """Opens a judge by name."""

    def __call__(self, name: str, background: Sequence[Dialogue] = ()) -> Sitting: ...
