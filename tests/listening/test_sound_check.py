"""Every odd sound: what is said of it, and that nothing but a finite number ever comes out as a rating."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from damaged_speech import gained, made_voice
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.listening.recording import one_channel
from turnwise.listening.sound_check import objection, rated, read, remarks, unrated

VOICE = made_voice()


def sound(samples: np.ndarray, rate: int = 16000) -> Sound:
    return Sound(np.ascontiguousarray(samples, dtype=np.float32), rate)


def with_one(value: float) -> Sound:
    samples = VOICE.samples.copy()
    samples[100] = value
    return Sound(samples, VOICE.rate)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (with_one(float("nan")), "broken: 1 of 96000 samples are not finite numbers"),
        (with_one(float("-inf")), "broken: 1 of 96000 samples are not finite numbers"),
        (with_one(1e30), "absurd samples: the largest is 1e+30 times full scale"),
        (with_one(-1001.0), "absurd samples: the largest is 1e+03 times full scale"),
        (sound(np.full(16000, 3e38)), "absurd samples: the largest is 3e+38 times full scale"),
        (sound(np.zeros(16000)), "silent: every sample is zero"),
        (gained(VOICE, -80), "silent: the peak is"),
        (sound(np.full(16000, -0.25)), "silent: nothing but a DC offset of -0.2500 of full scale"),
        (sound(np.zeros(0)), "too short: 0.00 s of sound"),
        (sound(VOICE.samples[:3200]), "too short: 0.20 s of sound, at least 0.3 s are needed"),
        (Sound(VOICE.samples, 100), "wrong rate: 100 samples per second, speech has 4000 to 192000"),
        (Sound(VOICE.samples, 400000), "wrong rate: 400000 samples per second"),
    ],
)
def test_what_cannot_be_rated_is_told(given: Sound, said: str) -> None:
    assert objection(given).startswith(said)


def test_a_sound_as_it_should_be_is_passed_over_in_silence() -> None:
    assert objection(VOICE) == ""
    assert remarks(VOICE) == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (sound(np.clip(5 * VOICE.samples, -1, 1)), "clipped: "),
        (sound(8 * VOICE.samples), "beyond full scale: "),
        (with_one(999.0), "beyond full scale: 1 sample, the largest 999"),
        (sound(VOICE.samples + 0.05), "DC offset: +0.0500 of full scale"),
        (sound(VOICE.samples[:12000]), "short: 0.75 s, ratings of less than 1 s vary much"),
        (Sound(VOICE.samples, 12345), "unusual rate: 12345 samples per second"),
    ],
)
def test_what_is_odd_is_told(given: Sound, said: str) -> None:
    assert objection(given) == ""
    assert [note for note in remarks(given) if note.startswith(said)], remarks(given)


def test_ratings_that_are_not_there_have_their_reason() -> None:
    ratings = unrated("silent: every sample is zero")
    assert not ratings.whole
    assert set(ratings.missing.values()) == {"silent: every sample is zero"}
    assert [ratings.value(name) for name in ("mos", "noi", "col", "dis", "loud")] == [None] * 5
    some = rated({"noi": 2.0}, {"noi": "a rule"}, dict.fromkeys(("mos", "col", "dis", "loud"), "why"), ("note",))
    assert (some.noi, some.col, some.sources, some.notes) == (2.0, None, {"noi": "a rule"}, ("note",))


# ---------------------------------------------------------------- channels


def stereo(*channels: np.ndarray) -> np.ndarray:
    return np.stack(channels, axis=1).astype(np.float32)


LEFT, RIGHT = VOICE.samples, np.roll(VOICE.samples, 4000)


def test_two_channels_become_their_mean() -> None:
    made = one_channel(stereo(LEFT, RIGHT), 16000)
    assert made.notes == ("mean of 2 channels",)
    assert made.channels == 2
    assert np.allclose(made.sound.samples, (LEFT + RIGHT) / 2)


def test_the_channel_asked_for_is_the_one_heard() -> None:
    made = one_channel(stereo(LEFT, RIGHT), 16000, channel=2)
    assert made.notes == ("channel 2 of 2",)
    assert np.array_equal(made.sound.samples, RIGHT)


def test_a_silent_channel_does_not_halve_the_other() -> None:
    made = one_channel(stereo(np.zeros(len(LEFT)), LEFT), 16000)
    assert made.notes == ("channel 2 of 2, the others are silent",)
    assert np.array_equal(made.sound.samples, LEFT)


def test_channels_that_are_the_same_are_one() -> None:
    made = one_channel(stereo(LEFT, LEFT), 16000)
    assert made.notes == ("channel 1 of 2, which are all the same",)
    assert np.array_equal(made.sound.samples, LEFT)


def test_channels_that_cancel_out_are_not_mixed() -> None:
    made = one_channel(stereo(LEFT, -0.9 * LEFT), 16000)
    assert made.notes == ("channel 1 of 2, the strongest: the channels cancel each other out",)
    assert np.array_equal(made.sound.samples, LEFT)


def test_silent_channels_are_left_out_of_the_mean() -> None:
    made = one_channel(stereo(LEFT, np.zeros(len(LEFT)), RIGHT), 16000)
    assert made.notes == ("mean of 2 channels, 1 are silent",)
    assert np.allclose(made.sound.samples, (LEFT + RIGHT) / 2)


def test_all_silent_is_still_a_sound() -> None:
    made = one_channel(stereo(np.zeros(8000), 1e-5 * np.ones(8000)), 16000)
    assert objection(made.sound).startswith("silent")


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="there are 2 channels, expected channel 1 to 2, got 3"):
        one_channel(stereo(LEFT, RIGHT), 16000, channel=3)


def test_files_are_read_with_their_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.wav", stereo(LEFT, RIGHT), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", LEFT, 16000, subtype="FLOAT")
    assert read(tmp_path / "two.wav").notes == ("mean of 2 channels",)
    second = read(tmp_path / "two.wav", channel=2)
    assert (second.channels, second.notes) == (2, ("channel 2 of 2",))
    assert np.array_equal(second.sound.samples, RIGHT)
    one = read(tmp_path / "one.wav", channel=1)
    assert (one.channels, one.notes, one.sound.rate) == (1, (), 16000)
    with pytest.raises(InputError, match=r"one\.wav: there is 1 channel, expected channel 1, got 2"):
        read(tmp_path / "one.wav", channel=2)
    with pytest.raises(InputError, match=r"two\.wav: there are 2 channels, expected channel 1 to 2, got 3"):
        read(tmp_path / "two.wav", channel=3)


def test_a_file_with_broken_samples_is_refused_by_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "broken.wav", with_one(float("nan")).samples, 16000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"broken\.wav holds samples that are not finite numbers"):
        read(tmp_path / "broken.wav")


def test_a_container_has_channels_too(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "two.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(stereo(LEFT, RIGHT).T), format="fltp", layout="stereo")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    made = read(path)
    assert (made.channels, made.notes) == (2, ("mean of 2 channels",))
    assert read(path, channel=1).notes == ("channel 1 of 2",)


def test_a_file_of_absurd_samples_is_unreadable(tmp_path: Path) -> None:
    """One sample among many: a mean over it, and any number made of it, would be of that sample alone."""
    for value, said in ((1e30, "1e+30"), (-2000.0, "2e+03")):
        soundfile.write(tmp_path / "a.wav", with_one(value).samples, 16000, subtype="FLOAT")
        with pytest.raises(InputError, match=rf"holds absurd samples: the largest is {re.escape(said)} times full scale"):
            read(tmp_path / "a.wav")
    soundfile.write(tmp_path / "a.wav", with_one(1000.0).samples, 16000, subtype="FLOAT")
    assert len(read(tmp_path / "a.wav").sound.samples) == 96000


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_that_was_cut_off_says_so(tmp_path: Path, subtype: str) -> None:
    """The decoder takes what is there; that the stream ends without its end is in the last page alone."""
    soundfile.write(tmp_path / "whole.ogg", VOICE.samples, 16000, format="OGG", subtype=subtype)
    assert read(tmp_path / "whole.ogg").notes == ()
    everything = (tmp_path / "whole.ogg").read_bytes()
    for size in (len(everything) // 2, 9 * len(everything) // 10, len(everything) - 1):
        (tmp_path / "cut.ogg").write_bytes(everything[:size])
        assert read(tmp_path / "cut.ogg").notes == ("cut off: the Ogg stream has no end, so what came after is missing",)


def test_a_broken_mp3_is_not_said_to_be_absent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.mp3", VOICE.samples, 16000, format="MP3")
    (tmp_path / "cut.mp3").write_bytes((tmp_path / "whole.mp3").read_bytes()[:100])
    with pytest.raises(InputError, match=r"cut\.mp3 cannot be read as sound: it is broken, or cut off within its first frames"):
        read(tmp_path / "cut.mp3")
