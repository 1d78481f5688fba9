"""Training items on the disk: whole lines, each once, and what is held out was never heard."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tiny_describer import caption, comparison, write_examples
from turnwise.foundation.errors import InputError
from turnwise.training.example_file import (
    begun_elsewhere,
    copies_apart,
    data_digest,
    held_apart,
    of_split,
    read_examples,
    split_of,
)
from turnwise.training.growing_file import GrowingFile


class Piece(msgspec.Struct, frozen=True):
    key: str
    value: int


def growing(path: Path) -> GrowingFile[Piece]:
    return GrowingFile(path, Piece, lambda piece: piece.key)


def test_a_growing_file_goes_on_where_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "work.jsonl"
    file = growing(path)
    file.add(Piece("a", 1), Piece("b", 2))
    with path.open("ab") as torn:
        torn.write(b'{"key":"c","val')
    again = growing(path)
    assert list(again.records.values()) == [Piece("a", 1), Piece("b", 2)]
    again.add(Piece("c", 3), Piece("a", 4))
    assert growing(path).records == {"a": Piece("a", 4), "b": Piece("b", 2), "c": Piece("c", 3)}
    assert path.read_bytes().count(b"\n") == 4
    assert "c" in again
    assert "d" not in again


def test_a_line_that_is_no_record_is_told_and_not_skipped(tmp_path: Path) -> None:
    path = tmp_path / "work.jsonl"
    path.write_text('{"key":"a","value":1}\n{"key":"b"}\n')
    with pytest.raises(InputError, match=r"work.jsonl, line 2: .*missing required field `value`"):
        growing(path)


def test_examples_are_read_with_paths_from_the_folder_of_the_file(tmp_path: Path) -> None:
    first, second = caption("a", 2.0), caption("b", 4.0)
    path = write_examples(tmp_path / "x" / "examples.jsonl", [first, second, comparison("ab", first, second)])
    found = read_examples(path)
    assert [example.id for example in found] == ["a", "b", "ab"]
    assert found[2].sounds == (str(tmp_path / "x" / "a.wav"), str(tmp_path / "x" / "b.wav"))
    assert found[2].answer == "[SpeechB]"
    assert [e.id for e in of_split(found, "train")] == ["a", "b", "ab"]
    assert of_split(found, "validation") == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "  "}, "the answer is empty"),
        ({"origins": ("x", "y")}, "a caption has 1 sounds, origins and ratings"),
        ({"split": "test"}, "Invalid enum value 'test'"),
        ({"more": 1}, "unknown field `more`"),
        ({"ratings": [{"mos": 9.0, "noi": 2.0, "col": 2.0, "dis": 2.0, "loud": 2.0}]}, "mos is 9, expected a rating of 1 to 5"),
        ({"ratings": [{"mos": 2.0, "noi": 2.0, "col": 0.0, "dis": 2.0, "loud": 2.0}]}, "col is 0, expected a rating of 1 to 5"),
    ],
)
def test_a_line_that_is_no_example(tmp_path: Path, change: dict[str, object], message: str) -> None:
    plain = msgspec.to_builtins(caption("a", 2.0))
    (tmp_path / "e.jsonl").write_bytes(msgspec.json.encode({**plain, **change}) + b"\n")
    with pytest.raises(InputError, match=f"e.jsonl, line 1: .*{message}"):
        read_examples(tmp_path / "e.jsonl")


def test_an_id_twice(tmp_path: Path) -> None:
    path = write_examples(tmp_path / "e.jsonl", [caption("a", 2.0), caption("a", 2.0)])
    with pytest.raises(InputError, match="the id 'a' is there twice"):
        read_examples(path)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (caption("b", 3.0, "validation", origins=("rec-a",)), "the recording rec-a"),
        (msgspec.structs.replace(caption("a", 3.0, "validation", origins=("x",)), id="b"), "the sound .*a.wav"),
    ],
)
def test_what_was_trained_on_is_not_held_out(tmp_path: Path, held: msgspec.Struct, message: str) -> None:
    path = write_examples(tmp_path / "e.jsonl", [caption("a", 2.0), held])  # type: ignore[list-item]
    with pytest.raises(InputError, match=f"1 sounds or recordings are both trained on and held out, among them {message}"):
        read_examples(path)


def test_a_copy_under_another_name_is_not_held_out(tmp_path: Path) -> None:
    for name, content in (("a", b"one sound"), ("b", b"one sound"), ("c", b"two sound"), ("d", b"longer sound")):
        (tmp_path / f"{name}.wav").write_bytes(content)
    trained = [caption("a", 2.0), caption("d", 2.0)]
    path = write_examples(tmp_path / "e.jsonl", [*trained, caption("c", 3.0, "validation")])
    copies_apart(read_examples(path), "these")
    path = write_examples(tmp_path / "e.jsonl", [*trained, caption("b", 3.0, "validation")])
    with pytest.raises(InputError, match=r"these: .*b\.wav, held out, is the same file as .*a\.wav, trained on"):
        copies_apart(read_examples(path), "these")


def test_examples_take_the_place_of_examples_only(tmp_path: Path) -> None:
    begun_elsewhere(tmp_path / "new.jsonl")
    begun_elsewhere(write_examples(tmp_path / "e.jsonl", [caption("a", 2.0)]))
    for name, text, message in (
        ("corpus_file.csv", "db,con,file\n", r"a name that ends in \.jsonl"),
        ("rows.jsonl", '{"file": "a.wav"}\n', "is there and no file of examples"),
        ("words.jsonl", "hello\n", "is there and no file of examples"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            begun_elsewhere(tmp_path / name)
        assert name in str(caught.value)


def test_apart_is_apart() -> None:
    held_apart([caption("a", 2.0), caption("b", 3.0, "validation")], "these")


def test_the_side_of_a_recording_depends_on_its_name_and_the_seed() -> None:
    names = [f"recording {k}" for k in range(4000)]
    sides = [split_of(name, share=0.1, seed=1) for name in names]
    assert sides == [split_of(name, share=0.1, seed=1) for name in names]
    assert abs(sides.count("validation") / 4000 - 0.1) < 0.02
    other = [split_of(name, share=0.1, seed=2) for name in names]
    assert 0 < sum(a == b == "validation" for a, b in zip(sides, other, strict=True)) < 100
    # A larger share takes more recordings and gives none back.
    assert all(split_of(n, share=0.3, seed=1) == "validation" for n, s in zip(names, sides, strict=True) if s == "validation")


def test_the_digest_of_data_does_not_know_where_it_lies(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write_examples(tmp_path / folder / "e.jsonl", [caption("a", 2.0), caption("b", 3.0, "validation")])
    one, other = (read_examples(tmp_path / folder / "e.jsonl") for folder in ("x", "y"))
    assert one != other
    assert data_digest(one) == data_digest(other)
    assert data_digest(one[:1]) != data_digest(one)
    assert data_digest([msgspec.structs.replace(one[0], answer="MOS: 2.1"), one[1]]) != data_digest(one)
