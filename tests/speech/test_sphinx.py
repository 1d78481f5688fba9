from __future__ import annotations

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError
from turnwise.speech.sphinx import EDGE, FITTED_FLOOR, LEVEL, RATE, dictionary, general_words, prepare, pronounced

pytest.importorskip("pocketsphinx")


def buzz(amplitude: float = 0.1, seconds: float = 1.0, rate: int = RATE) -> Sound:
    return Sound((amplitude * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate)) / rate)).astype(np.float32), rate)


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2") / 32767


@pytest.mark.parametrize("amplitude", [0.001, 0.1, 0.9])
@pytest.mark.parametrize("rate", [8000, 22050])
def test_every_sound_comes_at_one_level_and_rate(amplitude: float, rate: int) -> None:
    found = samples(prepare(buzz(amplitude, 2.0, rate)))
    assert len(found) == pytest.approx((2.0 + 2 * EDGE) * RATE, abs=2)
    inside = found[round(0.3 * RATE) : round(1.9 * RATE)]
    assert float(np.sqrt(np.mean(inside**2))) == pytest.approx(LEVEL, rel=0.02)


def test_noise_fills_the_edges_at_the_floor() -> None:
    edge = samples(prepare(buzz(), FITTED_FLOOR))[: round(EDGE * RATE)]
    assert 20 * np.log10(np.sqrt(np.mean(edge**2)) / LEVEL) == pytest.approx(FITTED_FLOOR, abs=0.5)
    assert prepare(buzz()) == prepare(buzz()) != prepare(buzz(), FITTED_FLOOR)


def test_a_lonely_click_does_not_wrap_round() -> None:
    click = buzz(0.001)
    click.samples[8000] = 1.0
    assert float(np.abs(samples(prepare(click))).max()) <= 0.991


def test_nothing_to_hear_is_empty_and_broken_is_an_error() -> None:
    assert prepare(Sound(np.zeros(16000, dtype=np.float32), RATE)) == b""
    assert prepare(buzz(seconds=0.05)) == b""
    with pytest.raises(EngineError):
        prepare(Sound(np.full(16000, np.nan, dtype=np.float32), RATE))


def test_the_commonest_words_come_first() -> None:
    words = general_words(3000)
    assert list(words)[:3] == ["the", "to", "i"]
    assert list(words.values()) == sorted(words.values(), reverse=True)
    assert set(words) < pronounced() and "restaurant" in words


def test_a_smaller_dictionary_has_all_pronunciations_of_its_words() -> None:
    lines = dictionary({"either", "table"}).splitlines()
    assert [line.split()[0] for line in lines] == ["either", "either(2)", "table"]
