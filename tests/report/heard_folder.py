"""Rows of a made-up folder, with their files, for the page about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import write_sound
from turnwise.listening.ears import described
from turnwise.listening.ratings import DIMENSIONS, Heard, Moment, Ratings
from turnwise.listening.row import Row, shown, with_trouble

RATE = 8000


def file(path: Path, seconds: float = 0.8, hertz: float = 300.0) -> Path:
    times = np.arange(int(RATE * seconds)) / RATE
    write_sound(Sound((0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32), RATE), path)
    return path


def row(path: Path, *values: float, seconds: float = 0.8, text: str = "") -> Row:
    heard = Heard(Ratings(*values, sources={"mos": "made up"}), seconds, RATE)
    return described(Row(shown(path), "b2:0", "m", heard), text or f"The overall quality is told. MOS: {values[0]:.1f}")


def folder(place: Path) -> list[Row]:
    """Seven ordinary files, one noisy, one long with a timeline, one silent, one broken."""
    rows = [row(file(place / f"plain{k}.wav"), 4.0 + k / 20, 4.1, 4.0, 4.2, 4.0 - k / 30) for k in range(7)]
    rows.insert(2, row(file(place / "noisy.wav"), 2.1, 1.2, 3.9, 4.2, 4.0))
    moments = tuple(Moment(4.5 * k, 4.5 * k + 9, Ratings(3.0 + (k % 3) / 2, 4.1, 4.0, 4.2, 4.0)) for k in range(12))
    long = Heard(Ratings(3.9, 4.1, 4.0, 4.2, 4.0), 60.0, RATE, 1, moments)
    rows.append(described(Row(shown(file(place / "long.wav", 60.0)), "b2:1", "m", long), "MOS: 3.9"))
    mute = Ratings(None, None, None, None, None, missing=dict.fromkeys(DIMENSIONS, "silent: every sample is zero"))
    rows.append(Row(shown(file(place / "mute.wav")), "b2:2", "m", Heard(mute, 0.8, RATE)))
    broken = place / "broken.wav"
    broken.write_bytes(b"RIFF")
    rows.append(with_trouble(Row(shown(broken), "b2:3", "m"), "file", "unreadable", "it holds nothing"))
    return rows
