"""`turnwise corpus`: look at a corpus, check it, convert it, draw from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from turnwise.dialogues.corpus import CORPORA, Corpus, Reading
from turnwise.dialogues.corpus_statistics import CorpusStatistics, Spread, corpus_statistics
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.document import write_text
from turnwise.dialogues.sampling import sample
from turnwise.dialogues.validation import Validation, validate
from turnwise.foundation.errors import InputError

WIDTH_OF_A_FILE = 160  # columns of the tables when the output is not a terminal
EXAMPLES_SHOWN = 20  # irregularities of one kind listed without --all

_file = click.argument("file", type=click.Path(path_type=Path), required=False)
_format = click.option("--format", "name", metavar="NAME", help="How FILE is written: see `turnwise list corpora`.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
_out = click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
_force = click.option("--force", is_flag=True, help="Overwrite the file if it is there.")


@click.group("corpus")
def corpus_group() -> None:
    """Look at a corpus, check it, convert it, draw from it.

    \b
    Example: turnwise corpus stats data.json --format msgd
    """


@corpus_group.command("stats")
@_file
@_format
@_json
def stats(file: Path | None, name: str | None, as_json: bool) -> None:
    """Dialogues, turns, rounds and intents in numbers.

    \b
    Example: turnwise corpus stats data.json --format msgd
    turnwise corpus stats                            # the embedded corpus
    """
    _, reading = _open(file, name)
    found = corpus_statistics(reading.dialogues)
    if as_json:
        click.echo(_to_json({**msgspec.to_builtins(found), "digest": reading.digest}))
        return
    _print_statistics(found, _console())
    _mention(reading)


@corpus_group.command("validate")
@_file
@_format
@_json
@click.option("--strict", is_flag=True, help="Leave with 1 if anything is irregular.")
@click.option("--all", "everything", is_flag=True, help=f"List every irregularity, not the first {EXAMPLES_SHOWN} of each kind.")
@click.pass_context
def validate_command(
    context: click.Context, file: Path | None, name: str | None, as_json: bool, strict: bool, everything: bool
) -> None:
    """Everything that departs from the format, with id and position.

    \b
    turnwise corpus validate data.json --format msgd --strict
    """
    _, reading = _open(file, name)
    found = validate(reading)
    if as_json:
        click.echo(_to_json(msgspec.to_builtins(found)))
    else:
        _print_validation(found, _console(), everything)
    if strict and found.findings:
        context.exit(1)


@corpus_group.command("convert")
@_file
@_format
@click.option("--to", "target", metavar="NAME", required=True, help="The format to write.")
@_out
@_force
def convert(file: Path | None, name: str | None, target: str, out: Path, force: bool) -> None:
    """The same dialogues in another format; says what that format has no place for.

    \b
    turnwise corpus convert data.json --format msgd --to jsonl --out data.jsonl
    """
    _, reading = _open(file, name)
    if not reading.dialogues:
        raise InputError("there is no dialogue to convert", "see `turnwise corpus validate` for what was left out")
    _refuse_to_clobber(file, [out], force)
    corpus = CORPORA.build(target)
    _writer(corpus, target)(reading.dialogues, out)
    click.echo(f"{_some(len(reading.dialogues), 'dialogue')} written to {_shown(str(out))}")
    lost = _lost(reading.dialogues, corpus.read(out).dialogues)
    if lost:
        click.echo(f"{target} has no place for some of it: {lost}", err=True)
    _mention(reading)


@corpus_group.command("sample")
@_file
@_format
@click.option("--n", type=int, required=True, help="How many dialogues to draw.")
@click.option("--by", type=click.Choice(["intent", "none"]), default="intent", help="Whose proportions to keep (intent).")
@click.option("--seed", type=int, required=True, help="The same seed draws the same dialogues.")
@click.option("--to", "target", metavar="NAME", help="Write another format than FILE's.")
@_out
@_force
def sample_command(
    file: Path | None, name: str | None, n: int, by: str, seed: int, target: str | None, out: Path, force: bool
) -> None:
    """Draw dialogues in the proportions of the corpus; a manifest beside them says how.

    \b
    turnwise corpus sample data.json --format msgd --n 500 --by intent --seed 1 --out sample.json
    """
    name = _format_of(file, name)
    _, reading = _open(file, name)
    target = target or ("jsonl" if name == "demo" else name)
    manifest = out.with_name(out.stem + ".manifest.json")
    _refuse_to_clobber(file, [out, manifest], force)
    corpus = CORPORA.build(target)
    write = _writer(corpus, target)
    drawn = sample(reading.dialogues, n, "intent" if by == "intent" else None, seed=seed)
    write(drawn, out)
    read_back = corpus.read(out)
    lost = _lost(drawn, read_back.dialogues)
    counts = corpus_statistics(drawn).intents
    record = {
        "source": {
            "format": name,
            "file": file.name if file else None,
            "digest": reading.digest,
            "dialogues": len(reading.dialogues),
        },
        "draw": {"n": n, "by": by, "seed": seed},
        "sample": {"format": target, "file": out.name, "digest": read_back.digest},
        "intents": {each.intent: each.count for each in counts},
        "ids": [dialogue.id for dialogue in drawn],
    }
    write_text(manifest, _to_json(record) + "\n")
    click.echo(f"{_some(len(drawn), 'dialogue')} of {len(reading.dialogues)} written to {_shown(str(out))}")
    click.echo(f"how they were drawn: {_shown(str(manifest))}")
    if lost:
        click.echo(f"{target} has no place for some of it: {lost}", err=True)
    _mention(reading)


def _format_of(file: Path | None, name: str | None) -> str:
    if name is not None:
        return name
    if file is None:
        return "demo"
    if file.suffix == ".jsonl":
        return "jsonl"
    raise click.UsageError(f"Say how {file} is written, for example --format msgd. Known: {', '.join(CORPORA.cards())}.")


def _open(file: Path | None, name: str | None) -> tuple[Corpus, Reading]:
    corpus: Corpus = CORPORA.build(_format_of(file, name))
    return corpus, corpus.read(file)


def _writer(corpus: Corpus, name: str) -> Callable[[Sequence[Dialogue], Path], None]:
    if corpus.write is None:
        able = ", ".join(each for each in CORPORA.cards() if CORPORA.build(each).write is not None)
        raise InputError(f"the format {name!r} can be read but not written", f"write one of: {able}")
    return corpus.write


def _refuse_to_clobber(source: Path | None, targets: Sequence[Path], force: bool) -> None:
    for target in targets:
        if source is not None and source.is_dir() and target.resolve().parent == source.resolve():
            raise InputError(f"{target}: lies in the folder that is read", "write it elsewhere")
        if source is not None and target.exists() and target.samefile(source):
            raise InputError(f"{target}: is the file that is read", "write to another file")
        if target.is_dir():
            raise InputError(f"{target}: is a folder, expected a file to write")
        if target.exists() and not force:
            raise InputError(f"{target}: is already there", "choose another name, or overwrite it with --force")


def _lost(before: Sequence[Dialogue], after: Sequence[Dialogue]) -> str:
    """What the second reading no longer has, in words; empty where it is equal."""
    if tuple(before) == tuple(after):
        return ""
    kept = {dialogue.id: dialogue for dialogue in after}
    losses: dict[str, int] = {}
    for dialogue in before:
        other = kept.get(dialogue.id)
        if other is None or len(other.turns) != len(dialogue.turns):
            losses["dialogue"] = losses.get("dialogue", 0) + 1
            continue
        for field in ("intent", "description", "source", "opening"):
            losses[field] = losses.get(field, 0) + (getattr(dialogue, field) != getattr(other, field))
        for one, two in zip(dialogue.turns, other.turns, strict=True):
            losses["fact"] = losses.get("fact", 0) + max(0, len(one.facts) - len(two.facts))
            losses["asked slot"] = losses.get("asked slot", 0) + max(0, len(one.asks) - len(two.asks))
            losses["phase"] = losses.get("phase", 0) + (one.phase != two.phase)
            losses["changed text"] = losses.get("changed text", 0) + ((one.speaker, one.text) != (two.speaker, two.text))
    return ", ".join(_some(count, what) for what, count in losses.items() if count) or "the order of the dialogues"


def _print_statistics(found: CorpusStatistics, console: Console) -> None:
    table = _table("quantity", "value", "SD (population)", "SD (sample)", "min", "max", "n")
    table.add_row("dialogues", str(found.dialogues))
    table.add_row("turns", str(found.turns.total))
    table.add_row("user turns", str(found.rounds.total))
    rows: list[tuple[str, Spread | None]] = [
        ("mean turns per dialogue", found.turns),
        ("mean rounds per dialogue", found.rounds),
        ("mean transition position", found.transition),
        ("mean chitchat length", found.opening),
    ]
    for label, each in rows:
        if each is None:
            table.add_row(label, "not marked")
        else:
            sample_sd = "undefined" if each.sd_sample is None else f"{each.sd_sample:.2f}"
            ends = (str(each.min), str(each.max), str(each.n))
            table.add_row(label, f"{each.mean:.2f}", f"{each.sd_population:.2f}", sample_sd, *ends)
    table.add_row("user turns unanswered", str(found.unanswered))
    table.add_row("facts stated", str(found.facts))
    table.add_row("slots asked for", str(found.asked))
    console.print(table)
    intents = _table("intent", "count", "%")
    for item in found.intents:
        intents.add_row(_cell(item.intent or "(none)"), str(item.count), f"{item.percent:.1f}")
    console.print(intents)
    reaching = ", ".join(f"R{number} {count}" for number, count in enumerate(found.reaching, start=1))
    console.print(Text(f"dialogues that reach each round: {reaching}"))


def _print_validation(found: Validation, console: Console, everything: bool) -> None:
    console.print(Text(f"{_some(found.kept, 'dialogue')} kept ({found.irregular} of them irregular), {found.dropped} left out"))
    if not found.findings:
        console.print(Text("nothing irregular"))
        return
    table = _table("kind", "count", "dialogues", "left out")
    for finding in found.findings:
        table.add_row(finding.kind, str(finding.count), str(finding.dialogues), str(finding.dropped))
    console.print(table)
    places = _table("kind", "dialogue", "position", "detail", numbers=False)
    for finding in found.findings:
        shown = finding.items if everything else finding.items[:EXAMPLES_SHOWN]
        for item in shown:
            position = "" if item.position is None else str(item.position)
            places.add_row(item.kind, _cell(item.dialogue or "(file)"), position, _cell(item.detail))
        if len(shown) < finding.count:
            places.add_row(finding.kind, "...", "", f"{finding.count - len(shown)} more: see them with --all")
    console.print(places)


def _table(*columns: str, numbers: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and index else "left", overflow="fold")
    return table


def _console() -> Console:
    console = Console(markup=False, highlight=False, emoji=False)
    return console if console.is_terminal else Console(markup=False, highlight=False, emoji=False, width=WIDTH_OF_A_FILE)


def _cell(text: str) -> Text:
    return Text(_shown(text))


def _shown(text: str) -> str:
    """Text from a file, with what a terminal would obey instead of show written out."""
    encoding = sys.stdout.encoding or "utf-8"
    plain = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return plain.encode(encoding, "backslashreplace").decode(encoding)


def _mention(reading: Reading) -> None:
    found = validate(reading)
    if found.findings:
        total = sum(finding.count for finding in found.findings)
        number = "1 irregularity" if total == 1 else f"{total} irregularities"
        click.echo(f"{number}, {_some(found.dropped, 'dialogue')} left out: see `turnwise corpus validate`", err=True)


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
