"""Voice prints: pitch against known pitch, distances as distances, and what has no print."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.signal import lfilter

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError
from turnwise.foundation.resampling import resample
from turnwise.quality import voice_print as prints
from turnwise.quality.voice_print import VoicePrint, distance, likeness, merged, pitch_track, voice_print, voice_space

pytest.importorskip("kaldi_native_fbank")
MALE = (500.0, 1500.0, 2500.0)  # Hz, resonances of a neutral vowel in a tract of 17 cm


def vowel(pitch: float, seed: int, stretch: float = 1.0, seconds: float = 2.0) -> Sound:
    """A buzz through three resonances that wander as they do in speech; `stretch` is that of a shorter or longer tract."""
    random = np.random.default_rng(seed)
    count = int(seconds * 16000)
    buzz = np.diff(np.floor(np.cumsum(np.full(count, pitch)) / 16000), prepend=0.0) + 1e-4 * random.standard_normal(count)
    out = np.empty(count)
    for start in range(0, count, 3200):
        piece = buzz[start : start + 3200]
        for hertz in MALE:
            centre = hertz * stretch * random.uniform(0.85, 1.15)
            radius = np.exp(-np.pi * 80 / 16000)
            piece = lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * centre / 16000), radius**2], piece)
        out[start : start + 3200] = piece
    return Sound((0.3 * out / np.abs(out).max()).astype(np.float32), 16000)


@pytest.mark.parametrize("pitch", [80.0, 100.0, 126.5, 193.0, 250.0, 330.0])
def test_the_pitch_of_a_buzz_is_found_within_one_percent(pitch: float) -> None:
    assert voice_print(vowel(pitch, 1)).pitch == pytest.approx(pitch, rel=0.01)


@pytest.mark.parametrize("pitch", [90.0, 200.0])
def test_pitch_survives_noise_of_20_db(pitch: float) -> None:
    clean = vowel(pitch, 2)
    size = np.sqrt(np.mean(clean.samples**2)) / 10
    noisy = clean.samples + size * np.random.default_rng(3).standard_normal(len(clean.samples))
    assert voice_print(Sound(noisy.astype(np.float32), 16000)).pitch == pytest.approx(pitch, rel=0.02)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(4).standard_normal(16000).astype(np.float32) * 0.1
    assert (pitch_track(noise) > 0).mean() < 0.05
    assert not pitch_track(np.zeros(16000, np.float32)).any()
    assert len(pitch_track(np.zeros(100, np.float32))) == 0


def test_a_print_is_at_no_distance_from_itself_and_distance_is_symmetric() -> None:
    one, other = voice_print(vowel(100, 1)), voice_print(vowel(190, 2, 1.15))
    assert distance(one, one) == 0
    assert distance(one, other) == distance(other, one) > 0
    assert likeness(distance(one, one)) == 100


def test_other_words_in_one_voice_are_nearer_than_another_voice() -> None:
    low = [voice_print(vowel(105, seed)) for seed in range(4)]
    high = [voice_print(vowel(200, seed, 1.18)) for seed in range(10, 14)]
    within = [distance(a, b) for group in (low, high) for i, a in enumerate(group) for b in group[:i]]
    between = [distance(a, b) for a in low for b in high]
    assert max(within) < min(between)


def test_level_and_rate_do_not_make_another_voice() -> None:
    sound = vowel(120, 5)
    base = voice_print(sound)
    softer = voice_print(Sound(sound.samples / np.float32(8), 16000))
    assert distance(base, softer) < 0.05
    assert distance(base, voice_print(resample(sound, 44100))) < 0.2


def test_pitch_alone_matters_and_a_missing_pitch_does_not_count() -> None:
    base = voice_print(vowel(100, 6))
    higher = VoicePrint(base.cepstra, 200.0, base.seconds)
    unknown = VoicePrint(base.cepstra, None, base.seconds)
    assert likeness(distance(base, higher)) < 5
    assert distance(base, unknown) == 0


def test_likeness_falls_from_100_by_distance_and_is_50_in_the_middle() -> None:
    values = [likeness(d) for d in np.linspace(0, 20, 101)]
    assert values[0] == 100 and values == sorted(values, reverse=True) and values[-1] < 1
    assert likeness(voice_space().middle) == pytest.approx(50)


def test_merging_weighs_by_seconds_and_keeps_a_single_print() -> None:
    one, other = VoicePrint((1.0,) * 12, 100.0, 1.0), VoicePrint((4.0,) * 12, 200.0, 3.0)
    assert merged([one]) == VoicePrint((1.0,) * 12, pytest.approx(100.0), 1.0)
    both = merged([one, other])
    assert both.cepstra == pytest.approx((3.25,) * 12) and both.seconds == 4.0
    assert both.pitch == pytest.approx(100 * 2**0.75)
    assert merged([one, VoicePrint((1.0,) * 12, None, 1.0)]).pitch == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(0), "too short: 0.00 s"),
        (np.ones(500) * 0.1, "too short: 0.03 s"),
        (np.zeros(16000), "silent"),
        (np.full(16000, 0.0004), "silent"),
        (np.concatenate((vowel(100, 1, seconds=0.2).samples, np.zeros(100))), "too little speech: 0.1"),
    ],
)
def test_what_has_no_print_says_why(samples: np.ndarray, said: str) -> None:
    made = voice_print(Sound(samples.astype(np.float32), 16000))
    assert made.withheld.startswith(said) and not made.cepstra
    with pytest.raises(ValueError, match="withheld"):
        distance(made, voice_print(vowel(100, 1)))


def test_broken_samples_are_an_error() -> None:
    with pytest.raises(EngineError, match="not finite"):
        voice_print(Sound(np.full(16000, np.nan, np.float32), 16000))


def test_the_space_is_a_whitening_and_the_print_survives_storage() -> None:
    whitening = np.array(voice_space().whitening)
    assert whitening.shape == (13, 13) and np.linalg.matrix_rank(whitening) == 13
    assert len(voice_space().voices) >= 50 and voice_space().slope > 0
    made = voice_print(vowel(100, 7))
    assert msgspec.json.decode(msgspec.json.encode(made), type=VoicePrint) == made


def test_identity_covers_code_data_and_package() -> None:
    assert set(prints.identity()) == {"kaldi-native-fbank", "soxr", "voice print", "voice space", "code"}
