"""What the five ratings see of known damage, by the listener `embedded` and, where its weights are, by `nisqa`.

    python benchmarks/listening_degradations.py [--speech FOLDER] [--nisqa nisqa.tar] [--table table.json]

Every source of `sources("studied", ...)` (listening_material.py) is damaged in every way and step, set against itself as it was.
Printed as Markdown, for each listener:

- the rating that a kind of damage is meant for, clean and step by step, as means over the sources; Spearman's correlation of that
  rating with the steps within each source, as the mean over sources; and the largest change of any other aspect at the heaviest
  step, as a share of the own change;
- the clean sources;
- with NISQA, how well `embedded` agrees with it, per rating: over all sounds, and over clean ones and own damage.

Voices of eSpeak NG stand apart, as NISQA cannot be held against them. `--table` keeps the ratings, or reads them from there. The
last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from listening_material import KINDS, Kind, sources
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata, spearmanr

from turnwise.listening.listener import LISTENERS
from turnwise.listening.ratings import ASPECTS, DIMENSIONS

Row = dict[str, Any]
HEAD = (
    "| damage | own rating | clean → heaviest | Spearman | at most -0.9 | most moved of the others | mos |\n"
    "|---|---|---|---|---|---|---|"
)
AGREEMENT = "| | sounds | LCC | SRCC | MSE | mean difference | own: sounds | LCC | SRCC | MSE |\n" + "|---" * 10 + "|"
FORMANT = "en-us"  # what the names of eSpeak NG's voices begin with


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--speech", type=Path, help="folder of recordings")
    parser.add_argument("--nisqa", type=Path, help="nisqa.tar")
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table is not None and given.table.is_file():
        rows = json.loads(given.table.read_text(encoding="utf-8"))
    else:
        rows = rated(given.speech, given.nisqa)
        if given.table is not None:
            given.table.write_text(json.dumps(rows), encoding="utf-8")
    result: dict[str, Any] = {}
    plain = [row for row in rows if not row["source"].startswith(FORMANT)]
    formant = [row for row in rows if row["source"].startswith(FORMANT)]
    listeners = [name for name in ("embedded", "nisqa") if f"{name} mos" in rows[0]]
    for name in listeners:
        for group, part in (("recordings and flite", plain), ("eSpeak NG", formant)):
            print(f"\n### {name}: {group}\n\n{HEAD}")
            result[f"{name}: {group}"] = {kind.name: fall(part, name, kind) for kind in KINDS}
    print("\n### Clean\n\n| | " + " | ".join(f"{n} {d}" for n in listeners for d in DIMENSIONS) + " |")
    print("|---" * (1 + len(listeners) * len(DIMENSIONS)) + "|")
    for row in rows:
        if row["kind"] == "clean":
            print(f"| {row['source']} | " + " | ".join(f"{row[f'{n} {d}']:.2f}" for n in listeners for d in DIMENSIONS) + " |")
    if "nisqa" in listeners:
        print(f"\n### Agreement\n\n{AGREEMENT}")
        result["agreement"] = {dimension: agreement(plain, dimension) for dimension in DIMENSIONS}
        print(f"\neSpeak NG:\n\n{AGREEMENT}")
        result["agreement on eSpeak NG"] = {dimension: agreement(formant, dimension) for dimension in DIMENSIONS}
    print(json.dumps(result))


def rated(folder: Path | None, weights: Path | None) -> list[Row]:
    opened = {"embedded": LISTENERS.build("embedded").open()}
    if weights is not None:
        opened["nisqa"] = LISTENERS.build("nisqa", {"weights": str(weights)}).open()
    rows: list[Row] = []
    for number, source in enumerate(sources("studied", folder)):
        cases = [("clean", None, 0.0, source.sound)]
        cases += [
            (kind.name, kind.dimension, step, change(source.sound, number)) for kind in KINDS for step, change in kind.steps
        ]
        for name, dimension, step, sound in cases:
            row: Row = {"source": source.name, "human": source.human, "kind": name, "dimension": dimension, "step": step}
            for listener, listening in opened.items():
                ratings = listening.rate_many([sound])[0]
                row |= {f"{listener} {each}": ratings.value(each) for each in DIMENSIONS}
                row |= {"missing": ratings.missing} if ratings.missing else {}
            rows.append(row)
        print(f"{source.name}: {len(cases)} sounds", flush=True)
    return rows


def fall(rows: Sequence[Row], listener: str, kind: Kind) -> dict[str, Any]:
    """How the own rating of a kind of damage falls, and how much the others move."""
    names = list(dict.fromkeys(row["source"] for row in rows))
    # What is damaged in noise, or coded after, is set against the same without packets lost.
    begins = kind.steps[0][0] == 0.0
    steps = [("clean", 0.0)] * (not begins) + [(kind.name, step) for step, _ in kind.steps]
    at = {(row["source"], row["kind"], row["step"]): row for row in rows}
    # By source, step and rating.
    found = np.array([[[at[name, *step][f"{listener} {d}"] for d in DIMENSIONS] for step in steps] for name in names], float)
    own = found[:, :, DIMENSIONS.index(kind.dimension)]
    ranks = np.arange(len(steps))
    order = [spearmanr(ranks, one).statistic if np.ptp(one) > 0 else 0.0 for one in own]
    change = found[:, -1].mean(axis=0) - found[:, 0].mean(axis=0)
    others = {d: change[DIMENSIONS.index(d)] for d in ASPECTS if d != kind.dimension}
    most = max(others, key=lambda d: abs(others[d]))
    own_change = change[DIMENSIONS.index(kind.dimension)]
    share = abs(others[most] / own_change) if abs(own_change) > 0.05 else float("inf")
    means = " → ".join(f"{value:.2f}" for value in own.mean(axis=0))
    low = sum(one <= -0.9 for one in order)
    print(
        f"| {kind.name} | `{kind.dimension}` | {means} | {np.mean(order):.2f} | "
        f"{low} of {len(order)} | {most} {others[most]:+.2f} ({100 * share:.0f} %) | {change[0]:+.2f} |"
    )
    return {
        "own": own.mean(axis=0).round(3).tolist(),
        "spearman": round(float(np.mean(order)), 3),
        "others": round(float(share), 3),
    }


def agreement(rows: Sequence[Row], dimension: str) -> dict[str, float]:
    own = [dimension == "mos" or row["dimension"] in (None, dimension) for row in rows]
    ours, theirs = (np.array([row[f"{name} {dimension}"] for row in rows]) for name in ("embedded", "nisqa"))
    whole, part = figures(ours, theirs), figures(ours[own], theirs[own])
    cells = [
        str(len(ours)),
        *(f"{v:.2f}" for v in whole),
        f"{np.mean(ours - theirs):+.2f}",
        str(sum(own)),
        *(f"{v:.2f}" for v in part),
    ]
    print(f"| `{dimension}` | " + " | ".join(cells) + " |")
    return {"LCC": round(whole[0], 3), "SRCC": round(whole[1], 3), "MSE": round(whole[2], 3)}


def figures(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float, float]:
    lcc = float(pearsonr(ours, theirs).statistic)
    srcc = float(pearsonr(rankdata(ours), rankdata(theirs)).statistic)
    return lcc, srcc, float(np.mean((ours - theirs) ** 2))


if __name__ == "__main__":
    main()
