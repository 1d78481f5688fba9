"""The constants of quality/rating_curves.py: how much of NISQA's ratings each kind of damage leaves.

    python benchmarks/listening_calibration.py --nisqa nisqa.tar --speech FOLDER [--table table.json]

Every source of `sources("fitted", ...)` (listening_material.py) is damaged in every way and step, three times where packets are
lost, rated by NISQA and measured as `embedded` measures it. Per rating, the logarithm of what NISQA leaves above 1 is fitted as
the sum of one falling curve per measure, to the clean sources and the damage that is that rating's own; each sound weighs as much
as the rating is above 1, so that errors count in points. `mos` is a linear fit to P.808 and the four fitted ratings over all
sounds. Prints the constants, ready to be pasted, and the errors on the fitted sounds. `--table` keeps what was measured.

Sources and damage were divided after a first look at what NISQA says of the clean sources, so that both halves have good and poor
ones. Voices of eSpeak NG are not among the fitted ones: NISQA rates them like damaged speech (docs/listening.md).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from listening_material import KINDS, sources
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.stats import pearsonr

from turnwise.foundation.audio import Sound
from turnwise.quality.band import band, clipped
from turnwise.quality.dropouts import dropouts
from turnwise.quality.estimator import ESTIMATORS
from turnwise.quality.noise_floor import noise
from turnwise.quality.rating_curves import LOWER_FREE, UPPER_FREE
from turnwise.quality.ratings import ASPECTS, DIMENSIONS
from turnwise.speech.level import loudness

SEEDS = {"dis": 2}  # how often a source is damaged in each step, where it is not once
LEAST = 0.08  # above 1, for the logarithm: NISQA goes below 1
# Of each rating: the names of its curves, what they are read off, and their points; the first has the factor 1.
CURVES: dict[str, tuple[tuple[str, str, tuple[float, ...]], ...]] = {
    "noi": (("NOISE", "heard", (-58, -52, -47, -43, -39, -35, -30, -25, -15)),),
    "col": (
        ("UPPER", "upper", (0, 0.4, 0.8, 1.2, 1.8)),
        ("LOWER", "lower", (0, 0.8, 1.6, 2.9)),
        ("CLIPPED", "clip", (-2.5, -1.7, -1.3, -0.9, -0.5)),
    ),
    "dis": (("LOST", "lost", (0, 0.006, 0.015, 0.03, 0.06, 0.12)), ("REPEATED", "repeated", (0, 0.015, 0.04, 0.08, 0.16))),
    "loud": (("LOUD", "lufs", (-24, -30, -36, -42, -48, -54)), ("LOUDER", "lufs", (-24, -20, -16, -12))),
}


def measured(sound: Sound) -> dict[str, float]:
    """All that the curves are read off."""
    under, between, gone = noise(sound), band(sound), dropouts(sound)
    assert under is not None and between is not None
    return {
        "heard": under.heard,
        "upper": max(0.0, math.log2(UPPER_FREE / between.high)),
        "lower": max(0.0, math.log2(between.low / LOWER_FREE)),
        "clip": math.log10(clipped(sound) + 10**-2.5),
        "lost": gone.lost,
        "repeated": gone.repeated,
        "lufs": loudness(sound) or -70.0,
    }


def table(which: str, folder: Path, weights: Path) -> list[dict[str, object]]:
    nisqa = ESTIMATORS.build("nisqa", {"weights": str(weights)}).open()
    dnsmos = ESTIMATORS.build("dnsmos", {"ratings": "mos"}).open()
    plcmos = ESTIMATORS.build("plcmos", {"listeners": 3}).open()
    rows: list[dict[str, object]] = []
    made = sources(which, folder)
    for number, source in enumerate(made):
        cases = [("clean", None, 0.0, 0, lambda sound, seed: sound)]
        for kind in KINDS:
            many = SEEDS.get(kind.dimension, 1) if which == "fitted" else 1
            cases += [(kind.name, kind.dimension, step, more, change) for step, change in kind.steps for more in range(many)]
        for name, dimension, step, more, change in cases:
            sound = change(source.sound, number + 100 * more)
            rated = nisqa.rate(sound)
            rows.append(
                {"source": source.name, "kind": name, "dimension": dimension, "step": step}
                | {f"nisqa {each}": rated.value(each) for each in DIMENSIONS}
                | {"p808": dnsmos.rate(sound).value("mos")}
                | {"plcmos": plcmos.rate(sound).value("plcmos")}
                | measured(sound)
            )
        print(f"{source.name}: {len(cases)} sounds", flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--nisqa", type=Path, required=True)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--which", default="fitted")
    given = parser.parse_args()
    rows = table(given.which, given.speech, given.nisqa)
    given.table.write_text(json.dumps(rows))
