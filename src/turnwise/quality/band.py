"""How wide the band of a voice is, and how much of it is clipped: what makes a voice sound dull, thin or harsh.

The band is where the voice comes above a level below its strongest part: in a sixth of an octave as loud as it is in the loudest
2 % of the time, so that the sharp sounds say how far up it goes. Noise that fills the band hides that a voice does not.

Clipped are samples that lie at the largest value of their sign: in speech that was not clipped hardly one in ten thousand of
those that are not silence does. Clipping before a codec, a filter or added noise no longer shows.
"""

from __future__ import annotations

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound

_FRAME = 0.032  # seconds
_LOWEST = 50.0  # Hz
_PER_OCTAVE = 6
_LOUDEST = 0.98  # quantile over time of the level in a band
_UP, _DOWN = 50.0, 25.0  # dB below the strongest band, at the upper and at the lower end of the voice's band
_ACTIVE = 1e-3  # of the power of the loudest frame
_AT_THE_END = 0.985  # of the largest sample
_SILENT = 0.01  # of the largest sample
_ALONE = 5e-4  # share of the samples at the end in speech that was not clipped, at most


class Band(msgspec.Struct, frozen=True):
    """Between which frequencies a voice is heard."""

    low: float  # Hz
    high: float


def band(sound: Sound) -> Band | None:
    """The band of a sound; None where there is no sound to measure."""
    samples = sound.samples.astype(np.float64)
    samples = samples - samples.mean() if len(samples) else samples
    size = round(_FRAME * sound.rate)
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: max(1, size // 2)]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    total = power.sum(axis=1)
    if not total.max() > 0:
        return None
    power = power[total >= _ACTIVE * total.max()]
    count = int(np.log2(sound.rate / 2 / _LOWEST) * _PER_OCTAVE)
    edges = _LOWEST * 2 ** (np.arange(count + 1) / _PER_OCTAVE)
    bins = np.round(edges * size / sound.rate).astype(int)
    heard = [
        (low, high, np.quantile(power[:, first : max(last, first + 1)].mean(axis=1), _LOUDEST))
        for low, high, first, last in zip(edges[:-1], edges[1:], bins[:-1], bins[1:], strict=True)
    ]
    strongest = max(level for _, _, level in heard)
    above = [high for _, high, level in heard if level > strongest * 10 ** (-_UP / 10)]
    below = [low for low, _, level in heard if level > strongest * 10 ** (-_DOWN / 10)]
    return Band(float(below[0]), float(above[-1]))


def clipped(sound: Sound) -> float:
    """The share of the samples that are not silence which lie at either end of what the sound reaches, less what speech has."""
    largest = float(np.abs(sound.samples).max(initial=0.0))
    active = sound.samples[np.abs(sound.samples) > _SILENT * largest]
    if not len(active):
        return 0.0
    top, bottom = float(active.max()), float(active.min())
    ends = int((active >= _AT_THE_END * top).sum()) if top > 0 else 0
    ends += int((active <= _AT_THE_END * bottom).sum()) if bottom < 0 else 0
    return max(0.0, ends / len(active) - _ALONE)
