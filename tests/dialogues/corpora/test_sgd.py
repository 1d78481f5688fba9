from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dialogues.made_up import FIXTURES, SHARED
from turnwise.dialogues.corpora import sgd
from turnwise.dialogues.dialogue import Fact
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import file_digest

FOLDER = FIXTURES / "sgd"
REAL = SHARED / "sgd"


def write(path: Path, *items: Any) -> Path:
    path.write_text(json.dumps(list(items)), encoding="utf-8")
    return path


def turn(speaker: Any = "USER", utterance: Any = "hi", **more: Any) -> dict[str, Any]:
    return {"speaker": speaker, "utterance": utterance, "frames": [], **more}


def test_facts_and_asked_slots() -> None:
    garden, train = sgd.read(FOLDER).dialogues
    assert garden.turns[2].facts == (Fact("city", "leeds"), Fact("date", "2019-03-02"))  # "any price" states nothing
    assert garden.turns[3].asks == ("kind", "visitors")
    assert garden.turns[4].facts == (Fact("kind", "herbs"), Fact("visitors", "3"))
    assert garden.turns[4].asks == ("street",)
    assert garden.turns[5].facts == ()  # the agent's INFORM and CONFIRM state nothing of the user's
    assert garden.turns[6].facts == ()
    assert (garden.intent, garden.description, garden.source) == ("FindGarden", "Find a garden to visit", "sgd")
    assert {each.phase for each in garden.turns} == {None}
    assert (train.intent, train.description) == ("FindTrain", "Find a train")  # the first of two services
    assert train.turns[2].facts == (Fact("from", "hull"), Fact("city", "york"))


def test_a_file_alone_and_its_folder_read_alike(tmp_path: Path) -> None:
    one, all_of_it = sgd.read(FOLDER / "dialogues_001.json"), sgd.read(FOLDER)
    assert one == all_of_it
    alone = tmp_path / "dialogues_001.json"
    alone.write_bytes((FOLDER / "dialogues_001.json").read_bytes())
    bare = sgd.read(alone)
    assert [item.kind for item in bare.irregularities] == ["no-schema"]
    assert {each.description for each in bare.dialogues} == {""}
    assert bare.digest == file_digest(alone) != one.digest


def test_a_folder_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("002", "001"):
        write(
            tmp_path / f"dialogues_{name}.json",
            {"dialogue_id": name, "turns": [turn()]},
            {"dialogue_id": "same", "turns": [turn()]},
        )
    reading = sgd.read(tmp_path)
    assert [each.id for each in reading.dialogues] == ["001", "same", "002"]
    assert [(item.kind, item.dialogue, item.dropped) for item in reading.irregularities[1:]] == [("duplicate-id", "same", True)]


@pytest.mark.parametrize(
    ("item", "kind", "position"),
    [
        (3, "wrong-type", None),
        ({"turns": [turn()]}, "missing-id", None),
        ({"dialogue_id": "a"}, "wrong-type", None),
        ({"dialogue_id": "a", "turns": []}, "wrong-type", None),
        ({"dialogue_id": "a", "turns": [turn(), 3]}, "wrong-type", 1),
        ({"dialogue_id": "a", "turns": [turn(utterance=None)]}, "wrong-type", 0),
        ({"dialogue_id": "a", "turns": [turn("ROBOT")]}, "unknown-speaker", 0),
        ({"dialogue_id": "a", "turns": [turn(["USER"])]}, "unknown-speaker", 0),
        ({"dialogue_id": "a", "turns": [turn("SYSTEM")]}, "no-user-turn", None),
    ],
)
def test_what_is_no_dialogue_is_left_out_and_said(tmp_path: Path, item: Any, kind: str, position: int | None) -> None:
    reading = sgd.read(write(tmp_path / "d.json", item, {"dialogue_id": "good", "turns": [turn()]}))
    assert [each.id for each in reading.dialogues] == ["good"]
    assert [(i.kind, i.position) for i in reading.irregularities if i.dropped] == [(kind, position)]


@pytest.mark.parametrize(
    ("frames", "kinds"),
    [
        (3, ["no-annotation"]),
        ([3], ["no-annotation"]),
        ([{"actions": 3}], ["no-annotation"]),
        ([{"actions": [3]}], ["no-annotation"]),
        ([{"actions": [{"act": "INFORM", "slot": 3, "values": ["x"]}]}], ["wrong-type"]),
        ([{"actions": [{"act": "INFORM", "slot": "s", "values": [3]}]}], ["wrong-type"]),
        ([{"actions": [], "state": 3}], []),
    ],
)
def test_broken_annotation_is_said_and_the_words_are_kept(tmp_path: Path, frames: Any, kinds: list[str]) -> None:
    reading = sgd.read(write(tmp_path / "d.json", {"dialogue_id": "a", "turns": [turn(frames=frames)]}))
    assert reading.dialogues[0].turns[0].text == "hi"
    assert [i.kind for i in reading.irregularities if i.kind != "no-schema"] == kinds


def test_values_stand_in_for_absent_canonical_values(tmp_path: Path) -> None:
    actions = [{"act": "INFORM", "slot": "s", "values": [" Big Ben "]}, {"act": "INFORM", "slot": "s", "values": ["big ben"]}]
    reading = sgd.read(write(tmp_path / "d.json", {"dialogue_id": "a", "turns": [turn(frames=[{"actions": actions}])]}))
    assert reading.dialogues[0].turns[0].facts == (Fact("s", "big ben"),)


def test_irregular_order_and_characters_are_said(tmp_path: Path) -> None:
    turns = [turn("SYSTEM"), turn("USER", "a\x00b"), turn("USER", " ")]
    reading = sgd.read(write(tmp_path / "d.json", {"dialogue_id": "../a", "turns": turns}))
    assert [i.kind for i in reading.irregularities[1:]] == [
        "broken-character",
        "unsafe-id",
        "agent-first",
        "same-speaker",
        "empty-turn",
    ]
    assert reading.dialogues[0].turns[1].text == "a b"


def test_wrong_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no dialogues_\*\.json"):
        sgd.read(tmp_path)
    (tmp_path / "d.json").write_text("{}")
    with pytest.raises(InputError, match="expected a list of dialogues, found an object"):
        sgd.read(tmp_path / "d.json")
    write(tmp_path / "d.json", {"dialogue_id": "a", "turns": [turn()]})
    (tmp_path / "schema.json").write_text('[{"intents": 3}]')
    with pytest.raises(InputError, match=r"schema\.json: not a schema"):
        sgd.read(tmp_path / "d.json")
    with pytest.raises(InputError, match="needs a file"):
        sgd.corpus().read(None)
    assert sgd.corpus().write is None


@pytest.mark.skipif(not REAL.exists(), reason="the shared data is not here")
def test_the_real_files_against_their_own_states() -> None:
    reading = sgd.read(REAL)
    assert (len(reading.dialogues), reading.irregularities) == (384, ())
    raw = {each["dialogue_id"]: each for path in sorted(REAL.glob("dialogues_*.json")) for each in json.loads(path.read_text())}
    kinds: Counter[str] = Counter()
    for dialogue in reading.dialogues:
        assert dialogue.intent
        assert dialogue.description
        for made, source in zip(dialogue.turns, raw[dialogue.id]["turns"], strict=True):
            assert made.text == source["utterance"].strip()
            slots = {name for frame in source["frames"] for name in frame.get("state", {}).get("slot_values", {})}
            for fact in made.facts:
                kinds["fact"] += 1
                assert fact.slot in slots  # what is said to be stated is in the state the source tracks
                assert fact.value == fact.value.lower() != "dontcare"
            kinds["asked"] += len(made.asks)
            if made.speaker == "user":
                state = {name for frame in source["frames"] for name in frame["state"]["requested_slots"]}
                assert set(made.asks) == state
    assert kinds == {"fact": 1611, "asked": 882 + 15 + 419 + 16}
