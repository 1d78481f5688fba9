"""Levels in mel bands, against librosa (golden figures, and librosa itself where it is installed) and against sums by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError
from turnwise.quality.mel_levels import Bands, mel_levels

NISQA = Bands(0.01, 0.02, 4096, 48, 20000.0)
NARROW = Bands(0.01, 0.02, 4096, 48, 8000.0)
CASES = [(16000, NARROW), (16000, NISQA), (22050, NISQA), (48000, NISQA)]
# Every 151st level as librosa 0.11.0 gives them; `test_librosa_itself` holds that they are its.
GOLDEN = {
    (16000, 8000.0): [
        6.286,
        -4.184,
        -27.559,
        -34.42,
        -32.021,
        -22.86,
        -37.232,
        -45.411,
        -37.05,
        -29.443,
        -28.564,
        -33.002,
        -31.419,
        -33.433,
    ],
    (16000, 20000.0): [
        7.487,
        12.771,
        -40.447,
        -32.978,
        -13.122,
        -28.764,
        -33.985,
        -31.47,
        -31.206,
        -31.72,
        -33.617,
        -66.298,
        -66.298,
        -66.298,
    ],
    (22050, 20000.0): [
        7.453,
        12.788,
        -27.375,
        -44.868,
        -30.033,
        -13.99,
        -29.883,
        -32.331,
        -33.782,
        -33.462,
        -32.585,
        -33.592,
        -66.326,
        -66.326,
    ],
    (48000, 20000.0): [
        7.396,
        12.757,
        -46.054,
        -45.104,
        -34.046,
        -46.668,
        -39.385,
        -45.331,
        -32.619,
        -46.229,
        -29.562,
        -38.351,
        -39.495,
        -38.423,
    ],
}


def made(rate: int) -> Sound:
    """A gliding tone and a rattle in whole numbers, the same on every machine."""
    count = np.arange(int(0.4 * rate))
    rattle = (count * 7919 % 1000 - 500) / 10000
    return Sound((0.3 * np.sin(2 * np.pi * 220 * count / rate * (1 + count / rate)) + rattle).astype(np.float32), rate)


@pytest.mark.parametrize(("rate", "bands"), CASES)
def test_levels_are_those_of_librosa(rate: int, bands: Bands) -> None:
    found = mel_levels(made(rate), bands)
    assert found.shape == (48, 41) and found.dtype == np.float32
    assert found.ravel()[::151] == pytest.approx(GOLDEN[rate, bands.highest], abs=2e-3)


@pytest.mark.parametrize(("rate", "bands"), CASES)
def test_librosa_itself(rate: int, bands: Bands) -> None:
    librosa = pytest.importorskip("librosa")
    sound = made(rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty bands, which are meant
        powers = librosa.feature.melspectrogram(
            y=sound.samples,
            sr=rate,
            n_fft=bands.points,
            hop_length=int(rate * bands.step),
            win_length=int(rate * bands.window),
            pad_mode="reflect",
            power=1.0,
            n_mels=bands.count,
            fmax=bands.highest,
        )
    levels = librosa.amplitude_to_db(powers, ref=1.0, amin=1e-4, top_db=80.0)
    assert np.abs(levels - mel_levels(sound, bands)).max() < 1e-3
    assert levels.ravel()[::151] == pytest.approx(GOLDEN[rate, bands.highest], abs=1e-3)


def test_a_frame_summed_by_hand() -> None:
    rate, bands = 8000, Bands(0.01, 0.02, 256, 5, 4000.0)
    sound = made(rate)
    width, middle = 160, 10 * 80  # samples of a window; the middle of frame 10
    window = np.sin(np.pi * np.arange(width) / width) ** 2
    piece = sound.samples[middle - 80 : middle + 80] * window
    magnitudes = [abs(np.sum(piece * np.exp(-2j * np.pi * k * np.arange(width) / 256))) for k in range(129)]
    # Slaney's scale: 15 mel at 1 kHz, and 4 kHz at 15 + log(4) / (log(6.4) / 27).
    top = 15 + np.log(4) / (np.log(6.4) / 27)
    mels = np.linspace(0, top, 7)
    edges = [m * 200 / 3 if m < 15 else 1000 * np.exp((m - 15) * np.log(6.4) / 27) for m in mels]
    for band in range(5):
        low, centre, high = edges[band : band + 3]
        total = 0.0
        for k, magnitude in enumerate(magnitudes):
            hertz = k * rate / 256
            height = min((hertz - low) / (centre - low), (high - hertz) / (high - centre))
            total += max(0.0, height) * 2 / (high - low) * magnitude
        assert mel_levels(sound, bands)[band, 10] == pytest.approx(20 * np.log10(total), abs=1e-3)


def test_bands_above_half_the_rate_are_empty() -> None:
    levels = mel_levels(made(16000), NISQA)
    floor = levels.max() - 80
    assert (levels[40:] == pytest.approx(max(floor, -80.0))) and levels[20:30].min() > floor


def test_nothing_lies_more_than_80_db_below_the_loudest_cell_nor_below_80_db() -> None:
    sound = made(16000)
    levels = mel_levels(sound, NISQA)
    assert levels.max() - levels.min() == pytest.approx(80.0, abs=1e-4)
    faint = mel_levels(Sound(sound.samples * np.float32(1e-3), 16000), NISQA)
    assert faint.min() == pytest.approx(-80.0) and faint.max() == pytest.approx(levels.max() - 60.0, abs=1e-3)


def test_blocks_leave_no_seam() -> None:
    long = Sound(np.tile(made(16000).samples, 9), 16000)  # 3.6 s, 361 frames: more than one block
    levels = mel_levels(long, NISQA)
    assert levels.shape == (48, 361)
    part = mel_levels(Sound(long.samples[16000 * 2 : 16000 * 3], 16000), NISQA)
    assert np.abs(levels[:, 210:290] - part[:, 10:90]).max() < 1e-4  # frames that the ends do not reach, across frame 256


@pytest.mark.parametrize("rate", [50, 300_000])
def test_a_rate_that_cannot_be_cut_is_an_error(rate: int) -> None:
    with pytest.raises(EngineError, match="cannot be cut") as caught:
        mel_levels(Sound(np.ones(rate, np.float32), rate), NISQA)
    assert caught.value.cause == "rate"
