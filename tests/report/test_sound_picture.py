"""Waveform and spectrogram: the right shape at the right place, read back by another decoder."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.report.sound_picture import BANDS, HEIGHT, WIDTH, picture, picture_of

RATE = 16000


def decoded(address: str) -> np.ndarray:
    """Brightness of every pixel, by Pillow."""
    image = pytest.importorskip("PIL.Image")
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(image.open(io.BytesIO(data)).convert("L"), dtype=np.float64)


def tone(hertz: float, seconds: float, level: float = 0.5) -> Sound:
    times = np.arange(int(RATE * seconds)) / RATE
    return Sound((level * np.sin(2 * np.pi * hertz * times)).astype(np.float32), RATE)


def test_a_tone_is_a_line_at_its_frequency() -> None:
    pixels = decoded(picture(tone(2000, 2.0)).spectrogram)
    assert pixels.shape[0] == BANDS
    rows = pixels.mean(axis=1)
    assert rows.argmax() == pytest.approx(BANDS * (1 - 2000 / 8000), abs=1.5)
    assert rows[rows.argmax()] > 5 * np.median(rows)


def test_a_burst_is_where_it_is() -> None:
    quiet, burst = tone(500, 1.0, 0.001), np.random.default_rng(1).normal(0, 0.2, RATE // 2).astype(np.float32)
    sound = Sound(np.concatenate([quiet.samples, burst, quiet.samples, quiet.samples]), RATE)
    made = picture(sound)
    columns = decoded(made.spectrogram).mean(axis=0)
    assert 1.0 < columns.argmax() / len(columns) * sound.seconds < 1.5
    ends = [(float(x), float(a), float(b)) for x, a, b in re.findall(r"M([\d.]+),([\d.]+)V([\d.]+)", made.wave)]
    assert len(ends) == WIDTH
    tall = [x / WIDTH * sound.seconds for x, top, bottom in ends if bottom - top > HEIGHT / 4]
    assert min(tall) == pytest.approx(1.0, abs=0.02)
    assert max(tall) == pytest.approx(1.5, abs=0.02)
    assert all(0 <= top <= bottom <= HEIGHT for _, top, bottom in ends)


@pytest.mark.parametrize("samples", [np.zeros(100), np.zeros(1), np.array([np.nan, np.inf, -np.inf, 9.0]), np.ones(30000)])
def test_odd_sounds_can_be_drawn(samples: np.ndarray) -> None:
    made = picture(Sound(samples.astype(np.float32), 8000))
    assert "nan" not in made.wave
    assert decoded(made.spectrogram).shape[0] == BANDS


def test_the_picture_of_an_hour_is_no_larger_than_that_of_a_minute() -> None:
    draw = np.random.default_rng(2)
    short, long = (picture(Sound(draw.normal(0, 0.1, n).astype(np.float32), 8000)) for n in (8000 * 60, 8000 * 600))
    assert len(long.spectrogram) < 1.1 * len(short.spectrogram)
    assert len(long.wave) < 1.1 * len(short.wave)


@pytest.mark.parametrize("length", [1, 300, 511, 512, 700, 5000, 48_001])
@pytest.mark.parametrize("size", [1, 97, 512, 4096, 100_000])
def test_pieces_make_the_picture_of_the_whole(length: int, size: int) -> None:
    if length / size > 600:
        size = 97
    samples = np.random.default_rng(length).normal(0, 0.3, length).astype(np.float32)
    pieces = [samples[k : k + size] for k in range(0, length, size)]
    made = picture_of(pieces, length, RATE)
    assert made == picture(Sound(samples, RATE))
    # The column under a place is drawn from the samples there.
    columns = min(WIDTH, length)
    drawn = [(float(top), float(bottom)) for top, bottom in re.findall(r",([\d.-]+)V([\d.]+)", made.wave)]
    for place, part in enumerate(np.array_split(np.clip(samples, -1, 1), columns)):
        middle = HEIGHT / 2
        assert drawn[place][0] == pytest.approx(middle - part.max() * (middle - 1) - 0.3, abs=0.06)
        assert drawn[place][1] == pytest.approx(middle - part.min() * (middle - 1) + 0.3, abs=0.06)
