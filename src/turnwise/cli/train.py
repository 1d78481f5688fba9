"""Train a describer of speech quality: make its data, train it, evaluate it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from turnwise.training.evaluation import Evaluation, Measure

WIDTH_OF_A_FILE = 160  # columns of the table where the output is no terminal
EVERY = 5.0  # seconds between plain lines where the output is no terminal
_recipe = click.argument("recipe", type=click.Path(path_type=Path))
_out = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the training; runs/<name of the recipe> where not given."
)


@click.group("train")
def train_group() -> None:
    """Train a describer of speech quality: make its data, train it, evaluate it.

    \b
    Example: turnwise train recipe > describer.toml
    turnwise train data describer.toml
    turnwise train describer describer.toml --out runs/describer
    turnwise train evaluate describer.toml --out runs/describer
    """


@train_group.command("recipe")
def recipe_command() -> None:
    """Print a recipe to start from, every knob with its reason.

    \b
    Example: turnwise train recipe > describer.toml
    """
    from importlib.resources import files

    click.echo(files("turnwise.training").joinpath("describer.toml").read_text(encoding="utf-8"), nl=False)


@train_group.command("data")
@_recipe
def data_command(recipe: Path) -> int:
    """Have texts written about the ratings of the corpus. Run again, it does what is missing.

    \b
    Example: turnwise train data describer.toml
    """
    from turnwise.training.caption_making import make_examples
    from turnwise.training.recipe import load_recipe

    read = load_recipe(recipe)
    with _shown() as bars:
        bars.begin("texts", 0, 0)
        made = make_examples(read, lambda done, of: bars.went(done, of=of))
    kinds = ", ".join(f"{count} {kind}" for kind, count in made.by_kind.items())
    click.echo(f"{made.written} items in {read.data.examples}: {kinds}")
    if made.refused:
        click.echo(f"{made.refused} texts left out: they contradicted their ratings in every try")
    if made.failed:
        causes = ", ".join(f"{count} {cause}" for cause, count in sorted(made.failed.items()))
        click.echo(f"{sum(made.failed.values())} texts failed ({causes}): run the same command again to try them", err=True)
        return 3
    return 0


@train_group.command("describer")
@_recipe
@_out
@click.option("--resume", is_flag=True, help="Go on with what the folder holds.")
@click.option("--stage", "stages", type=click.Choice(["sft", "alld"]), multiple=True, help="Only this stage.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, or what is in the way; load no weights, write nothing.")
@click.option(
    "--processes", type=click.IntRange(min=1), help="With --dry-run: how many processes (GPUs) it is to be reckoned for."
)
def describer_command(
    recipe: Path, out: Path | None, resume: bool, stages: tuple[str, ...], dry_run: bool, processes: int | None
) -> None:
    """Train by the stages of the recipe: supervised fine-tuning, then ALLD. Several GPUs: see docs/training.md.

    \b
    Example: turnwise train describer describer.toml --out runs/describer --resume
    turnwise train describer describer.toml --dry-run --processes 8
    accelerate launch -m turnwise train describer describer.toml --out runs/describer
    """
    from turnwise.training.describer_training import foresee_describer, train_describer
    from turnwise.training.kept_models import chosen_of
    from turnwise.training.recipe import load_recipe

    if processes is not None and not dry_run:
        raise click.UsageError("--processes goes with --dry-run; a training has as many as it is launched with")
    read = load_recipe(recipe)
    folder = out or _folder(read.name)
    if dry_run:
        for stage in foresee_describer(read, folder, resume=resume, processes=processes or 1, stages=stages):
            click.echo(stage.told)
        return
    with _shown() as bars:
        model = train_describer(read, folder, resume=resume, watch=bars, stages=stages)
    if bars.speaks:
        for name in read.stages:
            chosen = chosen_of(folder / name)
            if chosen is not None:
                click.echo(f"{name}: {chosen.why}")
        click.echo(f"the model is in {model}")


@train_group.command("evaluate")
@_recipe
@_out
@click.option("--model", help="A trained folder, or a Qwen2-Audio; the last stage's model in --out where not given.")
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Sounds answered at once.")
@click.option("--most-tokens", type=click.IntRange(min=1), default=256, show_default=True, help="Longest answer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def evaluate_command(recipe: Path, out: Path | None, model: str | None, batch: int, most_tokens: int, as_json: bool) -> None:
    """Let a model describe and compare what was held out, and measure it against the ratings.

    \b
    Example: turnwise train evaluate describer.toml --out runs/describer
    turnwise train evaluate describer.toml --model Qwen/Qwen2-Audio-7B-Instruct    # what training has to beat
    """
    import msgspec

    from turnwise.foundation.whole_file import write_whole
    from turnwise.training.describer_evaluation import evaluate_describer, last_model
    from turnwise.training.recipe import load_recipe

    read = load_recipe(recipe)
    folder = out or _folder(read.name)
    model = model or str(last_model(read, folder))
    with _shown() as bars:
        bars.begin("texts", 0, 0)
        found, path = evaluate_describer(
            read, folder, model, batch=batch, most_tokens=most_tokens, watch=lambda done, of: bars.went(done, of=of)
        )
    told = msgspec.json.format(msgspec.json.encode(found), indent=2)
    write_whole(path, told + b"\n")
    if as_json:
        click.echo(told.decode())
    else:
        _print(found, model)
        click.echo(f"all figures: {path}")


def _folder(name: str) -> Path:
    return Path("runs") / name


class _Bars:
    """How a training goes on: a bar for each part on a terminal, a line every few seconds elsewhere; one process of several."""

    def __init__(self, console: Console) -> None:
        import os

        self.speaks = os.environ.get("RANK", "0") == "0"  # as torch's launchers name the processes
        self._console = console
        self._of = self._said = 0.0
        self._what = ""
        self._bar: TaskID | None = None
        self._progress: Progress | None = None
        if console.is_terminal and self.speaks:
            columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
            columns += [TextColumn("{task.fields[told]}"), TimeElapsedColumn(), TimeRemainingColumn()]
            self._progress = Progress(*columns, console=console)

    def begin(self, what: str, done: int, of: int) -> None:
        self._what, self._of = what, of
        if self._progress is not None:
            self._bar = self._progress.add_task(what, total=of or None, completed=done, told="")

    def went(self, done: int, told: str = "", of: int | None = None) -> None:
        import time

        self._of = self._of if of is None else of
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, completed=done, total=self._of or None, told=told)
        elif self.speaks and (time.monotonic() - self._said >= EVERY or done == self._of):
            self._said = time.monotonic()
            self._console.print(Text(f"{self._what}: {done}/{self._of:g} {told}".rstrip()))

    def open(self) -> None:
        if self._progress is not None:
            self._progress.start()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def _shown() -> Iterator[_Bars]:
    bars = _Bars(Console(stderr=True))
    bars.open()
    try:
        yield bars
    finally:
        bars.close()


def _print(found: Evaluation, model: str) -> None:
    from turnwise.training.evaluation import PUBLISHED

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, emoji=False, width=WIDTH_OF_A_FILE)
    click.echo(f"{model} on what was held out: {found.texts} texts, 95 % intervals")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("measure", "value", "n", "published"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    for dimension, fit in found.fits.items():
        for name, measure in (("LCC", fit.lcc), ("SRCC", fit.srcc), ("MSE", fit.mse)):
            beside = PUBLISHED["mse mos"] if (name, dimension) == ("MSE", "mos") else ""
            table.add_row(f"{name} {dimension}", _said(measure), str(measure.n), beside)
        table.add_row(f"no rating {dimension}", _said(fit.failures, percent=True), str(fit.failures.n), "")
    if found.choices is not None:
        accuracy = found.choices.accuracy
        table.add_row("A/B accuracy", _said(accuracy, percent=True), str(accuracy.n), PUBLISHED["accuracy"])
        agreed = found.choices.agreed
        table.add_row("A/B same in both orders", _said(agreed, percent=True), str(agreed.n), "")
    for kind, measure in found.bleu.items():
        table.add_row(f"BLEU {kind}", _said(measure), str(measure.n), PUBLISHED["bleu"])
    console.print(table)
    if found.cut:
        click.echo(f"{found.cut} texts ran into the limit of tokens: they state no rating and name no side")


def _said(measure: Measure, *, percent: bool = False) -> str:
    if measure.value is None:
        return "undefined"
    scale, digits, unit = (100.0, 1, " %") if percent else (1.0, 3, "")
    interval = (
        ""
        if measure.low is None or measure.high is None
        else f" [{measure.low * scale:.{digits}f}, {measure.high * scale:.{digits}f}]"
    )
    return f"{measure.value * scale:.{digits}f}{unit}{interval}"
