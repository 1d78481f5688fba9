"""Loudness against the figure the recommendation itself gives, and what has none."""

from __future__ import annotations

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.quality.estimators import loudness


def sine(decibels: float, seconds: float = 3.0, rate: int = 48000) -> Sound:
    wave = np.sin(2 * np.pi * 997 * np.arange(int(seconds * rate)) / rate)
    return Sound((10 ** (decibels / 20) * wave).astype(np.float32), rate)


@pytest.mark.parametrize("decibels", [0.0, -20.0, -40.0])
def test_a_997_hz_sine_is_3_lu_below_its_peak(decibels: float) -> None:
    # BS.1770: a full-scale sine of 997 Hz in one channel reads -3.01 LKFS.
    estimate = loudness.estimator().open().rate(sine(decibels))
    assert estimate.value("loudness") == pytest.approx(decibels - 3.01, abs=0.1)
    assert estimate.ratings[0].scale.better == "neither"


def test_half_a_second_is_enough_and_a_third_is_not() -> None:
    rater = loudness.estimator().open()
    assert rater.rate(sine(-20, 0.5)).ratings
    short = rater.rate(sine(-20, 0.35))
    assert not short.ratings and short.withheld.startswith("too short or too soft")
