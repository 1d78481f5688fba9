from __future__ import annotations

from pathlib import Path

import pytest

from turnwise.foundation.fingerprint import fingerprint
from turnwise.speech.made_files import cache_folder, made_file


def test_a_file_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    name = fingerprint("x")
    path = made_file(name, ".txt", lambda: "text")
    assert path == tmp_path / "turnwise" / "speech" / f"{name[3:]}.txt" and path.read_text() == "text"
    assert made_file(name, ".txt", lambda: pytest.fail("made twice")) == path
    assert made_file(fingerprint("y"), ".txt", lambda: "other") != path


def test_an_empty_file_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made_file(fingerprint("x"), ".txt", lambda: "text").write_text("")
    assert made_file(fingerprint("x"), ".txt", lambda: "text").read_text() == "text"


def test_without_a_usable_home_the_process_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = made_file(fingerprint("x"), ".txt", lambda: "text")
    assert path.read_text() == "text" and not path.is_relative_to(tmp_path)


def test_the_place_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "turnwise" / "speech"
