"""An estimator of speech quality: sound in, named ratings out, each with its scale.

Building an estimator costs nothing; `open` may load weights; `close` may be called twice. An estimator that cannot rate a
sound says why in `Estimate.withheld`: a number is never put in place of a rating that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import EngineError
from turnwise.foundation.fingerprint import fingerprint, source_digest

SHORTEST = 0.3  # seconds; less than a syllable or two, which no listener of the rating tests was ever given
FAINTEST = 2.0**-10  # of full scale, about -60 dBFS: a peak below this is 32 steps of 16-bit PCM, no speech to be rated
_FULL = 0.999  # of full scale; the largest 16-bit sample is 0.99997
_CLIPPED = 0.001  # share of samples at full scale from which the estimate says that the sound is clipped


class Scale(msgspec.Struct, frozen=True):
    """What one number of an estimate means."""

    name: str
    unit: str  # "MOS 1-5", "LUFS"
    better: Literal["higher", "lower", "neither"]
    low: float | None = None  # ends of the scale, None where there is none
    high: float | None = None


class Rating(msgspec.Struct, frozen=True):
    """One number on its scale."""

    scale: Scale
    value: float


class Estimate(msgspec.Struct, frozen=True):
    """What an estimator says of one sound: all of its ratings, or none and the reason."""

    ratings: tuple[Rating, ...] = ()
    notes: tuple[str, ...] = ()  # what a reader of the numbers should know of the sound: "clipped: 3.1 % of the samples ..."
    withheld: str = ""  # why there are no ratings: "silent: ...", "too short: ..."

    def value(self, name: str) -> float:
        """The rating of this name."""
        for rating in self.ratings:
            if rating.scale.name == name:
                return rating.value
        raise KeyError(name)


class Rater(Protocol):
    """An opened estimator."""

    def rate(self, sound: Sound) -> Estimate: ...

    def close(self) -> None: ...


class Estimator(Protocol):
    """An estimator that can be opened."""

    @property
    def scales(self) -> tuple[Scale, ...]:
        """What every estimate that is not withheld holds, in this order."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Versions of what shapes the numbers: packages, code beside the plug-in's own file, digests of the files of weights."""
        ...

    def open(self) -> Rater: ...


def code_of(*modules: ModuleType) -> str:
    """Name of what these modules and this one do, for the identity of whatever is built on them."""
    return fingerprint(*(source_digest(Path(file)) for file in (__file__, *(module.__file__ or "" for module in modules))))


def objection(sound: Sound) -> str:
    """Why a sound cannot be rated, "" when it can; a sound with samples that are no numbers is an error."""
    if not np.isfinite(sound.samples).all():
        raise EngineError("broken-audio", "the sound has samples that are not finite numbers")
    if sound.seconds < SHORTEST:
        return f"too short: {sound.seconds:.2f} s of sound, at least {SHORTEST} s are needed"
    peak = float(np.abs(sound.samples).max())
    if peak < FAINTEST:
        return "silent: every sample is zero" if peak == 0 else f"silent: the peak is {20 * np.log10(peak):.0f} dBFS"
    return ""


def remarks(sound: Sound) -> tuple[str, ...]:
    """What is odd about a sound that can be rated all the same."""
    share = float(np.mean(np.abs(sound.samples) >= _FULL))
    return (f"clipped: {100 * share:.1f} % of the samples are at full scale",) if share >= _CLIPPED else ()


ESTIMATORS = Catalog("estimator", "turnwise.quality.estimators", "turnwise.estimators")
