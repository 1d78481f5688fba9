"""Our bootstrap against `scipy.stats.bootstrap`, on the same clustered data with the same number of draws.

The means and the means per round of a run of 4 arms x 12 criteria over 200 dialogues of 10 rounds: 528 quantities, each with a
percentile interval by resampling dialogues, the ratio of two sums over dialogues as the statistic. Scipy is called in two ways:
as it usually is, once per quantity with its default batch, and in its fastest form here, one vectorised call with batches of
one. All run on one thread and are timed in turn, several times over; the least time counts, since other work on the
machine only adds to it.

The last line is JSON: `ratio` is the time of the usual call over ours, `ratio_to_fastest` that of the fastest form;
`largest_gap` is the largest distance between two ends of an interval in units of its width (both are random draws, so it shrinks
with the number of draws and is not zero).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # read when numpy loads

import numpy as np
from scipy import stats

from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import Floats

QUANTITIES = 4 * 12 * (1 + 10)  # arms, criteria, over all rounds and per round


def made(dialogues: int, seed: int) -> tuple[Floats, Floats]:
    """Sums and counts per dialogue and quantity: scores around a level of the dialogue's own, a twentieth of them missing."""
    generator = np.random.default_rng(seed)
    level = generator.normal(70.0, 8.0, size=(dialogues, QUANTITIES, 1))
    scores = level + generator.normal(0.0, 12.0, size=(dialogues, QUANTITIES, 10))
    scored = generator.random(scores.shape) > 0.05
    return np.where(scored, scores, 0.0).sum(axis=2), scored.sum(axis=2).astype(np.float64)


def ours(above: Floats, below: Floats, draws: int, seed: int) -> Floats:
    return np.stack(Bootstrap(len(above), seed, draws, expand=False).ratio_interval(above, below))


def ratio(x: Floats, y: Floats, axis: int) -> Floats:
    return x.sum(axis=axis) / y.sum(axis=axis)


def scipy_each(above: Floats, below: Floats, draws: int, seed: int) -> Floats:
    ends = [scipy_once(above[:, k], below[:, k], draws, seed + k, batch=None) for k in range(above.shape[1])]
    return np.stack(ends, axis=1)


def scipy_once(above: Floats, below: Floats, draws: int, seed: int, batch: int | None = 1) -> Floats:
    found = stats.bootstrap(
        (np.ascontiguousarray(above.T), np.ascontiguousarray(below.T)),
        ratio,
        n_resamples=draws,
        paired=True,
        vectorized=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=batch,
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
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    above, below = made(options.dialogues, seed=1)
    ways = {"ours": ours, "scipy": scipy_each, "scipy_fastest": scipy_once}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    ends: dict[str, Floats] = {}
    for repeat in range(options.repeats):
        for place, (name, way) in enumerate(ways.items()):
            seconds, ends[name] = timed(partial(way, above, below, options.draws, 1000 * place + repeat))
            spent[name].append(seconds)
        print(f"repeat {repeat + 1}: " + ", ".join(f"{name} {1000 * times[-1]:.1f} ms" for name, times in spent.items()))
    least = {name: min(times) for name, times in spent.items()}
    gap = np.abs(ends["ours"] - ends["scipy"]).max() / (ends["scipy"][1] - ends["scipy"][0]).mean()
    result = {
        "benchmark": "bootstrap",
        "quantities": QUANTITIES,
        "dialogues": options.dialogues,
        "draws": options.draws,
        **{f"{name}_ms": round(1000 * seconds, 1) for name, seconds in least.items()},
        "ratio": round(least["scipy"] / least["ours"], 1),
        "ratio_to_fastest": round(least["scipy_fastest"] / least["ours"], 1),
        "largest_gap": round(float(gap), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
