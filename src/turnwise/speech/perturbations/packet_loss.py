"""Lost packets: frames of 20 ms vanish in bursts, as the Gilbert-Elliott model has them.

The line is in a good state, where nothing is lost, or a bad one, where every frame is. Options: `loss` is the share of frames
lost in the long run (0 to 0.9), `burst` the mean length of a gap in frames (at least 1). `burst` equal to 1 / (1 - loss) makes
losses independent of each other; shorter bursts than that cannot give the share and are refused. `fill` is what is heard in a
gap: `zero` for silence, or `repeat` for the last good frame again, fading by half each time, as simple receivers conceal it.

In a sound of a few seconds the share lost varies much from one seed to the next: 5 s are 250 frames. Licence: none needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError

FRAME = 0.020  # seconds, the packet of most speech codecs
FILLS = ("zero", "repeat")


def perturbation(loss: float = 0.1, burst: float = 2.0, fill: str = "zero") -> PacketLoss:
    if not 0 <= loss <= 0.9:
        raise InputError(f"packet_loss: loss is {loss}, expected 0 to 0.9")
    least = 1 / (1 - loss)
    if burst < max(1.0, least - 1e-9):
        raise InputError(f"packet_loss: burst is {burst}, expected at least {least:.3g} frames for a loss of {loss}")
    if fill not in FILLS:
        raise InputError(f"packet_loss: fill is {fill[:40]!r}, expected one of {', '.join(FILLS)}")
    return PacketLoss(float(loss), float(burst), fill)


class PacketLoss(msgspec.Struct, frozen=True):
    """Gaps of whole frames."""

    loss: float  # share of frames
    burst: float  # frames
    fill: str

    def apply(self, sound: Sound, seed: int) -> Sound:
        size = max(1, round(FRAME * sound.rate))
        samples = sound.samples.copy()
        gap = 0  # frames since the last good one
        for number, lost in enumerate(self.lost(-(-len(samples) // size), seed)):
            here = samples[number * size : (number + 1) * size]
            gap = gap + 1 if lost else 0
            if not lost:
                continue
            last = number - gap
            if self.fill == "repeat" and last >= 0:
                here[:] = sound.samples[last * size : (last + 1) * size][: len(here)] * np.float32(0.5**gap)
            else:
                here[:] = 0.0
        return Sound(samples, sound.rate)

    def describe(self) -> str:
        return f"packet_loss loss={self.loss:g} burst={self.burst:g} fill={self.fill}"

    def identity(self) -> Mapping[str, str]:
        return {"numpy": version("numpy")}  # the same seed may draw other numbers in another version

    def lost(self, frames: int, seed: int) -> NDArray[np.bool_]:
        """Which frames are lost; the line starts in the state that the long run makes likely."""
        draw = np.random.default_rng(seed).random(frames + 1)
        recover = 1 / self.burst
        worsen = recover * self.loss / (1 - self.loss)
        states = np.zeros(frames, dtype=np.bool_)
        bad = bool(draw[0] < self.loss)
        for number in range(frames):
            states[number] = bad
            bad = bool(draw[number + 1] >= recover) if bad else bool(draw[number + 1] < worsen)
        return states
