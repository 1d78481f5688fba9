"""The scores of a run as one dense array: arm, criterion, dialogue, round.

Everything that is averaged, resampled or correlated works on slices of it. NaN marks a cell without a score inside the
arrays only; it never leaves this package as a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from turnwise.statistics.table import STATUSES

if TYPE_CHECKING:
    import polars

Floats = NDArray[np.float64]
UNPLANNED = -1  # a round the dialogue does not have


@dataclass(frozen=True, eq=False)
class Grid:
    """Values and statuses of every planned cell."""

    arms: tuple[str, ...]
    criteria: tuple[str, ...]
    dialogues: tuple[str, ...]  # sorted by id, so that a resampling does not depend on the order of the run
    values: Floats  # [arm, criterion, dialogue, round - 1]
    status: NDArray[np.int8]  # the same shape: index into STATUSES, or UNPLANNED

    @property
    def rounds(self) -> int:
        return int(self.values.shape[3])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Rounds each dialogue has, the same for every arm."""
        return np.asarray((self.status != UNPLANNED).any(axis=(0, 1)).sum(axis=1), dtype=np.int64)

    def of(self, arm: str, criterion: str) -> Floats:
        """Scores of one arm under one criterion: [dialogue, round - 1], NaN where there is none."""
        return np.asarray(self.values[self.arms.index(arm), self.criteria.index(criterion)])

    def status_of(self, arm: str, criterion: str) -> NDArray[np.int8]:
        return np.asarray(self.status[self.arms.index(arm), self.criteria.index(criterion)])


def grid_of(table: polars.DataFrame) -> Grid:
    """The dense form of a tidy table."""
    arms, arm = _codes(table["arm"])
    criteria, criterion = _codes(table["criterion"])
    dialogues, dialogue = _codes(table["dialogue"], ordered=True)
    turn = table["round"].to_numpy().astype(np.int64) - 1
    shape = (len(arms), len(criteria), len(dialogues), int(turn.max(initial=-1)) + 1)
    values = np.full(shape, np.nan)
    status = np.full(shape, UNPLANNED, dtype=np.int8)
    place = (arm, criterion, dialogue, turn)
    values[place] = table["value"].fill_null(np.nan).to_numpy()
    status[place] = _codes_in(table["status"], STATUSES)
    return Grid(arms, criteria, dialogues, values, status)


def _codes(column: polars.Series, ordered: bool = False) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    names = column.unique(maintain_order=True).cast(str).to_list()
    if ordered:
        names.sort()
    return tuple(names), _codes_in(column, tuple(names))


def _codes_in(column: polars.Series, names: tuple[str, ...]) -> NDArray[np.int64]:
    import polars

    return column.cast(polars.Enum(names)).to_physical().to_numpy().astype(np.int64)
