"""Another sample rate for the same sound."""

from __future__ import annotations

import numpy as np

from turnwise.foundation.audio import Sound

QUALITY = "HQ"  # soxr's 20-bit setting: errors lie below what 16-bit storage keeps


def resample(sound: Sound, rate: int) -> Sound:
    """The sound at another rate; the same object when it has that rate already."""
    if rate == sound.rate:
        return sound
    if not len(sound.samples):
        return Sound(sound.samples, rate)
    import soxr

    return Sound(np.asarray(soxr.resample(sound.samples, sound.rate, rate, quality=QUALITY), dtype=np.float32), rate)
