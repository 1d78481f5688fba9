"""What is done to a sound on purpose, so that its effect on an agent can be measured.

A perturbation is seeded by the caller: the same sound, seed and options give the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from turnwise.foundation.audio import Sound
from turnwise.foundation.catalog import Catalog


class Perturbation(Protocol):
    """A degradation with its options settled."""

    def apply(self, sound: Sound, seed: int) -> Sound:
        """The degraded sound, at the rate it came in and as long as it was."""
        ...

    def describe(self) -> str:
        """In words, as recorded with the clip: "noise snr=10 kind=white"."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Versions of what shapes the sound beside its own file and options: packages, other modules."""
        ...


PERTURBATIONS = Catalog("perturbation", "turnwise.speech.perturbations", "turnwise.perturbations")
