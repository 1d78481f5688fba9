from __future__ import annotations

from itertools import product

import pytest

from turnwise.judges.composition import composed
from turnwise.judges.severity import FAILURES, MILD, MODERATE, criterion, graded
from turnwise.judges.verdict import Abstention, Fault, Score, Verdict

LOSS = {"a": 0.8, "b": 0.5}


def _points(verdict: Verdict) -> float:
    assert isinstance(verdict, Score)
    return verdict.value


def test_no_failure_is_a_hundred() -> None:
    assert composed({"a": Score(0), "b": Score(0)}, LOSS) == Score(100.0, "no failure found")


def test_more_of_any_failure_is_fewer_points() -> None:
    steps = (0.0, 10.0, 40.0, 70.0, 100.0)
    for a, b in product(steps, steps):
        here = _points(composed({"a": Score(a), "b": Score(b)}, LOSS))
        assert 0 <= here <= 100
        if a < 100:
            assert _points(composed({"a": Score(a + 10), "b": Score(b)}, LOSS)) < here
        if b < 100:
            assert _points(composed({"a": Score(a), "b": Score(b + 10)}, LOSS)) < here


def test_the_worst_part_is_named_first() -> None:
    verdict = composed({"a": Score(20.0), "b": Score(80.0)}, LOSS)
    assert isinstance(verdict, Score)
    assert verdict.reason == "b 80: -40 points; a 20: -16 points"


def test_an_abstention_is_named_and_costs_nothing() -> None:
    assert composed({"a": Abstention("x"), "b": Score(50)}, LOSS) == Score(75.0, "b 50: -25 points; not judged: a")


def test_all_abstentions_are_an_abstention() -> None:
    assert composed({"a": Abstention("x"), "b": Abstention("y")}, LOSS) == Abstention("not judged: a, b")


@pytest.mark.parametrize("broken", [{"a": Fault("timeout"), "b": Score(0)}, {"b": Score(0)}, {}])
def test_a_fault_or_a_hole_is_never_a_number(broken: dict[str, Verdict]) -> None:
    verdict = composed(broken, LOSS)
    assert isinstance(verdict, Fault)
    assert verdict.cause == "upstream"
    assert verdict.detail.startswith("a")


def test_bands_of_severity() -> None:
    steps = (1.0, 2.0, 3.0, 4.0)
    assert [graded(x, *steps) for x in (0, 1, 2, 3, 4, 9)] == [0, 0, MILD, MODERATE, 100, 100]
    values = [graded(1 + i / 100, *steps) for i in range(301)]
    assert values == sorted(values)


def test_failures_are_severities() -> None:
    for name in FAILURES:
        made = criterion(name)
        assert (made.name, made.unit, made.better, made.low, made.high) == (name, "severity 0-100", "lower", 0, 100)
