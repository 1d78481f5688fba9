"""Words written into samples and read back: a voice and an ear for tests, instant and exact.

Each character becomes a few samples at 8 kHz, so a text makes a sound that its recogniser decodes to the same text, also after
storage as 16-bit FLAC. A sentence of 80 characters takes a tenth of a second of sound and well under a millisecond of work.
What anybody else speaks is refused, and a sound that was resampled, trimmed or degraded is not understood: this engine says
nothing about real speech.

Options: `word_errors` is the share of words (0 to 1) that is dropped or replaced by `uh`, drawn with the seed that speaking or
hearing is given, so that pipelines can be tried with mistakes that are known in advance. `voice` (0 to 7) marks the sound, so
that two voices differ in their clips.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.speech.engine import Heard, Hearing, Material, Speaking

RATE = 8000
_MARK = np.array([12000, -12000, 9000, -9000], dtype=np.int16)  # a sound that begins otherwise is not ours
_STEP = 64  # PCM steps between neighbouring codes
_HOLD = 4  # samples per code, so that a text lasts long enough to be called a sound


def synthesizer(word_errors: float = 0.0, voice: int = 0) -> StubVoice:
    _check(word_errors)
    if not 0 <= voice <= 7:
        raise InputError(f"stub: voice is {voice}, expected 0 to 7")
    return StubVoice(word_errors, voice)


def recognizer(word_errors: float = 0.0) -> StubEar:
    _check(word_errors)
    return StubEar(word_errors)


class StubVoice(msgspec.Struct, frozen=True):
    """Writes text into samples."""

    word_errors: float
    voice: int

    def identity(self) -> Mapping[str, str]:
        return {}

    def open(self) -> Speaking:
        return _StubSpeaking(self)


class StubEar(msgspec.Struct, frozen=True):
    """Reads what a StubVoice wrote."""

    word_errors: float
    adapts: bool = False

    def identity(self) -> Mapping[str, str]:
        return {}

    def open(self, material: Material) -> Hearing:
        return _StubHearing(self)


class _StubSpeaking:
    def __init__(self, voice: StubVoice) -> None:
        self._voice = voice

    def speak(self, text: str, *, seed: int) -> Sound:
        said = _mistaken(text, self._voice.word_errors, seed)
        if not said.strip():
            raise EngineError("empty-text", f"there is nothing to say in {text[:40]!r}")
        return encode(said, self._voice.voice)

    def close(self) -> None:
        pass


class _StubHearing:
    def __init__(self, ear: StubEar) -> None:
        self._ear = ear

    def hear(self, sound: Sound, *, dialogue: str, seed: int) -> Heard:
        return Heard(_mistaken(decode(sound), self._ear.word_errors, seed))

    def close(self) -> None:
        pass


def encode(text: str, voice: int = 0) -> Sound:
    """The text as samples: a mark, the voice, then each UTF-8 byte held for a few samples."""
    codes = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8).astype(np.int16)
    body = np.repeat(np.concatenate([np.array([voice], dtype=np.int16), codes]) * _STEP, _HOLD)
    return Sound(np.concatenate([_MARK, body]).astype(np.float32) / np.float32(32768), RATE)


def decode(sound: Sound) -> str:
    """The text in a sound made by `encode`."""
    pcm = np.rint(sound.samples * 32768).astype(np.int32)
    body = pcm[len(_MARK) :]
    codes = body[::_HOLD] // _STEP
    ours = (
        sound.rate == RATE
        and np.array_equal(pcm[: len(_MARK)], _MARK)
        and len(body) % _HOLD == 0
        and np.array_equal(np.repeat(codes * _STEP, _HOLD), body)
        and bool(((codes >= 0) & (codes < 256)).all())
    )
    if not ours:
        raise EngineError("not-understood", "the stub recogniser understands only sounds of the stub synthesizer, unchanged")
    return codes[1:].astype(np.uint8).tobytes().decode("utf-8", "replace")


def _mistaken(text: str, share: float, seed: int) -> str:
    if not share:
        return text
    draw = random.Random(seed_of("stub", seed, text))
    kept: list[str] = []
    for word in text.split():
        if draw.random() >= share:
            kept.append(word)
        elif draw.random() < 0.5:
            kept.append("uh")
    return " ".join(kept)


def _check(share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise InputError(f"stub: word_errors is {share}, expected 0 to 1")
