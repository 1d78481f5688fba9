"""The sign test against scipy, Bradley-Terry against an optimiser that knows nothing of it, and what the data cannot say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest

from turnwise.listening.ranking import Comparison, binomial, log_strengths, outcomes, rank, sign_test


@pytest.mark.parametrize(("wins", "losses"), [(0, 1), (5, 5), (8, 2), (2, 8), (15, 30), (0, 40), (1000, 900), (2100, 1900)])
def test_the_sign_test_is_that_of_scipy(wins: int, losses: int) -> None:
    assert binomial(wins, losses) == pytest.approx(binomtest(wins, wins + losses).pvalue, rel=1e-7)


def test_sign_test_counts_from_either_side() -> None:
    made = [Comparison(str(k), "a", "b", outcome) for k, outcome in enumerate(["first"] * 7 + ["second"] * 2 + ["tie"] * 3)]  # type: ignore[arg-type]
    test = sign_test("a", "b", made)
    assert (test.wins, test.losses, test.ties, test.turns) == (7, 2, 3, 12)
    back = sign_test("b", "a", made)
    assert (back.wins, back.losses, back.p) == (2, 7, test.p)
    assert sign_test("a", "b", made[-3:]).p is None


def independent(won: np.ndarray) -> np.ndarray:
    """The maximum of the likelihood, by a general optimiser."""
    size = len(won)

    def loss(free: np.ndarray) -> float:
        values = np.append(free, -free.sum())
        return -sum(
            won[i, j] * (values[i] - np.logaddexp(values[i], values[j])) for i in range(size) for j in range(size) if i != j
        )

    found = minimize(loss, np.zeros(size - 1), method="BFGS", options={"gtol": 1e-9})
    return np.append(found.x, -found.x.sum())


def test_strengths_are_those_of_an_independent_optimiser() -> None:
    draw = np.random.default_rng(3)
    for size in (2, 3, 6):
        won = draw.integers(1, 12, (size, size)).astype(float)
        np.fill_diagonal(won, 0)
        np.testing.assert_allclose(log_strengths(won[None])[0], independent(won), atol=1e-5)
    two = np.array([[0.0, 30.0], [10.0, 0.0]])
    assert log_strengths(two[None])[0] == pytest.approx([math.log(3) / 2, -math.log(3) / 2], abs=1e-8)


def made(turns: int, truth: dict[str, float], seed: int) -> list[Comparison]:
    draw = np.random.default_rng(seed)
    names = list(truth)
    found = []
    for turn in range(turns):
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                better = draw.random() < 1 / (1 + math.exp(truth[second] - truth[first]))
                found.append(Comparison(f"{turn:03}", first, second, "first" if better else "second"))
    return found


def test_the_ranking_finds_the_order_and_its_intervals_hold_the_truth() -> None:
    truth = {"c": -1.0, "a": 1.0, "b": 0.0}
    ranking = rank(list(truth), made(200, truth, 1), seed=5, resamples=300)
    assert [one.system for one in ranking.strengths] == ["a", "b", "c"]
    assert not ranking.separated
    for one in ranking.strengths:
        assert one.low is not None and one.high is not None
        assert one.low < truth[one.system] < one.high
        assert one.high - one.low < 0.7
        assert one.comparisons == 400
    again = rank(list(truth), made(200, truth, 1), seed=5, resamples=300)
    assert again == ranking


def test_who_never_loses_gets_a_finite_strength_and_it_is_said() -> None:
    won = [Comparison(str(k), "a", "b", "first") for k in range(9)]
    ranking = rank(["a", "b"], won, seed=1, resamples=50)
    assert ranking.separated
    # Nine wins, and one tie as the prior: 9.5 against 0.5.
    assert ranking.strengths[0].value == pytest.approx(math.log(9.5 / 0.5) / 2, abs=1e-8)
    assert ranking.strengths[0].wins == 9


def test_ties_are_half_a_win_for_both() -> None:
    ties = [Comparison(str(k), "a", "b", "tie") for k in range(4)]
    ranking = rank(["a", "b"], ties, seed=1, resamples=20)
    assert [one.value for one in ranking.strengths] == [0.0, 0.0]
    assert [one.wins for one in ranking.strengths] == [2.0, 2.0]


def test_ties_count_as_half_wins_in_the_likelihood() -> None:
    """The strengths of outcomes with ties, added ties and a system that never loses, against the optimiser."""
    draw = np.random.default_rng(11)
    names = ["a", "b", "c", "d", "e"]
    won = np.zeros((5, 5))
    played = []
    for turn in range(60):
        for i in range(5):
            for j in range(i + 1, 5):
                outcome = "first" if i == 0 else ("first", "second", "tie")[draw.integers(3)]
                played.append(Comparison(str(turn), names[i], names[j], outcome))  # type: ignore[arg-type]
                won[i, j] += {"first": 1.0, "tie": 0.5, "second": 0.0}[outcome]
                won[j, i] += {"first": 0.0, "tie": 0.5, "second": 1.0}[outcome]
    ranking = rank(names, played, seed=1, resamples=0)
    expected = independent(won + np.where(np.eye(5, dtype=bool), 0.0, 0.5))
    assert ranking.separated and ranking.groups == (tuple(one.system for one in ranking.strengths),)
    for one in ranking.strengths:
        assert one.value == pytest.approx(expected[names.index(one.system)], abs=1e-5)
        assert one.wins == won[names.index(one.system)].sum()


def test_a_long_chain_converges() -> None:
    won = np.zeros((20, 20))
    for k in range(19):
        won[k, k + 1], won[k + 1, k] = 700.0, 300.0
    won += np.where(np.eye(20, dtype=bool), 0.0, 0.5)
    np.testing.assert_allclose(log_strengths(won[None])[0], independent(won), atol=1e-4)


def test_systems_that_nothing_links_are_told_apart() -> None:
    played = [Comparison(str(k), "a", "b", "first" if k % 3 else "second") for k in range(30)]
    played += [Comparison(f"x{k}", "c", "d", "first" if k % 2 else "tie") for k in range(30)]
    ranking = rank(["a", "b", "c", "d"], played, seed=1, resamples=20)
    assert ranking.groups == (("c", "d"), ("a", "b"))
    assert ranking.separated
    # Each pair is as far apart as it would be alone, up to what the ties with the other pair pull.
    values = {one.system: one.value for one in ranking.strengths}
    alone = rank(["a", "b"], played[:30], seed=1, resamples=20)
    assert values["a"] - values["b"] == pytest.approx(alone.strengths[0].value - alone.strengths[1].value, abs=0.05)
    linked = rank(["a", "b", "c", "d"], [*played, Comparison("y", "b", "c", "tie")], seed=1, resamples=20)
    assert len(linked.groups) == 1


def test_one_turn_has_no_interval() -> None:
    ranking = rank(["a", "b"], [Comparison("1", "a", "b", "first")], seed=1)
    assert ranking.strengths[0].low is None
    assert ranking.resamples == 0


def test_outcomes_of_ratings() -> None:
    found = outcomes({"a": {"1": 3.0, "2": 2.0, "3": 4.0}, "b": {"1": 3.1, "2": 2.2, "4": 1.0}}, tie=0.1)
    assert found == (Comparison("1", "a", "b", "tie"), Comparison("2", "a", "b", "second"))
