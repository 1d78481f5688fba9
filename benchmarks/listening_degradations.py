"""What the five ratings see of known damage, by the listener `embedded` and, where its weights are, by `nisqa`.

    python benchmarks/listening_degradations.py [--untouched] [--speech FOLDER] [--nisqa nisqa.tar] [--table table.json]
                                                [--page docs/listening.md]

Every source of `sources("studied", ...)` (listening_material.py), with `--untouched` every one of listening_untouched.py, is
damaged in every way and step, set against itself as it was. Printed as Markdown, for each listener:

- the rating that a kind of damage is meant for, clean and step by step, as means over the sources; Spearman's correlation of that
  rating with the steps within each source, as the mean over sources; and the largest change of any other aspect at the heaviest
  step, as a share of the own change;
- the clean sources;
- with NISQA, how well `embedded` agrees with it, per rating: over all sounds, and over clean ones and own damage.

Voices of eSpeak NG stand apart, as NISQA cannot be held against them. `--table` keeps the ratings, or reads them from there, and
fills in a listener that it lacks. `--page` writes the tables into a page, each between the lines `<!-- NAME -->` and
`<!-- end -->`. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import listening_untouched
import numpy as np
from listening_material import KINDS, Kind, Source, sources
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata, spearmanr

from turnwise.foundation.audio import Sound
from turnwise.listening.listener import LISTENERS
from turnwise.listening.ratings import ASPECTS, DIMENSIONS

Row = dict[str, Any]
Table = list[str]
HEAD = [
    "| damage, steps | own rating | clean → heaviest | Spearman | at most -0.9 | most moved of the others | `mos` |",
    "|---|---|---|---|---|---|---|",
]
AGREEMENT = ["| | sounds | LCC | SRCC | MSE | mean difference | own: sounds | LCC | SRCC | MSE |", "|---" * 10 + "|"]
FORMANT = ("en-us", "espeak")  # what the names of eSpeak NG's voices begin with
GROUPS = {"plain": "recordings and other voices", "formant": "eSpeak NG"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--untouched", action="store_true", help="other sources and other damage")
    parser.add_argument("--speech", type=Path, help="folder of recordings")
    parser.add_argument("--nisqa", type=Path, help="nisqa.tar")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--page", type=Path, help="a page to write the tables into")
    given = parser.parse_args()
    which = "untouched" if given.untouched else "studied"
    kinds = listening_untouched.kinds(given.speech) if given.untouched else KINDS
    rows = json.loads(given.table.read_text(encoding="utf-8")) if given.table is not None and given.table.is_file() else []
    wanted = ["embedded"] + ["nisqa"] * (given.nisqa is not None)
    missing = [name for name in wanted if not rows or f"{name} mos" not in rows[0]]
    if missing:
        made = listening_untouched.sources(given.speech) if given.untouched else sources("studied", given.speech)
        rows = rated(made, kinds, missing, given.nisqa, rows)
        if given.table is not None:
            given.table.write_text(json.dumps(rows), encoding="utf-8")
    found = {row["kind"] for row in rows}
    tables, result = told([kind for kind in kinds if kind.name in found], rows, which)
    for name, lines in tables.items():
        print(f"\n<!-- {name} -->\n" + "\n".join(lines))
    if given.page is not None:
        given.page.write_text(filled(given.page.read_text(encoding="utf-8"), tables), encoding="utf-8")
    print(json.dumps(result))


def rated(
    made: Sequence[Source], kinds: Sequence[Kind], listeners: Sequence[str], weights: Path | None, before: list[Row]
) -> list[Row]:
    """The ratings of every sound, added to what was known of it."""
    options = {"nisqa": {"weights": str(weights)}}
    opened = {name: LISTENERS.build(name, options.get(name, {})).open() for name in listeners}
    known = {(row["source"], row["kind"], row["step"]): row for row in before}
    rows: list[Row] = []
    for number, source in enumerate(made):
        for name, dimension, step, sound in cases(source, number, kinds):
            row = dict(known.get((source.name, name, step), {}))
            row |= {"source": source.name, "human": source.human, "kind": name, "dimension": dimension, "step": step}
            for listener, listening in opened.items():
                ratings = listening.rate_many([sound])[0]
                row |= {f"{listener} {each}": ratings.value(each) for each in DIMENSIONS}
                row |= {"missing": ratings.missing} if ratings.missing else {}
            rows.append(row)
        print(f"{source.name}: {sum(row['source'] == source.name for row in rows)} sounds", flush=True)
    return rows


def cases(source: Source, number: int, kinds: Sequence[Kind]) -> Iterator[tuple[str, str | None, float, Sound]]:
    yield "clean", None, 0.0, source.sound
    for kind in kinds:
        for step, change in kind.steps:
            yield kind.name, kind.dimension, step, change(source.sound, number)


def told(kinds: Sequence[Kind], rows: list[Row], which: str) -> tuple[dict[str, Table], dict[str, Any]]:
    """The tables by name, and their figures."""
    parts = {
        "plain": [row for row in rows if not row["source"].startswith(FORMANT)],
        "formant": [row for row in rows if row["source"].startswith(FORMANT)],
    }
    listeners = [name for name in ("embedded", "nisqa") if f"{name} mos" in rows[0]]
    tables: dict[str, Table] = {}
    result: dict[str, Any] = {}
    for name in listeners:
        for group, part in parts.items():
            falls = [fall(part, name, kind) for kind in kinds]
            tables[f"{which} {name} {group}"] = HEAD + [line for line, _ in falls]
            result[f"{name}: {GROUPS[group]}"] = {kind.name: figures for kind, (_, figures) in zip(kinds, falls, strict=True)}
    tables[f"{which} clean"] = [
        "| | " + " | ".join((f"`{n}`: " if d == "mos" else "") + d for n in listeners for d in DIMENSIONS) + " |",
        "|---" * (1 + len(listeners) * len(DIMENSIONS)) + "|",
    ] + [
        f"| {row['source']} | " + " | ".join(f"{row[f'{n} {d}']:.2f}" for n in listeners for d in DIMENSIONS) + " |"
        for row in rows
        if row["kind"] == "clean"
    ]
    for group, part in parts.items() if "nisqa" in listeners else ():
        agreed = [agreement(part, dimension) for dimension in DIMENSIONS]
        tables[f"{which} agreement {group}"] = AGREEMENT + [line for line, _ in agreed]
        result[f"agreement: {GROUPS[group]}"] = {d: figures for d, (_, figures) in zip(DIMENSIONS, agreed, strict=True)}
    return tables, result


def filled(page: str, tables: dict[str, Table]) -> str:
    """The page with these tables in the places that are named after them."""
    for name, lines in tables.items():
        place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        inside = "\n".join(lines)
        page = place.sub(lambda match, inside=inside: f"{match[1]}\n{inside}\n{match[2]}", page)
    return page


def labelled(kind: Kind) -> str:
    """What is done, and how much of it."""
    if "," in kind.unit:
        return f"{kind.name}: {kind.unit}"
    if kind.unit.startswith("share"):
        return f"{kind.name}: {', '.join(f'{100 * step:g}' for step, _ in kind.steps)} %"
    return f"{kind.name}: {', '.join(f'{step:g}' for step, _ in kind.steps)} {kind.unit}"


def fall(rows: Sequence[Row], listener: str, kind: Kind) -> tuple[str, dict[str, Any]]:
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
    line = (
        f"| {labelled(kind)} | `{kind.dimension}` | {means} | {np.mean(order):.2f} | {low} of {len(order)} | "
        f"{most} {others[most]:+.2f} ({f'{100 * share:.0f} %' if share < 10 else 'own hardly moves'}) | {change[0]:+.2f} |"
    )
    return line, {
        "own": own.mean(axis=0).round(3).tolist(),
        "spearman": round(float(np.mean(order)), 3),
        "others": round(float(share), 3) if np.isfinite(share) else None,
    }


def agreement(rows: Sequence[Row], dimension: str) -> tuple[str, dict[str, float]]:
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
    line = f"| `{dimension}` | " + " | ".join(cells) + " |"
    return line, {"LCC": round(whole[0], 3), "SRCC": round(whole[1], 3), "MSE": round(whole[2], 3)}


def figures(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float, float]:
    lcc = float(pearsonr(ours, theirs).statistic)
    srcc = float(pearsonr(rankdata(ours), rankdata(theirs)).statistic)
    return lcc, srcc, float(np.mean((ours - theirs) ** 2))


if __name__ == "__main__":
    main()
