"""One tidy table per run: a row for every planned (arm, dialogue, round, criterion), whatever became of it.

Rows are in one canonical order (arms as in the study, dialogues by id, rounds, criteria as in the study), so that everything
computed from the table is the same whatever the order in which the run was done. `value` is null unless `status` is "scored".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from turnwise.foundation.errors import InputError, StorageError
from turnwise.judges.verdict import Abstention, Fault, Outcome, Score, Silence
from turnwise.study.results import Conversation, Results

if TYPE_CHECKING:
    import polars

SCORED, ABSTAINED, FAULT, SILENT = range(4)
STATUSES = ("scored", "abstained", "fault", "silent")
COLUMNS = (
    "arm", "dialogue", "intent", "round", "phase", "criterion", "judge", "version", "status", "value", "cause", "reason",
    "unit", "better", "low", "high",
)  # fmt: skip


def tidy(results: Results) -> polars.DataFrame:
    """Every planned cell of a run as one row."""
    import polars

    refuse_mixed_versions([(i.judge, i.version) for i in results.instruments])
    names = [i.criterion.name for i in results.instruments]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the criterion {twice!r} is given by two judges", "name only one of them in the study")
    ordered = _in_order(results)

    status: list[int] = []
    value: list[float | None] = []
    cause: list[str | None] = []
    reason: list[str | None] = []
    for conversation in ordered:
        for answered in conversation.rounds:
            outcomes = answered.outcomes
            for name in names:
                outcome = outcomes.get(name)
                if type(outcome) is Score:
                    status.append(SCORED)
                    value.append(outcome.value)
                    cause.append(None)
                    reason.append(outcome.reason)
                else:
                    code, word, text = _missing(outcome, conversation, answered.number, name)
                    status.append(code)
                    value.append(None)
                    cause.append(word)
                    reason.append(text)

    rounds = np.array([len(c.rounds) for c in ordered], dtype=np.int64)
    turns = [answered for c in ordered for answered in c.rounds]
    width = len(names)

    def words(values: Sequence[str | None], codes: Any) -> polars.Series:
        return polars.Series(values, dtype=polars.Categorical).gather(codes)

    of_conversation = np.repeat(np.arange(len(ordered)), rounds * width)
    of_turn = np.repeat(np.arange(len(turns)), width)
    of_criterion = np.tile(np.arange(width), len(turns))
    criteria = [i.criterion for i in results.instruments]
    columns = {
        "arm": words([c.arm for c in ordered], of_conversation),
        "dialogue": words([c.dialogue.id for c in ordered], of_conversation),
        "intent": words([c.dialogue.intent for c in ordered], of_conversation),
        "round": polars.Series(np.repeat(np.array([t.number for t in turns], dtype=np.int32), width)),
        "phase": words([t.user.phase for t in turns], of_turn),
        "criterion": words(names, of_criterion),
        "judge": words([i.judge for i in results.instruments], of_criterion),
        "version": words([i.version for i in results.instruments], of_criterion),
        "status": words(STATUSES, np.array(status, dtype=np.int64)),
        "value": polars.Series(value, dtype=polars.Float64),
        "cause": polars.Series(cause, dtype=polars.Categorical),
        "reason": polars.Series(reason, dtype=polars.String),
        "unit": words([c.unit for c in criteria], of_criterion),
        "better": words([c.better for c in criteria], of_criterion),
        "low": polars.Series([c.low for c in criteria], dtype=polars.Float64).gather(of_criterion),
        "high": polars.Series([c.high for c in criteria], dtype=polars.Float64).gather(of_criterion),
    }
    return polars.DataFrame(columns)


def stack(tables: Sequence[polars.DataFrame]) -> polars.DataFrame:
    """Several runs' tables as one; refused where a judge's version differs between them or a row would be there twice."""
    import polars

    # Words rather than categories: each table numbers its categories in its own way.
    whole = polars.concat([table.with_columns(polars.col(polars.Categorical).cast(polars.String)) for table in tables])
    refuse_mixed_versions(whole.select("judge", "version").unique().rows())
    key = ["arm", "dialogue", "round", "criterion"]
    if whole.select(key).is_duplicated().any():
        raise InputError("two of the tables hold the same arm, dialogue and round", "give the arms of the runs different names")
    return whole


def write_table(table: polars.DataFrame, path: Path) -> None:
    """As Parquet, CSV or JSON Lines, by the suffix of `path`."""
    try:
        match path.suffix.lower():
            case ".parquet":
                table.write_parquet(path)
            case ".csv":
                table.write_csv(path)
            case ".jsonl" | ".ndjson":
                table.write_ndjson(path)
            case other:
                raise InputError(f"{path}: no table format is called {other!r}", "use .parquet, .csv or .jsonl")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def refuse_mixed_versions(pairs: Sequence[tuple[str, str]]) -> None:
    """One judge in two versions is two instruments, and their numbers are not averaged."""
    seen: dict[str, str] = {}
    for judge, version in sorted(pairs):
        if seen.setdefault(judge, version) != version:
            raise InputError(
                f"the judge {judge!r} appears in two versions, {seen[judge]} and {version}",
                "judge everything again with one version",
            )


def _in_order(results: Results) -> list[Conversation]:
    places = {arm.name: place for place, arm in enumerate(results.study.arms)}
    for conversation in results.conversations:
        if conversation.arm not in places:
            raise InputError(f"the results hold an arm {conversation.arm!r} that the study does not name")
    return sorted(results.conversations, key=lambda c: (places[c.arm], c.dialogue.id))


def _missing(outcome: Outcome | None, conversation: Conversation, number: int, name: str) -> tuple[int, str, str]:
    match outcome:
        case Abstention(reason):
            return ABSTAINED, word_of(reason), reason
        case Fault(cause, detail):
            return FAULT, cause, detail
        case Silence():
            return SILENT, "silent", ""
    place = f"arm {conversation.arm!r}, dialogue {conversation.dialogue.id!r}, round {number}"
    raise StorageError(f"{place}: nothing is recorded for the criterion {name!r}", "run `turnwise verify` on the run")


def word_of(reason: str) -> str:
    """The part of an abstention's reason that is the same from turn to turn: what stands before a colon or a bracket."""
    return reason.partition(":")[0].partition("(")[0].strip() or "no reason given"
