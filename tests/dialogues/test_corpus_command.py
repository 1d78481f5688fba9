"""`turnwise corpus` as a user meets it: what it prints, what it writes, how it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dialogues.made_up import FIXTURES, TABLE_4, dialogue, msgd_item, population, published_shape
from turnwise.cli.corpus import corpus_group
from turnwise.dialogues import json_lines as jsonl
from turnwise.dialogues.corpora import demo, msgd
from turnwise.foundation.errors import TurnwiseError
from turnwise.foundation.fingerprint import file_digest

THIRTEEN = FIXTURES / "msgd_thirteen.json"


class Done:
    """One finished command; an error we know leaves with its own code and sentence, as the main command does."""

    def __init__(self, *arguments: object) -> None:
        result = CliRunner().invoke(corpus_group, [str(each) for each in arguments])
        self.out, self.err, self.code = result.stdout, result.stderr, result.exit_code
        if isinstance(result.exception, TurnwiseError):
            self.err, self.code = str(result.exception), result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception

    def row(self, label: str) -> list[str]:
        return next(line for line in self.out.splitlines() if line.startswith(label)).removeprefix(label).split()


def test_stats_print_tables_3_and_4(tmp_path: Path) -> None:
    path = tmp_path / "msgd.json"
    msgd.write(published_shape(), path)
    done = Done("stats", path, "--format", "msgd")
    assert done.code == 0
    assert done.row("dialogues ") == ["500"]
    assert done.row("turns ") == ["10175"]
    assert done.row("quantity") == ["value", "SD", "(population)", "SD", "(sample)", "min", "max", "n"]
    assert done.row("mean turns per dialogue") == ["20.35", "6.68", "6.68", "7", "72", "500"]
    assert done.row("mean transition position")[0] == "8.10"
    assert done.row("mean chitchat length")[0] == "5.30"
    assert done.row("FindRestaurants") == ["121", "24.2"]
    assert done.row("GetRide") == ["2", "0.4"]
    assert max(len(line) for line in done.out.splitlines()) <= 160 or "R36" in done.out


def test_stats_as_json() -> None:
    done = Done("stats", THIRTEEN, "--format", "msgd", "--json")
    found = json.loads(done.out)
    assert (found["dialogues"], found["turns"]["total"], found["digest"]) == (13, 91, file_digest(THIRTEEN))
    assert sum(each["count"] for each in found["intents"]) == 13
    assert done.err == ""


def test_stats_mention_what_is_irregular() -> None:
    done = Done("stats", THIRTEEN, "--format", "msgd")
    assert done.code == 0
    assert "23 irregularities, 0 dialogues left out" in done.err


def test_stats_of_the_embedded_corpus_need_no_argument() -> None:
    done = Done("stats")
    assert done.row("dialogues ") == [str(len(demo.read().dialogues))]
    assert done.row("mean transition position")[0] != "not"


def test_validate_lists_id_and_position() -> None:
    done = Done("validate", THIRTEEN, "--format", "msgd")
    assert done.code == 0
    assert "13 dialogues kept (4 of them irregular), 0 left out" in done.out
    assert done.row("quoted-turn ") == ["15", "2", "0"]
    lines = [line.split()[:3] for line in done.out.splitlines()]
    assert ["agent-first", "merge_0003", "0"] in lines
    assert ["same-speaker", "merge_0008", "6"] in lines
    assert sum(line[:1] == ["quoted-turn"] for line in lines) == 1 + 15


def test_validate_strict_leaves_with_1(tmp_path: Path) -> None:
    assert Done("validate", THIRTEEN, "--format", "msgd", "--strict").code == 1
    assert Done("validate", "--strict").code == 0
    path = tmp_path / "d.json"
    path.write_text(json.dumps([msgd_item("a")]))
    done = Done("validate", path, "--format", "msgd", "--strict")
    assert (done.code, "nothing irregular" in done.out) == (0, True)


def test_validate_as_json() -> None:
    done = Done("validate", THIRTEEN, "--format", "msgd", "--json", "--strict")
    found = json.loads(done.out)
    assert done.code == 1
    assert (found["kept"], found["dropped"], found["irregular"]) == (13, 0, 4)
    first = next(each for each in found["findings"] if each["kind"] == "agent-first")["items"][0]
    assert (first["dialogue"], first["position"]) == ("merge_0003", 0)


def test_validate_shortens_long_lists_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([msgd_item(f"a{i}", source=3) for i in range(50)]))
    short = Done("validate", path, "--format", "msgd").out
    assert short.count("source: expected") == 20
    assert "30 more" in short
    assert Done("validate", path, "--format", "msgd", "--all").out.count("source: expected") == 50


def test_text_of_a_file_never_commands_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([msgd_item("a\u202e[red]b[/red]", intent={"type": "\x1b[2J", "description": ""})]))
    for command in ("validate", "stats"):
        done = Done(command, path, "--format", "msgd")
        assert done.code == 0
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out
    assert "[red]b[/red]" in Done("validate", path, "--format", "msgd").out


def test_convert_and_back(tmp_path: Path) -> None:
    lines, back = tmp_path / "x.jsonl", tmp_path / "back.json"
    there = Done("convert", THIRTEEN, "--format", "msgd", "--to", "jsonl", "--out", lines)
    assert (there.code, "13 dialogues written to" in there.out, "no place" in there.err) == (0, True, False)
    assert Done("convert", lines, "--to", "msgd", "--out", back).code == 0
    assert msgd.read(back).dialogues == jsonl.read(lines).dialogues == msgd.read(THIRTEEN).dialogues


def test_convert_says_what_the_format_has_no_place_for(tmp_path: Path) -> None:
    done = Done("convert", "--format", "demo", "--to", "msgd", "--out", tmp_path / "d.json")
    stats = json.loads(Done("stats", "--json").out)
    assert done.code == 0
    assert f"msgd has no place for some of it: {stats['facts']} facts, {stats['asked']} asked slots" in done.err


def test_convert_counts_changed_words_and_lost_dialogues(tmp_path: Path) -> None:
    source, out = tmp_path / "x.jsonl", tmp_path / "out.json"
    silent = dialogue("b", "a")
    jsonl.write([dialogue("a"), silent], source)
    source.write_text(source.read_text().replace('"u0"', '"*nods* (laughs) u0"'))
    done = Done("convert", source, "--to", "msgd", "--out", out)
    assert "1 changed text, 1 dialogue" in done.err


def test_sample_writes_the_same_format_and_a_manifest(tmp_path: Path) -> None:
    source, out = tmp_path / "msgd.json", tmp_path / "sample.json"
    msgd.write(population(A=60, B=30, C=10), source)
    draw = ("sample", source, "--format", "msgd", "--n", 10, "--by", "intent", "--seed", 1, "--out")
    done = Done(*draw, out)
    assert done.code == 0
    drawn = msgd.read(out).dialogues
    manifest = json.loads((tmp_path / "sample.manifest.json").read_text())
    assert manifest["intents"] == {"A": 6, "B": 3, "C": 1}
    assert manifest["ids"] == [each.id for each in drawn]
    assert manifest["draw"] == {"n": 10, "by": "intent", "seed": 1}
    assert manifest["source"] == {"format": "msgd", "file": "msgd.json", "digest": file_digest(source), "dialogues": 100}
    assert manifest["sample"] == {"format": "msgd", "file": "sample.json", "digest": file_digest(out)}
    Done(*draw, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()


def test_sample_of_the_published_shape_is_table_4(tmp_path: Path) -> None:
    source, out = tmp_path / "msgd.json", tmp_path / "all.json"
    msgd.write(published_shape(), source)
    Done("sample", source, "--format", "msgd", "--n", 500, "--seed", 4, "--out", out)
    assert json.loads((tmp_path / "all.manifest.json").read_text())["intents"] == TABLE_4
    assert out.read_bytes() == source.read_bytes()


def test_sample_of_what_cannot_be_written_goes_to_another_format(tmp_path: Path) -> None:
    sgd = ("sample", FIXTURES / "sgd", "--format", "sgd", "--n", 1, "--seed", 1, "--out", tmp_path / "x.jsonl")
    refused = Done(*sgd)
    assert (refused.code, "can be read but not written" in refused.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert Done(*sgd, "--to", "jsonl").code == 0
    assert len(jsonl.read(tmp_path / "x.jsonl").dialogues) == 1
    assert Done("sample", "--n", 12, "--seed", 1, "--out", tmp_path / "demo.jsonl").code == 0
    assert len(jsonl.read(tmp_path / "demo.jsonl").dialogues) == 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stats", "absent.json", "--format", "msgd"], "absent.json: no such file"),
        (["stats", "lines.jsonl", "--format", "msgd"], "--format jsonl"),
        (["stats", ".", "--format", "msgd"], "is a folder"),
        (["stats", "half.json", "--format", "msgd"], "half.json: not JSON at line 1"),
        (["stats", "wide.json", "--format", "msgd"], "UTF-16"),
        (["stats", "empty.json", "--format", "msgd"], "is empty"),
        (["stats", "none.json", "--format", "msgd"], "no dialogue to count"),
        (["stats", "good.json", "--format", "msdg"], "did you mean 'msgd'"),
        (["stats", "good.json"], "--format msgd"),
        (["stats", "good.json", "--format", "demo"], "takes no file"),
        (["stats", "--format", "msgd"], "needs a file"),
        (["sample", "good.json", "--format", "msgd", "--n", "3", "--seed", "1", "--out", "o.json"], "cannot sample 3 of 1"),
        (["sample", "good.json", "--format", "msgd", "--n", "0", "--seed", "1", "--out", "o.json"], "at least 1"),
        (["sample", "good.json", "--format", "msgd", "--n", "1", "--out", "o.json"], "--seed"),
        (["convert", "good.json", "--format", "msgd", "--to", "jsonl", "--out", "good.json"], "is the file that is read"),
        (
            ["convert", "good.json", "--format", "msgd", "--to", "jsonl", "--out", "good.json", "--force"],
            "is the file that is read",
        ),
        (
            ["convert", "good.json", "--format", "msgd", "--to", "jsonl", "--out", "link.json", "--force"],
            "is the file that is read",
        ),
        (["convert", "good.json", "--format", "msgd", "--to", "jsonl", "--out", "half.json"], "already there"),
        (["convert", "good.json", "--format", "msgd", "--to", "jsonl", "--out", "folder"], "is a folder"),
        (["convert", "good.json", "--format", "msgd", "--to", "jsonl", "--out", "absent/x"], "cannot be written"),
        (["convert", "none.json", "--format", "msgd", "--to", "jsonl", "--out", "o"], "no dialogue to convert"),
        (["convert", "good.json", "--format", "msgd", "--to", "demo", "--out", "o"], "not written"),
        (["convert", "folder", "--format", "sgd", "--to", "jsonl", "--out", "folder/o.jsonl"], "in the folder that is read"),
        (["convert", "good.json", "--format", "msgd", "--to", "jsonl", "--out", "good.json/x"], "cannot be written"),
    ],
)
def test_wrong_input_is_one_sentence_and_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    contents: dict[str, Any] = {"good.json": [msgd_item("a")], "none.json": [3]}
    for name, content in contents.items():
        Path(name).write_text(json.dumps(content))
    Path("half.json").write_text('[{"id": ')
    Path("wide.json").write_bytes("[]".encode("utf-16"))
    Path("empty.json").touch()
    jsonl.write([dialogue("a"), dialogue("b")], Path("lines.jsonl"))
    Path("link.json").symlink_to("good.json")
    Path("folder").mkdir()
    Path("folder/dialogues_001.json").write_text(
        json.dumps([{"dialogue_id": "a", "turns": [{"speaker": "USER", "utterance": "hi", "frames": []}]}])
    )
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = Done(*arguments)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_the_manifest_is_not_overwritten_either(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    (tmp_path / "s.manifest.json").write_text("precious")
    arguments = ("sample", "--n", 2, "--seed", 1, "--out", out)
    assert "already there" in Done(*arguments).err
    assert not out.exists()
    assert Done(*arguments, "--force").code == 0
    assert json.loads((tmp_path / "s.manifest.json").read_text())["draw"]["n"] == 2


@pytest.mark.parametrize("command", ["", "stats", "validate", "convert", "sample"])
def test_help_shows_an_example(command: str) -> None:
    done = Done(*([command] if command else []), "--help")
    assert done.code == 0
    assert f"turnwise corpus {command}".strip() in done.out
