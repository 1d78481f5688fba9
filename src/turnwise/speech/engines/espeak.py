"""eSpeak NG in-process: small, clearly robotic voices in many languages, nothing to download.

The library and its data come from the wheel `espeakng-loader`; samples are 22.05 kHz. Speaking takes about 10 ms a sentence, 2 ms
per second of sound, on one core, and the same text in the same voice gives the same samples in every process:
the library keeps hidden state from one sentence to the next and seeds its noise with the time of day, so it is loaded afresh for
each sentence and given a fixed seed.

Options: `voice` is a language and a variant joined by `+` (en-us+f2, en-us+klatt2, gmw/en for British English), `rate` is words
per minute (80 to 450), `pitch` 0 to 100. The embedded recogniser is fitted to the woman en-us+f5 and the man en-us+edward, and
also understands en-us+f2 and en-us+klatt5 (figures in the card of `pocketsphinx`). The seed is not used: there is no chance in
this voice.

It cannot show emotion and nobody would take it for a person; compare sound quality only within one voice. Text is read as plain
text: no markup, no phoneme codes; control characters are dropped. Reloading the library relies on `dlclose`, which is proven on
Linux with glibc only.

Licence: eSpeak NG is GPL-3.0-or-later. It is an optional extra (`turnwise[embedded]`), loaded only when this engine is opened.
"""

from __future__ import annotations

import ctypes
import difflib
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from turnwise.foundation import plain_text as cleaning
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import source_digest
from turnwise.foundation.plain_text import plain_text
from turnwise.speech.engine import Speaking

PACKAGE = "espeakng-loader"
INSTALL = 'pip install "turnwise[embedded]"'

# From eSpeak NG's speak_lib.h.
_SYNCHRONOUS = 2  # samples arrive in the calling thread; the retrieval mode starts a thread that does not survive a fork
_DO_NOT_EXIT = 0x8000  # report a failed start instead of ending the process
_RATE, _PITCH = 1, 3
_UTF8 = 1
_BY_CHARACTER = 1

_SEED = 1  # of the noise in breathy sounds; the library would take the time of day

_LONGEST_DATA_PATH = 120  # bytes; the library holds the path in a fixed buffer and falls back to another one beyond about 160

# The library is one set of global variables: two threads in it at once crash the process.
_ALONE = threading.Lock()

_Heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def synthesizer(voice: str = "en-us+f2", rate: int = 165, pitch: int = 50) -> Espeak:
    if not 80 <= rate <= 450:
        raise InputError(f"espeak: rate is {rate}, expected 80 to 450 words per minute")
    if not 0 <= pitch <= 100:
        raise InputError(f"espeak: pitch is {pitch}, expected 0 to 100")
    return Espeak(voice, rate, pitch)


class Espeak(msgspec.Struct, frozen=True):
    """One voice of eSpeak NG."""

    voice: str
    rate: int  # words per minute
    pitch: int  # 0 to 100, 50 is the voice's own

    def identity(self) -> Mapping[str, str]:
        try:
            return {PACKAGE: version(PACKAGE), "code": source_digest(Path(cleaning.__file__ or ""))}
        except PackageNotFoundError:
            raise MissingDependency(PACKAGE, INSTALL) from None

    def open(self) -> Speaking:
        try:
            import espeakng_loader
        except ImportError:
            raise MissingDependency(PACKAGE, INSTALL) from None
        data = Path(espeakng_loader.get_data_path())
        _check_variant(data, self.voice)
        speaking = EspeakSpeaking(self, espeakng_loader.get_library_path(), data)
        speaking.try_voice(data)
        return speaking


class EspeakSpeaking:
    """Speaks one sentence at a time, each in a fresh copy of the library."""

    def __init__(self, engine: Espeak, library: str, data: Path) -> None:
        self._engine = engine
        self._library = library
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._data = data
        if len(str(data).encode()) > _LONGEST_DATA_PATH:
            self._folder = tempfile.TemporaryDirectory(prefix="espeak-")
            self._data = Path(self._folder.name) / "espeak-ng-data"
            self._data.symlink_to(data, target_is_directory=True)

    def speak(self, text: str, *, seed: int) -> Sound:
        said = plain_text(text)
        if not any(character.isalnum() for character in said):
            raise EngineError("empty-text", f"there is nothing to say in {text[:40]!r}")
        with _ALONE:
            library = ctypes.CDLL(self._library)
            try:
                return self._speak(library, said)
            finally:
                _unload(library)

    def try_voice(self, data: Path) -> None:
        """Ask the library itself whether it has the voice: its files name some that it does not accept."""
        try:
            self.speak("a", seed=0)
        except InputError:
            self.close()
            language = self._engine.voice.partition("+")[0]
            known = _languages(data)
            if language in known:  # declared by a file, yet refused: the file's own name is accepted
                raise InputError(f"eSpeak NG has no voice {language!r}", f"it goes by {known[language]!r}") from None
            raise _unknown("voice", language, known) from None

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _speak(self, library: Any, text: str) -> Sound:
        pieces: list[bytes] = []

        def receive(samples: Any, count: int, events: Any) -> int:
            if samples and count > 0:
                pieces.append(ctypes.string_at(samples, count * 2))
            return 0  # go on

        heard = _Heard(receive)
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(self._data).encode(), _DO_NOT_EXIT)
        if rate <= 0:
            raise EngineError("start", f"eSpeak NG does not start with the data in {self._data}")
        try:
            library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
            library.espeak_SetSynthCallback(heard)
            if library.espeak_SetVoiceByName(self._engine.voice.encode()) != 0:
                raise InputError(f"eSpeak NG has no voice {self._engine.voice!r}")
            library.espeak_SetParameter(_RATE, self._engine.rate, 0)
            library.espeak_SetParameter(_PITCH, self._engine.pitch, 0)
            data = text.encode() + b"\0"
            status = library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, _BY_CHARACTER, 0, _UTF8, None, None)
            library.espeak_Synchronize()
        finally:
            library.espeak_Terminate()
        if status != 0:
            raise EngineError("synthesis", f"eSpeak NG refused a text of {len(text)} characters with status {status}")
        pcm = np.frombuffer(b"".join(pieces), dtype="<i2")
        if not len(pcm):
            raise EngineError("empty-audio", f"eSpeak NG made no sound of {text[:40]!r}")
        return Sound(pcm.astype(np.float32) / np.float32(32768), rate)


def _unload(library: Any) -> None:
    import _ctypes

    release = "FreeLibrary" if sys.platform == "win32" else "dlclose"
    getattr(_ctypes, release)(library._handle)


def _check_variant(data: Path, voice: str) -> None:
    """The library takes an unknown variant for none at all, so its name is checked against the files."""
    _, joined, variant = voice.partition("+")
    variants = {path.name for path in (data / "voices" / "!v").iterdir()}
    if joined and variant not in variants:
        raise _unknown("variant", variant, variants)


def _languages(data: Path) -> dict[str, str]:
    """Names that ought to select a language, and the file of each: a file's path, and the `language` lines in it."""
    names: dict[str, str] = {}
    for path in sorted((data / "lang").rglob("*")):
        if path.is_file():
            place = path.relative_to(data / "lang").as_posix()
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            declared = [line.split()[1] for line in lines if line.startswith("language ")]
            names.update(dict.fromkeys([place, *declared], place))
    return names


def _unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    near = difflib.get_close_matches(name, sorted(known), n=5, cutoff=0.4) or sorted(known)[:12]
    return InputError(f"eSpeak NG has no {what} {name[:60]!r}", f"near it: {', '.join(near)}")
