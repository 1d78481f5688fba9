"""How strong a sound is: level in dBFS, level of the speech in it, loudness in LUFS.

0 dBFS is the level of a square wave at full scale, so a full-scale sine is at -3 dBFS. The active level leaves pauses out:
frames of 20 ms count when they are less than `ACTIVE_RANGE` below the loudest one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound

FRAME = 0.020  # seconds
ACTIVE_RANGE = 30.0  # dB below the loudest frame; soft consonants lie above, breath and room below
SHORTEST_LOUDNESS = 0.4  # seconds, one gating block of ITU-R BS.1770


def level(sound: Sound) -> float | None:
    """Root mean square of the whole sound in dBFS, None when it is silent or empty."""
    return _decibels(_power(sound.samples))


def active_level(sound: Sound) -> float | None:
    """Root mean square of the frames with speech in dBFS, None when the sound is silent or empty."""
    return _decibels(active_power(sound))


def peak(sound: Sound) -> float | None:
    """Largest sample in dBFS, None when the sound is silent or empty."""
    largest = float(np.abs(sound.samples).max(initial=0.0))
    return 20 * math.log10(largest) if largest > 0 else None


def active_power(sound: Sound) -> float:
    """Mean square of the frames with speech; 0 when the sound is silent or empty."""
    powers = frame_powers(sound)
    if not len(powers) or not powers.max() > 0:
        return 0.0
    active = powers >= powers.max() * 10 ** (-ACTIVE_RANGE / 10)
    return float(powers[active].mean())


def frame_powers(sound: Sound) -> NDArray[np.float64]:
    """Mean square of each frame of 20 ms; a rest shorter than a frame at the end is one frame more."""
    size = max(1, round(FRAME * sound.rate))
    squares = sound.samples.astype(np.float64) ** 2
    whole = len(squares) // size
    powers = squares[: whole * size].reshape(whole, size).mean(axis=1)
    rest = squares[whole * size :]
    return np.append(powers, rest.mean()) if len(rest) else powers


def loudness(sound: Sound) -> float | None:
    """Integrated loudness in LUFS (ITU-R BS.1770), None when the sound is shorter than 0.4 s or below the absolute gate."""
    if sound.seconds < SHORTEST_LOUDNESS:
        return None
    import pyloudnorm

    measured = float(pyloudnorm.Meter(sound.rate).integrated_loudness(sound.samples.astype(np.float64)))
    return measured if math.isfinite(measured) else None


def _power(samples: NDArray[np.float32]) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2)) if len(samples) else 0.0


def _decibels(power: float) -> float | None:
    return 10 * math.log10(power) if power > 0 else None
