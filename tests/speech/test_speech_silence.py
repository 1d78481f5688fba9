from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.foundation.audio import Sound
from turnwise.speech.silence import MARGIN, THRESHOLD, loud_span, trim

RATE = 8000


def between(before: float, after: float, inside: float = 0.5, amplitude: float = 0.1, floor: float = 0.0) -> Sound:
    speech = amplitude * np.sin(2 * np.pi * 300 * np.arange(round(inside * RATE)) / RATE)
    parts = [np.zeros(round(before * RATE)), speech, np.zeros(round(after * RATE))]
    samples = np.concatenate(parts)
    return Sound((samples + floor * np.random.default_rng(0).standard_normal(len(samples))).astype(np.float32), RATE)


@settings(deadline=None)
@given(st.floats(0, 2), st.floats(0, 2))
def test_what_remains_is_the_speech_and_a_margin(before: float, after: float) -> None:
    found = trim(between(before, after))
    margins = min(before, MARGIN) + min(after, MARGIN)
    assert 0.5 + margins - 0.002 <= found.seconds <= 0.5 + margins + 2 * 0.02 + 0.002


@given(st.floats(0, 1), st.floats(0, 1))
def test_trimming_twice_changes_nothing_more_than_a_frame(before: float, after: float) -> None:
    once = trim(between(before, after))
    assert abs(trim(once).seconds - once.seconds) <= 0.04


def test_pauses_inside_stay() -> None:
    word = between(0.0, 1.0).samples
    sound = Sound(np.concatenate([word, word]), RATE)
    assert trim(sound).seconds == pytest.approx(2.05, abs=0.021)


def test_the_threshold_decides() -> None:
    hiss = between(1.0, 1.0, floor=10 ** ((THRESHOLD - 6) / 20))
    assert trim(hiss).seconds < 0.7
    assert trim(hiss, threshold=THRESHOLD - 20).seconds == pytest.approx(2.5, abs=0.01)


def test_silence_leaves_nothing() -> None:
    nothing = Sound(np.zeros(4000, dtype=np.float32), RATE)
    assert loud_span(nothing) == (0, 0)
    assert trim(nothing).seconds == 0.0 and trim(nothing).rate == RATE
    assert trim(Sound(nothing.samples[:0], RATE)).seconds == 0.0
