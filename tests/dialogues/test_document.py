from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from turnwise.dialogues.document import place, read_json, read_text, required, write_text
from turnwise.foundation.errors import InputError, StorageError
from turnwise.foundation.fingerprint import file_digest


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(path) in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'[\n {"id": "a",\n', ["line 3", "column 1", "cut short"]),
        (b'[{"id": "a"} {"id"}]', ["line 1", "column 14"]),
        ('[{"id": "ü"}]'.encode("latin-1"), ["not UTF-8", "line 1", "column 10", "0xfc"]),
        ('[\n"é"]'.encode("latin-1"), ["line 2, column 2"]),
        (b'\xef\xbb\xbf["\xff"]', ["line 1, column 3", "0xff"]),
        ('["a"]'.encode("utf-16"), ["UTF-16"]),
        ('["a"]'.encode("utf-16-be").join([b"\xfe\xff", b""]), ["UTF-16"]),
        (b"PK\x03\x04", ["ZIP"]),
        (b"\x1f\x8b\x08", ["gzip"]),
        (b"", ["is empty"]),
        (b" \n\n", ["is empty"]),
        (b"[" * 200_000, ["nested too deeply"]),
        (b"[" * 200_000 + b"]" * 200_000, ["nested too deeply"]),
        (b"[NaN]", ["NaN"]),
        (b"[" + b"1" * 5000 + b"]", ["not JSON"]),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, data: bytes, words: list[str]) -> None:
    message = refused(tmp_path / "broken.json", data)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "absent.json")
    with pytest.raises(InputError, match="is a folder"):
        read_json(tmp_path)
    with pytest.raises(InputError, match="cannot be a file name"):
        read_text(Path("a\0b"))
    with pytest.raises(InputError, match="needs a file"):
        required(None, "msgd")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "closed.json"
    path.write_text("[]")
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_json(path)


def test_content_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xbc", "b": {"c": 1, "c": 2}}')
    document = read_json(path)
    assert document.content == {"a": "ü", "b": {"c": 2}}
    assert document.digest == file_digest(path)
    assert [item.kind for item in document.irregularities] == ["byte-order-mark", "repeated-key"]
    assert "'c'" in document.irregularities[1].detail


@pytest.mark.parametrize(("before", "expected"), [("", (1, 1)), ("ab", (1, 3)), ("a\n", (2, 1)), ("a\nbc\nd", (3, 2))])
def test_place(before: str, expected: tuple[int, int]) -> None:
    assert place(before) == expected


def test_writing_replaces_whole_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_text(path, "first\r\n")
    write_text(path, "zweite ü\n")
    assert path.read_bytes() == "zweite ü\n".encode()
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.txt"
    write_text(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"out\.txt: cannot be written: No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt"]


def test_writing_where_one_cannot(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "folder", tmp_path / "absent" / "a.txt", tmp_path / "file" / "a.txt", tmp_path / ("n" * 300)):
        with pytest.raises(StorageError, match="cannot be written"):
            write_text(target, "text")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]
