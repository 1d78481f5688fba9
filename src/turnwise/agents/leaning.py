"""What the user seems to want: evidence for each intent, turn by turn.

A cue beside words of request ("find me", "we need") weighs in full, in passing it weighs little. Values that only one intent
knows add to it. The agent's own earlier words count where the user's are not shown, or say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from turnwise.agents.cues import any_of, cues, plain
from turnwise.agents.domains import Domains, Intent
from turnwise.agents.mentions import mentions

PASSING = 0.3  # weight of a cue without a request in its turn
OWN_WORDS = 0.4  # weight of a cue in the agent's own earlier turn
OWN_VALUE = 0.4  # weight of a value that only this intent knows
COMMIT = 0.85  # summed evidence from which the agent acts on an intent, if there is a request too
PATIENCE = 4  # user turns after which small talk is over and
ENOUGH_THEN = 0.4  # this much evidence will do, without any request
SHARED_SLOTS = frozenset(("day", "time", "area", "price", "people", "origin", "destination"))


class Leaning(msgspec.Struct, frozen=True):
    """Evidence of one utterance, by intent name; only intents with some."""

    weights: tuple[tuple[str, float], ...]
    request: bool


@lru_cache(maxsize=4096)
def lean(text: str, domains: Domains) -> Leaning:
    """The evidence in one user turn."""
    line = any_of(tuple(cues()["idle"]["patterns"])).sub(" ", plain(text))
    request = any_of(tuple(cues()["request"]["patterns"])).search(line) is not None
    weights: dict[str, float] = {}
    for intent in domains.intents:
        weight = _cue_weight(line, intent.name, intent.cues, _shares(domains))
        weight *= 1.0 if request else PASSING
        own = [m for m in mentions(text, intent, alike=False) if m.slot not in SHARED_SLOTS and not m.weak]
        own = [m for m in own if not _shared(m.value, intent)]
        weight += OWN_VALUE * min(1, len(own)) / _rivals(own[0].value, domains) if own else 0.0
        if weight:
            weights[intent.name] = weight
    return Leaning(tuple(weights.items()), request)


def wanted(turns: Sequence[Leaning], own: Sequence[Leaning] = (), hint: str | None = None) -> tuple[str | None, int]:
    """The intent after these user turns and the turn (from 0) at which it became plain; None where nothing did."""
    total: dict[str, float] = {}
    chosen: str | None = None
    since = 0
    for name, weight in (pair for leaning in own for pair in leaning.weights):
        total[name] = min(1.0, total.get(name, 0.0) + OWN_WORDS * weight)
    if hint:
        total[hint] = total.get(hint, 0.0) + PASSING
    for place, leaning in enumerate(turns):
        for name, weight in leaning.weights:
            total[name] = total.get(name, 0.0) + weight
        best = max(total, key=lambda n: total[n], default=None)
        if best is None or best == chosen:
            continue
        ready = total[best] >= COMMIT and (leaning.request or total[best] >= 2 * COMMIT)
        ready = ready or (place >= PATIENCE and total[best] >= ENOUGH_THEN)
        if chosen is None and ready:
            chosen, since = best, place
        elif chosen is not None and ready and total[best] > total[chosen] + 0.3:
            chosen = best
    return chosen, since


def named_in(instructions: str, domains: Domains) -> str | None:
    """The one intent that the instructions name or describe, if it is just one."""
    line = plain(instructions)
    named = [i.name for i in domains.intents if i.name in instructions or plain(i.description) in line]
    return named[0] if len(named) == 1 else None


def _cue_weight(line: str, name: str, listed: tuple[str, ...], shares: dict[str, int]) -> float:
    weight = sum(1.0 / shares[cue] for cue in listed if _inflected(cue).search(line))
    extra = cues()["intents"].get(name, {})
    return weight + sum(float(w) for pattern, w in extra.items() if any_of((pattern,)).search(line))


@lru_cache(maxsize=1024)
def _inflected(cue: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(cue)}(?:s|es|ing|ed|er)?\b")


@lru_cache(maxsize=8)
def _shares(domains: Domains) -> dict[str, int]:
    shares: dict[str, int] = {}
    for intent in domains.intents:
        for cue in intent.cues:
            shares[cue] = shares.get(cue, 0) + 1
    return shares


def _shared(value: str, intent: Intent) -> bool:
    return any(value in slot.values for slot in intent.slots if slot.name in SHARED_SLOTS)


def _rivals(value: str, domains: Domains) -> int:
    """How many intents know a value outside the shared slots."""
    return max(1, sum(any(value in s.values for s in i.slots if s.name not in SHARED_SLOTS) for i in domains.intents))
