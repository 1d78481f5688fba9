"""Quantiles of the normal and of Student's t distribution, without a statistics package."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_SERIES_LIMIT = 200  # degrees of freedom above which the expansion below is exact to ten digits


def normal_quantile(p: float) -> float:
    return _NORMAL.inv_cdf(p)


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def t_cdf(t: float, freedom: int) -> float:
    """Student's distribution for whole degrees of freedom, by its finite trigonometric series."""
    angle = math.atan2(t, math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    if freedom % 2:
        term = total = math.cos(angle) if freedom > 1 else 0.0
        for k in range(3, freedom - 1, 2):
            term *= square * (k - 1) / k
            total += term
        inside = 2.0 / math.pi * (angle + sine * total)
    else:
        term = total = 1.0
        for k in range(2, freedom - 1, 2):
            term *= square * (k - 1) / k
            total += term
        inside = sine * total
    return 0.5 + 0.5 * inside


def t_quantile(p: float, freedom: int) -> float:
    """The value below which a share `p` lies."""
    if freedom < 1 or not 0.0 < p < 1.0:
        raise ValueError(f"expected a share within 0..1 and at least one degree of freedom, got {p} and {freedom}")
    if p < 0.5:
        return -t_quantile(1.0 - p, freedom)
    if freedom > _SERIES_LIMIT:
        z, n = normal_quantile(p), float(freedom)
        return (
            z
            + (z**3 + z) / (4 * n)
            + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        )
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < p:
        high *= 2.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if t_cdf(middle, freedom) < p else (low, middle)
    return 0.5 * (low + high)
