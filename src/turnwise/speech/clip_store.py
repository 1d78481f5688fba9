"""The clip store: a folder where sounds are kept under the fingerprint of their samples.

Sounds are stored as 16-bit FLAC at `<root>/<2 hex digits>/<30 hex digits>.flac`, so the same sound is stored once, however many
processes keep it at the same moment. Beside the clips,
`<root>/memo/` holds what measured steps gave and how long they took when they really ran.

No path is built from anything but a fingerprint.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, StorageError
from turnwise.foundation.fingerprint import digest
from turnwise.foundation.whole_file import write_whole
from turnwise.speech.clip import Clip

T = TypeVar("T")

FULL_SCALE = 32768  # one step of 16-bit PCM is 1/32768, in both directions, so that load and keep are inverse
_FINGERPRINT = re.compile(r"b2:[0-9a-f]{32}")


class _Memo(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    value: T
    seconds: float


class ClipStore(msgspec.Struct, frozen=True):
    """A folder of clips; an instance is only its path, so it can be sent to other processes."""

    root: Path

    def keep(self, sound: Sound, perturbation: str = "") -> Clip:
        """Store a sound, or find that it is there already."""
        pcm = to_pcm(sound)
        name = _name(pcm, sound.rate)
        clip = Clip(name, sound.rate, len(pcm) / sound.rate, perturbation)
        path = self.path(clip)
        if not _holds_bytes(path):
            write_whole(path, _flac(pcm, sound.rate))
        return clip

    def path(self, clip: Clip) -> Path:
        """Where a clip is, or would be."""
        return _place(Path(self.root), clip.digest, ".flac")

    def load(self, clip: Clip) -> Sound:
        """The stored sound, after its samples proved to be the ones that were kept."""
        pcm, wrong = self._read(clip)
        if pcm is None:
            raise StorageError(wrong, "delete the file and run again to make the clip anew")
        return Sound(pcm.astype(np.float32) / np.float32(FULL_SCALE), clip.rate)

    def check(self, clip: Clip) -> str | None:
        """What is wrong with a stored clip, None when nothing is."""
        try:
            pcm, wrong = self._read(clip)
        except InputError as error:
            return error.message
        return wrong if pcm is None else None

    def once(self, key: str, make: Callable[[], T], type_: type[T]) -> tuple[T, float]:
        """The value of a measured step and the seconds it took when it really ran.

        `key` is the fingerprint of everything that could change the value. A memo that is truncated or of another form counts
        as absent and is written again. Two processes that meet here both run the step and the later writer wins.
        """
        known = self.recall(key, type_)
        if known is None:
            started = time.perf_counter()
            value = make()
            known = value, self.remember(key, value, time.perf_counter() - started)
        return known

    def recall(self, key: str, type_: type[T]) -> tuple[T, float] | None:
        """What a measured step gave and took, if it ever ran."""
        memo = _recall(_place(Path(self.root) / "memo", key, ".json"), type_)
        return None if memo is None else (memo.value, memo.seconds)

    def remember(self, key: str, value: object, seconds: float) -> float:
        """Keep what a measured step gave; returns the seconds."""
        path = _place(Path(self.root) / "memo", key, ".json")
        write_whole(path, msgspec.json.encode(_Memo(value, seconds)))
        return seconds

    def _read(self, clip: Clip) -> tuple[NDArray[np.int16] | None, str]:
        import soundfile

        path = self.path(clip)
        try:
            pcm, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="int16", always_2d=True)
        except FileNotFoundError:
            return None, f"{path} is missing"
        except OSError as error:
            return None, f"{path} cannot be read: {error.strerror}"
        except soundfile.LibsndfileError:
            return None, f"{path} is not a readable FLAC file"
        if rate != clip.rate or _name(pcm[:, 0], rate) != clip.digest:
            return None, f"{path} holds other samples than were stored"
        return pcm[:, 0], ""


def to_pcm(sound: Sound) -> NDArray[np.int16]:
    """16-bit samples; what lies outside -1 to 1 is clipped."""
    if not len(sound.samples):
        raise EngineError("empty-audio", "the sound has no samples")
    if not np.isfinite(sound.samples).all():
        raise EngineError("broken-audio", "the sound has samples that are not finite numbers")
    scaled = np.rint(sound.samples.astype(np.float64) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _name(pcm: NDArray[np.int16], rate: int) -> str:
    return digest(f"{rate}:".encode() + pcm.astype("<i2").tobytes())


def _flac(pcm: NDArray[np.int16], rate: int) -> bytes:
    import soundfile

    # Written to memory first: a full disk then shows as an ordinary OSError with its reason.
    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, pcm, rate, format="FLAC", subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise EngineError("broken-audio", f"a sound of {rate} samples per second cannot be stored as FLAC") from error
    return buffer.getvalue()


def _place(root: Path, name: str, suffix: str) -> Path:
    if not _FINGERPRINT.fullmatch(name):
        raise InputError(f"{name[:80]!r} is not a fingerprint", "expected 'b2:' and 32 hexadecimal digits")
    return root / name[3:5] / f"{name[5:]}{suffix}"


def _holds_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{path} cannot be used: {error.strerror}") from error


def _recall(path: Path, type_: type[T]) -> _Memo[T] | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    form: Any = _Memo[type_]  # type: ignore[valid-type]
    try:
        memo: _Memo[T] = msgspec.json.decode(data, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return memo
