"""Carry a study out in front of the user: progress, report, table, exit code."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

from turnwise.cli.progress import Bars, counted
from turnwise.foundation.fingerprint import fingerprint
from turnwise.foundation.plain_text import plain_text
from turnwise.foundation.whole_file import write_whole
from turnwise.judges.verdict import Fault
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.pool import LIMIT
from turnwise.study.results import Results
from turnwise.study.runner import Tally
from turnwise.study.study import Study

if TYPE_CHECKING:
    from turnwise.statistics.summary import Summary

DONE, BELOW_THE_BAR, FAULTS = 0, 1, 3
MOST_CAUSES = 3
LONGEST_CAUSE = 300  # characters
FOLLOWING = ("blocked", "pending", "upstream")  # faults that another one brought about


class Shown(msgspec.Struct, frozen=True):
    """What was shown at the end of a complete run, kept so that a run with nothing to do costs nothing."""

    key: str
    text: str
    code: int


def carry(
    study: Study,
    out: Path,
    *,
    folder: Path,
    workers: int | None,
    embed_audio: bool,
    budget: float | None = None,
    time_limit: float = LIMIT,
) -> int:
    """Do what is missing, build the report, print the table and the report's path; returns the exit code."""
    console = Console()
    with Bars(console) as bars:
        done = carry_out(study, out, folder=folder, workers=workers, watcher=bars, budget=budget, time_limit=time_limit)
    for remark in done.tally.remarks:
        click.echo(plain_text(remark))
    if done.already:
        console.print(f"nothing to do: all {done.tally.found} cells are done")
    from turnwise.report.page import program

    page, kept = out / "report.html", out / ".shown.json"
    key = fingerprint("shown", done.plan, program(), embed_audio)
    shown = _recall(kept)
    if not (done.already and shown is not None and shown.key == key and _complete(out)):
        shown = _show(study, out, key, done.tally, embed_audio=embed_audio)
        if done.complete:
            write_whole(kept, msgspec.json.encode(shown))
    click.echo(shown.text)
    click.echo(str(page))
    return shown.code


def _show(study: Study, out: Path, key: str, tally: Tally, *, embed_audio: bool) -> Shown:
    """Build the report; the table, what is at fault, and what is below the bar."""
    from turnwise.report.page import build
    from turnwise.report.terminal import terminal_table
    from turnwise.statistics.summary import summarise

    results = load_results(out)
    summary = summarise(results)
    build(results, out, embed_audio=embed_audio, summary=summary)
    below = _below(study, summary)
    screen = Console()
    paper = Console(width=screen.width, force_terminal=screen.is_terminal, record=True, file=io.StringIO())
    paper.print(terminal_table(summary))
    lines = [paper.export_text(styles=screen.is_terminal).rstrip(), *below]
    if tally.faults:
        lines += _causes(results)
        lines.append(f"{counted(tally.faults, 'cell')} at fault; run the same command again to retry them")
    if tally.stopped:
        lines.append(f"stopped before everything was done: {tally.stopped}")
    return Shown(key, "\n".join(lines), FAULTS if tally.faults or tally.stopped else BELOW_THE_BAR if below else DONE)


def _causes(results: Results) -> list[str]:
    """The most frequent causes of what failed by itself, each with the sentence of its first fault."""
    found: Counter[str] = Counter()
    said: dict[str, str] = {}
    for conversation in results.conversations:
        for answered in conversation.rounds:
            broken = [answered.fault] if answered.fault is not None else list(answered.outcomes.values())
            for fault in broken:
                if isinstance(fault, Fault) and fault.cause not in FOLLOWING:
                    found[fault.cause] += 1
                    said.setdefault(fault.cause, f"{conversation.arm}, {conversation.dialogue.id}: {fault.detail}")
    return [
        f"{cause} ({number}), first at {plain_text(said[cause])[:LONGEST_CAUSE]}"
        for cause, number in found.most_common(MOST_CAUSES)
    ]


def _complete(out: Path) -> bool:
    return all(
        (out / name).is_file()
        for name in ("report.html", "summary.json", "table.parquet", "table.csv", "report.md", "tables.tex")
    )


def _recall(path: Path) -> Shown | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Shown)
    except (OSError, msgspec.MsgspecError):  # not there, or of an older form: shown anew
        return None


def _below(study: Study, summary: Summary) -> list[str]:
    """The arms that miss the bar of the study, in words. An arm without a mean misses every bar."""
    lower = {i.criterion.name for i in summary.instruments if i.criterion.better == "lower"}
    lines = []
    for criterion, bar in study.bar.items():
        for arm in summary.arms:
            mean = arm.criteria[criterion].estimate.mean
            if mean is None or (mean > bar if criterion in lower else mean < bar):
                said = "no score" if mean is None else f"{mean:.2f}"
                lines.append(f"below the bar: {arm.name} has {said} on {criterion}, the bar is {bar:g}")
    return lines
