"""The curves from measures to ratings: falling, within the scale, joined where they meet, and free of overlap."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from turnwise.listening import rating_curves as curves
from turnwise.listening.rating_curves import Curve

ALL = {name: value for name, value in vars(curves).items() if isinstance(value, Curve)}


def test_there_is_a_curve_for_each_measure() -> None:
    assert set(ALL) == {"NOISE", "UPPER", "LOWER", "CLIPPED", "LOST", "REPEATED", "CONCEALED", "SOFTER", "LOUDER"}


@pytest.mark.parametrize("name", ALL)
def test_more_damage_leaves_less(name: str) -> None:
    points = ALL[name].points
    assert points[0][1] == 1.0
    assert all(after[0] > before[0] and 0 < after[1] < before[1] for before, after in pairwise(points))


@pytest.mark.parametrize("name", ALL)
def test_it_is_read_as_numpy_reads_it(name: str) -> None:
    at, factors = zip(*ALL[name].points, strict=True)
    measures = np.linspace(at[0] - 3, at[-1] + 3, 400)
    assert [ALL[name].at(float(measure)) for measure in measures] == pytest.approx(np.interp(measures, at, factors))


def test_an_undamaged_voice_gets_the_span() -> None:
    assert curves.noi(-70, 0.0) == 1 + curves.SPAN["noi"]
    assert curves.col(100, 8000, 0.0) == 1 + curves.SPAN["col"]
    assert curves.dis(0.0, 0.0, 0.0) == 1 + curves.SPAN["dis"]
    assert curves.loud(-24) == 1 + curves.SPAN["loud"]


def test_damage_of_two_kinds_multiplies() -> None:
    upper, clipped = (curves.col(100, 3500, 0.0) - 1, curves.col(100, 8000, 0.1) - 1)
    assert curves.col(100, 3500, 0.1) - 1 == pytest.approx(upper * clipped / curves.SPAN["col"])


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_what_clipping_takes_off_a_voice_is_put_back(share: float) -> None:
    """Amplitudes that fall off exponentially, as those of speech: the power below the limit, by counting."""
    sizes = np.random.default_rng(5).exponential(size=400_000)
    limit = np.quantile(sizes, 1 - share)
    left = np.mean(np.minimum(sizes, limit) ** 2) / np.mean(sizes**2)
    assert curves.taken(share) == pytest.approx(-10 * np.log10(left), abs=0.05)
    assert curves.noi(-40 + curves.taken(share), share) == pytest.approx(curves.noi(-40, 0.0))


def test_what_clipping_takes_grows_and_ends() -> None:
    found = [curves.taken(float(share)) for share in np.linspace(0, 1, 101)]
    assert found[0] == 0.0 and found == sorted(found) and found[-1] == pytest.approx(10.0)


def test_gaps_are_not_counted_twice() -> None:
    """The rules or the model, whichever says worse."""
    by_rule, by_model = curves.dis(0.03, 0.0, 0.0), curves.dis(0.0, 0.0, 2.5)
    assert curves.dis(0.03, 0.0, 2.5) == min(by_rule, by_model)


def test_measures_begin_where_nothing_is_missing() -> None:
    assert (curves.upper(8000), curves.upper(7000), curves.upper(3500)) == (0.0, 0.0, 1.0)
    assert (curves.lower(50), curves.lower(150), curves.lower(600)) == (0.0, 0.0, 2.0)
    assert curves.clipping(0.0) == pytest.approx(-2.5)
    assert (curves.softer(-30), curves.softer(-10), curves.louder(-30), curves.louder(-10)) == (6.0, 0.0, 0.0, 14.0)


def test_what_plcmos_was_expected_to_give_falls_with_noise_and_coloration() -> None:
    assert curves.plcmos_deficit(4.0, 4.5, 3.6) == pytest.approx(-0.2, abs=0.3)
    assert curves.plcmos_deficit(4.0, 1.5, 3.6) < curves.plcmos_deficit(4.0, 4.5, 3.6)


@pytest.mark.parametrize("p808", [0.0, 1.0, 2.5, 4.0, 5.0])
@pytest.mark.parametrize("aspect", [1.01, 2.0, 4.5])
def test_mos_stays_within_the_scale_and_rises_with_all_it_is_made_of(p808: float, aspect: float) -> None:
    rest = {"noi": aspect, "col": aspect, "dis": aspect, "loud": aspect}
    value = curves.mos(p808, rest)  # type: ignore[arg-type]
    assert 1 < value <= 5
    assert curves.mos(p808 + 0.5, rest) >= value  # type: ignore[arg-type]
    for name in rest:
        assert curves.mos(p808, {**rest, name: aspect + 0.4}) > value or value == 5  # type: ignore[arg-type]


def test_mos_is_the_geometric_mean_of_two_opinions_above_1() -> None:
    aspects = {"noi": 4.0, "col": 3.5, "dis": 3.6, "loud": 4.0}
    constant, *weights = curves.BY_ASPECTS
    one = np.exp(constant) * np.prod([(value - 1) ** weight for value, weight in zip(aspects.values(), weights, strict=True)])
    other = curves.BY_P808[0] + curves.BY_P808[1] * 3.5 - 1
    assert curves.mos(3.5, aspects) == pytest.approx(1 + np.sqrt(one * other))  # type: ignore[arg-type]
