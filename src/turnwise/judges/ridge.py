"""Ridge regression that can forget: linear maps from sparse features, with any one dialogue left out exactly.

Trained once on all rows; what it would have said without the rows of one dialogue follows from the Woodbury identity at the
cost of that dialogue alone. Rows are sets of feature names; the most frequent names make the columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


class Columns:
    """The features that are frequent enough to learn from, in a fixed order."""

    def __init__(self, rows: Iterable[Iterable[str]], *, least: int, most: int) -> None:
        seen: Counter[str] = Counter()
        for row in rows:
            seen.update(set(row))
        ranked = sorted((name for name, n in seen.items() if n >= least), key=lambda name: (-seen[name], name))
        self.names = tuple(ranked[:most])
        self.place = {name: i for i, name in enumerate(self.names)}

    def of(self, row: Iterable[str]) -> list[int]:
        """The columns of one row, ascending."""
        return sorted({self.place[name] for name in row if name in self.place})

    def matrix(self, rows: Sequence[Iterable[str]]) -> Matrix:
        """One row of unit length for each set of names."""
        made = np.zeros((len(rows), len(self.names)), np.float32)
        for i, row in enumerate(rows):
            places = self.of(row)
            if places:
                made[i, places] = 1 / np.sqrt(len(places))
        return made


class Ridge:
    """W that minimises |XW - Y|^2 + penalty |W|^2, for all rows or without those of one owner; rows without owner always stay."""

    def __init__(self, x: Matrix, y: Matrix, owners: Sequence[str | None], penalty: float) -> None:
        self._x, self._y = x, y
        self._rows: dict[str, list[int]] = {}
        for i, owner in enumerate(owners):
            if owner is not None:
                self._rows.setdefault(owner, []).append(i)
        gram = x.T @ x
        gram[np.diag_indices_from(gram)] += penalty
        self._inverse: Matrix = np.linalg.inv(gram).astype(np.float32)
        self.weights: Matrix = self._inverse @ (x.T @ y)
        self._kept: tuple[str | None, Matrix, Matrix] = (None, self.weights, self.weights)

    def without(self, owner: str) -> Matrix:
        """The weights as if this owner's rows had never been seen."""
        if owner not in self._rows:
            return self.weights
        left, right = self._correction(owner)
        forgotten: Matrix = self.weights + left @ right
        return forgotten

    def predictions(self, rows: NDArray[np.intp], owner: str) -> Matrix:
        """What the weights without this owner say of some of the training rows."""
        said: Matrix = self._fitted[rows]
        if owner in self._rows:
            left, right = self._correction(owner)
            said = (said + (self._x[rows] @ left) @ right).astype(np.float32)
        return said

    def at(self, places: Sequence[int], owner: str) -> Matrix:
        """The sum of the weights of these columns, without this owner."""
        total: Matrix = self.weights[places].sum(axis=0)
        if owner in self._rows:
            left, right = self._correction(owner)
            total = (total + left[places].sum(axis=0) @ right).astype(np.float32)
        return total

    @cached_property
    def _fitted(self) -> Matrix:
        return self._x @ self.weights

    def _correction(self, owner: str) -> tuple[Matrix, Matrix]:
        """Two thin factors whose product, added to the weights, takes one owner's rows out of them."""
        if self._kept[0] != owner:
            x, y = self._x[self._rows[owner]], self._y[self._rows[owner]]
            left = self._inverse @ x.T
            rest = np.eye(len(x), dtype=np.float32) - x @ left
            right = np.linalg.solve(rest, x @ self.weights - y).astype(np.float32)
            self._kept = (owner, left, right)
        return self._kept[1], self._kept[2]
