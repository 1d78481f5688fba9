"""Several systems heard on the same turns: which files belong together, and what their ratings say of the systems.

A system is a folder; a turn is a file's place in it without its ending: `a/call1/02.wav` and `b/call1/02.flac` are the same turn.
Two systems are compared on the turns that both have and that were both rated; how many that leaves out is told. The p values of
several pairs are corrected for their number (Holm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import msgspec

from turnwise.foundation.errors import InputError
from turnwise.listening.ranking import Ranking, SignTest, outcomes, rank, sign_test
from turnwise.listening.ratings import DIMENSIONS, Dimension, Ratings
from turnwise.listening.row import shown
from turnwise.speech.recorded_files import sound_files


class SystemMeans(msgspec.Struct, frozen=True):
    """One system over the turns that all share."""

    system: str
    files: int
    rated: int  # with an overall rating
    means: dict[Dimension, float | None]  # over the turns where every system has this rating and the overall one; None of none


class Standing(msgspec.Struct, frozen=True):
    """What came of it."""

    systems: tuple[SystemMeans, ...]
    shared: int  # turns that every system has rated
    tests: tuple[SignTest, ...]
    corrected: tuple[float | None, ...]  # the p of each test, Holm's correction applied
    ranking: Ranking | None  # None where no turn is shared
    tie: float
    unpaired: dict[str, int]  # by system: turns that no other system has rated


def turns_of(folders: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """The files by system and turn; systems are named by their folders."""
    if len(folders) < 2:
        raise InputError("systems are compared: give at least two folders")
    names = _names(folders)
    found: dict[str, dict[str, Path]] = {}
    for name, folder in zip(names, folders, strict=True):
        turns = sound_files(folder)
        if not turns:
            raise InputError(f"{folder} holds no sound files")
        for turn, paths in turns.items():
            if len(paths) > 1:
                raise InputError(f"{folder}: the turn {turn!r} has several files: {', '.join(path.name for path in paths)}")
        found[name] = {turn: paths[0] for turn, paths in turns.items()}
    if not any(found[a].keys() & found[b].keys() for a, b in combinations(found, 2)):
        raise InputError("no two of these folders share a turn", "files belong together when only folder and ending differ")
    return found


def standing(files: Mapping[str, int], rated: Mapping[str, Mapping[str, Ratings]], *, tie: float, seed: int) -> Standing:
    """The systems from their ratings by turn; `files` is how many files each has."""
    overall = {system: {turn: r.mos for turn, r in turns.items() if r.mos is not None} for system, turns in rated.items()}
    comparisons = outcomes(overall, tie)
    shared = set.intersection(*(set(turns) for turns in overall.values()))
    alike = {
        d: [turn for turn in sorted(shared) if all(its[turn].value(d) is not None for its in rated.values())] for d in DIMENSIONS
    }
    means = tuple(SystemMeans(system, files[system], len(overall[system]), _means(rated[system], alike)) for system in rated)
    met = {name for one in comparisons for name in (one.first, one.second)}
    tests = tuple(sign_test(a, b, comparisons) for a, b in combinations(rated, 2))
    ranking = rank([system for system in rated if system in met], comparisons, seed=seed) if comparisons else None
    unpaired = {
        system: len(set(turns) - {t for other, its in overall.items() if other != system for t in its})
        for system, turns in overall.items()
    }
    return Standing(means, len(shared), tests, holm([test.p for test in tests]), ranking, tie, unpaired)


def holm(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Holm's correction of p values; those that do not exist are not counted."""
    order = sorted((p, k) for k, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for place, (p, k) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - place)))
        corrected[k] = highest
    return tuple(corrected)


def _means(turns: Mapping[str, Ratings], alike: Mapping[Dimension, Sequence[str]]) -> dict[Dimension, float | None]:
    means: dict[Dimension, float | None] = {}
    for dimension, shared in alike.items():
        values = [value for turn in shared if (value := turns[turn].value(dimension)) is not None]
        means[dimension] = sum(values) / len(values) if values else None
    return means


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, or as they were given where those are not different."""
    own = [folder.resolve().name for folder in folders]
    names = own if len(set(own)) == len(own) else [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        raise InputError("the same folder is given twice")
    return [shown(Path(name)) for name in names]
