"""A sound as two small pictures: its waveform as an SVG path, its spectrogram as a PNG. Both are drawn here, by numpy alone.

The waveform shows for each column the lowest and the highest sample, full scale being the height. The spectrogram shows levels
from `FLOOR` dB below full scale up; its height is half the sample rate, whatever that is.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

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
    samples = np.clip(np.nan_to_num(sound.samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    png = _png(_levels(samples))
    return Picture(_wave(samples), "data:image/png;base64," + base64.b64encode(png).decode(), sound.rate, sound.seconds)


def _wave(samples: NDArray[np.float32]) -> str:
    columns = min(WIDTH, len(samples))
    parts = np.array_split(samples, columns)
    middle = HEIGHT / 2
    pieces = []
    for place, part in enumerate(parts):
        x = (place + 0.5) * WIDTH / columns
        high, low = (middle - float(value) * (middle - 1) for value in (part.max(), part.min()))
        pieces.append(f"M{x:.1f},{high - 0.3:.1f}V{low + 0.3:.1f}")
    return "".join(pieces)


def _levels(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The spectrogram as colours, highest frequencies first: shape (BANDS, columns)."""
    if len(samples) < _FRAME:
        samples = np.pad(samples, (0, _FRAME - len(samples)))
    # One spectrum per column, of the frame around its middle: a picture is 480 columns however long the sound is.
    columns = min(WIDTH, max(1, (len(samples) - _FRAME) // (_FRAME // 4) + 1))
    starts = np.linspace(0, len(samples) - _FRAME, columns).astype(np.int64)
    window = np.hanning(_FRAME).astype(np.float32)
    frames = samples[starts[:, None] + np.arange(_FRAME)] * window
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / (window.sum() / 2) ** 2
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
