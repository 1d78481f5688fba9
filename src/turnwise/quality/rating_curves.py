"""From what is measured of a sound to ratings of 1 to 5, as NISQA would have given them.

A rating is 1 + span x factor x factor ...: the span is what an undamaged voice gets beyond 1, each factor (1 to 0) is what one
kind of damage leaves of it. A factor is read off a curve of straight lines between its points, and is that of the end point
beyond them.

All numbers here were fitted to NISQA v2.0 by `python benchmarks/listening_calibration.py` on the sounds that it names; how well
they hold on other voices, other speakers and other noise is in docs/listening.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from turnwise.quality.ratings import ASPECTS, Dimension

LOW, HIGH = 1.0, 5.0
UPPER_FREE, LOWER_FREE = 7000.0, 150.0  # Hz: a band that reaches from here to there lacks nothing of speech
NOMINAL = -24.0  # LUFS, the level of the sounds that the constants were fitted to
_LEAST_CLIPPED = 10**-2.5  # share of the samples, below which clipping is not told from a voice


class Curve(msgspec.Struct, frozen=True):
    """Straight lines between points (measure, factor), measures rising."""

    points: tuple[tuple[float, float], ...]

    def at(self, measure: float) -> float:
        """The factor of a measure."""
        before = self.points[0]
        if measure <= before[0]:
            return before[1]
        for point in self.points[1:]:
            if measure <= point[0]:
                share = (measure - before[0]) / (point[0] - before[0])
                return before[1] + share * (point[1] - before[1])
            before = point
        return before[1]


SPAN: Mapping[Dimension, float] = {"noi": 3.1, "col": 3.0, "dis": 3.2, "loud": 3.2}
# By the level of the noise below the voice band by band, dB.
NOISE = Curve(((-55, 1.0), (-48, 0.8), (-43, 0.55), (-38, 0.36), (-33, 0.28), (-28, 0.24), (-20, 0.21), (-10, 0.16)))
# By the octaves that are missing of the band at its upper and at its lower end, and by the logarithm of the share clipped.
UPPER = Curve(((0, 1.0), (0.5, 0.75), (0.8, 0.58), (1.2, 0.4), (1.8, 0.16)))
LOWER = Curve(((0, 1.0), (0.8, 0.4), (1.6, 0.23), (2.9, 0.04)))
CLIPPED = Curve(((-2.5, 1.0), (-1.6, 0.76), (-1.2, 0.58), (-0.8, 0.35), (-0.5, 0.22)))
# By the share of the speech that is lost, and that is repeated.
LOST = Curve(((0, 1.0), (0.007, 0.5), (0.02, 0.27), (0.04, 0.16), (0.08, 0.1), (0.2, 0.05)))
REPEATED = Curve(((0, 1.0), (0.02, 0.8), (0.05, 0.5), (0.1, 0.35), (0.2, 0.25)))
# By how much softer and louder than the nominal level, LU.
SOFTER = Curve(((0, 1.0), (6, 1.0), (12, 0.9), (18, 0.55), (24, 0.22), (30, 0.08)))
LOUDER = Curve(((0, 1.0), (8, 0.8), (12, 0.7)))
# Overall: P.808 of DNSMOS, then the four aspects in their order.
OVERALL = (-6.15, 0.9, 0.41, 0.13, 0.52, 0.63)


def noi(heard: float) -> float:
    """From the level of the noise below the voice in dB."""
    return _rating("noi", NOISE.at(heard))


def col(low: float, high: float, share: float) -> float:
    """From the ends of the band in Hz and the share of the samples that is clipped."""
    return _rating("col", UPPER.at(upper(high)), LOWER.at(lower(low)), CLIPPED.at(clipping(share)))


def dis(lost: float, repeated: float) -> float:
    """From the shares of the speech that are lost and repeated."""
    return _rating("dis", LOST.at(lost), REPEATED.at(repeated))


def loud(loudness: float) -> float:
    """From the loudness in LUFS."""
    return _rating("loud", SOFTER.at(softer(loudness)), LOUDER.at(louder(loudness)))


def mos(overall: float, aspects: Mapping[Dimension, float]) -> float:
    """From P.808 of DNSMOS and the four ratings beside it."""
    first, own, *weights = OVERALL
    value = first + own * overall + sum(w * aspects[name] for w, name in zip(weights, ASPECTS, strict=True))
    return min(HIGH, max(LOW, value))


def _rating(dimension: Dimension, *factors: float) -> float:
    return min(HIGH, LOW + SPAN[dimension] * math.prod(factors))


def upper(high: float) -> float:
    """Octaves that are missing at the upper end of a band that ends at `high` Hz."""
    return max(0.0, math.log2(UPPER_FREE / high))


def lower(low: float) -> float:
    """Octaves that are missing at the lower end of a band that begins at `low` Hz."""
    return max(0.0, math.log2(low / LOWER_FREE))


def clipping(share: float) -> float:
    """The decimal logarithm of a share of clipped samples, from -2.5 where there are none."""
    return math.log10(share + _LEAST_CLIPPED)


def softer(loudness: float) -> float:
    """LU below the nominal level."""
    return max(0.0, NOMINAL - loudness)


def louder(loudness: float) -> float:
    """LU above the nominal level."""
    return max(0.0, loudness - NOMINAL)
