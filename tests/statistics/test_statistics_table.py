"""The tidy table: one row per planned cell, in one order, never two versions of a judge."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from pathlib import Path

import msgspec
import polars
import pytest

from made_results import INSTRUMENTS, judged_results, made_results
from turnwise.foundation.errors import InputError, StorageError
from turnwise.judges.verdict import Abstention, Fault, Score, Silence
from turnwise.statistics.table import COLUMNS, stack, tidy, word_of, write_table

OUTCOMES = (Score(80.0, "good"), Abstention("nothing earlier: round 2"), Fault("parse", "no JSON"), Silence())


def test_every_outcome_becomes_one_row() -> None:
    table = tidy(judged_results(lambda arm, d, r: OUTCOMES[r - 1]))
    assert table.columns == list(COLUMNS)
    rows = table.select("round", "status", "value", "cause", "reason").rows()
    assert rows == [
        (1, "scored", 80.0, None, "good"),
        (2, "abstained", None, "nothing earlier", "nothing earlier: round 2"),
        (3, "fault", None, "parse", "no JSON"),
        (4, "silent", None, "silent", ""),
    ]
    assert table.schema["value"] == polars.Float64
    assert table["low"].to_list() == [0.0] * 4


def test_rows_are_the_plan_and_scores_are_the_only_values() -> None:
    results = made_results(dialogues=5, fault_share=0.2, abstain_share=0.2, silent_share=0.1)
    table = tidy(results)
    planned = sum(len(c.dialogue.rounds()) for c in results.conversations) * len(INSTRUMENTS)
    assert table.height == planned
    scored = table.filter(polars.col("status") == "scored")
    assert 0 < scored.height < planned
    assert scored["value"].null_count() == 0
    assert table.filter(polars.col("status") != "scored")["value"].null_count() == planned - scored.height
    assert set(table["phase"].cast(str).unique()) == {"chitchat", "transition", "task"}


def test_order_of_the_run_does_not_matter() -> None:
    results = made_results(dialogues=6, fault_share=0.1)
    shuffled = list(results.conversations)
    random.Random(3).shuffle(shuffled)
    assert tidy(msgspec.structs.replace(results, conversations=tuple(shuffled))).equals(tidy(results))


def test_two_versions_of_a_judge_are_refused() -> None:
    results = made_results(dialogues=1)
    mixed = (msgspec.structs.replace(INSTRUMENTS[0], version="b2:other"), *INSTRUMENTS[1:])
    with pytest.raises(InputError, match=r"dialogue_quality.*two versions"):
        tidy(msgspec.structs.replace(results, instruments=mixed))
    older = tuple(msgspec.structs.replace(i, version="b2:old") if i.judge == "failures" else i for i in INSTRUMENTS)
    other = msgspec.structs.replace(made_results(arms=("other",), dialogues=1), instruments=older)
    with pytest.raises(InputError, match="'failures' appears in two versions"):
        stack([tidy(results), tidy(other)])


def test_stacking_keeps_every_row_and_refuses_doubles() -> None:
    one, two = tidy(made_results(arms=("a",), dialogues=2)), tidy(made_results(arms=("b",), dialogues=2))
    assert stack([one, two]).height == one.height + two.height
    with pytest.raises(InputError, match="same arm"):
        stack([one, one])


def test_a_criterion_of_two_judges_is_refused() -> None:
    results = judged_results(lambda arm, d, r: Score(1.0))
    twice = (*results.instruments, msgspec.structs.replace(results.instruments[0], judge="another"))
    with pytest.raises(InputError, match="'consistency' is given by two judges"):
        tidy(msgspec.structs.replace(results, instruments=twice))


def test_a_cell_without_outcome_is_an_error() -> None:
    results = judged_results(lambda arm, d, r: Score(1.0))
    (conversation,) = results.conversations
    holed = tuple(msgspec.structs.replace(a, outcomes={}) if a.number == 2 else a for a in conversation.rounds)
    broken = msgspec.structs.replace(results, conversations=(msgspec.structs.replace(conversation, rounds=holed),))
    with pytest.raises(StorageError, match="round 2: nothing is recorded"):
        tidy(broken)


def test_an_unknown_arm_is_refused() -> None:
    results = judged_results(lambda arm, d, r: Score(1.0))
    with pytest.raises(InputError, match="'a' that the study does not name"):
        tidy(msgspec.structs.replace(results, study=msgspec.structs.replace(results.study, arms=())))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_written_tables_read_back(tmp_path: Path, suffix: str) -> None:
    hostile = 'a, "b"\n</script> é\x00'
    table = tidy(judged_results(lambda arm, d, r: Fault("parse", hostile) if r == 1 else Score(0.1 + r / 3)))
    path = tmp_path / f"table{suffix}"
    write_table(table, path)
    if suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert [line["value"] for line in lines] == table["value"].to_list()
        assert lines[0]["reason"] == hostile
        return
    read = polars.read_parquet(path) if suffix == ".parquet" else polars.read_csv(path)
    assert read["value"].to_list() == table["value"].to_list()
    assert read["reason"][0] == hostile


def test_unknown_format_and_missing_folder_are_said(tmp_path: Path) -> None:
    table = tidy(judged_results(lambda arm, d, r: Score(1.0)))
    with pytest.raises(InputError, match=r"\.xlsx"):
        write_table(table, tmp_path / "table.xlsx")
    with pytest.raises(StorageError, match="cannot be written"):
        write_table(table, tmp_path / "nowhere" / "table.csv")


@pytest.mark.parametrize(
    ("reason", "word"), [("too short: 0.1 s", "too short"), ("no voice (text only)", "no voice"), ("", "no reason given")]
)
def test_word_of_a_reason(reason: str, word: str) -> None:
    assert word_of(reason) == word


def test_forty_thousand_turns_are_quick_and_small() -> None:
    """A tenth of it here, so the suite stays fast: 4,000 turns under 12 criteria in 1 s of a busy core and 40 MB."""
    results = made_results(dialogues=100, rounds=10)
    tracemalloc.start()
    start = time.process_time()
    table = tidy(results)
    spent, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table.height == 48_000
    assert spent < 1.0
    assert peak < 40e6
    assert table.estimated_size() < 6e6
