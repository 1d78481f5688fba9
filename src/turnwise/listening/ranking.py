"""Systems heard on the same turns: the sign test of two, and the Bradley-Terry ranking of several.

Every turn that two systems share is one comparison: one of them is better, or they tie. The sign test asks how often a fair coin
would fall as unevenly as the wins did; ties are left out of it and counted. Bradley-Terry gives every system a strength such that
the odds of i against j are their strengths' ratio; a tie is half a win for both. Strengths are told as logarithms, their mean 0.

Where one system wins every comparison no finite strength is the best: so each pair is given `PRIOR` more ties, which pulls all
strengths a little towards each other, and `Ranking.separated` says that the data alone set no limit. Systems that no chain of
comparisons links stand in one list by those ties alone: `Ranking.groups` says which are linked, and only places within a group
mean anything. Intervals resample turns, with all comparisons of a turn together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PRIOR = 1.0  # ties added to each pair
RESAMPLES = 2000
CONFIDENCE = 0.95
_TOLERANCE = 1e-10  # change of a log strength in one round
_ROUNDS = 100_000
_TOGETHER = 250  # resamples fitted at a time, to bound the memory of many systems

Outcome = Literal["first", "second", "tie"]


class SignTest(msgspec.Struct, frozen=True):
    """Two systems on the turns they share."""

    first: str
    second: str
    wins: int  # of the first
    losses: int
    ties: int
    p: float | None  # two-sided; None where no turn was decided

    @property
    def turns(self) -> int:
        return self.wins + self.losses + self.ties


class Strength(msgspec.Struct, frozen=True):
    """One system in the ranking."""

    system: str
    value: float  # natural logarithm, the mean of all systems is 0
    low: float | None  # ends of the interval; None of fewer than two turns
    high: float | None
    wins: float  # ties are half a win
    comparisons: int


class Ranking(msgspec.Struct, frozen=True):
    """All systems, the strongest first."""

    strengths: tuple[Strength, ...]
    turns: int
    prior: float
    separated: bool  # some systems never lost to others, so that their distance is set by the prior
    resamples: int
    groups: tuple[
        tuple[str, ...], ...
    ]  # systems that comparisons link, each group in the order of the ranking; one where all are
    confidence: float = CONFIDENCE


class Comparison(msgspec.Struct, frozen=True):
    """One turn of two systems."""

    turn: str
    first: str
    second: str
    outcome: Outcome


def outcomes(values: Mapping[str, Mapping[str, float]], tie: float) -> tuple[Comparison, ...]:
    """Every comparison of ratings by system and turn; within `tie` of each other two are equal."""
    found = []
    for first, second in combinations(values, 2):
        for turn in sorted(values[first].keys() & values[second].keys()):
            gap = round(values[first][turn] - values[second][turn], 9)
            outcome: Outcome = "tie" if abs(gap) <= tie else "first" if gap > 0 else "second"
            found.append(Comparison(turn, first, second, outcome))
    return tuple(found)


def sign_test(first: str, second: str, comparisons: Sequence[Comparison]) -> SignTest:
    """The sign test of two systems."""
    wins = losses = ties = 0
    for one in comparisons:
        if {one.first, one.second} != {first, second}:
            continue
        if one.outcome == "tie":
            ties += 1
        elif (one.first if one.outcome == "first" else one.second) == first:
            wins += 1
        else:
            losses += 1
    return SignTest(first, second, wins, losses, ties, binomial(wins, losses) if wins + losses else None)


def binomial(wins: int, losses: int) -> float:
    """The chance that a fair coin falls at least as unevenly, to either side."""
    tosses, fewer = wins + losses, min(wins, losses)
    if wins == losses:
        return 1.0
    # Logarithms: the numbers of ways of a thousand tosses have no place in a float.
    ways = [math.lgamma(tosses + 1) - math.lgamma(k + 1) - math.lgamma(tosses - k + 1) for k in range(fewer + 1)]
    return min(1.0, 2.0 * math.fsum(math.exp(way - tosses * math.log(2)) for way in ways))


def rank(
    systems: Sequence[str], comparisons: Sequence[Comparison], *, seed: int, prior: float = PRIOR, resamples: int = RESAMPLES
) -> Ranking:
    """The Bradley-Terry ranking of the systems, each of which is part of some comparison."""
    import numpy as np

    if prior <= 0 or not comparisons:
        raise ValueError(f"expected comparisons and a prior above 0, got {len(comparisons)} and {prior}")

    turns = sorted({one.turn for one in comparisons})
    place = {system: k for k, system in enumerate(systems)}
    number = {turn: k for k, turn in enumerate(turns)}
    # Per turn the comparisons as (winner, loser, weight); a tie is half of each.
    rows = []
    for one in comparisons:
        i, j = place[one.first], place[one.second]
        for a, b, weight in ((i, j, {"first": 1.0, "tie": 0.5}), (j, i, {"second": 1.0, "tie": 0.5})):
            if one.outcome in weight:
                rows.append((number[one.turn], a * len(systems) + b, weight[one.outcome]))
    cells = np.array([(turn, cell) for turn, cell, _ in rows], dtype=np.int64).reshape(-1, 2)
    weights = np.array([weight for _, _, weight in rows], dtype=np.float64)
    size = len(systems)
    won: Floats = np.bincount(cells[:, 1], weights, minlength=size * size).astype(np.float64).reshape(size, size)
    added: Floats = np.where(np.eye(size, dtype=bool), 0.0, prior / 2)
    values = log_strengths((won + added)[None])[0]
    low = high = None
    if len(turns) > 1 and resamples:
        draw = np.random.default_rng(seed)
        drawn: list[Floats] = []
        for begin in range(0, resamples, _TOGETHER):
            count = min(_TOGETHER, resamples - begin)
            often = draw.multinomial(len(turns), np.full(len(turns), 1 / len(turns)), size=count)
            tables = np.stack([np.bincount(cells[:, 1], weights * times[cells[:, 0]], minlength=size * size) for times in often])
            drawn.append(log_strengths(tables.astype(np.float64).reshape(count, size, size) + added))
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(np.concatenate(drawn), (tail, 1 - tail), axis=0)
    strengths = [
        Strength(
            system,
            float(values[k]),
            None if low is None else float(low[k]),
            None if high is None else float(high[k]),
            float(won[k].sum()),
            round(float(won[k].sum() + won[:, k].sum())),
        )
        for system, k in place.items()
    ]
    strengths.sort(key=lambda one: (-one.value, one.system))
    order = [one.system for one in strengths]
    groups = _groups(order, comparisons)
    return Ranking(tuple(strengths), len(turns), prior, not _linked(won), resamples if low is not None else 0, groups)


def _groups(systems: Sequence[str], comparisons: Sequence[Comparison]) -> tuple[tuple[str, ...], ...]:
    """The systems that were compared with one another, directly or through others."""
    group = {system: {system} for system in systems}
    for one in comparisons:
        if group[one.first] is not group[one.second]:
            joined = group[one.first] | group[one.second]
            for system in joined:
                group[system] = joined
    return tuple(dict.fromkeys(tuple(system for system in systems if system in group[one]) for one in systems))


def log_strengths(won: Floats) -> Floats:
    """Log strengths from tables of wins, shape (tables, systems, systems): row beats column. Hunter's MM: each round sets a
    system's strength to its wins over the sum, for all its comparisons, of one over the two strengths.
    """
    import numpy as np

    met = won + np.swapaxes(won, 1, 2)
    wins = won.sum(axis=2)
    values = np.zeros(wins.shape)
    for _ in range(_ROUNDS):
        strengths = np.exp(values)
        share = met / (strengths[:, :, None] + strengths[:, None, :])
        fresh = np.log(wins) - np.log(share.sum(axis=2))
        fresh -= fresh.mean(axis=1, keepdims=True)
        done = float(np.abs(fresh - values).max(initial=0.0)) < _TOLERANCE
        values = fresh
        if done:
            break
    return values


def _linked(won: Floats) -> bool:
    """Whether from every system a chain of wins leads to every other."""
    size = len(won)
    for table in (won, won.T):
        seen, waiting = {0}, [0]
        while waiting:
            for other in range(size):
                if table[waiting[0], other] > 0 and other not in seen:
                    seen.add(other)
                    waiting.append(other)
            waiting.pop(0)
        if len(seen) < size:
            return False
    return True
