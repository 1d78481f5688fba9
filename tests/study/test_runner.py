"""Progress adds up to the plan whatever happens to the turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from small_study import small_study
from turnwise.study.experiment import carry_out


class Counting:
    def __init__(self) -> None:
        self.planned = self.done = self.faults = self.made = 0

    def begin(self, conversations: int, turns: int) -> None:
        self.planned = turns

    def servers(self, awaited: Any) -> None:
        assert awaited() == ()  # nothing is asked yet

    def turns(self, count: int, *, faults: int = 0) -> None:
        self.done += count
        self.faults += faults

    def cell(self, kind: str, *, made: bool, fault: bool) -> None:
        self.made += made and not fault


@pytest.mark.parametrize(
    ("options", "faults"),
    [({}, 0), ({"fail_on": [2]}, 9), ({"silent_on": [1, 4]}, 0), ({"fail_on": [3], "silent_on": [1]}, 6)],
)
@pytest.mark.parametrize("judges", [["repetition"], []])
def test_turns_add_up_to_the_plan(tmp_path: Path, options: dict[str, Any], faults: int, judges: list[str]) -> None:
    arms = {
        "one": {"agent": "echo", "options": {"voice": True, **options}},
        "two": {"agent": "echo", "context": {"user": "written"}},
    }
    counting = Counting()
    done = carry_out(small_study(tmp_path, arms=arms, judges=judges), tmp_path / "run", workers=0, watcher=counting)
    assert counting.done == counting.planned == 24
    assert counting.faults == faults  # with on_fault = "stop", the failed turn and those after it
    assert counting.made == done.tally.made
