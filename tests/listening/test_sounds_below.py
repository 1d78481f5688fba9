"""Which files are meant by paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from turnwise.foundation.errors import InputError
from turnwise.listening.sounds_below import counted, sounds_below


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.wav", "a/z.FLAC", "a/deep/1.mp3", "c.txt", ".hidden.wav", ".git/x.wav", "c/m.opus", "c/n.m4a"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    return tmp_path


def test_every_sound_in_order_and_no_circles(tree: Path) -> None:
    found = [str(path.relative_to(tree)) for path in sounds_below([tree])]
    assert found == ["a/deep/1.mp3", "a/z.FLAC", "b.wav", "c/m.opus", "c/n.m4a"]
    assert counted([tree]) == 5


def test_a_file_is_taken_whatever_it_is_called(tree: Path) -> None:
    named = [tree / "c.txt", tree / "b.wav", tree / "a"]
    assert [path.name for path in sounds_below(named)] == ["c.txt", "b.wav", "1.mp3", "z.FLAC"]


def test_what_is_not_there_is_refused(tree: Path) -> None:
    (tree / "empty").mkdir()
    for path, said in ((tree / "nowhere", "does not exist"), (tree / "empty", "no sound files")):
        with pytest.raises(InputError, match=said):
            counted([path])


def test_names_of_any_bytes(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.wav"))).write_bytes(b"")
    assert counted([tmp_path]) == 1


def test_a_folder_that_cannot_be_read_stands_for_itself(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert [path.name for path in sounds_below([tree])] == ["a", "b.wav", "m.opus", "n.m4a"]
    assert counted([tree]) == 4
    assert list(sounds_below([tree / "a", tree / "b.wav"])) == [tree / "a", tree / "b.wav"]
    assert counted([tree / "a"]) == 1


def test_links_are_followed_to_files_only(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x.wav").write_bytes(b"")
    for name, target in (
        ("file.wav", "there/x.wav"),
        ("folder.wav", "there"),
        ("nowhere.wav", "gone.wav"),
        ("self.wav", "self.wav"),
        ("circle", "."),
    ):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "there" / "up").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in sounds_below([tmp_path])]
    assert found == ["file.wav", "nowhere.wav", "self.wav", "there/x.wav"]  # what is wrong with two of them a row will say


def test_a_folder_that_is_gone_when_its_turn_comes(tree: Path) -> None:
    waiting = sounds_below([tree])
    assert next(waiting).name == "1.mp3"
    for path in (tree / "c").iterdir():
        path.unlink()
    (tree / "c").rmdir()
    assert [path.name for path in waiting] == ["z.FLAC", "b.wav", "c"]
