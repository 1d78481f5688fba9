"""A clip: speech that was stored, known by the fingerprint of its samples."""

from __future__ import annotations

import msgspec


class Clip(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stored recording; the samples are in the clip store under `digest`."""

    digest: str  # fingerprint of the stored 16-bit samples and their rate
    rate: int  # samples per second
    seconds: float
    perturbation: str = ""  # what was done to it on purpose, in words: "noise snr=10 seed=7"
