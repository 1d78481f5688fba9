"""Reading and writing of sound files, as a whole or piece by piece.

WAV, FLAC, MP3, OGG and Opus are read by soundfile; M4A, WebM and other containers by the optional package `av`. Several channels
become one by their mean, and `read_file` says so. A file that holds no sound is refused with its name and what is wrong.

    with opened(path) as file:            # file.rate, file.channels
        for block in file.blocks:         # (frames, channels), BLOCK frames each but for the last
            ...

Whoever reads a file reads it in these blocks, so that its samples are the same to the last bit for all (decoders may round
differently where blocks end elsewhere), and no more than a block is held unless the reader keeps it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
BLOCK = 1 << 18  # frames; 5 s at 48 kHz
_UNKNOWN = 1 << 40  # frames; soundfile gives more when a stream does not say how long it is
_UNKNOWN_LENGTH = 0x7FFF0000  # bytes; programs that write WAV to a pipe put a length from here up

Block = NDArray[np.float32]  # frames in rows, channels in columns


@dataclass(frozen=True, eq=False)
class SoundFile:
    """A sound and what its file was like."""

    sound: Sound
    channels: int
    note: str = ""  # what was done to make one channel of it, "" when nothing


@dataclass(frozen=True, eq=False)
class OpenFile:
    """A sound file from which blocks can be taken, once."""

    rate: int
    channels: int
    blocks: Iterator[Block]


def read_sound(path: Path) -> Sound:
    """The sound in a file, as one channel."""
    return read_file(path).sound


def read_file(path: Path) -> SoundFile:
    """The sound in a file, as one channel, and what was done for it."""
    with opened(path) as file:
        samples = np.concatenate([block.mean(axis=1) for block in file.blocks])
        note = "" if file.channels == 1 else f"mean of {file.channels} channels"
        return SoundFile(Sound(np.ascontiguousarray(samples, dtype=np.float32), file.rate), file.channels, note)


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """A file piece by piece. What is wrong with it is told when the piece is taken that shows it, at the latest with the last."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a sound file")
    open_it = _opened_container if path.suffix.lower() in CONTAINERS else _opened
    with open_it(path) as file:
        yield OpenFile(file.rate, file.channels, _sound_only(path, file.blocks))


def write_sound(sound: Sound, path: Path) -> None:
    """Write 16-bit WAV or FLAC by the file's ending; an existing file is replaced as a whole or not at all."""
    import soundfile

    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise InputError(f"{path} cannot be written as sound", f"endings: {', '.join(WRITTEN)}")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(sound.samples, -1.0, 1.0), sound.rate, format=path.suffix[1:].upper(), subtype="PCM_16")
    write_whole(path, buffer.getvalue())


def _sound_only(path: Path, blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks; a file without one, and a sample that is no number, is an error."""
    some = False
    for block in blocks:
        if not np.isfinite(block).all():
            raise InputError(f"{path} holds samples that are not finite numbers")
        some = True
        yield block
    if not some:
        raise InputError(f"{path} holds no samples")


@contextmanager
def _opened(path: Path) -> Iterator[OpenFile]:
    import soundfile

    class Forward(soundfile.SoundFile):  # type: ignore[misc]
        """A file read from its beginning to its end: by itself soundfile seeks after every block to where it is."""

        def seekable(self) -> bool:
            return False

    errors = (soundfile.LibsndfileError, OSError)
    with _told(path, errors):
        file = Forward(os.fsencode(path))  # names are bytes, which soundfile would not take as text

    def blocks() -> Iterator[Block]:
        count = 0
        while True:
            with _told(path, errors):
                block = file.read(min(BLOCK, file.frames - count), dtype="float32", always_2d=True)
                count += len(block)
                # soundfile takes what is there; what was promised is in the header, except in files written to a pipe.
                if not len(block) and (0 < count < file.frames < _UNKNOWN or _missing_bytes(path)):
                    raise InputError(f"{path} is cut short: its header promises more than its {count} samples")
            if not len(block):
                return
            yield block

    with file:
        yield OpenFile(file.samplerate, file.channels, blocks())


@contextmanager
def _told(path: Path, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """What a library says of a file, as our error."""
    try:
        yield
    except errors as error:
        reason = _reason(error)
        if reason.startswith("File does not exist"):  # libsndfile says so of any MP3 of which it finds no beginning
            reason = "it is broken, or cut off within its first frames"
        raise InputError(f"{path} cannot be read as sound: {reason}") from error


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


@contextmanager
def _opened_container(path: Path) -> Iterator[OpenFile]:
    try:
        import av
    except ImportError:
        raise MissingDependency("av", 'pip install "turnwise[m4a]"') from None
    # ValueError: of frames that are not like those before, in rate or channels.
    errors: Any = (av.error.FFmpegError, OSError, ValueError)
    with ExitStack() as stack:
        with _told(path, errors):
            container: Any = stack.enter_context(av.open(stack.enter_context(path.open("rb"))))
            if not container.streams.audio:
                raise InputError(f"{path} holds no audio stream")
            rate = int(container.streams.audio[0].rate)
            frames: Any = container.decode(audio=0)
            planar: Any = av.AudioResampler(format="fltp", rate=rate)

        def pieces() -> Iterator[Block]:
            frame: Any = True
            while frame is not None:
                with _told(path, errors):
                    frame = next(frames, None)
                    made = [piece.to_ndarray().T for piece in planar.resample(frame) if piece.samples]
                yield from made

        waiting = pieces()
        first = next(waiting, None)  # the file's header may name other channels than come out
        if first is None:
            raise InputError(f"{path} holds no samples")
        yield OpenFile(rate, first.shape[1], _even(first, waiting))


def _even(first: Block, more: Iterator[Block]) -> Iterator[Block]:
    """Pieces of any length as blocks."""
    held, count = [first], len(first)
    for piece in more:
        held.append(piece)
        count += len(piece)
        while count >= BLOCK:
            whole = np.concatenate(held)
            yield whole[:BLOCK].astype(np.float32)
            held, count = [whole[BLOCK:]], count - BLOCK
    if count:
        yield np.concatenate(held).astype(np.float32)


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".") or type(error).__name__
