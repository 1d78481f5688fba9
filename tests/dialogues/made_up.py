"""Dialogues for the tests: built in a line, or drawn at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from turnwise.dialogues.dialogue import Dialogue, Fact, Turn

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "corpora"
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"

SPEAKERS = {"u": "user", "a": "agent"}

# Published counts of the Context Trap paper.
TABLE_4 = {
    "FindRestaurants": 121, "FindMovie": 113, "FindAttraction": 106, "LookupMusic": 67, "FindEvents": 37, "SearchHotel": 28,
    "SearchRoundtripFlights": 14, "GetCarsAvailable": 9, "SearchOnewayFlight": 3, "GetRide": 2,
}  # fmt: skip


def dialogue(name: str, roles: str = "uaua", intent: str = "FindMovie", **more: Any) -> Dialogue:
    """`roles` such as "uau"; texts are u0, a0, u1, ..."""
    counts = {"u": 0, "a": 0}
    turns = []
    for role in roles:
        turns.append(Turn(SPEAKERS[role], f"{role}{counts[role]}"))  # type: ignore[arg-type]
        counts[role] += 1
    return Dialogue(name, tuple(turns), intent, **more)


def population(**counts: int) -> list[Dialogue]:
    """So many dialogues of each intent, interleaved."""
    made = [dialogue(f"{intent}-{i:03d}", intent=intent) for intent, count in counts.items() for i in range(count)]
    return sorted(made, key=lambda each: (each.id[-3:], each.id))


def published_shape() -> list[Dialogue]:
    """500 dialogues whose lengths, transitions, openings and intents add up to the paper's Tables 3 and 4."""
    lengths = [7, 72, *[12] * 145, *[28] * 159, *[20] * 170, *[21] * 24]
    transitions = [6, *[10] * 26, *[8] * 473]
    openings = [*[5] * 350, *[6] * 150]
    intents = [intent for intent, count in TABLE_4.items() for _ in range(count)]
    made = []
    for i, (length, at, opening, intent) in enumerate(zip(lengths, transitions, openings, intents, strict=True)):
        plain = dialogue(f"merge_{i:04d}", ("ua" * 36)[:length], intent, opening=opening)
        phases = ["chitchat"] * at + ["transition"] * (2 if at + 1 < length else 1)
        phases += ["task"] * (length - len(phases))
        turns = tuple(Turn(turn.speaker, turn.text, phase) for turn, phase in zip(plain.turns, phases, strict=True))  # type: ignore[arg-type]
        made.append(msgspec.structs.replace(plain, turns=turns))
    return made


def msgd_item(name: Any = "merge_0000", *lines: str, position: Any = 0, **changes: Any) -> dict[str, Any]:
    """A regular item of the MSGD list; `changes` replace its fields."""
    dialog = list(lines) or ["User: I want to see a film.", "Agent: Which one?", "User: Any.", "Agent: Fine."]
    inside = isinstance(position, int) and 0 <= position < len(dialog)
    item = {
        "id": name,
        "intent": {"type": "FindMovie", "description": "find a film"},
        "transition_sentence": {"utterance": dialog[position if inside else 0], "position": position},
        "chitchat_context": dialog[: position if inside else 0],
        "dialog": dialog,
    }
    return {**item, **changes}


# Every character a file can hold: all of Unicode without halves of surrogate pairs.
any_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
slot = st.sampled_from(["area", "day", "people"])
facts = st.lists(st.builds(Fact, slot, any_text), max_size=3).map(tuple)
phases = st.sampled_from([None, "chitchat", "transition", "task"])
any_turn = st.builds(
    Turn, st.sampled_from(["user", "agent"]), any_text, phases, facts, st.lists(slot, max_size=2, unique=True).map(tuple)
)
any_dialogue = st.builds(
    Dialogue,
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20),
    st.lists(any_turn, max_size=8).map(tuple),
    any_text,
    any_text,
    any_text,
    st.none() | st.integers(0, 8),
)
any_corpus = st.lists(any_dialogue, min_size=1, max_size=6, unique_by=lambda each: each.id)
