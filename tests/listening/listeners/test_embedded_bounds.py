"""What the default listener must do with any sound: stay on the scale or say why not, and not care for what does not sound.

The bounds are those that docs/listening.md states.
"""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from damaged_speech import gained, lost, made_voice, noisy, voices
from turnwise.foundation.audio import Sound
from turnwise.foundation.resampling import resample
from turnwise.listening.listener import LISTENERS, Listening
from turnwise.listening.listeners.embedded import without_silent_ends
from turnwise.listening.ratings import ASPECTS, DIMENSIONS, Dimension, Ratings

pytest.importorskip("onnxruntime")
pytest.importorskip("speechmos")

# The made voice is there for machines without any other; to PLCMOS it is half broken, so `dis` and `mos` of it say little.
REAL = [(name, sound) for name, sound in voices() if name != "made"]
VOICES = [sound for _, sound in REAL] or [made_voice()]
NAMES = [name for name, _ in REAL] or ["made"]
RATE = 16000


@pytest.fixture(scope="module")
def opened() -> Listening:
    return LISTENERS.build("embedded").open()  # type: ignore[no-any-return]


def rate(opened: Listening, sound: Sound) -> Ratings:
    (ratings,) = opened.rate_many([sound])
    return ratings


KNOWN: dict[int, dict[Dimension, float]] = {}  # of the voices, which most tests compare with


def values(opened: Listening, sound: Sound) -> dict[Dimension, float]:
    if id(sound) in KNOWN:
        return KNOWN[id(sound)]
    ratings = rate(opened, sound)
    assert ratings.whole, ratings.missing
    found = {name: value for name in DIMENSIONS if (value := ratings.value(name)) is not None}
    if any(sound is voice for voice in VOICES):
        KNOWN[id(sound)] = found
    return found


def changes(opened: Listening, before: Sound, after: Sound) -> dict[Dimension, float]:
    first, second = values(opened, before), values(opened, after)
    return {name: second[name] - first[name] for name in DIMENSIONS}


def made(samples: NDArray[np.float64], rate: int = RATE) -> Sound:
    return Sound(samples.astype(np.float32), rate)


def beside(sound: Sound, before: float, after: float) -> Sound:
    """Digital silence of so many seconds on both sides."""
    return Sound(np.pad(sound.samples, (int(before * sound.rate), int(after * sound.rate))), sound.rate)


# ---------------------------------------------------------------- any sound


@st.composite
def sounds(draw: st.DrawFn) -> Sound:
    """Noise, tones, steps, gaps and clicks in any mixture, level, length and rate; now and then samples that are no numbers."""
    rate = draw(st.sampled_from([4000, 8000, 12345, 16000, 44100]))
    length = int(rate * draw(st.floats(0.0, 2.0)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = np.arange(length) / rate
    samples = np.zeros(length)
    for part in draw(st.lists(st.sampled_from(["noise", "tone", "step", "clicks", "gaps", "square"]), max_size=4)):
        if part == "noise":
            samples += generator.standard_normal(length)
        elif part == "tone":
            samples += np.sin(2 * np.pi * generator.uniform(20, rate / 2) * time)
        elif part == "step":
            samples += time > generator.uniform(0, 2)
        elif part == "clicks":
            samples[:: max(1, rate // 7)] += 5.0
        elif part == "gaps":
            samples[(time * 9 % 1) < 0.4] = 0.0
        else:
            samples += np.sign(np.sin(2 * np.pi * 150 * time))
    samples = samples * 10 ** draw(st.floats(-6, 3)) + draw(st.sampled_from([0.0, 0.0, 0.5]))
    if length and draw(st.integers(0, 9)) == 0:
        samples[length // 2] = draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    return made(samples, rate)


@settings(max_examples=40, deadline=None)
@given(sound=sounds())
def test_every_rating_is_on_the_scale_or_has_a_reason(opened: Listening, sound: Sound) -> None:
    with np.errstate(over="ignore"):  # samples of a thousand times full scale, squared in 32 bits by the packages below
        ratings = rate(opened, sound)
    for name in DIMENSIONS:
        value = ratings.value(name)
        if value is None:
            assert ratings.missing[name]
        else:
            assert math.isfinite(value) and 1 <= value <= 5
            assert ratings.sources[name] and name not in ratings.missing


def test_the_same_twice_and_in_any_company(opened: Listening) -> None:
    both = [VOICES[0], made_voice(), VOICES[0]]
    first, other, again = opened.rate_many(both)
    assert first == again == rate(opened, VOICES[0]) and other != first


# ---------------------------------------------------------------- what does not sound


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
@pytest.mark.parametrize(("before", "after"), [(0.3, 0.0), (0.0, 2.0), (20.0, 20.0)])
def test_silence_before_and_after_does_not_count(opened: Listening, voice: Sound, before: float, after: float) -> None:
    found = changes(opened, voice, beside(voice, before, after))
    assert all(abs(found[name]) < 0.05 for name in ASPECTS), found
    assert abs(found["mos"]) < 0.2


def test_silent_ends_are_cut_to_a_second_and_nothing_else_is() -> None:
    voice = made_voice()
    long = beside(voice, 3.0, 4.5)
    cut = without_silent_ends(long)
    sounding = np.flatnonzero(np.abs(voice.samples) > 2.0**-15)
    assert len(cut.samples) == sounding[-1] - sounding[0] + 1 + 2 * voice.rate
    assert np.array_equal(np.trim_zeros(cut.samples), np.trim_zeros(voice.samples))
    assert without_silent_ends(voice) is voice
    assert without_silent_ends(noisy(long, 30)).seconds == long.seconds


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
def test_upside_down_is_the_same(opened: Listening, voice: Sound) -> None:
    found = changes(opened, voice, Sound(-voice.samples, voice.rate))
    assert all(abs(change) < 0.02 for change in found.values()), found


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
@pytest.mark.parametrize("offset", [0.1, -0.3])
def test_an_offset_moves_nothing_by_a_fifth_and_is_told(opened: Listening, voice: Sound, offset: float) -> None:
    shifted = Sound(voice.samples + np.float32(offset), voice.rate)
    found = changes(opened, voice, shifted)
    assert all(abs(change) < 0.2 for change in found.values()), found
    (told,) = [note for note in rate(opened, shifted).notes if note.startswith("DC offset: ")]
    assert float(told.split()[2]) == pytest.approx(offset, abs=0.01)


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
@pytest.mark.parametrize("copy", [24000, 48000])
def test_a_copy_at_a_higher_rate_is_rated_the_same(opened: Listening, voice: Sound, copy: int) -> None:
    found = changes(opened, voice, resample(voice, copy))
    assert all(abs(change) < 0.1 for change in found.values()), found


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
def test_eight_thousand_samples_a_second_cost_coloration(opened: Listening, voice: Sound) -> None:
    found = changes(opened, voice, resample(voice, 8000))
    assert found["col"] < -1.0 and found["mos"] < -0.5
    assert all(abs(found[name]) < 0.2 for name in ("noi", "dis", "loud")), found


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
@pytest.mark.parametrize("decibels", [-18.0, 9.0])
def test_a_gain_is_loudness_alone(opened: Listening, voice: Sound, decibels: float) -> None:
    found = changes(opened, voice, gained(voice, decibels))
    assert all(abs(found[name]) < 0.05 for name in ("noi", "col", "dis")), found
    assert found["loud"] < -0.2 and found["mos"] < 0.02


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
def test_said_twice_is_rated_as_once(opened: Listening, voice: Sound) -> None:
    for sound in (voice, noisy(voice, 20), lost(voice, 0.15)):
        found = changes(opened, sound, Sound(np.concatenate((sound.samples, sound.samples)), sound.rate))
        assert all(abs(change) < 0.3 for change in found.values()), found


# ---------------------------------------------------------------- what is no speech

TIME = np.arange(4 * RATE) / RATE
HISS = np.random.default_rng(0).standard_normal(len(TIME))


def coloured(power: float) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(HISS)
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (power / 2)
    noise = np.fft.irfft(spectrum, len(HISS))
    return 0.1 * noise / noise.std()


def dialled() -> NDArray[np.float64]:
    keys = np.sin(2 * np.pi * 770 * TIME) + np.sin(2 * np.pi * 1336 * TIME)
    return 0.2 * keys * ((TIME * 5 % 1) < 0.5)


def melody() -> NDArray[np.float64]:
    notes = np.repeat([262, 294, 330, 349, 392, 440, 494, 523], len(TIME) // 8)  # Hz
    fading = np.tile(np.exp(-np.arange(len(TIME) // 8) / 4000), 8)
    wave = sum(np.sin(number * 2 * np.pi * np.cumsum(notes) / RATE) / number for number in range(1, 6))
    return 0.2 * wave * fading


NO_SPEECH = {
    "white noise": 0.05 * HISS,
    "pink noise": coloured(1.0),
    "brown noise": coloured(2.0),
    "noise that comes and goes": 0.1 * HISS * ((TIME * 4 % 1) < 0.5),
    "a tone": 0.3 * np.sin(2 * np.pi * 440 * TIME),
    "a chord": 0.1 * sum(np.sin(2 * np.pi * hertz * TIME) for hertz in (262, 330, 392, 523)),
    "a melody": melody(),
    "a dialled number": dialled(),
    "clicks": np.where(np.arange(len(TIME)) % 4000 == 0, 0.9, 0.0),
    "one click": np.where(np.arange(len(TIME)) == 30000, 0.9, 0.0),
    "a square wave": 0.3 * np.sign(np.sin(2 * np.pi * 200 * TIME)),
    "a sweep": 0.3 * np.sin(2 * np.pi * (100 * TIME + 900 * TIME**2)),
    "hum": 0.3 * np.sin(2 * np.pi * 50 * TIME) + 0.1 * np.sin(2 * np.pi * 150 * TIME),
    "a switch": np.where(TIME > 2, 0.5, 0.0),
}


@pytest.mark.parametrize("name", NO_SPEECH)
def test_what_is_no_speech_is_poor(opened: Listening, name: str) -> None:
    """It may be free of one fault, but not good: below "poor" overall, and with one aspect at least below "fair"."""
    found = values(opened, made(np.asarray(NO_SPEECH[name])))
    assert found["mos"] < 1.7, found
    assert min(found[aspect] for aspect in ASPECTS) < 3.2, found


@pytest.mark.parametrize("name", ["white noise", "pink noise", "brown noise", "noise that comes and goes"])
def test_noise_alone_is_noise(opened: Listening, name: str) -> None:
    assert values(opened, made(np.asarray(NO_SPEECH[name])))["noi"] < 2.0


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
def test_a_syllable_is_not_praised(opened: Listening, voice: Sound) -> None:
    start = voice.rate
    third = rate(opened, Sound(voice.samples[start : start + round(0.31 * voice.rate)], voice.rate))
    assert set(third.missing) == {"mos", "loud"}
    half = rate(opened, Sound(voice.samples[start : start + round(0.5 * voice.rate)], voice.rate))
    assert half.mos is not None and half.mos < values(opened, voice)["mos"]
    assert any(note.startswith("short: 0.50 s") for note in half.notes)


def test_ten_seconds_take_well_under_a_second(opened: Listening) -> None:
    """On one core, of processor time, so that a busy machine does not count; measured: 0.25 s."""
    sound = Sound(np.resize(VOICES[-1].samples, 10 * VOICES[-1].rate), VOICES[-1].rate)
    rate(opened, sound)
    before = time.process_time()
    rate(opened, sound)
    assert time.process_time() - before < 0.9
