"""Flite: three voices made from recorded people, spoken by the system program `flite`.

They are far easier to recognise than eSpeak's formant voices, and sound more like a person on a bad line. Samples are 16 kHz (8
kHz for some voices); a sentence takes about 45 ms, most of it the start of the program. The same text gives the same samples;
the seed is not used.

Options: `voice` is slt (a woman), rms or awb (men). English only; no emotion. Control characters are dropped and text is handed
over as one argument, never through a shell.

Needs the program: `apt install flite`. Licence: Flite is under a BSD-like licence of Carnegie Mellon University.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from turnwise.foundation import audio_files
from turnwise.foundation import plain_text as cleaning
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import fingerprint, source_digest
from turnwise.foundation.plain_text import plain_text
from turnwise.speech.engine import Speaking

VOICES = ("slt", "rms", "awb")
_PATIENCE = 60.0  # seconds; a sentence takes a twentieth of one


def synthesizer(voice: str = "slt") -> Flite:
    if voice not in VOICES:
        raise InputError(f"flite has no voice {voice[:40]!r}", f"voices: {', '.join(VOICES)}")
    return Flite(voice)


class Flite(msgspec.Struct, frozen=True):
    """One voice of the program `flite`."""

    voice: str

    def identity(self) -> Mapping[str, str]:
        shown = subprocess.run([_program(), "--version"], capture_output=True, timeout=_PATIENCE, check=False)
        lines = (shown.stdout + shown.stderr).decode("utf-8", "replace").split("\n")
        named = [line.strip() for line in lines if "version" in line.lower()]
        code = (source_digest(Path(module.__file__ or "")) for module in (audio_files, cleaning))
        return {"flite": named[0] if named else "unknown", "code": fingerprint(*code)}

    def open(self) -> Speaking:
        return _FliteSpeaking(_program(), self.voice)


class _FliteSpeaking:
    def __init__(self, program: str, voice: str) -> None:
        self._program = program
        self._voice = voice

    def speak(self, text: str, *, seed: int) -> Sound:
        plain = plain_text(text)
        if not any(character.isalnum() for character in plain):
            raise EngineError("empty-text", f"there is nothing to say in {text[:40]!r}")
        with tempfile.TemporaryDirectory(prefix="flite-") as folder:
            script, target = Path(folder) / "said.txt", Path(folder) / "said.wav"
            # Text goes through a file: as an argument, one without blanks would be taken for a file's name.
            script.write_text(plain, encoding="utf-8")
            call = [self._program, "-voice", self._voice, "-f", str(script), "-o", str(target)]
            try:
                done = subprocess.run(call, capture_output=True, timeout=_PATIENCE, check=False)
            except subprocess.TimeoutExpired:
                raise EngineError("timeout", f"flite took longer than {_PATIENCE:g} s") from None
            if done.returncode != 0 or not target.exists():
                said = done.stderr.decode("utf-8", "replace").strip()[:200]
                raise EngineError("synthesis", f"flite ended with status {done.returncode}: {said}")
            return read_sound(target)

    def close(self) -> None:
        pass


def _program() -> str:
    found = shutil.which("flite")
    if found is None:
        raise MissingDependency("the program flite", "apt install flite")
    return found
