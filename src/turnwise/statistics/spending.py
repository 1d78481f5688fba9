"""What a run asked of servers and what that cost: per arm and per judge, per turn, failures by cause.

All runs of the folder count, failed calls and repeated work included: it is what the results took, not what they would take
now. A model without a declared price has no cost, which is not a cost of zero; then there is no cost per turn either.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from turnwise.endpoints.calls import Usage
from turnwise.judges.verdict import Score
from turnwise.study.results import Expense, Results


class Bill(msgspec.Struct, frozen=True):
    """Everything asked for one purpose."""

    purpose: str  # "arm NAME", "judge TITLE", "user", "transcriber"
    calls: int
    attempts: int
    failed: int  # calls of which no attempt succeeded
    failures: dict[str, int]  # causes of attempts that did not count, most frequent first
    usage: Usage
    cost: float | None  # of the models with a declared price; None where none has one
    unpriced: tuple[str, ...]  # models without one
    seconds: float
    waited: float
    models: tuple[str, ...]
    answered_by: tuple[str, ...]  # what the servers call themselves
    turns: int | None  # answered by the arm, or given a score by the judge; None for other purposes
    per_turn: float | None  # None where a price is missing or there is no turn


class Spending(msgspec.Struct, frozen=True):
    """The bills, arms and judges in the study's order, and their sum."""

    bills: tuple[Bill, ...]
    total: Bill
    lines: tuple[Expense, ...]  # one per endpoint, model and purpose


def spending(results: Results) -> Spending | None:
    """None where no server was asked."""
    if not results.expenses:
        return None
    order = [f"arm {arm.name}" for arm in results.study.arms]
    order += [f"judge {title}" for title in dict.fromkeys(i.judge for i in results.instruments)]
    order += sorted({e.purpose for e in results.expenses} - set(order))
    turns = _turns(results)
    lines = tuple(sorted(results.expenses, key=lambda e: (order.index(e.purpose), e.endpoint, e.model)))
    bills = [
        _bill(purpose, mine, turns.get(purpose)) for purpose in order if (mine := [e for e in lines if e.purpose == purpose])
    ]
    return Spending(tuple(bills), _bill("in all", lines, None), lines)


def _bill(purpose: str, lines: Iterable[Expense], turns: int | None) -> Bill:
    lines = list(lines)
    failures: dict[str, int] = {}
    for line in lines:
        for cause, n in line.failures.items():
            failures[cause] = failures.get(cause, 0) + n
    priced = [line.cost for line in lines if line.cost is not None]
    cost = sum(priced) if priced else None
    unpriced = tuple(dict.fromkeys(line.model for line in lines if line.cost is None))
    fields = Usage.__struct_fields__
    return Bill(
        purpose=purpose,
        calls=sum(line.calls for line in lines),
        attempts=sum(line.attempts for line in lines),
        failed=sum(line.failed for line in lines),
        failures=dict(sorted(failures.items(), key=lambda item: (-item[1], item[0]))),
        usage=Usage(**{field: sum(getattr(line.usage, field) for line in lines) for field in fields}),
        cost=cost,
        unpriced=unpriced,
        seconds=sum(line.seconds for line in lines),
        waited=sum(line.waited for line in lines),
        models=tuple(dict.fromkeys(line.model for line in lines)),
        answered_by=tuple(dict.fromkeys(name for line in lines for name in line.answered_by)),
        turns=turns,
        per_turn=cost / turns if cost is not None and turns and not unpriced else None,
    )


def _turns(results: Results) -> dict[str, int]:
    """Turns by purpose: those an arm answered, those a judge gave a score."""
    found = {f"arm {arm.name}": 0 for arm in results.study.arms}
    found |= {f"judge {i.judge}": 0 for i in results.instruments}
    owner = {i.criterion.name: f"judge {i.judge}" for i in results.instruments}
    for conversation in results.conversations:
        for answered in conversation.rounds:
            found[f"arm {conversation.arm}"] += answered.reply is not None
            for judge in {owner[name] for name, o in answered.outcomes.items() if name in owner and type(o) is Score}:
                found[judge] += 1
    return found
