from __future__ import annotations

import numpy as np
import pytest

from turnwise.judges.ridge import Columns, Ridge


def _problem(seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(40, 12)).astype(np.float32)
    y = draw.normal(size=(40, 3)).astype(np.float32)
    return x, y, [f"d{i % 8}" for i in range(40)]


def test_weights_solve_the_normal_equations() -> None:
    x, y, owners = _problem(1)
    weights = Ridge(x, y, owners, 0.5).weights
    assert np.allclose(x.T @ (x @ weights - y) + 0.5 * weights, 0, atol=1e-3)


def test_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, y, owners = _problem(2)
    theirs = linear.Ridge(alpha=0.5, fit_intercept=False).fit(x, y)
    assert np.allclose(Ridge(x, y, owners, 0.5).weights, theirs.coef_.T, atol=1e-4)


@pytest.mark.parametrize("owner", ["d0", "d3", "d7"])
def test_forgetting_equals_never_having_seen(owner: str) -> None:
    x, y, owners = _problem(3)
    kept = np.array([o != owner for o in owners])
    anew = Ridge(x[kept], y[kept], [o for o in owners if o != owner], 0.5).weights
    ridge = Ridge(x, y, owners, 0.5)
    assert np.allclose(ridge.without(owner), anew, atol=1e-4)
    assert np.allclose(ridge.predictions(np.arange(40), owner), x @ anew, atol=1e-4)
    assert np.allclose(ridge.at([1, 4], owner), anew[[1, 4]].sum(axis=0), atol=1e-4)
    assert not np.allclose(ridge.weights, anew, atol=1e-2)


def test_a_stranger_changes_nothing() -> None:
    x, y, owners = _problem(4)
    ridge = Ridge(x, y, owners, 0.5)
    assert (ridge.without("stranger") == ridge.weights).all()
    assert (ridge.at([0], "stranger") == ridge.weights[0]).all()


def test_columns_are_the_frequent_names_in_a_fixed_order() -> None:
    rows = [("b", "a", "rare"), ("a", "b"), ("a", "c", "c"), ("c",)]
    columns = Columns(rows, least=2, most=2)
    assert columns.names == ("a", "b")
    assert columns.of(("c", "b", "a")) == [0, 1]
    matrix = columns.matrix(rows)
    assert np.allclose(np.linalg.norm(matrix, axis=1), [1, 1, 1, 0])
