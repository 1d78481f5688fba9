"""Two files side by side: which is better by the rule, why, how sure that is, and what the describer says of it in both orders.

How sure: where both files are long enough for windows, the ratings of their windows are resampled and the gap between the means
has an interval; of a single window nothing can be said but the gap and the margin. Windows overlap and follow one another, so
the interval is narrower than that of independent ones: it is drawn from the windows that do not overlap.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import msgspec

from turnwise.foundation.errors import RunStopped
from turnwise.foundation.fingerprint import seed_of
from turnwise.listening.ears import ON_A_SOUND, cause_of
from turnwise.listening.faithfulness import check_comparison
from turnwise.listening.preference import NAMES, SWAPPED, BothOrders, Preference, both_orders, preferred
from turnwise.listening.ratings import Heard, Ratings
from turnwise.listening.row import Row, Trouble

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST = 4  # windows of each file, below which resampling says nothing


class Question(msgspec.Struct, frozen=True):
    """A comparison to be asked for."""

    ratings: tuple[Ratings, Ratings]
    order: tuple[int, int]  # which file is SpeechA, which SpeechB
    seed: int


class Sureness(msgspec.Struct, frozen=True):
    """An interval of the gap of the overall ratings, by resampling windows."""

    low: float
    high: float
    windows: tuple[int, int]


class Pair(msgspec.Struct, frozen=True):
    """Two files compared."""

    first: Row
    second: Row
    rule: Preference
    sureness: Sureness | None = None
    orders: BothOrders | None = None  # None where there is no describer, or it failed
    troubles: tuple[Trouble, ...] = ()

    @property
    def text(self) -> str | None:
        """The comparison in the order of the files."""
        return self.orders.texts[0] if self.orders else None


async def paired(rows: tuple[Row, Row], tie: float, ask: Callable[[Question], Awaitable[str]] | None, seed: int) -> Pair:
    """The comparison of two rows; `ask` gives the describer's words."""
    first, second = rows
    if first.heard is None or second.heard is None:
        rule = Preference(None, None, tie, (), "one of the files was not heard")
        return Pair(first, second, rule)
    ratings = (first.heard.ratings, second.heard.ratings)
    rule = preferred(*ratings, tie)
    sureness = _sureness(first.heard, second.heard, seed)
    if ask is None or rule.winner is None:
        return Pair(first, second, rule, sureness)
    try:
        straight = await ask(Question(ratings, (0, 1), seed))
        swapped = await ask(Question((ratings[1], ratings[0]), (1, 0), seed))
    except RunStopped:
        raise
    except ON_A_SOUND as error:
        failed = Trouble("describe", cause_of(error, type(error).__name__), str(error))
        return Pair(first, second, rule, sureness, None, (failed,))
    orders = both_orders(straight, swapped)
    wrong = [(check_comparison(straight, *ratings, tie), "")]
    wrong.append((check_comparison(swapped, ratings[1], ratings[0], tie), " (asked the other way round)"))
    troubles = [Trouble("faithfulness", "contradiction", f"{one}{where}") for found, where in wrong for one in found]
    if not orders.agreed:
        troubles.append(Trouble("faithfulness", "orders-disagree", _disagreement(orders)))
    return Pair(first, second, rule, sureness, orders, tuple(troubles))


def _disagreement(orders: BothOrders) -> str:
    said = [NAMES[choice] if choice else "nothing that can be read" for choice in orders.choices]
    turned = orders.choices[1]
    own = NAMES[SWAPPED[turned]] if turned else said[1]
    bias = f": it prefers {orders.position_bias}" if orders.position_bias else ""
    return f"asked in one order it prefers {said[0]}, in the other {own}, which is {said[1]} of the first order{bias}"


def _sureness(first: Heard, second: Heard, seed: int) -> Sureness | None:
    """The interval, where both files have windows enough."""
    values = [apart(heard) for heard in (first, second)]
    if min(map(len, values)) < FEWEST:
        return None
    draw = Random(seed_of("pair", seed))
    gaps = sorted(_mean(draw, values[0]) - _mean(draw, values[1]) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    low, high = gaps[int(tail * RESAMPLES)], gaps[RESAMPLES - 1 - int(tail * RESAMPLES)]
    return Sureness(low, high, (len(values[0]), len(values[1])))


def apart(heard: Heard) -> list[float]:
    """Overall ratings of windows that do not overlap; a file that was rated at once is a window."""
    if not heard.timeline:
        return [] if heard.ratings.mos is None else [heard.ratings.mos]
    values, end = [], 0.0
    for moment in heard.timeline:
        if moment.start >= end - 1e-6 and moment.ratings.mos is not None:
            values.append(moment.ratings.mos)
            end = moment.end
    return values


def _mean(draw: Random, values: list[float]) -> float:
    return sum(draw.choices(values, k=len(values))) / len(values)
