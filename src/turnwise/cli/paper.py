"""A run in the layout of The Context Trap: Tables 1, 2 and 5 and Figures 1 to 3, with n and intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from turnwise.statistics.paper import Paper
    from turnwise.statistics.sheet import Sheet
    from turnwise.statistics.summary import Summary

FORMS = {"text": "paper.txt", "markdown": "paper.md", "latex": "paper.tex"}


@click.command("paper", epilog="Example: turnwise paper runs/first --beside --out paper")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--beside", is_flag=True, help="Put the published figures beside the run's, under the arm of the same name.")
@click.option("--format", "form", type=click.Choice(list(FORMS)), default="text", show_default=True, help="What is printed.")
@click.option("--out", type=click.Path(path_type=Path), help="Write tables in every format, and figures, into this folder.")
@click.option("--rounds", type=click.IntRange(min=1), default=10, show_default=True, help="Columns of the tables by round.")
def paper_command(run: Path, beside: bool, form: str, out: Path | None, rounds: int) -> int:
    """Print the run in RUN as The Context Trap prints its systems.

    Under every column stands the judge or estimator it comes from. Arms called "X (E2E)" and "X (M)" are set against each other.
    Nothing is asked of agents or judges.
    """
    from turnwise.report.paper_tables import paper_sheets
    from turnwise.statistics.paper import paper
    from turnwise.statistics.summary import Options
    from turnwise.study.experiment import load_results

    summary, found = paper(load_results(run), Options(last_round=rounds))
    sheets = paper_sheets(summary, found, beside=beside)
    if out is not None:
        _write(summary, found, sheets, out)
    click.echo(_written(summary, found, sheets, form), nl=False)
    if out is not None:
        click.echo(str(out))
    return 0


def _written(summary: Summary, found: Paper, sheets: list[Sheet], form: str) -> str:
    from turnwise.report.paper_tables import absent
    from turnwise.statistics.sheet import latex_escaped, markdown_escaped

    size = f"{summary.dialogues} dialogues, {summary.rounds} rounds per arm"
    heads = [f"Study {summary.study}, plan {summary.plan}, {summary.created[:10]}: {size}.", *absent(summary, found)]
    match form:
        case "latex":
            parts = [*(f"% {latex_escaped(head)}" for head in heads), "", *(sheet.latex() for sheet in sheets)]
        case "markdown":
            parts = [*(markdown_escaped(head) + "\n" for head in heads), *(sheet.markdown() for sheet in sheets)]
        case _:
            parts = [*(" ".join(head.split()) for head in heads), "", *(sheet.text() for sheet in sheets)]
    # Names come from the study: none of them moves a terminal's cursor.
    return "".join(c for c in "\n".join(parts) if c == "\n" or c.isprintable())


def _write(summary: Summary, found: Paper, sheets: list[Sheet], out: Path) -> None:
    from turnwise.foundation.whole_file import write_whole
    from turnwise.report.charts.paper import paper_figures
    from turnwise.report.drawing import draw
    from turnwise.study.run_folder import RunFolder

    RunFolder(out).create()
    for form, name in FORMS.items():
        write_whole(out / name, _written(summary, found, sheets, form).encode("utf-8", "backslashreplace"))
    for figure in paper_figures(summary, found):
        drawing = draw(figure)
        write_whole(out / f"{figure.name}.svg", drawing.file.encode())
        write_whole(out / f"{figure.name}.png", drawing.png())
