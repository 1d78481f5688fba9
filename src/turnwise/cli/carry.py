"""Carry a study out in front of the user: progress, report, table, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from turnwise.cli.progress import Bars
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.study import Study

if TYPE_CHECKING:
    from turnwise.statistics.summary import Summary

DONE, BELOW_THE_BAR, FAULTS = 0, 1, 3


def carry(study: Study, out: Path, *, folder: Path, workers: int | None, embed_audio: bool) -> int:
    """Do what is missing, build the report, print the table and the report's path; returns the exit code."""
    console = Console()
    with Bars(console) as bars:
        done = carry_out(study, out, folder=folder, workers=workers, watcher=bars)
    if done.already:
        console.print(f"nothing to do: all {done.tally.found} cells are done")
    from turnwise.report.page import build, is_current
    from turnwise.report.terminal import terminal_table
    from turnwise.statistics.summary import summarise

    results = load_results(out)
    summary = summarise(results)
    page = out / "report.html"
    if not (done.already and is_current(out, results, embed_audio=embed_audio)):
        page = build(results, out, embed_audio=embed_audio, summary=summary)
    console.print(terminal_table(summary))
    if done.tally.faults:
        console.print(f"{done.tally.faults} cells are at fault; run the same command again to retry them")
    below = _below(study, summary)
    for line in below:
        console.print(line)
    click.echo(str(page))
    return FAULTS if done.tally.faults else BELOW_THE_BAR if below else DONE


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
