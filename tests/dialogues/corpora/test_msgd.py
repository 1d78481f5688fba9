from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialogues.made_up import FIXTURES, SHARED, any_corpus, msgd_item, published_shape
from turnwise.dialogues.corpora import msgd
from turnwise.dialogues.corpus import Reading
from turnwise.dialogues.corpus_statistics import corpus_statistics
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.validation import validate
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import file_digest

THIRTEEN = FIXTURES / "msgd_thirteen.json"
REAL = SHARED / "msgd" / "sgd_train_in_msgd_format.json"


def read(tmp_path: Path, *items: Any) -> Reading:
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(list(items)), encoding="utf-8")
    return msgd.read(path)


def said(reading: Reading) -> list[tuple[str, int | None, bool]]:
    return [(item.kind, item.position, item.dropped) for item in reading.irregularities]


def one(tmp_path: Path, **changes: Any) -> tuple[Dialogue, list[tuple[str, int | None, bool]]]:
    reading = read(tmp_path, msgd_item(**changes))
    return reading.dialogues[0], said(reading)


def test_the_thirteen() -> None:
    reading = msgd.read(THIRTEEN)
    findings = {finding.kind: finding for finding in validate(reading).findings}
    assert len(reading.dialogues) == 13
    assert {kind: (finding.count, finding.dialogues) for kind, finding in findings.items()} == {
        "agent-first": (1, 1),
        "same-speaker": (1, 1),
        "quoted-turn": (15, 2),
        "unknown-intent": (2, 2),
        "stage-direction": (3, 2),
        "mixed-intents": (1, 0),
    }
    assert [(i.dialogue, i.position) for i in findings["agent-first"].items] == [("merge_0003", 0)]
    assert [(i.dialogue, i.position) for i in findings["same-speaker"].items] == [("merge_0008", 6)]
    assert {i.dialogue for i in findings["quoted-turn"].items} == {"merge_0003", "merge_0008"}
    assert [i.dialogue for i in findings["unknown-intent"].items] == ["merge_0008", "merge_0011"]
    assert [(i.dialogue, i.position) for i in findings["stage-direction"].items] == [
        ("merge_0005", 1),
        ("merge_0011", 0),
        ("merge_0011", 2),
    ]
    assert not any(item.dropped for item in reading.irregularities)
    assert reading.digest == file_digest(THIRTEEN)


def test_the_words_of_the_thirteen() -> None:
    by_id = {each.id: each for each in msgd.read(THIRTEEN).dialogues}
    third = by_id["merge_0003"]
    assert [each.position for each in third.rounds()] == [1, 3, 5, 7]
    assert third.turns[0].text == "Hello! How has your week been?"
    assert [turn.phase for turn in third.turns] == ["chitchat"] * 3 + ["transition"] * 2 + ["task"] * 3
    assert by_id["merge_0005"].turns[1].text == "Wonderful! What kind of dancing?"
    assert "(312) 555-0100" in by_id["merge_0005"].turns[6].text
    assert by_id["merge_0011"].turns[0].text == "My bread did not rise."
    assert by_id["merge_0011"].turns[2].text == "Probably. What else could I bake without yeast?"
    assert [turn.speaker for turn in by_id["merge_0008"].turns[-2:]] == ["agent", "agent"]
    assert by_id["merge_0008"].turns[-1].text == "Enjoy your week!"
    assert (by_id["merge_0002"].opening, by_id["merge_0002"].turns[2].phase) == (2, "chitchat")
    assert len({by_id[name].description for name in ("merge_0001", "merge_0007")}) == 2
    assert all('"' not in turn.text and "*" not in turn.text for each in by_id.values() for turn in each.turns)


@pytest.mark.parametrize(
    ("changes", "kind", "position"),
    [
        ({"name": "../../x"}, "unsafe-id", None),
        ({"name": 7}, "wrong-type", None),
        ({"intent": {"type": "BuyBoat", "description": ""}}, "unknown-intent", None),
        ({"intent": "FindMovie"}, "wrong-type", None),
        ({"intent": {"type": "FindMovie"}}, "missing-field", None),
        ({"intent": {"type": " ", "description": ""}}, "missing-field", None),
        ({"transition_sentence": None}, "missing-field", None),
        ({"transition_sentence": {"position": 0}}, "missing-field", None),
        ({"transition_sentence": {"utterance": "User: Any.", "position": 9}}, "transition-position", None),
        ({"transition_sentence": {"utterance": "User: Any.", "position": -1}}, "transition-position", None),
        ({"transition_sentence": {"utterance": "User: Any.", "position": True}}, "transition-position", None),
        ({"transition_sentence": {"utterance": "User: Any.", "position": "2"}}, "transition-position", None),
        ({"transition_sentence": {"utterance": "User: Any.", "position": 0}}, "transition-words", 0),
        ({"position": 1, "chitchat_context": []}, "transition-speaker", 1),
        ({"chitchat_context": "x"}, "missing-field", None),
        ({"chitchat_context": [3], "position": 2}, "wrong-type", None),
        ({"chitchat_context": ["User: Gone."], "position": 2}, "chitchat-missing", None),
        ({"chitchat_context": ["Agent: Which one?"], "position": 2}, "chitchat-order", None),
        ({"chitchat_context": ["User: I want to see a film."]}, "chitchat-overlap", None),
        ({"source": 3}, "wrong-type", None),
        ({"mood": "fine"}, "unknown-field", None),
    ],
)
def test_each_departure_is_said_once_and_kept(tmp_path: Path, changes: dict[str, Any], kind: str, position: int | None) -> None:
    _, found = one(tmp_path, **changes)
    assert found == [(kind, position, False)]


def test_absent_fields(tmp_path: Path) -> None:
    reading = read(tmp_path, {"id": "a", "dialog": ["User: hi", "Agent: hi"]})
    assert said(reading) == [("missing-field", None, False)] * 3
    only = reading.dialogues[0]
    assert (only.intent, only.description, only.source, only.opening) == ("", "", "", None)
    assert {turn.phase for turn in only.turns} == {None}


@pytest.mark.parametrize(
    ("dialog", "kind", "position"),
    [
        (None, "wrong-type", None),
        ("User: hi", "wrong-type", None),
        ([], "no-turns", None),
        (["User: hi", 3], "wrong-type", 1),
        (["User: hi", None], "wrong-type", 1),
        (["User: hi", {"Agent": "hi"}], "wrong-type", 1),
        (["hi", "there"], "no-prefix", 0),
        (["Agent: hi"], "no-user-turn", None),
    ],
)
def test_what_is_no_dialogue_is_left_out_and_said(tmp_path: Path, dialog: Any, kind: str, position: int | None) -> None:
    reading = read(tmp_path, msgd_item("bad", dialog=dialog), msgd_item("good"))
    assert [each.id for each in reading.dialogues] == ["good"]
    assert said(reading) == [(kind, position, True)]
    assert reading.irregularities[0].dialogue == "bad"
    assert "item 0 of corpus.json" in reading.irregularities[0].detail


def test_items_that_are_no_objects_and_ids_that_are_none(tmp_path: Path) -> None:
    reading = read(tmp_path, 3, msgd_item(None), msgd_item(""), msgd_item("a"), msgd_item("a"))
    assert [each.id for each in reading.dialogues] == ["a"]
    assert [kind for kind, _, _ in said(reading)] == ["wrong-type", "missing-id", "missing-id", "duplicate-id"]


@pytest.mark.parametrize(
    ("raw", "speaker", "text", "kinds"),
    [
        ("User: hi", "user", "hi", []),
        ("Agent: hi", "agent", "hi", []),
        ("  user:hi ", "user", "hi", ["odd-prefix"]),
        ("AGENT : hi", "agent", "hi", ["odd-prefix"]),
        ("Customer: hi", "user", "hi", ["odd-prefix"]),
        ("Assistant: hi", "agent", "hi", ["odd-prefix"]),
        ("Note: hi", None, "Note: hi", []),
        ("User: User: hi", "user", "hi", ["double-prefix"]),
        ("User: Agent: hi", "user", "Agent: hi", []),
        ('"User: hi"', "user", "hi", ["quoted-turn"]),
        ('User: "hi"', "user", "hi", ["quoted-turn"]),
        ('User: \\"hi\\"', "user", "hi", ["quoted-turn"]),
        ('User: *sighs* "hi"', "user", "hi", ["stage-direction", "quoted-turn"]),
        ('User: "User: hi"', "user", "hi", ["quoted-turn", "double-prefix"]),
        ("Agent: I *do* mean it", "agent", "I do mean it", ["emphasis-mark"]),
        ("Agent: a\x00b", "agent", "a b", ["broken-character"]),
        ("Agent: Call (312) 555-0100.", "agent", "Call (312) 555-0100.", []),
        ("Agent: I can be your Assistant: tonight", "agent", "I can be your Assistant: tonight", []),
        ("User:", "user", "", []),
        ("User: ", "user", "", []),
        ("User: *pause*", "user", "", ["stage-direction"]),
        ("", None, "", []),
    ],
)
def test_one_line(raw: str, speaker: str | None, text: str, kinds: list[str]) -> None:
    line = msgd.spoken(raw)
    assert (line.speaker, line.text, [kind for kind, _ in line.remarks]) == (speaker, text, kinds)


def test_a_turn_without_speaker_is_whose_turn_it_would_be(tmp_path: Path) -> None:
    reading = read(tmp_path, msgd_item("a", "Well.", "Hello.", "Agent: Hi.", "I want tea.", "Agent: Here.", "And milk."))
    assert [turn.speaker for turn in reading.dialogues[0].turns] == ["agent", "user", "agent", "user", "agent", "user"]
    places = [item.position for item in reading.irregularities if item.kind == "no-prefix"]
    assert places == [0, 1, 3, 5]


def test_an_empty_turn_keeps_its_place(tmp_path: Path) -> None:
    reading = read(tmp_path, msgd_item("a", "User: Hi.", "Agent: ", "User: *pause*", "Agent: Yes?"))
    assert [turn.text for turn in reading.dialogues[0].turns] == ["Hi.", "", "", "Yes?"]
    assert [item.position for item in reading.irregularities if item.kind == "empty-turn"] == [1, 2]


def test_a_transition_that_points_nowhere_is_found_by_its_words(tmp_path: Path) -> None:
    found, _ = one(tmp_path, transition_sentence={"utterance": 'User: "Any."', "position": 40})
    assert [turn.phase for turn in found.turns] == ["chitchat", "chitchat", "transition", "transition"]
    lost, _ = one(tmp_path, transition_sentence={"utterance": "User: Other.", "position": 40})
    assert {turn.phase for turn in lost.turns} == {None}


@pytest.mark.parametrize("intent", sorted(msgd.INTENTS))
def test_merged_and_unmerged_intents_are_known(tmp_path: Path, intent: str) -> None:
    found, odd = one(tmp_path, intent={"type": intent, "description": "any words"})
    assert (found.intent, odd) == (intent, [])


def test_both_ways_of_naming_in_one_file_are_said(tmp_path: Path) -> None:
    flights = [{"type": name, "description": ""} for name in ("SearchFlights", "SearchOnewayFlight", "GetTransportation")]
    reading = read(tmp_path, *(msgd_item(f"m{i}", intent=each) for i, each in enumerate(flights)))
    assert said(reading) == [("mixed-intents", None, False)]
    assert "SearchOnewayFlight" in reading.irregularities[0].detail


@pytest.mark.parametrize("content", ["{}", '"x"', "3", "null", "[]"])
def test_a_file_that_is_no_list_of_dialogues(tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"odd\.json: expected a list of dialogues, found "):
        msgd.read(path)


def test_a_file_is_needed() -> None:
    with pytest.raises(InputError, match="needs a file"):
        msgd.corpus().read(None)


def test_written_back_the_thirteen_read_as_themselves(tmp_path: Path) -> None:
    dialogues = msgd.read(THIRTEEN).dialogues
    path = tmp_path / "again.json"
    msgd.write(dialogues, path)
    again = msgd.read(path)
    assert again.dialogues == dialogues
    kinds = {item.kind for item in again.irregularities}
    assert kinds == {"agent-first", "same-speaker", "unknown-intent", "mixed-intents"}  # what cleaning cannot mend stays said


def test_the_published_shape_goes_round(tmp_path: Path) -> None:
    dialogues = tuple(published_shape())
    path = tmp_path / "shape.json"
    msgd.write(dialogues, path)
    assert msgd.read(path).dialogues == dialogues


pieces = st.lists(
    st.sampled_from(
        [
            "User: ",
            "agent:",
            "Customer:",
            '"',
            '\\"',
            "*",
            "(laughs)",
            "*sighs*",
            " ",
            "hello",
            "(312) 5",
            ".",
            "\u201c",
            "\u201d",
        ]
    ),
    max_size=10,
).map("".join)


@settings(max_examples=300)
@given(pieces | st.text(max_size=30))
def test_spoken_words_written_again_read_as_themselves(raw: str) -> None:
    line = msgd.spoken(raw)
    speaker = line.speaker or "user"
    text = line.text if line.speaker else msgd.spoken(f"User: {raw}").text
    again = msgd.spoken(f"{speaker.capitalize()}: {text}")
    assert (again.speaker, again.text, again.remarks) == (speaker, text, ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(any_corpus, pieces)
def test_any_corpus_written_once_goes_round_for_ever(tmp_path: Path, corpus: list[Dialogue], extra: str) -> None:
    """The first writing may lose what the format has no place for; nothing is lost after that."""
    corpus = [msgspec.structs.replace(each, intent=each.intent + extra) for each in corpus]
    path = tmp_path / "any.json"
    msgd.write(corpus, path)
    once = msgd.read(path).dialogues
    if once:
        msgd.write(once, path)
        assert msgd.read(path).dialogues == once


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | pieces,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "utterance", "position", "x"]), inner),
    max_leaves=6,
)
wild_items = st.lists(
    json_values | st.dictionaries(st.sampled_from(sorted(msgd.KEYS)), json_values | st.lists(pieces, min_size=1)),
    min_size=1,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(wild_items)
def test_whatever_the_types_every_item_is_kept_or_said(tmp_path: Path, items: list[Any]) -> None:
    reading = read(tmp_path, *items)
    assert len(reading.dialogues) + sum(item.dropped for item in reading.irregularities) == len(items)
    assert all(item.kind and "\n" not in item.kind for item in reading.irregularities)


@pytest.mark.skipif(not REAL.exists(), reason="the shared data is not here")
def test_the_real_file(tmp_path: Path) -> None:
    reading = msgd.read(REAL)
    assert reading.irregularities == ()
    raw = json.loads(REAL.read_text(encoding="utf-8"))
    found = corpus_statistics(reading.dialogues)
    assert found.dialogues == len(raw) == 308
    assert found.turns.total == sum(len(each["dialog"]) for each in raw)
    assert {each.intent: each.count for each in found.intents} == Counter(each["intent"]["type"] for each in raw)
    path = tmp_path / "again.json"
    msgd.write(reading.dialogues, path)
    assert json.loads(path.read_text(encoding="utf-8")) == raw
    assert msgd.read(path).dialogues == reading.dialogues
