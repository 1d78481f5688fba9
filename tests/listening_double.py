"""A listener for tests: sounds made here carry their five ratings in their samples, and it reads them.

`record(path, ratings)` writes such a sound; `LISTENER` names the plug-in. A sound whose mos is `BREAKS` makes it fail, one whose
mos is `KILLS` ends the process. It notes every sound that it hears as a line of the file that the option `diary` names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError
from turnwise.listening.ratings import DIMENSIONS, Ratings

LISTENER = "listening_double:listener"
RATE = 8000
BREAKS, KILLS, UNRATED = 1.25, 1.5, 1.75
_MARK = -0.875  # once in eight samples, so that a rating's place is known in any window


def sound_of(ratings: Sequence[float], seconds: float = 0.5) -> Sound:
    pattern = np.array([*(r / 8 for r in ratings), 0.0, 0.0, _MARK], np.float32)
    return Sound(np.tile(pattern, int(seconds * RATE / 8)), RATE)


def record(path: Path, ratings: Sequence[float], seconds: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound_of(ratings, seconds).samples, RATE, subtype="FLOAT")
    return path


@dataclass(frozen=True)
class Double:
    diary: str
    pause: float
    most: int
    longest = 60.0

    def identity(self) -> Mapping[str, str]:
        return {}

    def open(self) -> Opened:
        return Opened(self)


class Opened:
    def __init__(self, made: Double) -> None:
        self._made = made
        self.batch = made.most

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        assert len(sounds) <= self.batch
        return [self._rate(sound) for sound in sounds]

    def _rate(self, sound: Sound) -> Ratings:
        start = int(np.flatnonzero(np.abs(sound.samples - _MARK) < 1e-6)[0]) + 1
        mos, noi, col, dis, loud = (round(float(sound.samples[start + k]) * 8, 4) for k in range(5))
        if self._made.diary:
            with Path(self._made.diary).open("a") as diary:
                diary.write(f"{mos} {os.getpid()}\n")
        time.sleep(self._made.pause)
        if mos == BREAKS:
            raise EngineError("made-up", "this sound makes the double fail")
        if mos == KILLS:
            os._exit(9)
        if mos == UNRATED:
            return Ratings(None, None, None, None, None, missing=dict.fromkeys(DIMENSIONS, "silent: nothing is heard"))
        return Ratings(mos, noi, col, dis, loud, sources={"mos": "the double"})

    def close(self) -> None:
        pass


def listener(diary: str = "", pause: float = 0.0, most: int = 3) -> Double:
    return Double(diary, pause, most)
