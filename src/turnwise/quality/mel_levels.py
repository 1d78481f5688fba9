"""Levels of a sound in mel bands over time, in dB, at the sound's own rate.

Frames are centred on multiples of the step, beginning with the first sample; the sound is mirrored at its ends. Bands are
triangles of unit area in Hz, evenly apart on Slaney's mel scale from 0 Hz to `highest`, also where that lies above half the
rate: those bands stay empty, so that a model sees how wide the band of a sound is.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError

_FLOOR = 1e-4  # magnitude, -80 dB
_DYNAMIC = 80.0  # dB below the loudest cell at which levels are cut off
_BLOCK = 256  # frames transformed at once; a block of 4096 points in double precision takes 16 MB


class Bands(msgspec.Struct, frozen=True):
    """How a sound is cut into frames and bands."""

    step: float  # seconds between frames
    window: float  # seconds heard by one frame
    points: int  # of the Fourier transform; even
    count: int  # of bands
    highest: float  # Hz


def mel_levels(sound: Sound, bands: Bands) -> NDArray[np.float32]:
    """Levels with the shape (bands, frames); there is one frame more than whole steps in the sound."""
    step, width = int(sound.rate * bands.step), int(sound.rate * bands.window)
    if step < 1 or width < 2 or width > bands.points:
        raise EngineError("rate", f"a sound of {sound.rate} samples per second cannot be cut into {bands.points}-point frames")
    # A window of odd width has the extra sample before its centre, as if it stood in the middle of all the points.
    before = bands.points // 2 - (bands.points - width) // 2
    padded = np.pad(sound.samples.astype(np.float64), (before, width - before), mode="reflect")
    count = 1 + len(sound.samples) // step
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[: (count - 1) * step + 1 : step]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
    triangles = _triangles(sound.rate, bands)
    made = np.empty((count, bands.count))
    for start in range(0, count, _BLOCK):
        spectrum = np.abs(np.fft.rfft(frames[start : start + _BLOCK] * window, n=bands.points, axis=1))
        made[start : start + _BLOCK] = spectrum @ triangles
    levels = 20.0 * np.log10(np.maximum(made, _FLOOR))
    cut: NDArray[np.float32] = np.maximum(levels, levels.max() - _DYNAMIC).T.astype(np.float32)
    return cut


@lru_cache(maxsize=8)
def _triangles(rate: int, bands: Bands) -> NDArray[np.float64]:
    """Weights of the Fourier bins in the bands: shape (bins, bands)."""
    edges = _hertz(np.linspace(0.0, _mel(bands.highest), bands.count + 2))
    bins = np.arange(bands.points // 2 + 1) * (rate / bands.points)
    rising = (bins[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - bins[:, None]) / np.diff(edges)[None, 1:]
    found: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return found


# Slaney's mel scale: linear to 1 kHz, 200/3 Hz a step, then 27 steps for a factor of 6.4.
_BREAK = 1000.0
_LINEAR = 200.0 / 3
_LOG = float(np.log(6.4) / 27)


def _mel(hertz: float) -> float:
    if hertz < _BREAK:
        return hertz / _LINEAR
    return float(_BREAK / _LINEAR + np.log(hertz / _BREAK) / _LOG)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    high = mel >= _BREAK / _LINEAR
    return np.where(high, _BREAK * np.exp(_LOG * (np.where(high, mel, 0.0) - _BREAK / _LINEAR)), mel * _LINEAR)
