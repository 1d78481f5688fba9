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

from turnwise.listening.ratings import ASPECTS, Dimension

LOW, HIGH = 1.0, 5.0
UPPER_FREE, LOWER_FREE = 7000.0, 150.0  # Hz: a band that reaches from here to there lacks nothing of speech
NOMINAL = -24.0  # LUFS, the level of the sounds that the constants were fitted to
_LEAST_LEFT = 0.1  # of the power of a voice: what clipping three samples in five leaves, and more is not measured
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


SPAN: Mapping[Dimension, float] = {"noi": 3.54, "col": 2.61, "dis": 2.69, "loud": 3.0}
# By the level of the noise below the voice band by band, dB.
NOISE = Curve(((-55, 1.0), (-49, 0.648), (-44, 0.587), (-39, 0.3), (-34, 0.239), (-28, 0.194), (-18, 0.165), (-8, 0.157)))
# By the octaves that are missing of the band at its upper and at its lower end, and by the logarithm of the share clipped.
UPPER = Curve(((0, 1.0), (0.4, 0.663), (0.8, 0.531), (1.2, 0.404), (1.8, 0.203)))
LOWER = Curve(((0, 1.0), (0.8, 0.634), (1.6, 0.334), (2.9, 0.148)))
CLIPPED = Curve(((-2.5, 1.0), (-1.7, 0.865), (-1.3, 0.607), (-0.9, 0.438), (-0.5, 0.327)))
# By the shares of the speech that are lost and repeated, and by how much less PLCMOS gives than it was expected to.
LOST = Curve(((0, 1.0), (0.006, 0.545), (0.015, 0.38), (0.03, 0.225), (0.06, 0.124), (0.12, 0.065)))
REPEATED = Curve(((0, 1.0), (0.015, 0.838), (0.04, 0.608), (0.08, 0.577), (0.16, 0.549)))
CONCEALED = Curve(((0.8, 1.0), (1.2, 0.647), (1.6, 0.436), (2.2, 0.414)))
# By LU softer and louder than the nominal level.
SOFTER = Curve(((0, 1.0), (6, 0.95), (12, 0.81), (18, 0.563), (24, 0.278), (30, 0.19)))
LOUDER = Curve(((0, 1.0), (4, 0.95), (8, 0.869), (12, 0.787)))
# What PLCMOS gives where no packets are lost: a constant, and per point of noi and col. It deviates from that by 0.60.
EXPECTED = (0.56, 0.53, 0.24)
# The logarithm of mos above 1: a constant, and per logarithm of each aspect above 1. And mos by P.808 of DNSMOS, linear.
BY_ASPECTS = (-1.49, 0.49, 0.68, 0.84, 0.49)
BY_P808 = (-2.54, 1.54)
_LEAST = 0.08  # above 1: what is left of a rating that a line puts at 1 or below


def noi(heard: float, share: float) -> float:
    """From the level of the noise below the voice in dB, and the share of the samples that is clipped."""
    return _rating("noi", NOISE.at(heard - taken(share)))


def col(low: float, high: float, share: float) -> float:
    """From the ends of the band in Hz and the share of the samples that is clipped."""
    return _rating("col", UPPER.at(upper(high)), LOWER.at(lower(low)), CLIPPED.at(clipping(share)))


def dis(lost: float, repeated: float, deficit: float) -> float:
    """From the shares of the speech that are lost and repeated, or from the deficit of PLCMOS: whichever says worse."""
    return _rating("dis", min(LOST.at(lost) * REPEATED.at(repeated), CONCEALED.at(deficit)))


def plcmos_deficit(given: float, noise: float, coloration: float) -> float:
    """How much less PLCMOS gives than noise and coloration, rated `noi` and `col`, let one expect."""
    constant, by_noi, by_col = EXPECTED
    return constant + by_noi * noise + by_col * coloration - given


def loud(loudness: float) -> float:
    """From the loudness in LUFS."""
    return _rating("loud", SOFTER.at(softer(loudness)), LOUDER.at(louder(loudness)))


def mos(p808: float, aspects: Mapping[Dimension, float]) -> float:
    """From P.808 of DNSMOS and the four ratings beside it: the geometric mean of what each says above 1."""
    constant, *weights = BY_ASPECTS
    logarithm = constant + sum(w * math.log(aspects[name] - LOW) for w, name in zip(weights, ASPECTS, strict=True))
    by_p808 = max(_LEAST, BY_P808[0] + BY_P808[1] * p808 - LOW)
    return min(HIGH, LOW + math.sqrt(math.exp(logarithm) * by_p808))


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


def taken(share: float) -> float:
    """The dB that clipping this share of the samples takes off a voice, and off the noise under it none.

    Amplitudes of speech fall off about exponentially: the share beyond a limit c, in units of their mean, is e^-c, and of the
    power 1 - (1 + c) e^-c is left. So noise is held against the voice as it was.
    """
    if share <= 0.0:
        return 0.0
    limit = -math.log(min(1.0, share))
    return -10 * math.log10(max(_LEAST_LEFT, 1 - (1 + limit) * share))


def softer(loudness: float) -> float:
    """LU below the nominal level."""
    return max(0.0, NOMINAL - loudness)


def louder(loudness: float) -> float:
    """LU above the nominal level."""
    return max(0.0, loudness - NOMINAL)
