"""Nothing invented, nothing dropped: every planned cell ends as exactly one of scored, abstained, fault, silent.

`planned` is counted from the dialogues and the study, the other four from what is recorded. Where they do not sum up, the
records say more or less than was planned, and that is an error, not a footnote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from turnwise.foundation.errors import StorageError
from turnwise.statistics.table import STATUSES
from turnwise.study.results import Results

if TYPE_CHECKING:
    import polars


class Count(msgspec.Struct, frozen=True):
    """Cells by what became of them."""

    planned: int
    scored: int
    abstained: int
    fault: int
    silent: int

    def __post_init__(self) -> None:
        if min(self.scored, self.abstained, self.fault, self.silent) < 0 or self.planned != self.found:
            raise StorageError(
                f"the accounting does not close: {self.planned} cells planned, {self.found} found",
                "run `turnwise verify` on the run",
            )

    @property
    def found(self) -> int:
        return self.scored + self.abstained + self.fault + self.silent

    @property
    def missing(self) -> int:
        return self.planned - self.scored


class Accounting(msgspec.Struct, frozen=True):
    """The counts of a run, and what is missing by cause."""

    total: Count
    by_arm: dict[str, Count]
    by_criterion: dict[str, Count]
    faults: dict[str, int]  # by cause, most frequent first
    abstentions: dict[str, int]  # by the word of the reason
    missing: dict[str, dict[str, dict[str, int]]]  # arm, criterion: cause -> cells

    def __post_init__(self) -> None:
        for parts in (self.by_arm, self.by_criterion):
            for field in ("planned", "scored", "abstained", "fault", "silent"):
                if sum(getattr(c, field) for c in parts.values()) != getattr(self.total, field):
                    raise StorageError(f"the accounting does not close: the parts of {field!r} do not sum to the total")
        named = sum(n for arm in self.missing.values() for causes in arm.values() for n in causes.values())
        if named != self.total.missing or sum(self.faults.values()) != self.total.fault:
            raise StorageError("the accounting does not close: some missing cells have no cause")


def planned_cells(results: Results) -> dict[str, int]:
    """Cells each arm owes: every round of every dialogue of the run, under every criterion.

    How many rounds a simulated user takes is known only when it has taken them: those arms owe what they played.
    """
    live = {arm.name for arm in results.study.arms if arm.user_mode == "live"}
    played = dict.fromkeys(live, 0)
    rounds: dict[str, int] = {}
    seen: dict[str, set[str]] = {arm.name: set() for arm in results.study.arms}
    for conversation in results.conversations:
        dialogue = conversation.dialogue
        expected = len(conversation.rounds) if conversation.arm in live else len(dialogue.rounds())
        place = f"arm {conversation.arm!r}, dialogue {dialogue.id!r}"
        if dialogue.id in seen[conversation.arm]:
            raise StorageError(f"{place}: recorded twice")
        seen[conversation.arm].add(dialogue.id)
        if conversation.arm in live:
            played[conversation.arm] += expected
        elif rounds.setdefault(dialogue.id, expected) != expected:
            raise StorageError(f"{place}: the arms were given different dialogues under one id")
        if [answered.number for answered in conversation.rounds] != list(range(1, expected + 1)):
            raise StorageError(f"{place}: {expected} rounds were planned, {len(conversation.rounds)} are recorded")
    # A dialogue that an arm lacks is found out here.
    every = set(results.drawn).union(*seen.values())
    for arm, found in seen.items():
        if lost := sorted(every - found):
            raise StorageError(f"arm {arm!r}: {len(lost)} dialogues are not recorded, the first is {lost[0]!r}")
    width = len(results.instruments)
    return {arm: (played[arm] if arm in live else sum(rounds.values())) * width for arm in seen}


def account(table: polars.DataFrame, planned: Mapping[str, int]) -> Accounting:
    """Counts of the rows of `table` against what was planned per arm."""
    criteria = table["criterion"].unique(maintain_order=True).cast(str).to_list()
    cells: dict[tuple[str, str], dict[str, int]] = {}
    missing: dict[str, dict[str, dict[str, int]]] = {arm: {c: {} for c in criteria} for arm in planned}
    faults: dict[str, int] = {}
    abstentions: dict[str, int] = {}
    for arm, criterion, status, cause, n in table.group_by("arm", "criterion", "status", "cause").len().rows():
        if arm not in planned:
            raise StorageError(f"the accounting does not close: nothing was planned for the arm {arm!r}")
        cell = cells.setdefault((arm, criterion), dict.fromkeys(STATUSES, 0))
        cell[status] += n
        if status == "scored":
            continue
        missing[arm][criterion][label(status, cause)] = n
        if status != "silent":
            tally = faults if status == "fault" else abstentions
            tally[cause] = tally.get(cause, 0) + n

    def count(pick: list[tuple[str, str]], owed: int) -> Count:
        return Count(owed, *(sum(cells[key][status] for key in pick if key in cells) for status in STATUSES))

    owed = sum(planned.values())
    width = max(len(criteria), 1)
    return Accounting(
        total=count(list(cells), owed),
        by_arm={arm: count([(arm, c) for c in criteria], n) for arm, n in planned.items()},
        by_criterion={c: count([(arm, c) for arm in planned], owed // width) for c in criteria},
        faults=_ranked(faults),
        abstentions=_ranked(abstentions),
        missing={arm: {c: _ranked(causes) for c, causes in row.items()} for arm, row in missing.items()},
    )


def label(status: str, cause: str) -> str:
    """How a missing cell is called in a table."""
    return {"silent": "silent", "abstained": f"abstained: {cause}"}.get(status, cause)


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
