from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.level import active_level
from turnwise.speech.perturbation import PERTURBATIONS

RATE = 16000


def talk(amplitude: float = 0.05, pause: float = 0.0) -> Sound:
    """A buzz with the swell of syllables, and a pause behind it."""
    time = np.arange(2 * RATE) / RATE
    buzz = np.sin(2 * np.pi * 150 * time) + 0.5 * np.sin(2 * np.pi * 900 * time)
    samples = np.concatenate([amplitude * buzz * (1.2 + np.sin(2 * np.pi * 4 * time)), np.zeros(round(pause * RATE))])
    return Sound(samples.astype(np.float32), RATE)


def noise_level(before: Sound, after: Sound) -> float:
    return 10 * math.log10(float(np.mean((after.samples.astype(np.float64) - before.samples) ** 2)))


@settings(max_examples=25, deadline=None)
@given(st.floats(-5, 50), st.sampled_from(["white", "babble"]), st.integers(0, 2**62), st.sampled_from([0.0, 3.0]))
def test_the_ratio_is_reached(snr: float, kind: str, seed: int, pause: float) -> None:
    sound = talk(0.01, pause)
    noisy = PERTURBATIONS.build("noise", {"snr": snr, "kind": kind}).apply(sound, seed)
    assert (active_level(sound) or 0.0) - noise_level(sound, noisy) == pytest.approx(snr, abs=0.2)
    assert len(noisy.samples) == len(sound.samples) and noisy.rate == sound.rate


def test_the_same_seed_gives_the_same_noise_and_another_another() -> None:
    for kind in ("white", "babble"):
        noise = PERTURBATIONS.build("noise", {"kind": kind})
        assert np.array_equal(noise.apply(talk(), 7).samples, noise.apply(talk(), 7).samples)
        assert not np.array_equal(noise.apply(talk(), 7).samples, noise.apply(talk(), 8).samples)


@pytest.mark.parametrize("amplitude", [0.3, 1.0])
def test_nothing_clips_and_the_ratio_stays(amplitude: float) -> None:
    sound = talk(amplitude)
    noisy = PERTURBATIONS.build("noise", {"snr": 0.0}).apply(sound, 1).samples.astype(np.float64)
    assert np.abs(noisy).max() <= 1.0
    # The buzz has a fixed place in the mixture, found by projection; the rest is noise.
    gain = float(noisy @ sound.samples / (sound.samples.astype(np.float64) @ sound.samples))
    rest = noisy - gain * sound.samples
    speech = (active_level(sound) or 0.0) + 20 * math.log10(gain)
    assert gain < 1.0
    assert speech - 10 * math.log10(float(np.mean(rest**2))) == pytest.approx(0.0, abs=0.2)


def test_white_is_flat_and_babble_falls() -> None:
    tone = Sound(talk().samples[:16000].repeat(4), RATE)
    bands = {}
    for kind in ("white", "babble"):
        noisy = PERTURBATIONS.build("noise", {"kind": kind, "snr": 20.0}).apply(tone, 3)
        power = np.abs(np.fft.rfft(noisy.samples.astype(np.float64) - tone.samples)) ** 2
        frequency = np.fft.rfftfreq(len(tone.samples), 1 / RATE)
        bands[kind] = [power[(frequency >= low) & (frequency < 1.2 * low)].mean() for low in (200, 1000, 4000)]
    assert max(bands["white"]) / min(bands["white"]) < 1.5
    # Two octaves, from 1000 to 4000 Hz, are 18 dB.
    assert 10 * math.log10(bands["babble"][1] / bands["babble"][2]) == pytest.approx(18, abs=1.5)
    assert bands["babble"][0] > bands["babble"][1]


def test_babble_swells() -> None:
    silence_like = talk(0.001)
    noise = PERTURBATIONS.build("noise", {"kind": "babble", "snr": -10.0}).apply(silence_like, 5).samples
    frames = noise[: len(noise) // 1600 * 1600].reshape(-1, 1600)
    steady = PERTURBATIONS.build("noise", {"snr": -10.0}).apply(silence_like, 5).samples[: frames.size].reshape(-1, 1600)
    assert frames.std(axis=1).std() / frames.std() > 3 * steady.std(axis=1).std() / steady.std()


def test_silence_is_refused() -> None:
    for length in (0, 100):
        with pytest.raises(EngineError) as caught:
            PERTURBATIONS.build("noise").apply(Sound(np.zeros(length, dtype=np.float32), RATE), 1)
        assert caught.value.cause == "silent-audio"


@pytest.mark.parametrize("options", [{"snr": 99}, {"snr": -30}, {"kind": "pink"}, {"snr": math.nan}, {"volume": 3}])
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        PERTURBATIONS.build("noise", options)


def test_it_says_what_it_does() -> None:
    assert PERTURBATIONS.build("noise", {"snr": 10, "kind": "babble"}).describe() == "noise snr=10 kind=babble"
