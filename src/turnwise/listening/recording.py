"""A sound file as it is heard: one channel of it, held as a whole where it is short, read again in blocks where it is long.

    file = recording(path)          # OneChannel or LongRecording
    file.seconds, file.notes
    for samples in file.blocks(): ...

The first reading finds out how long the file is, which channels are heard and what is wrong with it. Up to `HELD` samples its
sound is kept; beyond that nothing is, and whoever hears the file reads it once more, block by block.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from turnwise.foundation.audio import Samples, Sound
from turnwise.foundation.audio_files import Block, opened
from turnwise.foundation.errors import EngineError, InputError
from turnwise.listening.channels import Survey, mixed

ABSURD = 1000.0  # of full scale, 60 dB: beyond this numbers were misread, whatever they were meant for
CUT_OFF = "cut off: the Ogg stream has no end, so what came after is missing"
_PAGE = 27 + 255 + 255 * 255  # bytes of an Ogg page at most
HELD = 1 << 24  # samples of all channels, 64 MiB: six minutes of one channel at 48 kHz


class OneChannel(msgspec.Struct, frozen=True):
    """The sound of a file, and what it was made of."""

    sound: Sound
    channels: int  # of the file
    notes: tuple[str, ...] = ()

    @property
    def rate(self) -> int:
        return self.sound.rate

    @property
    def length(self) -> int:
        """Samples."""
        return len(self.sound.samples)

    @property
    def seconds(self) -> float:
        return self.sound.seconds

    def blocks(self) -> Iterator[Samples]:
        yield self.sound.samples


class LongRecording(msgspec.Struct, frozen=True):
    """A file that is too long to be held."""

    path: Path
    rate: int
    length: int  # samples of a channel
    channels: int
    which: tuple[int, ...]  # channels whose mean is heard; the first is 0
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return self.length / self.rate

    def blocks(self) -> Iterator[Samples]:
        """The samples in order, read from the file."""
        count = 0
        with opened(self.path) as file:
            for block in file.blocks if (file.rate, file.channels) == (self.rate, self.channels) else ():
                count += len(block)
                if count > self.length:
                    break
                yield mixed(block, self.which)
        if count != self.length:
            raise InputError(f"{self.path} became another file while it was heard")


Recording = OneChannel | LongRecording


def recording(path: Path, channel: int | None = None, held: float | None = None) -> Recording:
    """A file as one channel: the one asked for (1 is the first), else as `Survey.choice` chooses."""
    most = HELD if held is None else held
    with opened(path) as file:
        survey = Survey(file.channels)
        kept: list[Block] | None = []
        for block in file.blocks:
            survey.add(block)
            largest = float(np.abs(block).max(initial=0.0))
            if largest > ABSURD:
                raise InputError(f"{path} holds absurd samples: the largest is {largest:.3g} times full scale")
            if kept is not None:
                kept.append(block)
                if survey.frames * file.channels > most:
                    kept = None
    try:
        chosen = survey.choice(channel)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.hint) from error
    notes = ((chosen.note,) if chosen.note else ()) + ((CUT_OFF,) if _is_cut_off(Path(path)) else ())
    if kept is None:
        return LongRecording(Path(path), file.rate, survey.frames, file.channels, chosen.which, notes)
    samples = np.concatenate([mixed(block, chosen.which) for block in kept])
    return OneChannel(Sound(samples, file.rate), file.channels, notes)


def _is_cut_off(path: Path) -> bool:
    """Whether a file is Ogg and its last page is not whole, or does not say that it is the last."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * _PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS\0") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return not page[5] & 4 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def whole(path: Path, channel: int | None = None) -> OneChannel:
    """The same, held however long it is."""
    file = recording(path, channel, math.inf)
    assert isinstance(file, OneChannel)
    return file


def short(path: Path, channel: int | None = None) -> Sound:
    """The sound of a file for one that hears it at once; EngineError("too-long") where it is not held."""
    return at_once(recording(path, channel))


def at_once(file: Recording) -> Sound:
    if isinstance(file, OneChannel):
        return file.sound
    raise EngineError("too-long", f"the sound has {file.seconds:.1f} s, which is too long to be heard at once")


def one_channel(samples: Block, rate: int, channel: int | None = None) -> OneChannel:
    """One channel of several, samples in rows."""
    survey = Survey(samples.shape[1])
    survey.add(samples)
    chosen = survey.choice(channel)
    return OneChannel(Sound(mixed(samples, chosen.which), rate), samples.shape[1], (chosen.note,) if chosen.note else ())
