"""A criterion over the rounds of a conversation, on all dialogues and on those that reach the last round shown.

Long dialogues are few, so later means rest on fewer and different dialogues; hence n beside every point, and a second curve on
the constant subset, where nothing but the round changes from point to point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.judges.judge import Criterion
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import number, sums
from turnwise.statistics.grid import Floats, Grid

LEAST_SHARE = 1 / 3  # of the dialogues must reach the last round shown
LEAST_DIALOGUES = 5  # and so many in number, where there are as many


class Point(msgspec.Struct, frozen=True):
    """The mean of one round."""

    round: int
    mean: float | None
    low: float | None
    high: float | None
    n: int  # scored turns of this round, one per dialogue


class Curve(msgspec.Struct, frozen=True):
    """One arm under one criterion, round by round."""

    all: tuple[Point, ...]
    constant: tuple[Point, ...]
    dialogues: int
    constant_dialogues: int
    drops: tuple[int, ...]  # rounds worse than the first by more than the margin, on all dialogues
    constant_drops: tuple[int, ...]


def last_round(lengths: NDArray[np.int64], asked: int | None = None) -> int:
    """The last round shown: the largest one reached by a third of the dialogues and by five of them (by all where fewer)."""
    if len(lengths) == 0:
        return 0
    longest = int(lengths.max())
    if asked is not None:
        return min(asked, longest)
    least = max(int(np.ceil(LEAST_SHARE * len(lengths))), min(LEAST_DIALOGUES, len(lengths)))
    return int(np.sort(lengths)[::-1][least - 1])


def curves(
    grid: Grid, bootstrap: Bootstrap, criteria: Mapping[str, Criterion], last: int, drop: float
) -> dict[str, dict[str, Curve]]:
    """The curve of every criterion for every arm, up to round `last`. `drop` is the margin in points of 100."""
    reaching = grid.lengths >= last
    shown = grid.values[:, :, :, :last]
    whole = _points(shown, bootstrap)
    constant = _points(np.where(reaching[None, None, :, None], shown, np.nan), bootstrap)
    made: dict[str, dict[str, Curve]] = {}
    for a, arm in enumerate(grid.arms):
        made[arm] = {}
        for c, name in enumerate(grid.criteria):
            limit = margin(criteria[name], drop)
            better = criteria[name].better
            made[arm][name] = Curve(
                all=whole[a][c],
                constant=constant[a][c],
                dialogues=len(grid.dialogues),
                constant_dialogues=int(reaching.sum()),
                drops=drops([p.mean for p in whole[a][c]], limit, better),
                constant_drops=drops([p.mean for p in constant[a][c]], limit, better),
            )
    return made


def margin(criterion: Criterion, points: float) -> float | None:
    """`points` of 100 in the criterion's own scale; None where the scale has no two ends."""
    if criterion.low is None or criterion.high is None:
        return None
    return points * (criterion.high - criterion.low) / 100.0


def drops(means: Iterable[float | None], limit: float | None, better: str = "higher") -> tuple[int, ...]:
    """Rounds, from 1, whose mean is worse than the first round's by more than `limit`."""
    series = list(means)
    if limit is None or not series or series[0] is None:
        return ()
    sign = 1.0 if better == "higher" else -1.0
    first = series[0]
    # A difference of exactly the margin is none: 84.3 - 74.3 is 10.000000000000000 in decimal, not in binary.
    return tuple(i for i, mean in enumerate(series, start=1) if mean is not None and round(sign * (first - mean) - limit, 9) > 0)


def _points(values: Floats, bootstrap: Bootstrap) -> list[list[tuple[Point, ...]]]:
    arms, criteria, dialogues, rounds = values.shape
    total, count = sums(values[..., None])
    above = total.transpose(2, 0, 1, 3).reshape(dialogues, -1)
    below = count.transpose(2, 0, 1, 3).reshape(dialogues, -1)
    low, high = (edge.reshape(arms, criteria, rounds) for edge in bootstrap.ratio_interval(above, below))
    n = count.sum(axis=2).astype(int)
    whole = total.sum(axis=2)
    return [
        [
            tuple(
                Point(
                    r + 1,
                    float(whole[a, c, r]) / int(n[a, c, r]) if n[a, c, r] else None,
                    number(low[a, c, r]),
                    number(high[a, c, r]),
                    int(n[a, c, r]),
                )
                for r in range(rounds)
            )
            for c in range(criteria)
        ]
        for a in range(arms)
    ]
