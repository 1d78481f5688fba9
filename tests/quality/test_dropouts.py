"""Gaps and repetitions: as many as were made, none in speech that has none, the same at any rate."""

from __future__ import annotations

import numpy as np
import pytest

from damaged_speech import SPEECH, TEXT, gained, lost, made_voice, noisy, repeated, voices
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import MissingDependency
from turnwise.foundation.resampling import resample
from turnwise.quality.dropouts import Dropouts, dropouts
from turnwise.speech.engine import SYNTHESIZERS


def cut(sound: Sound, starts: list[float], length: float) -> Sound:
    samples = sound.samples.copy()
    for start in starts:
        samples[int(start * sound.rate) : int((start + length) * sound.rate)] = 0.0
    return Sound(samples, sound.rate)


# In the middle of voiced syllables of the made voice: they begin every 0.26 s and last 0.24.
MIDDLES = [0.10, 0.62, 1.14, 2.18]


def test_each_gap_counts_once_and_for_its_length() -> None:
    found = dropouts(cut(made_voice(), MIDDLES, 0.04))
    assert found.gaps == 4
    speech = 6.0 * 6 / 7 * 0.24 / 0.26
    # Two of the eight edges fall where the wave is near zero: their gaps count in part.
    assert 0.7 * 0.16 / speech < found.lost < 1.05 * 0.16 / speech
    assert found.repeated < 0.01


def test_speech_without_gaps_has_none() -> None:
    for name, voice in voices():
        assert dropouts(voice).gaps == 0, name
        assert dropouts(voice).lost == pytest.approx(0.0, abs=0.002), name


@pytest.mark.skipif(not SPEECH.is_dir(), reason="no shared recordings here")
def test_no_recording_has_any() -> None:
    for path in sorted(SPEECH.iterdir()):
        found = dropouts(read_sound(path))
        assert (found.gaps, found.repeated) == (0, 0.0), path.name


def test_more_packets_lost_are_more() -> None:
    for name, voice in voices():
        silent = [dropouts(lost(voice, share)).lost for share in (0.0, 0.05, 0.1, 0.2, 0.3)]
        assert silent == sorted(silent), name
        assert silent[-1] > 0.08, name
        again = [dropouts(repeated(voice, share)).repeated for share in (0.0, 0.05, 0.1, 0.2, 0.3)]
        assert again == sorted(again), name
        assert again[-1] > 0.08, name


def test_a_packet_heard_twice_is_found_at_half_its_volume() -> None:
    sound = made_voice()
    samples = sound.samples.copy()
    frame = 320
    samples[5 * frame : 6 * frame] = 0.5 * samples[4 * frame : 5 * frame]
    found = dropouts(Sound(samples, sound.rate))
    before = dropouts(sound)
    assert found.repeated - before.repeated == pytest.approx(0.02 / 4.8, abs=0.004)
    assert found.gaps == 0


def test_gaps_in_a_noisy_room_are_found() -> None:
    gone = cut(made_voice(), MIDDLES, 0.06)
    noise = noisy(made_voice(), 25).samples - made_voice().samples
    found = dropouts(Sound(gone.samples + noise, gone.rate))
    assert found.gaps >= 3
    assert dropouts(noisy(made_voice(), 25)).gaps == 0


def test_level_and_rate_change_little() -> None:
    gone = cut(made_voice(), MIDDLES, 0.04)
    plain = dropouts(gone)
    softer = dropouts(gained(gone, -30))
    assert (softer.gaps, softer.repeated) == (plain.gaps, plain.repeated)
    assert softer.lost == pytest.approx(plain.lost, rel=1e-6)
    for rate in (22050, 48000):
        other = dropouts(resample(gone, rate))
        assert other.gaps in (3, 4), rate
        assert other.lost == pytest.approx(plain.lost, rel=0.1), rate
    # In a band of 4 kHz edges are less sharp, be they cut before or after.
    assert 0.6 * plain.lost < dropouts(resample(gone, 8000)).lost < plain.lost
    assert 0.6 * plain.lost < dropouts(cut(resample(made_voice(), 8000), MIDDLES, 0.04)).lost < plain.lost


def test_a_sound_that_closes_softly_is_no_gap() -> None:
    """The same gaps with edges of 4 ms that are faded: as sudden in level, but no wave is broken off."""
    sound = made_voice()
    hard = cut(sound, MIDDLES, 0.04)
    fade = np.sin(np.linspace(0, np.pi / 2, round(0.004 * sound.rate))) ** 2
    samples = sound.samples.copy()
    for start in MIDDLES:
        first, last = int(start * sound.rate), int((start + 0.04) * sound.rate)
        samples[first:last] = 0.0
        samples[first - len(fade) : first] *= fade[::-1].astype(np.float32)
        samples[last : last + len(fade)] *= fade.astype(np.float32)
    assert dropouts(hard).gaps == 4
    assert dropouts(Sound(samples, sound.rate)).gaps == 0
    assert dropouts(Sound(samples, sound.rate)).lost < 0.1 * dropouts(hard).lost


def test_the_closures_of_a_formant_synthesizer_are_hardly_ever_gaps() -> None:
    gaps = 0
    for voice in ("f2", "klatt2", "klatt5"):
        try:
            speaking = SYNTHESIZERS.build("espeak", {"voice": f"en-us+{voice}"}).open()
        except MissingDependency:
            pytest.skip("no eSpeak NG here")
        spoken = speaking.speak(TEXT, seed=1)
        speaking.close()
        found = dropouts(spoken)
        gaps += found.gaps
        assert dropouts(lost(spoken, 0.2)).lost > 1.5 * found.lost, voice
    assert gaps <= 2  # in 19 s, where the spectra on both sides alone would find seven


def test_a_pause_is_no_gap() -> None:
    """What stays away for longer than 0.4 s, and the silence at the end, are not counted."""
    assert dropouts(cut(made_voice(), [2.12], 0.6)).gaps == 0
    assert dropouts(cut(made_voice(), [5.3], 0.7)).gaps == 0


@pytest.mark.parametrize("length", [0, 1, 50, 700])
def test_next_to_nothing_has_no_gaps(length: int) -> None:
    assert dropouts(Sound(np.zeros(length, np.float32), 16000)) == Dropouts(0.0, 0.0, 0)
    assert dropouts(Sound(made_voice().samples[2000 : 2000 + length], 16000)).gaps == 0
