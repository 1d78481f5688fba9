"""Is a paired difference more than chance? Signs flipped per dialogue, and Holm's correction for asking several times.

Were two arms alike, swapping their names within a dialogue would change nothing but the sign of its difference. All sign
patterns are tried where they are few, else seeded random ones (and then the observed one counts among them, so p is never 0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from turnwise.statistics.grid import Floats

EXACT_UP_TO = 14  # dialogues: 16,384 patterns
_SLACK = 1e-9  # of the sum of sizes: equal statistics that differ by rounding still count as equal


def sign_flip(parts: Floats, *, seed: int, flips: int = 9999) -> Floats:
    """Two-sided p of the sum of each column of [dialogue, quantity]; NaN where no dialogue has a part.

    A dialogue without a part for a quantity holds 0 there, which no flip changes.
    """
    dialogues, columns = parts.shape
    counts = (parts != 0).sum(axis=0)
    if dialogues == 0:
        return np.full(columns, np.nan)
    observed = np.abs(parts.sum(axis=0))
    limit = observed - _SLACK * np.abs(parts).sum(axis=0)
    if dialogues <= EXACT_UP_TO:
        # The first sign stays: the other half of the patterns mirrors this one.
        patterns = (np.arange(1 << (dialogues - 1))[:, None] >> np.arange(dialogues - 1)) & 1
        signs = np.concatenate([np.ones((len(patterns), 1)), 1.0 - 2.0 * patterns], axis=1)
        p = (np.abs(signs @ parts) >= limit).mean(axis=0)
    else:
        generator = np.random.Generator(np.random.PCG64(seed))
        hits = np.zeros(columns)
        for first in range(0, flips, 1024):
            size = (min(1024, flips - first), dialogues)
            hits += (np.abs((1.0 - 2.0 * generator.integers(0, 2, size=size)) @ parts) >= limit).sum(axis=0)
        p = (hits + 1.0) / (flips + 1.0)
    return np.where(counts > 0, p, np.nan)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment of one family; entries without a p are not part of it."""
    order = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = highest
    return adjusted
