"""Reading and writing of sound files.

WAV, FLAC, MP3, OGG and Opus are read by soundfile; M4A, WebM and other containers by the optional package `av`. Several channels
become one by their mean, and `read_file` says so. A file that holds no sound is refused with its name and what is wrong.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.whole_file import write_whole

CONTAINERS = (".m4a", ".mp4", ".aac", ".webm", ".mkv", ".mka", ".wma")  # what soundfile cannot open
WRITTEN = (".wav", ".flac")
_UNKNOWN = 1 << 40  # frames; soundfile gives more when a stream does not say how long it is
_UNKNOWN_LENGTH = 0x7FFF0000  # bytes; programs that write WAV to a pipe put a length from here up


@dataclass(frozen=True, eq=False)
class SoundFile:
    """A sound and what its file was like."""

    sound: Sound
    channels: int
    note: str = ""  # what was done to make one channel of it, "" when nothing


def read_sound(path: Path) -> Sound:
    """The sound in a file, as one channel."""
    return read_file(path).sound


def read_file(path: Path) -> SoundFile:
    """The sound in a file, as one channel, and what was done for it."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a sound file")
    samples, rate = _decode_container(path) if path.suffix.lower() in CONTAINERS else _decode(path)
    if not len(samples):
        raise InputError(f"{path} holds no samples")
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are not finite numbers")
    channels = samples.shape[1]
    note = "" if channels == 1 else f"mean of {channels} channels"
    return SoundFile(Sound(np.ascontiguousarray(samples.mean(axis=1), dtype=np.float32), rate), channels, note)


def write_sound(sound: Sound, path: Path) -> None:
    """Write 16-bit WAV or FLAC by the file's ending; an existing file is replaced as a whole or not at all."""
    import soundfile

    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise InputError(f"{path} cannot be written as sound", f"endings: {', '.join(WRITTEN)}")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(sound.samples, -1.0, 1.0), sound.rate, format=path.suffix[1:].upper(), subtype="PCM_16")
    write_whole(path, buffer.getvalue())


def _decode(path: Path) -> tuple[NDArray[np.float32], int]:
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            samples = file.read(dtype="float32", always_2d=True)
            promised, rate = file.frames, file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{path} cannot be read as sound: {_reason(error)}") from error
    # soundfile takes what is there; what was promised is in the header, except in files written to a pipe.
    if 0 < len(samples) < promised < _UNKNOWN or _missing_bytes(path):
        raise InputError(f"{path} is cut short: its header promises more than its {len(samples)} samples")
    return samples, rate


def _missing_bytes(path: Path) -> bool:
    """Whether a RIFF WAV file ends before its data chunk does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return False
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return file.tell() + length > size and length < _UNKNOWN_LENGTH
            file.seek(length + length % 2, io.SEEK_CUR)
    return False


def _decode_container(path: Path) -> tuple[NDArray[np.float32], int]:
    try:
        import av
    except ImportError:
        raise MissingDependency("av", 'pip install "turnwise[m4a]"') from None
    errors: Any = av.error.FFmpegError
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(f"{path} holds no audio stream")
            rate = int(container.streams.audio[0].rate)
            planar = av.AudioResampler(format="fltp", rate=rate)
            pieces = [
                piece.to_ndarray().T
                for frame in [*container.decode(audio=0), None]
                for piece in planar.resample(frame)
                if piece.samples
            ]
    except errors as error:
        raise InputError(f"{path} cannot be read as sound: {_reason(error)}") from error
    if not pieces:
        raise InputError(f"{path} holds no samples")
    return np.concatenate(pieces).astype(np.float32), rate


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".") or type(error).__name__
