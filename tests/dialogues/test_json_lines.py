from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from dialogues.made_up import any_corpus, dialogue
from turnwise.dialogues import json_lines as jsonl
from turnwise.dialogues.corpora.jsonl import corpus
from turnwise.dialogues.dialogue import Dialogue, Fact, Turn
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import file_digest


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(any_corpus)
def test_nothing_is_lost(tmp_path: Path, corpus: list[Dialogue]) -> None:
    path = tmp_path / "c.jsonl"
    jsonl.write(corpus, path)
    reading = jsonl.read(path)
    assert reading.dialogues == tuple(corpus)
    assert reading.digest == file_digest(path)
    assert path.read_bytes().count(b"\n") == len(corpus)
    first = path.read_bytes()
    jsonl.write(reading.dialogues, path)
    assert path.read_bytes() == first


def test_one_line_as_written(tmp_path: Path) -> None:
    made = Dialogue("a", (Turn("user", "for two \u2028", "task", (Fact("people", "2"),), ("day",)),), "FindMovie", opening=0)
    path = tmp_path / "c.jsonl"
    jsonl.write([made], path)
    assert path.read_text(encoding="utf-8") == (
        '{"id":"a","turns":[{"speaker":"user","text":"for two \u2028","phase":"task","facts":[{"slot":"people","value":"2"}],'
        '"asks":["day"]}],"intent":"FindMovie","opening":0}\n'
    )
    assert jsonl.read(path).dialogues == (made,)


GOOD = '{"id":"a","turns":[{"speaker":"user","text":"hi"}]}'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id":"b","turns":[', "not JSON"),
        ('{"id":"b"}', "turns"),
        ('{"id":3,"turns":[]}', "$.id"),
        ('{"id":"","turns":[]}', "id is empty"),
        ('{"id":"b","turns":[{"speaker":"agent"}]}', "$.turns[0]"),
        ('{"id":"b","turns":[{"speaker":"robot","text":""}]}', "$.turns[0].speaker"),
        ('{"id":"b","turns":[{"speaker":"user","text":"","phase":"end"}]}', "$.turns[0].phase"),
        ('{"id":"b","turns":[],"mood":1}', "unknown key 'mood'"),
        ('{"id":"b","turns":[{"speaker":"user","text":"","tone":1}]}', "unknown key 'turns.tone'"),
        (
            '{"id":"b","turns":[{"speaker":"user","text":"","facts":[{"slot":"a","value":"b","sure":1}]}]}',
            "unknown key 'turns.facts.sure'",
        ),
        ("3", "expected"),
        ("[]", "expected"),
        (GOOD, "already on line 1"),
        ('{"id":"\\ud800","turns":[]}', "not JSON"),
        ('{"id":' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        jsonl.read(path)
    assert caught.value.message.startswith(f"{path}: line 2: ".casefold()) or f"{path}: line 2: " in caught.value.message
    assert words.casefold() in caught.value.message.casefold()
    assert "\n" not in caught.value.message


def test_lines_end_as_they_may(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\n" + GOOD.replace('"a"', '"b"').encode())
    reading = jsonl.read(path)
    assert [each.id for each in reading.dialogues] == ["a", "b"]
    assert [(item.kind, item.detail) for item in reading.irregularities[1:]] == [("blank-line", "line 2 is blank")]


def test_unusual_conversations_are_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    jsonl.write([dialogue("../x", "auu")], path)
    reading = jsonl.read(path)
    assert [item.kind for item in reading.irregularities] == ["unsafe-id", "agent-first", "same-speaker"]
    assert len(reading.dialogues) == 1


def test_absent_values_may_be_null(tmp_path: Path) -> None:
    """Tables of other tools write null for what a record leaves out."""
    path = tmp_path / "c.jsonl"
    turn = '{"speaker":"user","text":"hi","phase":null,"facts":null,"asks":null}'
    path.write_text(f'{{"id":"a","turns":[{turn}],"intent":null,"description":null,"source":null,"opening":null}}\n')
    assert jsonl.read(path).dialogues == (Dialogue("a", (Turn("user", "hi"),)),)


def test_a_file_is_needed() -> None:
    with pytest.raises(InputError, match="needs a file"):
        corpus().read(None)
