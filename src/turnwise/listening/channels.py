"""Which channels of a recording are heard: the one asked for; else the mean of those that sound, unless they cancel out.

    survey = Survey(2)
    for block in blocks:                    # (frames, channels)
        survey.add(block)
    chosen = survey.choice()                # which, and what to say of it
    sound = mixed(block, chosen.which)      # of every block

The choice needs the whole recording and none of it in memory: what it goes by are sums and maxima over the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from turnwise.foundation.audio import Samples
from turnwise.foundation.audio_files import Block
from turnwise.foundation.errors import InputError
from turnwise.quality.estimator import FAINTEST

_SAME = 1e-4  # of full scale, three steps of 16-bit PCM
_CANCELLED = 0.1  # of the power of the strongest channel: what is left of channels that work against each other


class Chosen(msgspec.Struct, frozen=True):
    """Channels whose mean is heard; the first is 0."""

    which: tuple[int, ...]
    note: str = ""  # "" for the one channel of a file that has no other


class Survey:
    """What the channels of a recording are like."""

    def __init__(self, channels: int) -> None:
        self.frames = 0
        self._count = channels
        self._apart = 0.0  # the largest difference between the first channel and another
        self._loudest = np.zeros(channels)
        self._products = np.zeros((channels, channels))  # sums over time of each channel times each other

    def add(self, block: Block) -> None:
        """The next frames."""
        self.frames += len(block)
        if self._count > 1 and len(block):
            exact = block.astype(np.float64)
            self._apart = max(self._apart, float(np.abs(block - block[:, :1]).max()))
            self._loudest = np.maximum(self._loudest, np.abs(block).max(axis=0))
            self._products += exact.T @ exact

    def choice(self, channel: int | None = None) -> Chosen:
        """Which are heard, where `channel` (1 is the first) is asked for or none is."""
        count = self._count
        if channel is not None:
            if not 1 <= channel <= count:
                there = (
                    "is 1 channel, expected channel 1" if count == 1 else f"are {count} channels, expected channel 1 to {count}"
                )
                raise InputError(f"there {there}, got {channel}")
            return Chosen((channel - 1,), f"channel {channel} of {count}" if count > 1 else "")
        if count == 1:
            return Chosen((0,))
        if self._apart <= _SAME:
            return Chosen((0,), f"channel 1 of {count}, which are all the same")
        sounding = tuple(number for number in range(count) if self._loudest[number] >= FAINTEST)
        if len(sounding) == 1:
            return Chosen(sounding, f"channel {sounding[0] + 1} of {count}, the others are silent")
        heard = sounding or tuple(range(count))
        powers = self._products.diagonal()
        strongest = int(powers.argmax())
        power_of_mean = float(self._products[np.ix_(heard, heard)].sum()) / len(heard) ** 2
        if power_of_mean < _CANCELLED * powers[strongest]:
            told = f"channel {strongest + 1} of {count}, the strongest: the channels cancel each other out"
            return Chosen((strongest,), told)
        silent = count - len(heard)
        return Chosen(heard, f"mean of {len(heard)} channels" + (f", {silent} are silent" if silent else ""))


def mixed(block: Block, which: Sequence[int]) -> Samples:
    """The mean of these channels."""
    return np.ascontiguousarray(block[:, list(which)].mean(axis=1), dtype=np.float32)
