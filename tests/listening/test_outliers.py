"""Robust distances within a folder, against scipy's own median absolute deviation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from turnwise.listening.outliers import distances
from turnwise.listening.ratings import DIMENSIONS, Ratings


def test_distances_are_those_of_scipy() -> None:
    draw = np.random.default_rng(1)
    values = draw.uniform(2, 5, (30, 5))
    values[7, 2] = 0.9
    found = distances([Ratings(*map(float, row)) for row in values])
    expected = (values - np.median(values, axis=0)) / median_abs_deviation(values, axis=0, scale="normal")
    for one, row in zip(found, expected, strict=True):
        assert one is not None
        place = int(np.abs(row).argmax())
        assert one.dimension == DIMENSIONS[place]
        assert one.z == pytest.approx(row[place], rel=1e-4)


def test_one_odd_file_among_alike_ones() -> None:
    same = [Ratings(4.0, 4.0, 4.0, 4.0, 4.0)] * 9
    *others, odd = distances([*same, Ratings(4.0, 1.0, 4.0, 4.05, 4.0)])
    assert all(one is not None and one.z == 0 and not one.odd for one in others)
    assert odd is not None
    assert (odd.z, odd.dimension, odd.odd) == (pytest.approx(-30.0), "noi", True)


def test_too_few_or_unrated_have_none() -> None:
    four = [Ratings(4.0, 4.0, 4.0, 4.0, 4.0)] * 4
    assert distances(four) == [None] * 4
    mute = Ratings(None, None, None, None, None, missing=dict.fromkeys(DIMENSIONS, "silent"))
    found = distances([*four, *four, None, mute])
    assert found[-2:] == [None, None]
    assert found[0] is not None
