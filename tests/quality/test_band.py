"""The band of a voice and its clipping, against filters and limits that are known."""

from __future__ import annotations

import numpy as np
import pytest

from damaged_speech import clipped as clip
from damaged_speech import gained, lowpassed, made_voice, voices
from turnwise.foundation.audio import Sound
from turnwise.foundation.resampling import resample
from turnwise.quality.band import Band, band, clipped

SIXTH = 2 ** (1 / 6)


def found(sound: Sound) -> Band:
    measured = band(sound)
    assert measured is not None
    return measured


@pytest.mark.parametrize("edge", [5000.0, 3400.0, 2000.0])
def test_the_upper_end_is_that_of_the_filter(edge: float) -> None:
    for name, voice in voices():
        assert edge / SIXTH <= found(lowpassed(voice, edge)).high <= 1.01 * edge * SIXTH, name


@pytest.mark.parametrize("edge", [300.0, 500.0, 1000.0])
def test_the_lower_end_is_that_of_the_filter(edge: float) -> None:
    for name, voice in voices():
        # The strongest band may lie well above the edge: then the voice begins there.
        assert edge / SIXTH <= found(lowpassed(voice, edge, "high")).low <= edge * SIXTH**4, name


def test_a_narrow_sound_stays_narrow_at_a_higher_rate() -> None:
    narrow = resample(made_voice(), 8000)
    wide = resample(narrow, 48000)
    assert found(wide).high == pytest.approx(4000, rel=0.15)
    assert found(narrow).high == pytest.approx(found(wide).high, rel=0.15)


def test_level_and_offset_do_not_count() -> None:
    voice = made_voice()
    assert found(gained(voice, -40)) == found(voice)
    shifted = found(Sound((voice.samples + 0.3).astype(np.float32), voice.rate))
    assert shifted.high == found(voice).high and shifted.low == pytest.approx(found(voice).low, rel=0.3)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_the_clipped_share_is_the_one_that_was_clipped(share: float) -> None:
    for name, voice in voices():
        assert clipped(clip(voice, share)) == pytest.approx(share, rel=0.25, abs=0.002), name
        assert clipped(gained(clip(voice, share), -20)) == pytest.approx(clipped(clip(voice, share)), abs=1e-3), name


def test_speech_is_not_clipped() -> None:
    for name, voice in voices():
        assert clipped(voice) == pytest.approx(0.0, abs=5e-4), name


def test_clipping_at_one_side_only_counts() -> None:
    voice = made_voice()
    one_side = Sound(np.minimum(voice.samples, 0.3 * voice.samples.max()), voice.rate)
    assert clipped(one_side) > 0.01


def test_silence_has_neither() -> None:
    silent = Sound(np.zeros(8000, np.float32), 16000)
    assert band(silent) is None
    assert clipped(silent) == 0.0
    assert clipped(Sound(np.zeros(0, np.float32), 16000)) == 0.0


def test_the_share_that_is_clipped_is_a_share() -> None:
    """One sample far beyond the others, of which all but it are silence beside it."""
    samples = made_voice().samples.copy()
    samples[100] = 900.0
    assert clipped(Sound(samples, 16000)) == pytest.approx(1.0, abs=1e-3)
    samples[101:103] = -450.0, -1.0
    assert 0.0 <= clipped(Sound(samples, 16000)) <= 1.0
