"""A telephone line: the band from 300 to 3400 Hz, sampled at 8 kHz in mu-law, and back.

The band is cut with a linear-phase filter, then every sample is coded in the 8 bits of ITU-T G.711 mu-law and decoded. The sound
keeps its length and rate. There is no chance in it: the seed is not used. What a handset, an echo canceller or a mobile codec
would add is not modelled.

Options: none. Needs `soxr` (a core dependency). Licence: none needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation import resampling
from turnwise.foundation.audio import Sound
from turnwise.foundation.fingerprint import source_digest
from turnwise.foundation.resampling import resample

LINE_RATE = 8000  # samples per second
LOW, HIGH = 300.0, 3400.0  # Hz
_TAPS = 401  # 50 ms at 8 kHz: about 65 Hz from pass band to stop band with this window
_BIAS, _LARGEST = 33, 8158  # G.711 mu-law, in units of its 14-bit scale; with the bias the largest fills 13 bits


def perturbation() -> Telephone:
    return Telephone()


class Telephone(msgspec.Struct, frozen=True):
    """Band limit and mu-law."""

    def apply(self, sound: Sound, seed: int) -> Sound:
        line = resample(sound, LINE_RATE)
        if not len(line.samples):  # shorter than one sample of the line
            return Sound(np.zeros_like(sound.samples), sound.rate)
        narrow = np.convolve(line.samples.astype(np.float64), _band())[_TAPS // 2 :][: len(line.samples)]
        coded = decode_mu_law(encode_mu_law(narrow)).astype(np.float32)
        back = resample(Sound(coded, LINE_RATE), sound.rate).samples
        # Conversion may end a sample early or late; the rest is silence.
        samples = np.zeros(len(sound.samples), dtype=np.float32)
        samples[: len(back)] = back[: len(samples)]
        return Sound(np.clip(samples, -1.0, 1.0), sound.rate)

    def describe(self) -> str:
        return "telephone 300-3400 Hz mu-law"

    def identity(self) -> Mapping[str, str]:
        return {"soxr": version("soxr"), "code": source_digest(Path(resampling.__file__ or ""))}


def encode_mu_law(samples: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Samples as G.711 mu-law codes; what lies outside the code's range is clipped to it."""
    scaled = np.clip(np.rint(samples * 8192), -_LARGEST, _LARGEST).astype(np.int64)
    magnitude = np.abs(scaled) + _BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int64) - 5
    step = (magnitude >> (segment + 1)) & 0x0F
    sign = np.where(scaled < 0, 0x80, 0)
    return np.asarray(~(sign | (segment << 4) | step) & 0xFF, dtype=np.uint8)


def decode_mu_law(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Samples of G.711 mu-law codes."""
    plain = ~codes.astype(np.int64) & 0xFF
    segment, step = (plain >> 4) & 0x07, plain & 0x0F
    magnitude = (((step << 1) + _BIAS) << segment) - _BIAS
    return np.where(plain & 0x80, -magnitude, magnitude) / 8192


def _band() -> NDArray[np.float64]:
    """A windowed-sinc band pass at the line's rate."""
    place = np.arange(_TAPS) - _TAPS // 2
    pulse = [2 * edge / LINE_RATE * np.sinc(2 * edge / LINE_RATE * place) for edge in (HIGH, LOW)]
    return np.asarray((pulse[0] - pulse[1]) * np.blackman(_TAPS))
