"""What a listener should know of a sound before it rates it: whether it can be rated at all, and what is odd about it.

    objection(sound)      why it cannot be rated: broken samples, too short, silent, a rate that no speech has; "" when it can
    remarks(sound)        what is odd all the same: clipped, DC offset, an unusual rate, very short
    rated(values, ...)    ratings by name, and unrated(reason) those of a sound that cannot be rated
    read(path, channel)   a file as one channel, and which one, or of which it is the mean

Nothing is repaired here: what is said is said of the sound as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation import audio_files
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.listening.ratings import DIMENSIONS, Dimension, Ratings
from turnwise.quality import estimator
from turnwise.quality.estimator import FAINTEST

SLOWEST, FASTEST = 4000, 192000  # samples per second; a rate outside is a mistake, not speech
USUAL = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
SURE = 1.0  # seconds; the listeners of the rating tests heard sentences, not words
_OFFSET = 0.1  # of the root mean square: a share that shifts a level by 0.05 dB, and that no microphone gives by itself
_LEAST_OFFSET = 1e-3  # of full scale, 33 steps of 16-bit PCM
_SAME = 1e-4  # of full scale, three steps of 16-bit PCM
_CANCELLED = 0.1  # of the power of the strongest channel: what is left of channels that work against each other


class OneChannel(msgspec.Struct, frozen=True):
    """The sound of a file, and what it was made of."""

    sound: Sound
    channels: int  # of the file
    notes: tuple[str, ...] = ()


def objection(sound: Sound) -> str:
    """Why a sound cannot be rated, "" when it can."""
    broken = len(sound.samples) - int(np.isfinite(sound.samples).sum())
    if broken:
        return f"broken: {broken} of {len(sound.samples)} samples are not finite numbers"
    if not SLOWEST <= sound.rate <= FASTEST:
        return f"wrong rate: {sound.rate} samples per second, speech has {SLOWEST} to {FASTEST}"
    found = estimator.objection(sound)
    if found:
        return found
    offset = float(sound.samples.mean(dtype=np.float64))
    if float(np.abs(sound.samples - offset).max()) < FAINTEST:
        return f"silent: nothing but a DC offset of {offset:+.4f} of full scale"
    return ""


def remarks(sound: Sound) -> tuple[str, ...]:
    """What is odd about a sound that can be rated."""
    told = list(estimator.remarks(sound))
    beyond = int((np.abs(sound.samples) > 1.0).sum())
    if beyond:
        told.append(f"beyond full scale: {beyond} samples, the largest {np.abs(sound.samples).max():.3g}")
    samples = sound.samples.astype(np.float64)
    offset = float(samples.mean())
    if abs(offset) > max(_OFFSET * float(samples.std()), _LEAST_OFFSET):
        told.append(f"DC offset: {offset:+.4f} of full scale")
    if sound.rate not in USUAL:
        told.append(f"unusual rate: {sound.rate} samples per second")
    if sound.seconds < SURE:
        told.append(f"short: {sound.seconds:.2f} s, ratings of less than {SURE:.0f} s vary much")
    return tuple(told)


def rated(
    values: Mapping[Dimension, float],
    sources: Mapping[Dimension, str],
    missing: Mapping[Dimension, str] | None = None,
    notes: tuple[str, ...] = (),
) -> Ratings:
    """Ratings from values by name."""
    mos, noi, col, dis, loud = (values.get(name) for name in DIMENSIONS)
    return Ratings(mos, noi, col, dis, loud, sources=dict(sources), missing=dict(missing or {}), notes=notes)


def unrated(reason: str, notes: tuple[str, ...] = ()) -> Ratings:
    """No ratings, for one reason."""
    return Ratings(None, None, None, None, None, missing=dict.fromkeys(DIMENSIONS, reason), notes=notes)


def read(path: Path, channel: int | None = None) -> OneChannel:
    """A file as one channel: the one asked for (1 is the first), else as `one_channel` chooses.

    Files that soundfile cannot open (M4A, WebM) come as the mean of their channels.
    """
    file = audio_files.read_file(path)
    if file.channels == 1:
        if channel not in (None, 1):
            raise InputError(f"{path} has 1 channel, expected channel 1, got {channel}")
        return OneChannel(file.sound, 1)
    if Path(path).suffix.lower() in audio_files.CONTAINERS:
        if channel is not None:
            raise InputError(f"channel {channel} of {path} cannot be had by itself", "convert the file to WAV or FLAC")
        return OneChannel(file.sound, file.channels, (file.note,))
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    try:
        return one_channel(samples, rate, channel)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.hint) from error


def one_channel(samples: NDArray[np.float32], rate: int, channel: int | None = None) -> OneChannel:
    """One channel of several, samples in rows: the one asked for; else the mean of those that sound, unless they cancel out."""
    count = samples.shape[1]
    if channel is not None:
        if not 1 <= channel <= count:
            raise InputError(f"there are {count} channels, expected channel 1 to {count}, got {channel}")
        return OneChannel(_mean(samples, [channel - 1], rate), count, (f"channel {channel} of {count}",) if count > 1 else ())
    if count == 1:
        return OneChannel(_mean(samples, [0], rate), 1)
    if float(np.abs(samples - samples[:, :1]).max(initial=0.0)) <= _SAME:
        return OneChannel(_mean(samples, [0], rate), count, (f"channel 1 of {count}, which are all the same",))
    sounding = [number for number in range(count) if float(np.abs(samples[:, number]).max(initial=0.0)) >= FAINTEST]
    if len(sounding) == 1:
        told = f"channel {sounding[0] + 1} of {count}, the others are silent"
        return OneChannel(_mean(samples, sounding, rate), count, (told,))
    mean = _mean(samples, sounding or range(count), rate)
    powers = np.mean(samples.astype(np.float64) ** 2, axis=0)
    strongest = int(powers.argmax())
    if float(np.mean(mean.samples.astype(np.float64) ** 2)) < _CANCELLED * powers[strongest]:
        told = f"channel {strongest + 1} of {count}, the strongest: the channels cancel each other out"
        return OneChannel(_mean(samples, [strongest], rate), count, (told,))
    silent = count - len(sounding) if sounding else 0
    return OneChannel(mean, count, (f"mean of {count - silent} channels" + (f", {silent} are silent" if silent else ""),))


def _mean(samples: NDArray[np.float32], which: Sequence[int], rate: int) -> Sound:
    return Sound(np.ascontiguousarray(samples[:, list(which)].mean(axis=1), dtype=np.float32), rate)
