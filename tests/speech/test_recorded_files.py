"""Recordings are found by their place in a folder, and the folder is named by what is in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from turnwise.foundation.errors import InputError
from turnwise.speech.recorded_files import files_digest, sound_files


def folder(root: Path) -> Path:
    (root / "calls").mkdir(parents=True)
    for name, size in (("a.wav", 10), ("calls/b.FLAC", 9000), ("calls/b.mp3", 3), ("calls/notes.txt", 3), (".hidden.wav", 3)):
        (root / name).write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    return root


def named(root: Path) -> str:
    return files_digest(root, [path for paths in sound_files(root).values() for path in paths])


def test_files_are_listed_by_place_without_ending(tmp_path: Path) -> None:
    root = folder(tmp_path / "r")
    assert sound_files(root) == {"a": (root / "a.wav",), "calls/b": (root / "calls/b.FLAC", root / "calls/b.mp3")}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere is not a folder"):
        sound_files(tmp_path / "nowhere")


def test_the_name_follows_content_and_not_place_or_time(tmp_path: Path) -> None:
    root = folder(tmp_path / "r")
    before = named(root)
    shutil.copytree(root, tmp_path / "elsewhere")
    os.utime(root / "a.wav", (1, 1))
    assert named(root) == named(tmp_path / "elsewhere") == before

    data = bytearray((root / "calls/b.FLAC").read_bytes())
    data[4500] ^= 1  # another recording of the same length
    (root / "calls/b.FLAC").write_bytes(data)
    other = named(root)
    assert other != before
    (root / "a.wav").rename(root / "c.wav")
    assert named(root) not in (before, other)
