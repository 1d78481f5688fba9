"""Rebuild the page, the tables and the figures of a run from its ledger alone."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: turnwise report runs/first --embed-audio")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--embed-audio", is_flag=True, help="Put the sound inside the page instead of beside it.")
@click.option("--no-figures", is_flag=True, help="Leave out the figure files; the page keeps its figures.")
def report_command(run: Path, embed_audio: bool, no_figures: bool) -> int:
    """Build report.html, summary.json, the tables and the figures in the run folder RUN again. No agent and no judge is asked."""
    from turnwise.report.page import build
    from turnwise.study.experiment import load_results

    page = build(load_results(run), run, embed_audio=embed_audio, figures=not no_figures)
    click.echo(str(page))
    return 0
