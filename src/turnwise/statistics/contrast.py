"""Two arms on the turns that both have: the paired difference, its interval, and whether it is more than chance.

Pairs are common (dialogue, round) with a score on both sides; dialogues are the clusters. The family that Holm's correction
covers is all pairs of arms under one criterion: each criterion is a question of its own.
"""

from __future__ import annotations

from itertools import combinations

import msgspec
import numpy as np

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import number, sums
from turnwise.statistics.grid import Grid
from turnwise.statistics.permutation import holm, sign_flip


class Contrast(msgspec.Struct, frozen=True):
    """Mean of a minus b, in the criterion's unit; None where no turn is common."""

    a: str
    b: str
    criterion: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None  # sign flips over dialogues; None where no turn is common
    p_holm: float | None
    n: int  # common turns
    dialogues: int  # with a common turn
    left_out: int  # turns scored for one arm only

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero and the corrected p is below 0.05."""
        if self.low is None or self.high is None or self.p_holm is None:
            return False
        return (self.low > 0 or self.high < 0) and self.p_holm < 0.05


def contrasts(grid: Grid, bootstrap: Bootstrap, *, seed: int, flips: int = 9999) -> tuple[Contrast, ...]:
    """Every pair of arms under every criterion, criteria outermost."""
    pairs = list(combinations(range(len(grid.arms)), 2))
    if not pairs:
        return ()
    first, second = (grid.values[[p[k] for p in pairs]] for k in (0, 1))  # [pair, criterion, dialogue, round]
    total, count = sums(first - second)
    left_out = (np.isfinite(first) ^ np.isfinite(second)).sum(axis=(2, 3))
    dialogues = len(grid.dialogues)
    above, below = total.reshape(-1, dialogues).T, count.reshape(-1, dialogues).T
    low, high = bootstrap.ratio_interval(above, below)
    p = sign_flip(above, seed=seed, flips=flips)
    made: list[Contrast] = []
    width = len(grid.criteria)
    for c, name in enumerate(grid.criteria):
        columns = [pair * width + c for pair in range(len(pairs))]
        n = [int(below[:, k].sum()) for k in columns]
        # Arms that agree in every common turn differ by exactly nothing: no flip can change that.
        ps = [None if not count else 1.0 if np.isnan(p[k]) else float(p[k]) for k, count in zip(columns, n, strict=True)]
        for pair, (k, adjusted) in enumerate(zip(columns, holm(ps), strict=True)):
            made.append(
                Contrast(
                    a=grid.arms[pairs[pair][0]],
                    b=grid.arms[pairs[pair][1]],
                    criterion=name,
                    difference=float(above[:, k].sum()) / n[pair] if n[pair] else None,
                    low=number(low[k]),
                    high=number(high[k]),
                    p=ps[pair],
                    p_holm=adjusted,
                    n=n[pair],
                    dialogues=int((below[:, k] > 0).sum()),
                    left_out=int(left_out[pair, c]),
                )
            )
    return tuple(made)
