"""A reply with everything it answers, as tokens: the one form in which written dialogues and played ones are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.judges.judge import Exchange
from turnwise.judges.values import Key, value_key
from turnwise.judges.wording import tokens

Words = tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """One round: what was known, what was said, what was answered."""

    dialogue: str
    intent: str
    number: int  # of the round, from 1
    user: Words
    reply: Words
    past_user: tuple[Words, ...]  # earlier user turns
    past_agent: tuple[Words, ...]  # earlier agent turns, the opening among them
    stated: Mapping[str, tuple[Key, int]]  # slot -> value in force before this round, and the round of its statement
    fresh: Mapping[str, Key]  # slot -> value stated in the present turn
    asked: tuple[str, ...]  # slots the user asks to hear

    @property
    def before(self) -> Words:
        """The agent's words just before the user's turn."""
        return self.past_agent[-1] if self.past_agent else ()


def scene_of(exchange: Exchange) -> Scene:
    """The round under judgement, the agent's side as heard."""
    *past, now = exchange.rounds
    agent = [tokens(turn.text) for turn in exchange.opening] + [tokens(r.agent) for r in past if r.agent.strip()]
    return Scene(
        exchange.dialogue,
        exchange.intent,
        now.number,
        tokens(now.user.text),
        tokens(now.agent),
        tuple(tokens(r.user.text) for r in past),
        tuple(agent),
        _stated([(r.number, r.user) for r in past]),
        _fresh(now.user),
        now.user.asks,
    )


def scenes(dialogue: Dialogue) -> tuple[Scene, ...]:
    """Every round of a written dialogue that has a written reply."""
    made: list[Scene] = []
    for turn in dialogue.rounds():
        if turn.written is None:
            continue
        past = dialogue.turns[: turn.position]
        users = [t for t in past if t.speaker == "user"]
        made.append(
            Scene(
                dialogue.id,
                dialogue.intent,
                turn.number,
                tokens(turn.user.text),
                tokens(turn.written.text),
                tuple(tokens(t.text) for t in users),
                tuple(tokens(t.text) for t in past if t.speaker == "agent"),
                _stated(list(enumerate(users, start=1))),
                _fresh(turn.user),
                turn.user.asks,
            )
        )
    return tuple(made)


def _stated(turns: list[tuple[int, Turn]]) -> dict[str, tuple[Key, int]]:
    known: dict[str, tuple[Key, int]] = {}
    for number, turn in turns:
        for slot, key in _fresh(turn).items():
            known[slot] = (key, number)
    return known


def _fresh(turn: Turn) -> dict[str, Key]:
    return {fact.slot: key for fact in turn.facts if (key := value_key(fact.value))}
