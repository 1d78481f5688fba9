"""Noise at a chosen signal-to-noise ratio: white, or shaped like many people talking.

Options: `snr` in dB (-20 to 60), the power of the speech over the power of the noise; the speech is measured on its active frames
(see `speech/level.py`), so pauses do not make the noise weaker. `kind` is `white`, or `babble`: noise with the long-term
spectrum of speech (flat to 500 Hz, then falling by 9 dB per octave) and a slow random swell of its level. It is shaped
noise, not recorded voices: it masks like a crowd but holds no words that could be mistaken for the speaker's.

Where speech plus noise would exceed full scale, both are turned down together: the ratio stays, the level is said to differ. A
silent sound has no speech to measure against and is refused.

Licence: none needed, the noise is generated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import source_digest
from turnwise.speech import level

KINDS = ("white", "babble")
_CEILING = 0.999  # largest sample after mixing
_CORNER = 500.0  # Hz, where the spectrum of speech starts to fall
_SLOPE = 1.5  # exponent of frequency in amplitude: 9 dB per octave
_SWELL = 4.0  # Hz, the rate of syllables
_DEPTH = 0.3  # relative standard deviation of the swell


def perturbation(snr: float = 10.0, kind: str = "white") -> Noise:
    if not -20 <= snr <= 60:
        raise InputError(f"noise: snr is {snr}, expected -20 to 60 dB")
    if kind not in KINDS:
        raise InputError(f"noise: kind is {kind[:40]!r}, expected one of {', '.join(KINDS)}")
    return Noise(float(snr), kind)


class Noise(msgspec.Struct, frozen=True):
    """Noise added at an SNR."""

    snr: float  # dB
    kind: str

    def apply(self, sound: Sound, seed: int) -> Sound:
        speech = level.active_power(sound)
        if speech == 0.0:
            raise EngineError("silent-audio", "noise at an SNR needs a sound that is not silent")
        noise = self._noise(len(sound.samples), sound.rate, seed)
        wanted = speech / 10 ** (self.snr / 10)
        noise *= math.sqrt(wanted / float(np.mean(noise**2)))
        mixed = sound.samples.astype(np.float64) + noise
        largest = float(np.abs(mixed).max())
        if largest > _CEILING:
            mixed *= _CEILING / largest
        return Sound(mixed.astype(np.float32), sound.rate)

    def describe(self) -> str:
        return f"noise snr={self.snr:g} kind={self.kind}"

    def identity(self) -> Mapping[str, str]:
        # The same seed may draw other numbers in another version of numpy.
        return {"numpy": version("numpy"), "code": source_digest(Path(level.__file__ or ""))}

    def _noise(self, length: int, rate: int, seed: int) -> NDArray[np.float64]:
        draw = np.random.default_rng(seed)
        white = draw.standard_normal(length)
        if self.kind == "white":
            return white
        frequency = np.fft.rfftfreq(length, 1 / rate)
        gain = 1 / np.maximum(frequency / _CORNER, 1.0) ** _SLOPE
        shaped = np.fft.irfft(np.fft.rfft(white) * gain, length)
        return np.asarray(shaped * _swell(draw, length, rate))


def _swell(draw: np.random.Generator, length: int, rate: int) -> NDArray[np.float64]:
    """A slow positive random curve with mean near 1."""
    points = max(2, math.ceil(length / rate * _SWELL) + 1)
    heights = np.maximum(1 + _DEPTH * draw.standard_normal(points), 0.1)
    return np.interp(np.linspace(0, points - 1, length), np.arange(points), heights)
