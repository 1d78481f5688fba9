"""The noise under a voice: found where it is known, untouched by level, gaps and an offset; None where nothing sounds."""

from __future__ import annotations

import numpy as np
import pytest

from damaged_speech import gained, lowpassed, made_voice, noisy, voices
from turnwise.foundation.audio import Sound
from turnwise.quality.noise_floor import Noise, noise


def found(sound: Sound) -> Noise:
    measured = noise(sound)
    assert measured is not None
    return measured


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0])
def test_the_ratio_is_the_one_that_was_mixed(kind: str, snr: float) -> None:
    for name, voice in voices():
        assert found(noisy(voice, snr, kind)).ratio == pytest.approx(snr, abs=3.5), name


def test_noise_that_never_pauses_is_found_under_a_voice_that_never_pauses() -> None:
    """The pauses of the made voice are cut out, so that its quietest moments are between its syllables."""
    voice = made_voice()
    frames = voice.samples.reshape(-1, 320)
    busy = frames[(frames**2).mean(axis=1) > 1e-3 * (frames**2).mean(axis=1).max()]
    sound = Sound(np.ascontiguousarray(busy.ravel()), voice.rate)
    assert found(noisy(sound, 10.0)).ratio == pytest.approx(10.0, abs=3.0)


def test_more_noise_is_heard_as_more() -> None:
    for name, voice in voices():
        levels = [found(noisy(voice, snr)).heard for snr in (40, 30, 20, 10, 0)]
        assert levels == sorted(levels), name
        assert levels[-1] - levels[1] == pytest.approx(30.0, abs=6.0), name


def test_white_noise_is_heard_before_pink_of_the_same_power() -> None:
    for _, voice in voices():
        assert found(noisy(voice, 20, "white")).heard > found(noisy(voice, 20, "pink")).heard


@pytest.mark.parametrize("snr", [None, 30.0])
def test_an_emptied_band_is_no_quieter_room(snr: float | None) -> None:
    """A filter takes the noise above it away with the voice; what is left below it is as noisy as it was."""
    for name, voice in voices():
        sound = voice if snr is None else noisy(voice, snr, "pink")
        assert found(lowpassed(sound, 2500)).heard == pytest.approx(found(sound).heard, abs=8.0), name


def test_nothing_is_found_below_what_is_heard_beside_a_voice() -> None:
    assert found(made_voice()).heard >= -56.0
    assert found(lowpassed(made_voice(), 1000)).heard >= -56.0


def test_neither_level_nor_an_offset_nor_another_rate_counts() -> None:
    sound = noisy(made_voice(), 20)
    plain = found(sound)
    assert found(gained(sound, -30)).heard == pytest.approx(plain.heard, abs=0.01)
    shifted = Sound((sound.samples + 0.2).astype(np.float32), sound.rate)
    assert found(shifted).heard == pytest.approx(plain.heard, abs=0.5)


def test_what_is_digitally_silent_is_not_taken_for_a_quiet_room() -> None:
    """Pauses of zeros, as editors leave them, in a noisy recording."""
    sound = noisy(made_voice(), 15)
    gone = sound.samples.copy()
    gone[20000:40000] = 0.0
    assert found(Sound(gone, sound.rate)).ratio == pytest.approx(found(sound).ratio, abs=2.0)


def test_silence_has_no_noise_and_a_moment_has_some() -> None:
    assert noise(Sound(np.zeros(8000, np.float32), 16000)) is None
    short = made_voice().samples[4000:4200]
    assert noise(Sound(short, 16000)) is not None
