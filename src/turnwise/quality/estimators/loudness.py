"""Integrated loudness in LUFS (ITU-R BS.1770): how loud a turn is, which the opinion models hardly notice.

Speech on a line or in a call is usually set to about -23 to -16 LUFS; neither louder nor softer is better in itself, so the scale
has no direction. Pauses are gated out as the recommendation says. A sound shorter than 0.4 s, or one that is silent, gets no
rating. Sees level only: nothing of noise, band or words.

Licence: pyloudnorm is MIT (a core dependency).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.quality.estimator import Estimate, Rater, Rating, Scale, code_of, objection, remarks
from turnwise.speech import level

_SCALE = Scale("loudness", "LUFS", "neither")


def estimator() -> Loudness:
    return Loudness()


class Loudness(msgspec.Struct, frozen=True):
    """Nothing to load."""

    @property
    def scales(self) -> tuple[Scale, ...]:
        return (_SCALE,)

    def identity(self) -> Mapping[str, str]:
        return {"pyloudnorm": version("pyloudnorm"), "code": code_of(level)}

    def open(self) -> Rater:
        return LoudnessRater()


class LoudnessRater:
    """Measures one sound at a time."""

    def rate(self, sound: Sound) -> Estimate:
        withheld = objection(sound)
        if withheld:
            return Estimate(withheld=withheld)
        measured = level.loudness(sound)
        if measured is None:
            return Estimate(withheld=f"too short or too soft to gate: {sound.seconds:.2f} s of sound")
        return Estimate((Rating(_SCALE, measured),), remarks(sound))

    def close(self) -> None:
        """Nothing is held."""
