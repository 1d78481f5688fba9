"""Rate and describe how recordings sound, compare two, rank systems, or make a page of a folder."""

from __future__ import annotations

import asyncio
import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from turnwise.cli.listening_choices import Asked
    from turnwise.listening.results import Results
    from turnwise.listening.row import Row

RESULTS = Path("listen.jsonl")  # where rows of folders are kept, unless another file is named
DONE, TROUBLE = 0, 3

EXAMPLES = """\b
Examples:
  turnwise listen a.wav b.flac calls/*.mp3
  turnwise listen calls/ --csv > calls.csv              # goes on where it was, through listen.jsonl
  turnwise listen --compare a.wav b.wav                 # which is better, why, how sure
  turnwise listen --compare a.wav b.wav --published out # the published tool's files
  turnwise listen --systems ours/ theirs/               # paired turns: sign test, ranking
  turnwise listen --report out.html calls/              # a page: outliers first, player, spectrograms
  turnwise listen --endpoint openai --model gpt-4o a.wav
  turnwise listen --model ./my-describer a.wav
"""


@click.command(epilog=EXAMPLES)
@click.argument("paths", type=click.Path(path_type=Path, readable=False), nargs=-1, required=True)  # rows say what is unreadable
@click.option("--compare", is_flag=True, help="Say which of two files is better, why, and how sure that is.")
@click.option("--systems", is_flag=True, help="Compare folders on the turns they share: one folder per system.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a page about the files here.")
@click.option("--embed-audio", is_flag=True, help="With --report: put the sound inside the page instead of beside it.")
@click.option("--published", type=click.Path(path_type=Path), help="With --compare: write the published tool's files here.")
@click.option("--listener", help="Who rates; docs/listen.md lists them. Default: embedded.")
@click.option("--listener-option", multiple=True, metavar="NAME=VALUE", help="An option of the listener; may be repeated.")
@click.option("--describer", help="Who describes; `none` for ratings alone. Default: template.")
@click.option("--describer-option", multiple=True, metavar="NAME=VALUE", help="An option of the describer; may be repeated.")
@click.option("--model", help="With --endpoint a language model there; alone the folder of a trained describer.")
@click.option("--endpoint", help="Where the language model is: openai, gemini, local, or an address.")
@click.option("--key", metavar="VARIABLE", help="Environment variable that holds the key of --endpoint.")
@click.option("--preset", type=click.Choice(["plain", "diverse"]), help="The published sampling of descriptions.")
@click.option("--example", type=click.Path(path_type=Path), help='A JSON file {"ratings": {...}, "text": "..."} to be imitated.')
@click.option("--tie", type=click.FloatRange(0, 4), default=0.1, show_default=True, help="Overall ratings this close are equal.")
@click.option("--window", type=click.FloatRange(1), default=9.0, show_default=True, help="Seconds at a time in long files.")
@click.option("--channel", type=click.IntRange(1), help="Of files with several; by default the mean of those that sound.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of diverse wording, resamples, and what servers draw.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes; by default as many as the files and the cores are worth.")
@click.option("--results", type=click.Path(path_type=Path), help="Where rows are kept and found again; folders: listen.jsonl.")
@click.option("--no-results", is_flag=True, help="Keep no rows, also of folders.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, timelines and all.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write the table to this file too.")
def listen_command(
    paths: tuple[Path, ...],
    compare: bool,
    systems: bool,
    report: Path | None,
    embed_audio: bool,
    published: Path | None,
    listener: str | None,
    listener_option: tuple[str, ...],
    describer: str | None,
    describer_option: tuple[str, ...],
    model: str | None,
    endpoint: str | None,
    key: str | None,
    preset: str | None,
    example: Path | None,
    tie: float,
    window: float,
    channel: int | None,
    seed: int,
    jobs: int | None,
    results: Path | None,
    no_results: bool,
    as_json: bool,
    as_csv: bool,
    parquet: Path | None,
) -> int:
    """Rate sound files and folders of them, PATHS, from 1 to 5 in overall quality (mos), noise (noi), coloration (col),
    discontinuity (dis) and loudness (loud), and describe them in words.

    Higher is better everywhere. A file that cannot be read, a description that contradicts its ratings, or a server that
    fails is told in its row, the rest goes on, and the exit code is 3.
    """
    from turnwise.cli.listening_choices import Asked
    from turnwise.foundation.errors import InputError

    _at_most_one(("--compare", compare), ("--systems", systems), ("--report", report is not None))
    _at_most_one(("--json", as_json), ("--csv", as_csv))
    _at_most_one(("--results", results is not None), ("--no-results", no_results))
    if not math.isfinite(window):
        raise InputError(f"--window {window}: expected a number of seconds")
    if published is not None and not compare:
        raise InputError("--published goes with --compare")
    if embed_audio and report is None:
        raise InputError("--embed-audio goes with --report")
    if (compare or systems) and (as_csv or parquet is not None):
        raise InputError("a comparison is printed as text or with --json")
    _not_a_recording("--report", report, (".html", ".htm"), paths)
    _not_a_recording("--parquet", parquet, (".parquet", ".pq"), paths)
    folders = any(map(os.path.isdir, paths))
    kept = None if no_results else results or (RESULTS if folders else None)
    asked = Asked(
        *(listener, listener_option, describer, describer_option, model, endpoint, key, preset, example, tie, window, channel),
        seed,
    )
    with ExitStack() as stack:
        found = None
        if kept is not None:
            from turnwise.listening.results import Results

            found = stack.enter_context(Results(kept))
            if found.unread:
                click.echo(f"{kept}: {found.unread} lines are no rows and are not used", err=True)
        if compare:
            from turnwise.cli.listening_compare import compare_files

            return asyncio.run(compare_files(paths, asked, found, as_json=as_json, published=published))
        if systems:
            from turnwise.cli.listening_compare import compare_systems

            return asyncio.run(compare_systems(paths, asked, found, jobs, as_json=as_json))
        return asyncio.run(_hear(paths, asked, found, jobs, report, embed_audio, as_json, as_csv, parquet))


async def _hear(
    paths: tuple[Path, ...],
    asked: Asked,
    results: Results | None,
    jobs: int | None,
    report: Path | None,
    embed_audio: bool,
    as_json: bool,
    as_csv: bool,
    parquet: Path | None,
) -> int:
    """Rows of all files, as they come."""
    from turnwise.cli.listening_output import Csv, JsonLines, Lines, Output, Parquet, Sums
    from turnwise.cli.listening_rows import heard
    from turnwise.listening.sounds_below import counted, sounds_below

    total = counted(paths)
    sums = Sums()
    rows: list[Row] = []
    outputs: list[Output] = []
    if as_json or as_csv or report is None:
        outputs.append(JsonLines() if as_json else Csv() if as_csv else Lines())
    if parquet is not None:
        outputs.append(Parquet(parquet))

    def take(row: Row) -> None:
        sums.row(row)
        for output in outputs:
            output.row(row)
        if report is not None:
            rows.append(row)

    session_found = await heard(sounds_below(paths), total, asked, results, jobs, take)
    for output in outputs:
        output.close()
    if total > 1 or report is not None:
        for line in sums.lines(session_found):
            click.echo(line, err=as_json or as_csv)
    if results is not None:
        click.echo(f"rows are kept in {results.path}", err=True)
    if report is not None:
        from turnwise.report.listening_page import write_page

        write_page(report, rows, embed_audio=embed_audio)
        click.echo(str(report), err=as_json or as_csv)
    return TROUBLE if sums.in_trouble else DONE


def _not_a_recording(flag: str, path: Path | None, endings: tuple[str, ...], heard: tuple[Path, ...]) -> None:
    """Refuse to write over a recording, as `--report calls/*.wav` would."""
    from turnwise.foundation.errors import InputError

    if path is None:
        return
    if path.suffix.lower() not in endings or os.path.isdir(path) or any(path == other for other in heard):
        raise InputError(f"{flag} {path}: expected the name of a file that ends in {' or '.join(endings)}", "it is written anew")


def _at_most_one(*flags: tuple[str, bool]) -> None:
    from turnwise.foundation.errors import InputError

    given = [name for name, on in flags if on]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} do not go together")
