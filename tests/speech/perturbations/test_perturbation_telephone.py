from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.foundation.audio import Sound
from turnwise.speech.perturbation import PERTURBATIONS
from turnwise.speech.perturbations.telephone import decode_mu_law, encode_mu_law


def tone(hertz: float, amplitude: float = 0.25, rate: int = 16000) -> Sound:
    return Sound((amplitude * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)).astype(np.float32), rate)


def through(sound: Sound) -> Sound:
    found: Sound = PERTURBATIONS.build("telephone").apply(sound, 0)
    return found


def gain(hertz: float, rate: int = 16000) -> float:
    """In dB, of the tone alone: what the coding adds elsewhere is left out."""
    before, after = tone(hertz, rate=rate), through(tone(hertz, rate=rate))
    inside = slice(rate // 10, -rate // 10)
    wave = np.exp(-2j * np.pi * hertz * np.arange(rate) / rate)[inside]
    ratio = abs(wave @ after.samples[inside]) / abs(wave @ before.samples[inside])
    return 20 * math.log10(max(ratio, 1e-6))


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("hertz", [400, 1000, 2000, 3300])
def test_the_band_passes(hertz: float, rate: int) -> None:
    assert gain(hertz, rate) == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("hertz", [60, 150, 200, 3600, 3900])
def test_the_rest_does_not(hertz: float) -> None:
    assert gain(hertz) < -40


def test_the_edges_are_at_half() -> None:
    assert gain(300) == pytest.approx(-6.0, abs=0.7)
    assert gain(3400) == pytest.approx(-6.0, abs=0.7)


def test_nothing_lies_above_the_line_s_band() -> None:
    noise = Sound((0.1 * np.random.default_rng(0).standard_normal(48000)).astype(np.float32), 48000)
    power = np.abs(np.fft.rfft(through(noise).samples)) ** 2
    frequency = np.fft.rfftfreq(48000, 1 / 48000)
    assert power[frequency > 4300].sum() < 1e-4 * power.sum()


@pytest.mark.parametrize("length", [0, 1, 7, 1001, 22050])
def test_length_and_rate_stay(length: int) -> None:
    draw = np.random.default_rng(length)
    found = through(Sound((0.1 * draw.standard_normal(length)).astype(np.float32), 22050))
    assert (len(found.samples), found.rate) == (length, 22050)


def test_the_sound_is_not_moved_in_time() -> None:
    sound = Sound(np.zeros(16000, dtype=np.float32), 16000)
    sound.samples[8000] = 0.9
    assert abs(int(np.abs(through(sound).samples).argmax()) - 8000) <= 2


def test_loud_sounds_stay_within_full_scale() -> None:
    assert float(np.abs(through(tone(1000, 1.0)).samples).max()) <= 1.0
    square = Sound(np.sign(tone(500).samples), 16000)
    assert float(np.abs(through(square).samples).max()) <= 1.0


@settings(max_examples=30)
@given(st.lists(st.floats(-1.2, 1.2), min_size=1, max_size=50))
def test_mu_law_keeps_sign_and_about_six_bits(values: list[float]) -> None:
    samples = np.array(values)
    back = decode_mu_law(encode_mu_law(samples))
    wanted = np.clip(samples, -8158 / 8192, 8158 / 8192)
    # A step is a sixteenth of its segment: a thirty-second of the value and half the smallest step.
    assert (np.abs(back - wanted) <= np.abs(wanted) / 31 + 2.1 / 8192).all()


def test_mu_law_codes_of_the_standard() -> None:
    # ITU-T G.711: positive zero is 0xFF, negative full scale 0x00, positive full scale 0x80.
    assert encode_mu_law(np.array([0.0, -1.0, 1.0])).tolist() == [0xFF, 0x00, 0x80]
    assert decode_mu_law(np.array([0x80, 0x00], dtype=np.uint8)).tolist() == [8031 / 8192, -8031 / 8192]


def test_codes_come_back_as_themselves() -> None:
    codes = np.arange(256, dtype=np.uint8)
    again = encode_mu_law(decode_mu_law(codes))
    assert np.array_equal(again[codes != 0x7F], codes[codes != 0x7F])  # 0x7F is negative zero


def test_it_says_what_it_does_and_leaves_nothing_to_chance() -> None:
    telephone = PERTURBATIONS.build("telephone")
    assert telephone.describe() == "telephone 300-3400 Hz mu-law"
    assert np.array_equal(telephone.apply(tone(500), 1).samples, telephone.apply(tone(500), 2).samples)
