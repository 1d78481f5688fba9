"""The placeholder analyser published beside the descriptions of speech quality (ALLD), rebuilt: a baseline, and no rating at all.

What it gives must never be called MOS. Its authors call it a placeholder; nobody's opinion went into it, and it is wrong in ways
one can hear: white noise gets the best coloration there is (5), because the more a sound is like noise the higher it scores; a
steady tone is as undamaged as speech; clipping, a telephone band and lost packets hardly count. It is here so that captions made
with that repository can be compared with captions made from ratings, and so that a better listener has something to be better
than (docs/listening.md). Nothing uses it unless it is named, and every row says what its numbers are.

What it computes: `noi` from the ratio of the mean energy of frames (25 ms, every 10 ms) at or above a fifth of the loudest
frame's to that of those below: under 10, 15, 20, 30 dB are 1, 2, 3, 4, else 5. `col` is 2.5 + 5 x mean spectral flatness +
10 x the share of the energy that is harmonic, within 1 to 5. `dis` from the share of level changes (frames of 2048 samples,
every 512) above half of the largest: over 0.1, 0.05, 0.02, 0.01 are 1, 2, 3, 4, else 5. `loud` from the level in dB of full
scale: below -40, -30, -20, -10, -3 are 1 to 5; above, 5 - (dB + 3) / 2, at least 1. `mos` is 0.3 noi + 0.3 col + 0.3 dis +
0.1 loud, to one decimal.

Not stated and chosen here: flatness and harmonic share are those of librosa's functions with their defaults (tests compare them
with librosa's own). Departures: a sound that is silent or shorter than 0.3 s gets no rating, where the original divides zero by
zero or fails; `noi` is missing, and `mos` with it, where no frame is below a fifth of the loudest.

No options. Needs nothing beyond the core. Licence: none needed, the rules are facts and the code is ours.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.lineage import lineage
from turnwise.listening.listener import Listening
from turnwise.listening.ratings import DIMENSIONS, PLACEHOLDER, Dimension, Ratings
from turnwise.listening.sound_check import objection, remarks, unrated

SOURCE = "the published placeholder, no rating"
_FRAME, _STEP = 0.025, 0.010  # seconds
_NOISE = 0.2  # of the energy of the loudest frame
_POINTS, _HOP = 2048, 512  # of the transform, samples
_KERNEL = 31  # frames, and bins, over which the medians run
_LEAST = 1e-10  # power in a bin


def listener() -> PublishedHeuristic:
    return PublishedHeuristic()


class PublishedHeuristic(msgspec.Struct, frozen=True):
    """Nothing to load."""

    longest: ClassVar[float] = 60.0  # seconds; the medians of a minute take 100 MB

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), "numpy": version("numpy"), "scipy": version("scipy")}

    def open(self) -> Listening:
        return PublishedHeuristicListening()


class PublishedHeuristicListening:
    """Measures one sound at a time."""

    batch = 1

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        return [_rated(sound) for sound in sounds]

    def close(self) -> None:
        """Nothing is held."""


def _rated(sound: Sound) -> Ratings:
    reason = objection(sound)
    if reason:
        return unrated(reason)
    samples = sound.samples.astype(np.float64)
    noi = noise_score(samples, sound.rate)
    col, dis, loud = coloration_score(samples), discontinuity_score(samples), loudness_score(samples)
    missing: dict[Dimension, str] = {}
    if noi is None:
        missing["noi"] = "no frame is below a fifth of the loudest: there is nothing to take for noise"
        missing["mos"] = "it is made of noi, which is missing"
    mos = None if noi is None else overall_score(noi, col, dis, loud)
    sources = {name: SOURCE for name in DIMENSIONS if name not in missing}
    return Ratings(mos, noi, col, dis, loud, sources=sources, missing=missing, notes=(PLACEHOLDER, *remarks(sound)))


def overall_score(noi: float, col: float, dis: float, loud: float) -> float:
    return round(0.3 * noi + 0.3 * col + 0.3 * dis + 0.1 * loud, 1)


def noise_score(samples: NDArray[np.float64], rate: int) -> float | None:
    energy = (_frames(samples, int(_FRAME * rate), int(_STEP * rate)) ** 2).sum(axis=1)
    noise = energy < _NOISE * energy.max()
    if not noise.any():
        return None
    floor = float(energy[noise].mean())
    if floor <= 0:
        return 5.0
    return 1.0 + bisect_right((10.0, 15.0, 20.0, 30.0), 10 * math.log10(float(energy[~noise].mean()) / floor))


def coloration_score(samples: NDArray[np.float64]) -> float:
    return float(np.clip(2.5 + 5.0 * flatness(samples) + 10.0 * harmonic_share(samples), 1.0, 5.0))


def discontinuity_score(samples: NDArray[np.float64]) -> float:
    padded = np.pad(samples, _POINTS // 2)
    levels = np.sqrt((_frames(padded, _POINTS, _HOP) ** 2).mean(axis=1))
    changes = np.abs(np.diff(levels))
    share = float((changes > 0.5 * changes.max(initial=0.0)).mean()) if len(changes) else 0.0
    return 5.0 - bisect_left((0.01, 0.02, 0.05, 0.1), share)


def loudness_score(samples: NDArray[np.float64]) -> float:
    decibels = 10 * math.log10(float(np.mean(samples**2)))
    if decibels > -3.0:
        return max(1.0, 5.0 - 0.5 * (decibels + 3.0))
    return 1.0 + bisect_right((-40.0, -30.0, -20.0, -10.0), decibels)


def flatness(samples: NDArray[np.float64]) -> float:
    """Geometric over arithmetic mean of the power in a frame, as the mean over frames."""
    power = np.maximum(np.abs(_spectrum(samples)) ** 2, _LEAST)
    return float((np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)).mean())


def harmonic_share(samples: NDArray[np.float64]) -> float:
    """The energy of what stays in time rather than in frequency, of the whole energy."""
    from scipy.ndimage import median_filter

    spectrum = _spectrum(samples)
    size = np.abs(spectrum)
    along_time = median_filter(size, size=(_KERNEL, 1), mode="reflect")
    along_frequency = median_filter(size, size=(1, _KERNEL), mode="reflect")
    total = along_time**2 + along_frequency**2
    mask = np.where(total > 0, along_time**2 / np.where(total > 0, total, 1.0), 0.5)
    return float((_sound_of(spectrum * mask, len(samples)) ** 2).sum() / (samples**2).sum())


def _frames(samples: NDArray[np.float64], size: int, step: int) -> NDArray[np.float64]:
    return np.lib.stride_tricks.sliding_window_view(samples, size)[::step]


def _window() -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_POINTS) / _POINTS)


def _spectrum(samples: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Frames in rows, centred on multiples of the hop, silence beyond the ends."""
    spectrum: NDArray[np.complex128] = np.fft.rfft(_frames(np.pad(samples, _POINTS // 2), _POINTS, _HOP) * _window(), axis=1)
    return spectrum


def _sound_of(spectrum: NDArray[np.complex128], length: int) -> NDArray[np.float64]:
    """The samples of a spectrum: windowed again, overlapped, and divided by what the windows add up to."""
    window = _window()
    made = np.zeros(_HOP * (len(spectrum) - 1) + _POINTS)
    weight = np.zeros_like(made)
    for number, frame in enumerate(np.fft.irfft(spectrum, _POINTS, axis=1)):
        made[number * _HOP : number * _HOP + _POINTS] += frame * window
        weight[number * _HOP : number * _HOP + _POINTS] += window**2
    middle = slice(_POINTS // 2, _POINTS // 2 + length)
    return np.divide(made[middle], weight[middle], out=np.zeros(len(made[middle])), where=weight[middle] > 1e-12)
