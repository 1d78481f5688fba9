"""What a listener should know of a sound before it rates it: whether it can be rated at all, and what is odd about it.

    objection(sound)      why it cannot be rated: broken samples, absurd ones, too short, silent, a wrong rate; "" when it can
    remarks(sound)        what is odd all the same: clipped, DC offset, an unusual rate, very short
    rated(values, ...)    ratings by name, and unrated(reason) those of a sound that cannot be rated
    read(path, channel)   a file as one channel, held as a whole, and which one, or of which it is the mean

Nothing is repaired here: what is said is said of the sound as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.listening import recording
from turnwise.listening.ratings import DIMENSIONS, Dimension, Ratings
from turnwise.listening.recording import ABSURD, OneChannel
from turnwise.quality import estimator
from turnwise.quality.estimator import FAINTEST

SLOWEST, FASTEST = 4000, 192000  # samples per second; a rate outside is a mistake, not speech
USUAL = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
SURE = 1.0  # seconds; the listeners of the rating tests heard sentences, not words
_OFFSET = 0.1  # of the root mean square: a share that shifts a level by 0.05 dB, and that no microphone gives by itself
_LEAST_OFFSET = 1e-3  # of full scale, 33 steps of 16-bit PCM


def objection(sound: Sound) -> str:
    """Why a sound cannot be rated, "" when it can."""
    broken = len(sound.samples) - int(np.isfinite(sound.samples).sum())
    if broken:
        return f"broken: {broken} of {len(sound.samples)} samples are not finite numbers"
    largest = float(np.abs(sound.samples).max(initial=0.0))
    if largest > ABSURD:
        return f"absurd samples: the largest is {largest:.3g} times full scale"
    wrong = rate_objection(sound.rate)
    if wrong:
        return wrong
    found = estimator.objection(sound)
    if found:
        return found
    offset = float(sound.samples.mean(dtype=np.float64))
    if float(np.abs(sound.samples - offset).max()) < FAINTEST:
        return f"silent: nothing but a DC offset of {offset:+.4f} of full scale"
    return ""


def rate_objection(rate: int) -> str:
    """Why no sound of this rate can be rated, "" when one can."""
    if SLOWEST <= rate <= FASTEST:
        return ""
    return f"wrong rate: {rate} samples per second, speech has {SLOWEST} to {FASTEST}"


def remarks(sound: Sound) -> tuple[str, ...]:
    """What is odd about a sound that can be rated."""
    told = list(estimator.remarks(sound))
    beyond = int((np.abs(sound.samples) > 1.0).sum())
    if beyond:
        count = "1 sample" if beyond == 1 else f"{beyond} samples"
        told.append(f"beyond full scale: {count}, the largest {np.abs(sound.samples).max():.3g}")
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
    """A file as one channel, held however long it is: the one asked for (1 is the first), else as `Survey.choice` chooses."""
    return recording.whole(path, channel)
