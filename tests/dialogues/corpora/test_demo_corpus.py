"""The embedded corpus keeps the promises of its card."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from turnwise.dialogues.corpora import demo, msgd
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import InputError

DIALOGUES = demo.read().dialogues
LONGEST_SHARED_SENTENCE = 6  # words


@pytest.fixture(scope="module")
def domains() -> dict[str, Any]:
    """What the frame agent knows; a file of another stage, so it is read as data."""
    return tomllib.loads((files("turnwise") / "agents" / "knowledge" / "domains.toml").read_text(encoding="utf-8"))


def test_size_and_shape() -> None:
    reading = demo.read()
    assert reading.irregularities == ()
    assert len(reading.dialogues) >= 48
    assert len({each.id for each in reading.dialogues}) == len(reading.dialogues)
    assert len({each.intent for each in reading.dialogues}) >= 8
    assert {each.intent for each in reading.dialogues} <= msgd.INTENTS


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.id)
def test_six_to_twelve_answered_rounds_in_three_phases(dialogue: Dialogue) -> None:
    speakers = [turn.speaker for turn in dialogue.turns]
    assert speakers == ["user", "agent"] * (len(speakers) // 2)
    assert 6 <= len(dialogue.rounds()) <= 12
    assert [phase for phase, _ in groupby(turn.phase for turn in dialogue.turns)] == ["chitchat", "transition", "task"]
    assert all(turn.text == turn.text.strip() and turn.text for turn in dialogue.turns)
    assert all(msgd.spoken(f"User: {turn.text}").remarks == () for turn in dialogue.turns)  # nothing that is not spoken


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.id)
def test_memory_is_probed_and_never_asked_for_in_vain(dialogue: Dialogue) -> None:
    known: set[str] = set()
    probes = 0
    for turn in dialogue.turns:
        if turn.speaker == "agent":
            assert not turn.facts
            assert known.isdisjoint(turn.asks), f"asks for what the user has told: {turn.text}"
        else:
            assert known.issuperset(turn.asks), f"asks to hear again what was never said: {turn.text}"
            probes += len(turn.asks)
            known.update(fact.slot for fact in turn.facts)
    assert probes >= 1


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.id)
def test_slots_and_values_are_those_the_frame_agent_knows(dialogue: Dialogue, domains: dict[str, Any]) -> None:
    intent = domains["intents"][dialogue.intent]
    for turn in dialogue.turns:
        assert set(turn.asks) <= set(intent["slots"])
        for fact in turn.facts:
            assert fact.slot in intent["slots"]
            slot = intent.get(fact.slot) or domains["shared"][fact.slot]
            if slot["kind"] == "choice":
                assert fact.value in slot["values"], f"{fact.slot}: {fact.value}"
            elif slot["kind"] == "city":
                assert fact.value in domains["cities"]["values"]
            elif slot["kind"] == "number":
                assert fact.value.isdecimal()
            else:
                assert slot["kind"] == "time"
                assert re.fullmatch(r"([1-9]|1[0-2]):[0-5]\d", fact.value)


def test_no_two_dialogues_share_a_sentence() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for dialogue in DIALOGUES:
        for turn in dialogue.turns:
            for sentence in re.split(r"(?<=[.!?])\s+", turn.text):
                words = re.findall(r"[a-z0-9']+", sentence.lower())
                if len(words) > LONGEST_SHARED_SENTENCE:
                    places[" ".join(words)].add(dialogue.id)
    assert {sentence: ids for sentence, ids in places.items() if len(ids) > 1} == {}


def test_reading_twice_is_the_same_and_a_path_is_refused() -> None:
    assert demo.read() == demo.corpus().read(None)
    with pytest.raises(InputError, match="takes no file"):
        demo.corpus().read(Path("x.jsonl"))
    assert demo.corpus().write is None
