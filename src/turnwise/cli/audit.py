"""`turnwise audit`: what the judges without an LLM see of failures planted on purpose in a corpus."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from turnwise.dialogues.dialogue import Dialogue
    from turnwise.judges.audit import Audit
    from turnwise.judges.curve import Estimate

WIDTH_OF_A_FILE = 170  # columns of the tables when the output is not a terminal


@click.command("audit")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--format", "name", metavar="NAME", default=None, help="How FILE is written: see `turnwise list corpora`.")
@click.option(
    "--background",
    type=click.Path(path_type=Path),
    multiple=True,
    help="More dialogues of the same format to learn from, not to judge.",
)
@click.option(
    "--donors",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Dialogues of the same format that plants are taken from; neither learned from nor judged.",
)
@click.option(
    "--word-errors", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Word error rate of the hearing."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the plants, the mishearings and the resamples.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="Judge only the first N dialogues.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def audit_command(
    file: Path | None,
    name: str | None,
    background: tuple[Path, ...],
    donors: tuple[Path, ...],
    word_errors: float,
    seed: int,
    limit: int | None,
    as_json: bool,
) -> None:
    """Plant known failures in good dialogues and print what the judges make of them.

    \b
    Examples:
      turnwise audit dialogues_002.json --format sgd
      turnwise audit dialogues_002.json --format sgd --word-errors 0.15 --json
      turnwise audit judged.jsonl --format jsonl --background learned.jsonl --donors others.jsonl
      turnwise audit                                   # the embedded corpus
    """
    from turnwise.judges.audit import audit

    dialogues = _read(file, name)
    learned = [*dialogues, *(dialogue for path in background for dialogue in _read(path, name))]
    givers = [dialogue for path in donors for dialogue in _read(path, name)]
    found = audit(dialogues[:limit], learned, seed, word_errors, givers)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(found), indent=2, allow_nan=False))
    else:
        _print(found)


def _read(file: Path | None, name: str | None) -> tuple[Dialogue, ...]:
    from turnwise.dialogues.corpus import CORPORA, Corpus
    from turnwise.foundation.errors import InputError

    if file is not None and name is None:
        raise InputError(f"{file}: say how it is written", "add --format NAME; `turnwise list corpora` shows the names")
    corpus: Corpus = CORPORA.build(name or "demo")
    return corpus.read(file).dialogues


def _print(found: Audit) -> None:
    from rich.console import Console
    from rich.table import Table

    from turnwise.judges.severity import FAILURES

    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    console.print(
        f"{found.dialogues} dialogues judged, {found.background} learned from, "
        f"{f'plants from {found.donors} others, ' if found.donors else ''}"
        f"word errors {found.word_errors:g}, seed {found.seed}"
    )
    table = Table(title="planted failures against clean turns (95 % intervals over dialogues)")
    for heading in ("failure", "AUC", "false alarms", "detected: mild", "clear", "gross", "planted", "clean", "abstained"):
        table.add_column(heading, justify="left" if heading == "failure" else "right")
    for each in found.certificates:
        levels = {d.level: f"{_said(d.detected, percent=True)} of {d.planted}" for d in each.by_level}
        table.add_row(
            each.failure,
            _said(each.auc),
            _said(each.false_alarms, percent=True),
            *(levels.get(level, "-") for level in ("mild", "clear", "gross")),
            *(str(n) for n in (each.planted, each.clean, each.abstained)),
        )
    console.print(table)
    confusion = Table(title="which judge is loudest (columns) at what was planted (rows)")
    for heading in ("planted", *FAILURES, "none"):
        confusion.add_column(heading, justify="left" if heading == "planted" else "right")
    for failure, row, unseen in zip(FAILURES, found.confusion, found.unseen, strict=True):
        confusion.add_row(failure, *(str(n) for n in row), str(unseen))
    console.print(confusion)


def _said(estimate: Estimate, *, percent: bool = False) -> str:
    numbers: list[Any] = [estimate.value, estimate.low, estimate.high]
    if any(n is None for n in numbers):
        return "undefined"
    value, low, high = (f"{100 * n:.0f}" if percent else f"{n:.3f}" for n in numbers)
    return f"{value} % [{low}, {high}]" if percent else f"{value} [{low}, {high}]"
