"""The published placeholder: its stated values, librosa's own functions, and why it is no listener."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from damaged_speech import lost, lowpassed, made_voice
from turnwise.foundation.audio import Sound
from turnwise.listening.listener import LISTENERS
from turnwise.listening.listeners import published_heuristic as heuristic
from turnwise.listening.ratings import Ratings

RATE = 16000
TIME = np.arange(RATE) / RATE


def rate(samples: np.ndarray) -> Ratings:
    sound = Sound(samples.astype(np.float32), RATE)
    (ratings,) = LISTENERS.build("published_heuristic").open().rate_many([sound])
    return ratings  # type: ignore[no-any-return]


@pytest.mark.parametrize(("amplitude", "loud"), [(0.005, 1), (0.02, 2), (0.05, 3), (0.2, 4), (0.5, 5)])
def test_loudness_of_a_sine(amplitude: float, loud: float) -> None:
    wave = amplitude * np.sin(2 * np.pi * 440 * TIME)
    assert heuristic.loudness_score(wave) == loud
    assert rate(wave).loud == loud


def test_the_level_of_one_of_them_is_as_stated() -> None:
    wave = 0.02 * np.sin(2 * np.pi * 440 * TIME)
    assert 20 * np.log10(np.sqrt(np.mean(wave**2))) == pytest.approx(-36.99, abs=0.005)


def test_above_minus_3_db_it_falls_again() -> None:
    assert heuristic.loudness_score(np.ones(RATE)) == pytest.approx(5 - 0.5 * 3)
    assert heuristic.loudness_score(10.0 * np.ones(RATE)) == 1.0


@pytest.mark.parametrize(("scores", "mos"), [((4, 3, 5, 2), 3.8), ((1, 5, 5, 3), 3.6)])
def test_the_weights(scores: tuple[float, float, float, float], mos: float) -> None:
    assert heuristic.overall_score(*scores) == mos


def test_white_noise_has_the_best_coloration() -> None:
    """The reason why nothing uses it."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    assert heuristic.flatness(noise) == pytest.approx(0.56, abs=0.01)
    assert rate(noise).col == 5.0


def test_noise_in_steps() -> None:
    loud, draw = 0.5 * np.sin(2 * np.pi * 440 * TIME), np.random.default_rng(0).standard_normal(RATE)
    for decibels, score in ((8, 1), (12, 2), (17, 3), (25, 4), (35, 5)):
        soft = draw * np.sqrt(np.mean(loud**2) / 10 ** (decibels / 10))
        assert heuristic.noise_score(np.concatenate((loud, soft)), RATE) == score


def test_jumps_in_steps() -> None:
    """A tone that is switched on once is no discontinuity; one switched over and over is."""
    steady = np.sin(2 * np.pi * 440 * np.arange(10 * RATE) / RATE)
    once = steady * (np.arange(10 * RATE) > 5 * RATE)
    often = steady * (np.arange(10 * RATE) // 2048 % 2)
    assert heuristic.discontinuity_score(once) >= 4
    assert heuristic.discontinuity_score(often) == 1


def test_flatness_harmonics_and_levels_are_those_of_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    samples = made_voice(2.0).samples.astype(np.float64) + 0.003 * np.random.default_rng(1).standard_normal(2 * RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of librosa's own dependencies
        assert heuristic.flatness(samples) == pytest.approx(float(librosa.feature.spectral_flatness(y=samples).mean()), rel=1e-6)
        harmonic = librosa.effects.harmonic(samples)
        share = float((harmonic**2).sum() / (samples**2).sum())
        assert heuristic.harmonic_share(samples) == pytest.approx(share, rel=1e-6)


def test_what_cannot_be_rated_is_missing_with_its_reason() -> None:
    silent = rate(np.zeros(RATE))
    assert set(silent.missing.values()) == {"silent: every sample is zero"}
    short = rate(0.1 * np.sin(2 * np.pi * 440 * TIME[:300]))
    assert all(reason.startswith("too short") for reason in short.missing.values())
    steady = rate(0.1 * np.sin(2 * np.pi * 440 * TIME))
    assert (steady.noi, steady.mos) == (None, None)
    assert set(steady.missing) == {"noi", "mos"}
    assert steady.loud == 3.0


def test_its_card_says_what_it_is_not() -> None:
    card = LISTENERS.card("published_heuristic")
    assert "must never be called MOS" in card.text
    assert "white noise gets the best coloration there is (5)" in card.text
    assert rate(made_voice().samples).sources["mos"] == "the published placeholder, no rating"


def test_it_hardly_sees_what_a_listener_sees() -> None:
    voice = made_voice()
    clean = rate(voice.samples)
    assert rate(lowpassed(voice, 2000).samples).col == pytest.approx(clean.col, abs=0.5)
    assert rate(lost(voice, 0.2).samples).dis == pytest.approx(clean.dis, abs=1.0)
