"""Reading domains, and saying what is wrong with them."""

from pathlib import Path

import pytest

from turnwise.agents.domains import load_domains
from turnwise.foundation.errors import InputError

GOOD = """
[shared.day]
ask = ["Which day?"]
kind = "choice"
values = { monday = ["mondays"] }
[cities]
values = ["rome"]
[intents.Walk]
description = "go for a walk"
cues = ["walk"]
slots = ["day", "town"]
town = { ask = ["Where?"], kind = "city" }
"""


def written(folder: Path, text: str) -> Path:
    (folder / "domains.toml").write_text(text)
    return folder


def test_slots_come_from_the_intent_or_are_shared(tmp_path: Path) -> None:
    (walk,) = load_domains(written(tmp_path, GOOD)).intents
    assert walk.names == ("day", "town")
    assert walk.slot("day").values == {"monday": ("monday", "mondays")}
    assert walk.slot("town").values == {"rome": ("rome",)}


def test_ours_know_eleven_intents_and_their_questions() -> None:
    domains = load_domains()
    assert len(domains.intents) == 11
    for intent in domains.intents:
        assert len(intent.slots) >= 4
        for slot in intent.slots:
            assert all(question.endswith("?") for question in slot.ask)
            assert bool(slot.values) == (slot.kind in ("choice", "city"))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('kind = "city"', 'kind = "town"', "intents.Walk.town has the kind 'town'"),
        ('slots = ["day", "town"]', 'slots = ["hour"]', "intents.Walk.hour is named in `slots` but defined nowhere"),
        ('cues = ["walk"]', "", "has no 'cues'"),
        ('ask = ["Which day?"]', "ask = []", "has no question"),
        ("[intents.Walk]", "[intents.Walk", "is not a TOML file"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, old: str, new: str, word: str) -> None:
    with pytest.raises(InputError, match=r"domains\.toml") as caught:
        load_domains(written(tmp_path, GOOD.replace(old, new)))
    assert word in str(caught.value)


def test_no_file_and_no_intent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_domains(tmp_path)
    with pytest.raises(InputError, match="defines no intent"):
        load_domains(written(tmp_path, ""))
