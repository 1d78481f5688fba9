"""What a run's servers were asked and paid, added up by purpose and model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from turnwise.endpoints.calls import Call, Usage
from turnwise.study.results import Expense


def expenses(calls: Iterable[tuple[str, str, Call]], cells: Container[str] | None = None) -> tuple[Expense, ...]:
    """One entry for each purpose, endpoint and model, in the order of their first calls; only of these cells, where given."""
    groups: dict[tuple[str, str, str], list[Call]] = {}
    for key, purpose, call in calls:
        if cells is not None and key not in cells:
            continue
        groups.setdefault((purpose, call.endpoint, call.model), []).append(call)
    return tuple(_added(purpose, endpoint, model, made) for (purpose, endpoint, model), made in groups.items())


def _added(purpose: str, endpoint: str, model: str, made: list[Call]) -> Expense:
    costs = [call.cost for call in made if call.cost is not None]
    return Expense(
        endpoint=endpoint,
        model=model,
        purpose=purpose,
        calls=len(made),
        attempts=sum(call.attempts for call in made),
        failed=sum(bool(call.failed) for call in made),
        failures=dict(sorted(Counter(cause for call in made for cause in call.failures).items())),
        usage=Usage(*(sum(getattr(call.usage, field) for call in made) for field in Usage.__struct_fields__)),
        cost=sum(costs) if len(costs) == len(made) else None,
        seconds=sum(call.seconds for call in made),
        waited=sum(call.waited for call in made),
        answered_by=tuple(sorted({call.answered_by for call in made if call.answered_by})),
    )
