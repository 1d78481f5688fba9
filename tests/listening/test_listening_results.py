"""The file of rows: found again by content, unfinished lines cut off, foreign files left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from turnwise.foundation.errors import InputError, StorageError
from turnwise.listening.ratings import Heard, Ratings
from turnwise.listening.results import Results
from turnwise.listening.row import Row, with_trouble

HEARD = Heard(Ratings(3.0, 3.0, None, 3.0, 3.0, missing={"col": "not heard"}), 1.5, 8000)


def row(content: str, made_by: str = "m", file: str = "a.wav") -> Row:
    return Row(file, content, made_by, HEARD)


def test_rows_are_found_by_content_and_maker(tmp_path: Path) -> None:
    path = tmp_path / "new" / "listen.jsonl"
    rows = [row(f"b2:{k:032x}") for k in range(50)]
    with Results(path) as results:
        for one in rows:
            results.add(one)
    with Results(path) as results:
        for one in reversed(rows):
            assert results.find(one.content, "m") == one
        assert results.find(rows[0].content, "other") is None
        assert results.find("b2:ff", "m") is None
        assert results.unread == 0
    assert path.read_bytes().count(b"\n") == 51


def test_the_later_row_counts_and_troubled_ones_do_not(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1", file="first.wav"))
        results.add(row("b2:1", file="second.wav"))
        results.add(with_trouble(row("b2:2"), "describe", "timeout", "too late"))
    with Results(path) as results:
        found = results.find("b2:1", "m")
        assert found is not None
        assert found.file == "second.wav"
        assert results.find("b2:2", "m") is None


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_an_unfinished_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1"))
    whole = path.read_bytes()
    with Results(path) as results:
        results.add(row("b2:2"))
    second = len(path.read_bytes()) - len(whole)
    path.write_bytes(path.read_bytes()[: len(whole) + min(cut, second - 1)])
    with Results(path) as results:
        assert path.read_bytes() == whole
        assert results.find("b2:1", "m") == row("b2:1")
        assert results.find("b2:2", "m") is None
        results.add(row("b2:2"))
    with Results(path) as results:
        assert results.find("b2:2", "m") == row("b2:2")


def test_a_first_line_cut_short_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    path.write_bytes(b'{"turnw')
    with Results(path) as results:
        results.add(row("b2:1"))
    with Results(path) as results:
        assert results.find("b2:1", "m") is not None


def test_a_broken_line_is_counted_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1"))
    with path.open("ab") as file:
        file.write(b'\0\0\0\n{"content": 3}\n')
    with Results(path) as results:
        results.add(row("b2:2"))
    with Results(path) as results:
        assert results.unread == 2
        assert results.find("b2:1", "m") is not None
        assert results.find("b2:2", "m") is not None


@pytest.mark.parametrize("content", [b"RIFF....WAVEfmt ", b"my diary\n", b"{}\n"])
def test_a_file_of_others_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no file of results"):
        Results(path)
    assert path.read_bytes() == content


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path), pytest.raises(StorageError, match="in use"):
        Results(path)
    with Results(path):
        pass
