"""The five ratings without torch, weights of one's own, a key or a GPU: signal rules and DNSMOS, set to the scale of NISQA.

To be completed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.lineage import lineage
from turnwise.quality import rating_curves
from turnwise.quality.band import band, clipped
from turnwise.quality.dropouts import dropouts
from turnwise.quality.estimator import ESTIMATORS, Estimator, Rater
from turnwise.quality.listener import Listening
from turnwise.quality.noise_floor import noise
from turnwise.quality.ratings import Dimension, Ratings
from turnwise.quality.sound_check import objection, rated, remarks, unrated
from turnwise.speech.level import SHORTEST_LOUDNESS, loudness

_DNSMOS = {"ratings": "mos"}


def listener() -> EmbeddedListener:
    return EmbeddedListener(ESTIMATORS.build("dnsmos", _DNSMOS))


class EmbeddedListener(msgspec.Struct, frozen=True):
    """The estimator behind `mos`, not yet opened."""

    longest: ClassVar[float] = 60.0  # seconds

    estimator: Estimator

    def identity(self) -> Mapping[str, str]:
        packages = {name: version(name) for name in ("numpy", "pyloudnorm", "soxr")}
        return {"shared": lineage(__file__), "dnsmos": ESTIMATORS.identity("dnsmos", _DNSMOS), **packages}

    def open(self) -> Listening:
        return EmbeddedListening(self.estimator.open())


class EmbeddedListening:
    """DNSMOS loaded; one sound at a time."""

    batch = 1

    def __init__(self, rater: Rater) -> None:
        self._rater = rater

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        return [self._rate(sound) for sound in sounds]

    def close(self) -> None:
        self._rater.close()

    def _rate(self, sound: Sound) -> Ratings:
        reason = objection(sound)
        if reason:
            return unrated(reason)
        found, missing = aspects(sound)
        values: dict[Dimension, float] = {name: value for name, (value, _) in found.items()}
        sources: dict[Dimension, str] = {name: source for name, (_, source) in found.items()}
        estimate = self._rater.rate(sound)
        if estimate.withheld:
            missing["mos"] = estimate.withheld
        elif missing:
            missing["mos"] = f"it is made of all four other ratings, of which {', '.join(missing)} is missing"
        else:
            overall = estimate.value("mos")
            values["mos"] = rating_curves.mos(overall, values)
            sources["mos"] = f"DNSMOS P.808 with the four ratings beside it (P.808 {overall:.2f})"
        return rated(values, sources, missing, remarks(sound))


def aspects(sound: Sound) -> tuple[dict[Dimension, tuple[float, str]], dict[Dimension, str]]:
    """The four ratings that rules give, each with what it was computed from, and why one is missing."""
    missing: dict[Dimension, str] = {}
    under, between, gone = noise(sound), band(sound), dropouts(sound)
    share = clipped(sound)
    assert under is not None and between is not None  # only a silent sound has none
    found: dict[Dimension, tuple[float, str]] = {
        "noi": (
            rating_curves.noi(under.heard),
            f"signal rule (noise {-under.heard:.0f} dB below the voice band by band, {under.ratio:.0f} dB overall)",
        ),
        "col": (
            rating_curves.col(between.low, between.high, share),
            f"signal rule (voice from {between.low:.0f} to {between.high:.0f} Hz, {100 * share:.1f} % of the samples clipped)",
        ),
        "dis": (
            rating_curves.dis(gone.lost, gone.repeated),
            f"signal rule ({100 * gone.lost:.1f} % of the speech lost in {gone.gaps} gaps, {100 * gone.repeated:.1f} % repeated)",
        ),
    }
    measured = loudness(sound)
    if measured is None:
        missing["loud"] = f"too short or too soft to measure: loudness needs {SHORTEST_LOUDNESS} s above -70 LUFS"
    else:
        found["loud"] = (rating_curves.loud(measured), f"ITU-R BS.1770 ({measured:.1f} LUFS)")
    return found, missing
