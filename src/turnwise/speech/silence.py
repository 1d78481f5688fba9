"""Silence at both ends of a sound, and its removal.

The threshold is `THRESHOLD` dBFS on frames of 20 ms: quieter than any speech that was recorded on purpose, louder than the
noise of 16-bit storage and of good rooms. A margin of `MARGIN` seconds stays, so that soft first and last sounds are not cut
off.
"""

from __future__ import annotations

import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.speech.level import FRAME, frame_powers

THRESHOLD = -50.0  # dBFS
MARGIN = 0.05  # seconds


def trim(sound: Sound, threshold: float = THRESHOLD, margin: float = MARGIN) -> Sound:
    """The sound without the silence at its ends; an empty sound when there is nothing else in it."""
    first, last = loud_span(sound, threshold)
    if first == last:
        return Sound(sound.samples[:0], sound.rate)
    extra = round(margin * sound.rate)
    return Sound(sound.samples[max(0, first - extra) : last + extra], sound.rate)


def loud_span(sound: Sound, threshold: float = THRESHOLD) -> tuple[int, int]:
    """First sample of the first frame above the threshold and the end of the last one; (0, 0) when there is none."""
    loud = np.flatnonzero(frame_powers(sound) >= 10 ** (threshold / 10))
    if not len(loud):
        return 0, 0
    size = max(1, round(FRAME * sound.rate))
    return int(loud[0]) * size, min(int(loud[-1] + 1) * size, len(sound.samples))
