from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import resample_poly

from turnwise.foundation.audio import Sound
from turnwise.foundation.resampling import resample


def tone(hertz: float, rate: int, seconds: float = 1.0) -> Sound:
    return Sound((0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32), rate)


@pytest.mark.parametrize(("before", "after"), [(22050, 16000), (48000, 16000), (8000, 44100), (16000, 8000)])
def test_a_tone_stays_the_same_tone(before: int, after: int) -> None:
    found = resample(tone(1000, before), after)
    assert found.rate == after and len(found.samples) == pytest.approx(after, abs=2)
    wanted = tone(1000, after).samples[: len(found.samples)]
    inside = slice(after // 10, -after // 10)
    assert np.abs(found.samples[: len(wanted)][inside] - wanted[inside]).max() < 2e-3


def test_agrees_with_scipy_inside_the_band() -> None:
    sound = tone(700, 48000)
    other = resample_poly(sound.samples.astype(np.float64), 1, 3)
    assert np.abs(resample(sound, 16000).samples - other)[1600:-1600].max() < 5e-3


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    assert float(np.abs(resample(tone(6000, 16000), 8000).samples[400:-400]).max()) < 1e-3


def test_the_same_rate_is_the_same_sound_and_nothing_stays_nothing() -> None:
    sound = tone(100, 8000)
    assert resample(sound, 8000) is sound
    assert len(resample(Sound(sound.samples[:0], 8000), 16000).samples) == 0


def test_the_same_bytes_every_time() -> None:
    assert np.array_equal(resample(tone(440, 22050), 16000).samples, resample(tone(440, 22050), 16000).samples)
