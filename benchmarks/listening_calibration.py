"""The constants of listening/rating_curves.py: how much of NISQA's ratings each kind of damage leaves.

    python benchmarks/listening_calibration.py --nisqa nisqa.tar --speech FOLDER [--table table.json]

Every source of `sources("fitted", ...)` (listening_material.py) is damaged in every way and step, twice where packets are lost,
rated by NISQA and measured as `embedded` measures it. Per rating, the logarithm of what NISQA leaves above 1 is fitted as what
the source has when it is clean plus one falling curve per measure, over the clean sources and the damage that is that rating's
own; each sound weighs as much as its rating is above 1, so that errors count in points. The span is the mean of what the
sources have when they are clean. What PLCMOS is expected to give is a linear fit over all sounds without lost packets, and its
curve is fitted to packets that were repeated and coded again, where the rules see nothing. What the four fitted ratings and what
P.808 say of `mos` is fitted over all sounds; `mos` is the geometric mean of the two above 1, which came closer than either, their
arithmetic mean, or a linear fit to all five. Prints the constants, ready to be pasted, and the errors on the fitted sounds.
`--table` keeps what was measured, or reads it from there.

Sources were divided after a first look at what NISQA says of them, so that both parts have good and poor ones. Voices of eSpeak
NG are not among the fitted ones: NISQA rates them like damaged speech (docs/listening.md).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from listening_material import KINDS, sources
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.stats import pearsonr

from turnwise.foundation.audio import Sound
from turnwise.listening import rating_curves
from turnwise.listening.ratings import ASPECTS, DIMENSIONS, Dimension
from turnwise.quality.band import band, clipped
from turnwise.quality.dropouts import dropouts
from turnwise.quality.estimator import ESTIMATORS
from turnwise.quality.noise_floor import noise
from turnwise.speech.level import loudness

Row = dict[str, Any]
Curves = dict[str, list[tuple[float, float]]]
SEEDS = {"dis": 2}  # how often a source is damaged in each step, where it is not once
LEAST_STEP = 0.95  # of a factor from one point to the next: more damage is never rated the same
LEAST = 0.08  # above 1, for the logarithm: NISQA goes below 1
CONCEALED = "packets repeated, then Opus"
LEFT_OUT = ("packets lost in 20 dB noise", CONCEALED)  # noise costs `dis` a point with NISQA; of the other the rules see nothing
# Of each rating: the names of its curves and the measures where their points lie; at the first the factor is 1.
CURVES: dict[Dimension, dict[str, tuple[float, ...]]] = {
    "noi": {"noise": (-55, -49, -44, -39, -34, -28, -18, -8)},
    "col": {"upper": (0, 0.4, 0.8, 1.2, 1.8), "lower": (0, 0.8, 1.6, 2.9), "clipped": (-2.5, -1.7, -1.3, -0.9, -0.5)},
    "dis": {"lost": (0, 0.006, 0.015, 0.03, 0.06, 0.12), "repeated": (0, 0.015, 0.04, 0.08, 0.16)},
    "loud": {"softer": (0, 6, 12, 18, 24, 30), "louder": (0, 4, 8, 12)},
}
BY_PLCMOS = {"concealed": (0.8, 1.2, 1.6, 2.2)}


def measured(sound: Sound) -> dict[str, float]:
    """All that the curves are read off."""
    under, between, gone, level, share = noise(sound), band(sound), dropouts(sound), loudness(sound), clipped(sound)
    assert under is not None and between is not None and level is not None
    return {
        "heard": under.heard,
        "noise": under.heard - rating_curves.taken(share),
        "upper": rating_curves.upper(between.high),
        "lower": rating_curves.lower(between.low),
        "clipped": rating_curves.clipping(share),
        "lost": gone.lost,
        "repeated": gone.repeated,
        "softer": rating_curves.softer(level),
        "louder": rating_curves.louder(level),
    }


def table(folder: Path, weights: Path) -> list[Row]:
    nisqa = ESTIMATORS.build("nisqa", {"weights": str(weights)}).open()
    dnsmos = ESTIMATORS.build("dnsmos", {"ratings": "mos"}).open()
    plcmos = ESTIMATORS.build("plcmos", {"listeners": 3}).open()
    rows: list[Row] = []
    made = sources("fitted", folder)
    for number, source in enumerate(made):
        cases = [("clean", None, 0.0, 0, lambda sound, seed: sound)]
        for kind in KINDS:
            many = SEEDS.get(kind.dimension, 1)
            cases += [(kind.name, kind.dimension, step, more, change) for step, change in kind.steps for more in range(many)]
        for name, dimension, step, more, change in cases:
            sound = change(source.sound, 1000 + number + 100 * more)
            rated = nisqa.rate(sound)
            rows.append(
                {"source": source.name, "kind": name, "dimension": dimension, "step": step}
                | {f"nisqa {each}": rated.value(each) for each in DIMENSIONS}
                | {"p808": dnsmos.rate(sound).value("mos"), "plcmos": plcmos.rate(sound).value("plcmos")}
                | measured(sound)
            )
        print(f"{source.name}: {len(cases)} sounds", flush=True)
    return rows


def fitted(rows: list[Row], dimension: Dimension, wanted: dict[str, tuple[float, ...]]) -> tuple[float, Curves]:
    """The span of a rating, and the points of these curves, from the rows that show them."""
    names = sorted({row["source"] for row in rows})
    columns = [np.array([[float(row["source"] == name) for name in names] for row in rows])]
    for name, at in wanted.items():
        shares = tents(np.array([float(row[name]) for row in rows]), at)
        # The unknowns are the steps from one point to the next, all of them downwards.
        columns.append((shares @ np.tril(np.ones((len(at), len(at)))))[:, 1:])
    system = np.hstack(columns)
    above = np.maximum(np.array([row[f"nisqa {dimension}"] for row in rows], float) - 1, LEAST)
    highest = np.where(np.arange(system.shape[1]) < len(names), np.inf, np.log(LEAST_STEP))
    found = lsq_linear(system * above[:, None], np.log(above) * above, (-np.inf, highest)).x
    curves, start = {}, len(names)
    for name, at in wanted.items():
        steps = np.concatenate(([0.0], found[start : start + len(at) - 1]))
        curves[name] = [(x, round(float(y), 3)) for x, y in zip(at, np.exp(np.cumsum(steps)), strict=True)]
        start += len(at) - 1
    return round(float(np.exp(found[: len(names)]).mean()), 2), curves


def tents(measures: NDArray[np.float64], at: tuple[float, ...]) -> NDArray[np.float64]:
    """How much of the value at a measure comes from each point: straight lines between them, the end points beyond."""
    return np.array([np.interp(measures, at, row) for row in np.eye(len(at))]).T


def by_plcmos(rows: list[Row], noi: NDArray[np.float64], col: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factors of lost packets by PLCMOS; what it was expected to give goes into the rows as a deficit."""
    given = np.array([float(row["plcmos"]) for row in rows])
    system = np.column_stack([np.ones(len(rows)), noi, col])
    whole = [row["dimension"] != "dis" for row in rows]
    weights = np.linalg.lstsq(system[whole], given[whole], rcond=None)[0]
    deficit = system @ weights - given
    print(f"EXPECTED = {tuple(weights.round(2).tolist())}  # deviation from it without lost packets: {deficit[whole].std():.2f}")
    for row, lacking in zip(rows, deficit, strict=True):
        row["concealed"] = lacking
    _, curves = fitted([row for row in rows if row["kind"] == CONCEALED], "dis", BY_PLCMOS)
    tell(curves)
    return read_off(rows, curves)


def read_off(rows: list[Row], curves: Curves) -> NDArray[np.float64]:
    """The factors of these rows: the product of all curves."""
    factors = [np.interp([float(row[name]) for row in rows], *zip(*points, strict=True)) for name, points in curves.items()]
    return np.asarray(np.prod(factors, axis=0))


def tell(curves: Curves) -> None:
    for name, points in curves.items():
        print(f"{name.upper()} = Curve(({', '.join(str(point) for point in points)}))")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nisqa", type=Path)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--table", type=Path, help="read what was measured from this file, or write it there")
    given = parser.parse_args()
    if given.nisqa is None or given.speech is None:
        print("left out: fitting the constants needs --nisqa and --speech")
        print(json.dumps({"left_out": "needs --nisqa and --speech"}))
        return
    if given.table is not None and given.table.is_file():
        rows = json.loads(given.table.read_text(encoding="utf-8"))
    else:
        rows = table(given.speech, given.nisqa)
        if given.table is not None:
            given.table.write_text(json.dumps(rows), encoding="utf-8")
    ratings: dict[Dimension, NDArray[np.float64]] = {}
    for dimension in ASPECTS:
        own = [row["dimension"] in (None, dimension) for row in rows]
        shown = [row for row, one in zip(rows, own, strict=True) if one and row["kind"] not in LEFT_OUT]
        span, curves = fitted(shown, dimension, CURVES[dimension])
        if dimension == "noi":
            as_heard = 1 + span * np.interp([float(row["heard"]) for row in rows], *zip(*curves["noise"], strict=True))
        ratings[dimension] = 1 + span * read_off(rows, curves)
        print(f"{dimension}: span {span}")
        tell(curves)
        if dimension == "dis":
            theirs = np.array([row["nisqa dis"] for row in rows])
            print(f"    {agreement(ratings['dis'][own], theirs[own])} by the rules alone")
            ratings["dis"] = 1 + span * np.minimum(read_off(rows, curves), by_plcmos(rows, as_heard, ratings["col"]))
        theirs = np.array([row[f"nisqa {dimension}"] for row in rows])
        print(f"    {agreement(ratings[dimension][own], theirs[own])} on clean sounds and own damage")
    theirs = np.array([row["nisqa mos"] for row in rows])
    above = np.maximum(theirs - 1, LEAST)
    system = np.column_stack([np.ones(len(rows)), *(np.log(ratings[name] - 1) for name in ASPECTS)])
    weights = np.linalg.lstsq(system * above[:, None], np.log(above) * above, rcond=None)[0]
    by_aspects = 1 + np.exp(system @ weights)
    print(f"BY_ASPECTS = {tuple(weights.round(2).tolist())}\n    {agreement(by_aspects, theirs)}")
    system = np.column_stack([np.ones(len(rows)), [row["p808"] for row in rows]])
    weights = np.linalg.lstsq(system, theirs, rcond=None)[0]
    by_p808 = np.maximum(1 + LEAST, system @ weights)
    print(f"BY_P808 = {tuple(weights.round(2).tolist())}\n    {agreement(by_p808, theirs)}")
    print(f"mos\n    {agreement(1 + np.sqrt((by_aspects - 1) * (by_p808 - 1)), theirs)}")


def agreement(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> str:
    return f"Pearson {pearsonr(ours, theirs).statistic:.2f}, mean squared error {np.mean((ours - theirs) ** 2):.2f}"


if __name__ == "__main__":
    main()
