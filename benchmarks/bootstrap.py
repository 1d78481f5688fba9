"""Our bootstrap against `scipy.stats.bootstrap`, on the same clustered data with the same number of draws.

A run of 4 arms x 12 criteria over 200 dialogues of 10 rounds: 48 means, each with a percentile interval by resampling
dialogues, the ratio of two sums over dialogues as the statistic. Scipy gets all 48 in one vectorised call, its fastest form
here (a call per mean takes twice as long). Both are timed in turn, several times over; the median counts.
The last line is JSON: `ratio` is scipy's time over ours, `largest_gap` the largest distance between two ends of an interval
in units of its width (both are random draws, so it shrinks with the number of draws and is not zero).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import stats

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import Floats

MEANS = 48  # 4 arms x 12 criteria


def made(dialogues: int, seed: int) -> tuple[Floats, Floats]:
    """Sums and counts per dialogue and mean: scores around a level of the dialogue's own, a twentieth of them missing."""
    generator = np.random.default_rng(seed)
    level = generator.normal(70.0, 8.0, size=(dialogues, MEANS, 1))
    scores = level + generator.normal(0.0, 12.0, size=(dialogues, MEANS, 10))
    scored = generator.random(scores.shape) > 0.05
    return np.where(scored, scores, 0.0).sum(axis=2), scored.sum(axis=2).astype(np.float64)


def ours(above: Floats, below: Floats, draws: int, seed: int) -> Floats:
    return np.stack(Bootstrap(len(above), seed, draws, expand=False).ratio_interval(above, below))


def scipys(above: Floats, below: Floats, draws: int, seed: int) -> Floats:
    def ratio(x: Floats, y: Floats, axis: int) -> Floats:
        return x.sum(axis=axis) / y.sum(axis=axis)

    found = stats.bootstrap(
        (above.T, below.T),
        ratio,
        n_resamples=draws,
        paired=True,
        vectorized=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return np.stack([found.confidence_interval.low, found.confidence_interval.high])


def timed(work: Callable[[], Floats]) -> tuple[float, Floats]:
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dialogues", type=int, default=200)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    above, below = made(options.dialogues, seed=1)
    spent: dict[str, list[float]] = {"ours": [], "scipy": []}
    for repeat in range(options.repeats):
        seconds, mine = timed(partial(ours, above, below, options.draws, 10 + repeat))
        spent["ours"].append(seconds)
        seconds, theirs = timed(partial(scipys, above, below, options.draws, 1000 + repeat))
        spent["scipy"].append(seconds)
        print(f"repeat {repeat + 1}: ours {1000 * spent['ours'][-1]:.1f} ms, scipy {1000 * spent['scipy'][-1]:.1f} ms")
    gap = float(np.abs(mine - theirs).max() / (theirs[1] - theirs[0]).mean())
    middle = {name: statistics.median(values) for name, values in spent.items()}
    result = {
        "benchmark": "bootstrap",
        "means": MEANS,
        "dialogues": options.dialogues,
        "draws": options.draws,
        "ours_ms": round(1000 * middle["ours"], 2),
        "scipy_ms": round(1000 * middle["scipy"], 2),
        "ratio": round(middle["scipy"] / middle["ours"], 1),
        "largest_gap": round(gap, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
