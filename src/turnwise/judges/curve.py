"""Area under the ROC curve by ranks, with a bootstrap interval over dialogues."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval; all None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def area(scores: Floats, failed: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """Chance that a failed turn scores above a clean one, ties counting half; one value per row of weights.

    Mann-Whitney by sorting once: for each distinct score the clean weight below it, and half of that at it.
    """
    weights = np.ones((1, len(scores))) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, int)
    w, bad = weights[:, order], failed[order]
    clean = np.add.reduceat(w * ~bad, starts, axis=1)
    planted = np.add.reduceat(w * bad, starts, axis=1)
    below = np.cumsum(clean, axis=1) - clean
    pairs = clean.sum(axis=1) * planted.sum(axis=1)
    with np.errstate(invalid="ignore"):
        result: Floats = np.where(pairs > 0, (planted * (below + clean / 2)).sum(axis=1) / np.where(pairs > 0, pairs, 1), np.nan)
    return result


def area_estimate(scores: Floats, failed: NDArray[np.bool_], owners: NDArray[np.intp], resamples: NDArray[np.intp]) -> Estimate:
    """The area with the 2.5 and 97.5 percentiles over resamples of dialogues; `resamples[b, d]`: times dialogue d was drawn."""
    if not failed.any() or failed.all():
        return Estimate(None)
    value = float(area(scores, failed)[0])
    drawn = area(scores, failed, resamples[:, owners].astype(np.float64))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def share_estimate(hits: NDArray[np.bool_], owners: NDArray[np.intp], resamples: NDArray[np.intp]) -> Estimate:
    """The share of hits with its interval over resamples of dialogues."""
    if not len(hits):
        return Estimate(None)
    weights = resamples[:, owners].astype(np.float64)
    total = weights.sum(axis=1)
    drawn = (weights @ hits)[total > 0] / total[total > 0]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(float(hits.mean()), float(low), float(high))


def resampled(dialogues: int, seed: int, times: int) -> NDArray[np.intp]:
    """How often each dialogue is drawn in each of `times` resamples with replacement."""
    drawn = np.random.default_rng(seed).integers(0, dialogues, (times, dialogues))
    rows = np.arange(times)[:, None] * dialogues
    counts: NDArray[np.intp] = np.bincount((drawn + rows).ravel(), minlength=times * dialogues).reshape(times, dialogues)
    return counts
