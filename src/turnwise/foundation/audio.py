"""Samples and their rate, together.

`Sound` is the only form in which samples travel between stages: float32, mono, nominally within -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono samples with the rate that gives them meaning."""

    samples: Samples
    rate: int  # samples per second

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(f"expected mono float32 samples, got {self.samples.dtype} of shape {self.samples.shape}")
        if self.rate <= 0:
            raise ValueError(f"expected a positive sample rate, got {self.rate}")

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate
