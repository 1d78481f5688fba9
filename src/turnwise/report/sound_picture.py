"""A sound as two small pictures: its waveform as an SVG path, its spectrogram as a PNG. Both are drawn here, by numpy alone.

The waveform shows for each column the lowest and the highest sample, full scale being the height. The spectrogram shows levels
from `FLOOR` dB below full scale up; its height is half the sample rate, whatever that is.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound

WIDTH, HEIGHT = 480, 64  # of the waveform, units; of the spectrogram, pixels
BANDS = 96  # rows of the spectrogram
FLOOR, TOP = -90.0, -10.0  # dB of full scale: the ends of the colours
_FRAME = 512  # samples of a spectrum: 32 ms at 16 kHz
_LEVELS = 64  # colours
# From silent to loud, each lighter than the one before, for eyes of any colour vision and for print.
_COLOURS = ((12, 10, 30), (60, 15, 90), (140, 35, 105), (215, 75, 65), (250, 155, 40), (252, 250, 190))


class Picture(msgspec.Struct, frozen=True):
    """Both pictures of a sound."""

    wave: str  # `d` of an SVG path in a box of WIDTH by HEIGHT
    spectrogram: str  # data address of a PNG
    rate: int
    seconds: float


def picture(sound: Sound) -> Picture:
    """The pictures of a sound that has samples."""
    return picture_of((sound.samples,), len(sound.samples), sound.rate)


def picture_of(blocks: Iterable[NDArray[np.float32]], length: int, rate: int) -> Picture:
    """The pictures of a sound that comes in pieces: of `length` samples no more is held than the pictures show."""
    columns = min(WIDTH, length)
    ends = np.arange(1, columns + 1) * (length // columns) + np.minimum(np.arange(1, columns + 1), length % columns)
    highest, lowest = np.full(columns, -np.inf), np.full(columns, np.inf)
    # One spectrum per column, of the frame around its middle: a picture is 480 columns however long the sound is.
    starts = np.linspace(0, max(0, length - _FRAME), min(WIDTH, max(1, (length - _FRAME) // (_FRAME // 4) + 1))).astype(np.int64)
    frames = np.zeros((len(starts), _FRAME), dtype=np.float32)
    begin = 0
    for block in blocks:
        samples = np.clip(np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        end = begin + len(samples)
        first, last = (int(np.searchsorted(ends, place, side="right")) for place in (begin, end - 1))
        cuts = np.concatenate([[begin], ends[first:last]]) - begin
        highest[first : last + 1] = np.maximum(highest[first : last + 1], np.maximum.reduceat(samples, cuts))
        lowest[first : last + 1] = np.minimum(lowest[first : last + 1], np.minimum.reduceat(samples, cuts))
        for column in range(int(np.searchsorted(starts, begin - _FRAME, side="right")), int(np.searchsorted(starts, end))):
            left, right = max(begin, int(starts[column])), min(end, int(starts[column]) + _FRAME)
            frames[column, left - starts[column] : right - starts[column]] = samples[left - begin : right - begin]
        begin = end
    png = base64.b64encode(_png(_levels(frames))).decode()
    return Picture(_wave(highest, lowest), "data:image/png;base64," + png, rate, length / rate)


def _wave(highest: NDArray[np.float64], lowest: NDArray[np.float64]) -> str:
    columns, middle = len(highest), HEIGHT / 2
    pieces = []
    for place, (top, bottom) in enumerate(zip(highest, lowest, strict=True)):
        x = (place + 0.5) * WIDTH / columns
        high, low = (middle - float(value) * (middle - 1) for value in (top, bottom))
        pieces.append(f"M{x:.1f},{high - 0.3:.1f}V{low + 0.3:.1f}")
    return "".join(pieces)


def _levels(frames: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The spectrogram as colours, highest frequencies first: shape (BANDS, columns)."""
    window = np.hanning(_FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 / (window.sum() / 2) ** 2
    edges = np.linspace(0, power.shape[1], BANDS + 1).astype(np.int64)
    bands = np.maximum.reduceat(power, edges[:-1], axis=1)
    decibels = 10 * np.log10(np.maximum(bands, 1e-12))
    share = np.clip((decibels - FLOOR) / (TOP - FLOOR), 0.0, 1.0)
    levels: NDArray[np.uint8] = np.round(share * (_LEVELS - 1)).astype(np.uint8)
    return levels.T[::-1]


def _png(levels: NDArray[np.uint8]) -> bytes:
    """A palette picture."""
    height, width = levels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", _palette()), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _palette() -> bytes:
    anchors = np.linspace(0, _LEVELS - 1, len(_COLOURS))
    channels: Sequence[NDArray[np.float64]] = [
        np.interp(np.arange(_LEVELS), anchors, [colour[k] for colour in _COLOURS]) for k in range(3)
    ]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8).tobytes()
