from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.foundation.audio import Sound
from turnwise.speech.level import active_level, frame_powers, level, loudness, peak

RATE = 16000


def tone(amplitude: float, seconds: float = 1.0, hertz: float = 1000.0, rate: int = RATE) -> Sound:
    return Sound((amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32), rate)


def silence(seconds: float) -> Sound:
    return Sound(np.zeros(round(seconds * RATE), dtype=np.float32), RATE)


def test_a_full_scale_sine_is_3_db_below_full_scale() -> None:
    assert level(tone(1.0)) == pytest.approx(-3.01, abs=0.01)
    assert peak(tone(1.0)) == pytest.approx(0.0, abs=0.01)


@given(st.floats(-60, 0))
def test_halving_and_doubling_are_6_db(decibels: float) -> None:
    found = level(tone(10 ** (decibels / 20)))
    assert found == pytest.approx(decibels - 3.01, abs=0.02)


@pytest.mark.parametrize("nothing", [silence(0.0), silence(1.0)])
def test_silence_has_no_level(nothing: Sound) -> None:
    assert level(nothing) is None and active_level(nothing) is None and peak(nothing) is None and loudness(nothing) is None


def test_pauses_do_not_lower_the_active_level() -> None:
    speech = tone(0.2)
    paused = Sound(np.concatenate([speech.samples, silence(3.0).samples, speech.samples]), RATE)
    assert active_level(paused) == pytest.approx(level(speech), abs=0.05)
    paused_level = level(paused)
    assert paused_level is not None and paused_level == pytest.approx((level(speech) or 0) - 10 * math.log10(2.5), abs=0.05)


def test_sounds_far_below_the_loudest_are_not_active() -> None:
    loud, soft = tone(0.5), tone(0.5 * 10 ** (-35 / 20))
    both = Sound(np.concatenate([loud.samples, soft.samples]), RATE)
    assert active_level(both) == pytest.approx(level(loud), abs=0.05)


def test_frames_cover_the_whole_sound() -> None:
    assert len(frame_powers(tone(0.1, 0.1))) == 5
    assert len(frame_powers(tone(0.1, 0.105))) == 6
    assert len(frame_powers(silence(0.0))) == 0


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_loudness_is_that_of_pyloudnorm(rate: int) -> None:
    sound = tone(0.1, 2.0, 997.0, rate)
    assert loudness(sound) == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(sound.samples.astype(np.float64)))


def test_loudness_of_the_reference_tone() -> None:
    # ITU-R BS.1770: a 997 Hz sine at full scale in one channel is -3.01 LUFS.
    assert loudness(tone(1.0, 3.0, 997.0, 48000)) == pytest.approx(-3.01, abs=0.05)


def test_what_is_too_short_or_too_soft_has_no_loudness() -> None:
    assert loudness(tone(0.5, 0.39)) is None
    assert loudness(tone(0.5, 0.45)) is not None
    assert loudness(tone(1e-5, 1.0)) is None
