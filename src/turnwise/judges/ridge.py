"""Ridge regression that can forget: linear maps from sparse features, with any one dialogue left out exactly.

Trained once on all rows; what it would have said without the rows of one dialogue follows from the Woodbury identity at the
cost of that dialogue alone. Rows are sets of feature names; the most frequent names make the columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

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
    """W that minimises |XW - Y|^2 + penalty |W|^2, for all rows or without those of one owner."""

    def __init__(self, x: Matrix, y: Matrix, owners: Sequence[str], penalty: float) -> None:
        self._x, self._y = x, y
        self._rows: dict[str, list[int]] = {}
        for i, owner in enumerate(owners):
            self._rows.setdefault(owner, []).append(i)
        gram = x.T @ x
        gram[np.diag_indices_from(gram)] += penalty
        self._inverse: Matrix = np.linalg.inv(gram).astype(np.float32)
        self.weights: Matrix = self._inverse @ (x.T @ y)
        self._kept: tuple[str, Matrix] = ("", self.weights)

    def without(self, owner: str) -> Matrix:
        """The weights as if this owner's rows had never been seen."""
        if self._kept[0] != owner or owner not in self._rows:
            self._kept = (owner, self._forget(self._rows[owner]) if owner in self._rows else self.weights)
        return self._kept[1]

    def _forget(self, rows: list[int]) -> Matrix:
        x, y = self._x[rows], self._y[rows]
        h = self._inverse @ x.T
        rest = np.eye(len(rows), dtype=np.float32) - x @ h
        forgotten: Matrix = self.weights + h @ np.linalg.solve(rest, x @ self.weights - y)
        return forgotten.astype(np.float32)
