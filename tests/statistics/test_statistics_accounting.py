"""The accounting closes, whatever is broken, and says so where it does not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_results import judged_results, made_results
from turnwise.foundation.errors import StorageError
from turnwise.judges.verdict import Abstention, Fault, Outcome, Score, Silence
from turnwise.statistics.accounting import Accounting, Count, account, planned_cells
from turnwise.statistics.summary import summarise
from turnwise.statistics.table import tidy

outcomes = st.one_of(
    st.floats(0.0, 100.0).map(Score),
    st.sampled_from(["parse", "timeout", "refused"]).map(Fault),
    st.sampled_from(["too short: 3 words", "nothing earlier"]).map(Abstention),
    st.just(Silence()),
)


def accounted(results: object) -> Accounting:
    return account(tidy(results), planned_cells(results))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(outcomes, min_size=1, max_size=4), min_size=1, max_size=5), st.integers(1, 3))
def test_random_outcomes_always_close(drawn: list[list[Outcome]], arms: int) -> None:
    names = [f"arm{k}" for k in range(arms)]
    results = judged_results(lambda arm, d, r: drawn[d][r - 1], names, [len(d) for d in drawn])
    found = accounted(results)
    cells = [o for dialogue in drawn for o in dialogue]
    assert found.total.planned == arms * len(cells)
    assert found.total.scored == arms * sum(isinstance(o, Score) for o in cells)
    assert found.total.silent == arms * sum(isinstance(o, Silence) for o in cells)
    assert sum(found.faults.values()) == arms * sum(isinstance(o, Fault) for o in cells)
    assert sum(found.missing["arm0"]["consistency"].values()) == found.by_arm["arm0"].missing


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.0, 100.0).map(Score), min_size=2, max_size=4), min_size=3, max_size=5),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2), outcomes), min_size=1, max_size=4),
)
def test_faults_change_no_score_of_another_cell(drawn: list[list[Outcome]], broken: list[tuple[int, int, Outcome]]) -> None:
    instead = {(d, r): outcome for d, r, outcome in broken}
    lengths = [len(d) for d in drawn]
    before = tidy(judged_results(lambda arm, d, r: drawn[d][r - 1], lengths=lengths))
    after = tidy(judged_results(lambda arm, d, r: instead.get((d, r), drawn[d][r - 1]), lengths=lengths))
    for old, new in zip(before.iter_rows(named=True), after.iter_rows(named=True), strict=True):
        if (int(old["dialogue"][-4:]), old["round"]) not in instead:
            assert old == new


def test_faults_of_a_run_are_counted_by_cause() -> None:
    found = accounted(made_results(dialogues=8, fault_share=0.1, abstain_share=0.1, silent_share=0.05))
    assert set(found.faults) == {"timeout", "parse"}
    assert found.abstentions == {"nothing to compare": found.total.abstained}
    causes = found.missing["frame"]["memory"]
    assert set(causes) <= {"silent", "abstained: nothing to compare", "timeout", "parse"}
    assert list(causes.values()) == sorted(causes.values(), reverse=True)


def test_a_count_that_does_not_close_cannot_be_made() -> None:
    assert Count(5, 2, 1, 1, 1).missing == 3
    with pytest.raises(StorageError, match="5 cells planned, 4 found"):
        Count(5, 2, 1, 1, 0)
    with pytest.raises(StorageError):
        Count(3, 4, -1, 0, 0)


def test_a_lost_round_a_lost_dialogue_and_a_double_are_found() -> None:
    results = judged_results(lambda arm, d, r: Score(1.0), ("a", "b"), (3, 2))
    first, *rest = results.conversations
    cut = msgspec.structs.replace(first, rounds=first.rounds[:-1])
    with pytest.raises(StorageError, match="3 rounds were planned, 2 are recorded"):
        summarise(msgspec.structs.replace(results, conversations=(cut, *rest)))
    with pytest.raises(StorageError, match="arm 'a': 1 dialogues are not recorded"):
        summarise(msgspec.structs.replace(results, conversations=tuple(rest)))
    with pytest.raises(StorageError, match="recorded twice"):
        summarise(msgspec.structs.replace(results, conversations=(first, *results.conversations)))


def test_a_table_that_lost_rows_is_found() -> None:
    results = judged_results(lambda arm, d, r: Score(1.0))
    with pytest.raises(StorageError, match="does not close"):
        summarise(results, table=tidy(results).head(3))


def test_parts_that_do_not_sum_to_the_total_are_found() -> None:
    whole, part = Count(2, 2, 0, 0, 0), Count(1, 1, 0, 0, 0)
    with pytest.raises(StorageError, match="parts of 'planned'"):
        Accounting(whole, {"a": part}, {"c": whole}, {}, {}, {})
    with pytest.raises(StorageError, match="no cause"):
        Accounting(Count(1, 0, 0, 1, 0), {"a": Count(1, 0, 0, 1, 0)}, {"c": Count(1, 0, 0, 1, 0)}, {}, {}, {})


def test_a_drawn_dialogue_that_no_arm_played_is_noticed() -> None:
    results = made_results(("a", "b"), 3, 4)
    drawn = tuple(conversation.dialogue.id for conversation in results.conversations if conversation.arm == "a")
    assert planned_cells(msgspec.structs.replace(results, drawn=drawn)) == planned_cells(results)
    with pytest.raises(StorageError, match="1 dialogues are not recorded, the first is 'forgotten'"):
        planned_cells(msgspec.structs.replace(results, drawn=(*drawn, "forgotten")))


def test_an_arm_with_a_simulated_user_owes_the_rounds_it_played() -> None:
    results = made_results(("frame", "live"), dialogues=3, rounds=5)
    arms = tuple(msgspec.structs.replace(a, user_mode="live" if a.name == "live" else "fixed") for a in results.study.arms)
    cut = tuple(msgspec.structs.replace(c, rounds=c.rounds[:2]) if c.arm == "live" else c for c in results.conversations)
    study = msgspec.structs.replace(results.study, arms=arms)
    planned = planned_cells(msgspec.structs.replace(results, study=study, conversations=cut))
    assert planned == {"frame": 15 * len(results.instruments), "live": 6 * len(results.instruments)}
    with pytest.raises(StorageError, match="5 rounds were planned, 2 are recorded"):
        planned_cells(msgspec.structs.replace(results, conversations=cut))
