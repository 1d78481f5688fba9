from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.speech.engines import flite

present = pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is absent")


@present
def test_it_speaks_the_same_twice() -> None:
    speaking = flite.synthesizer("slt").open()
    first, again = (speaking.speak("Hello there, how are you?", seed=seed).samples for seed in (1, 2))
    assert np.array_equal(first, again)
    assert 0.01 < float(np.sqrt(np.mean(first**2))) < 0.5


@present
@pytest.mark.parametrize("text", ["hello", "-voice", "$(touch x) `ls`; hello", "a\0b hello"])
def test_text_is_only_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello").write_text("this file must not be read out loud, long as it is, whatever the text may be")
    assert 0.2 < flite.synthesizer().open().speak(text, seed=0).seconds < 4.0
    assert [path.name for path in tmp_path.iterdir()] == ["hello"]


@present
def test_nothing_to_say_is_an_error_of_the_item() -> None:
    with pytest.raises(EngineError):
        flite.synthesizer().open().speak("...", seed=0)


@present
def test_identity_names_the_program() -> None:
    assert "flite" in flite.synthesizer().identity()["flite"].lower()


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(InputError, match="slt, rms, awb"):
        flite.synthesizer("bob")


def test_without_the_program_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match="apt install flite"):
        flite.synthesizer().open()


def test_a_program_that_fails_is_an_error_of_the_item(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "flite"
    program.write_text("#!/bin/sh\necho out of order >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(EngineError, match="status 3: out of order"):
        flite.synthesizer().open().speak("hello", seed=0)
