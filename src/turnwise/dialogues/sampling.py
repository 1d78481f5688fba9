"""A draw from a corpus that keeps its proportions.

Each intent gets its share of `n` by largest remainder (ties: the intent with more dialogues, then the name that sorts first);
where an intent has fewer dialogues than its share, the rest is shared out again among the others. Within an intent the
dialogues are ranked by a number drawn from the seed, the intent and the id alone, and the lowest are taken. So the ids drawn
depend on the seed and on which dialogues there are, but neither on their order in the file nor on any generator's version.
The sample keeps the order of the corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import seed_of

By = Literal["intent"] | None


def sample(
    dialogues: Sequence[Dialogue], n: int, by: By = "intent", *, seed: int, shares: Mapping[str, float] | None = None
) -> tuple[Dialogue, ...]:
    """`n` of these dialogues, in proportion to their intents or to `shares`; `by=None` draws from all alike."""
    if by not in ("intent", None):
        raise InputError(f"cannot sample by {by!r}", "expected 'intent', or nothing for a plain draw")
    if n < 1:
        raise InputError(f"cannot sample {n} dialogues", "n must be at least 1")
    if n > len(dialogues):
        raise InputError(f"cannot sample {n} of {len(dialogues)} dialogues", f"n must be at most {len(dialogues)}")
    ids = [dialogue.id for dialogue in dialogues]
    if len(set(ids)) < len(ids):
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise InputError(f"the id {twice!r} appears more than once", "a sample is named by its ids: make them unique")
    if shares is not None and by is None:
        raise InputError("shares are given, but the draw is not by intent")
    groups: dict[str, list[str]] = {}
    for dialogue in dialogues:
        groups.setdefault(dialogue.intent if by == "intent" else "", []).append(dialogue.id)
    sizes = {group: len(members) for group, members in groups.items()}
    drawn: set[str] = set()
    for group, quota in quotas(sizes, n, shares).items():
        ranked = sorted(groups[group], key=lambda name: (seed_of("sample", seed, group, name), name))
        drawn.update(ranked[:quota])
    return tuple(dialogue for dialogue in dialogues if dialogue.id in drawn)


def quotas(available: Mapping[str, int], n: int, shares: Mapping[str, float] | None = None) -> dict[str, int]:
    """How many to take of each group: `n` in all, in proportion to `shares` (what is available, where not given)."""
    if n > sum(available.values()):
        raise InputError(f"cannot take {n} of {sum(available.values())}")
    for name, share in (shares or {}).items():
        if not 0 <= share < float("inf"):
            raise InputError(f"the share of {name!r} is {share}, expected a number from 0 up")
    # Fractions, because two equal remainders must be equal: 0.1 + 0.2 would break a tie by rounding.
    weights = {name: Fraction(available[name] if shares is None else shares.get(name, 0)) for name in sorted(available)}
    taken = dict.fromkeys(weights, 0)
    open_groups = [name for name in weights if available[name]]
    while (rest := n - sum(taken.values())) > 0:
        wanted = [name for name in open_groups if weights[name]]
        if not wanted:
            names = ", ".join(sorted(shares or {})) or "none"
            raise InputError(f"the groups with a share hold too few dialogues: {rest} of {n} are missing", f"shares: {names}")
        portions = _largest_remainder({name: weights[name] for name in wanted}, rest, available)
        for name, portion in portions.items():
            taken[name] += min(portion, available[name] - taken[name])
        open_groups = [name for name in open_groups if taken[name] < available[name]]
    return taken


def _largest_remainder(weights: Mapping[str, Fraction], n: int, available: Mapping[str, int]) -> dict[str, int]:
    total = sum(weights.values())
    exact = {name: weight * n / total for name, weight in weights.items()}
    portions = {name: int(portion) for name, portion in exact.items()}
    order = sorted(exact, key=lambda name: (portions[name] - exact[name], -available[name], name))
    for name in order[: n - sum(portions.values())]:
        portions[name] += 1
    return portions
