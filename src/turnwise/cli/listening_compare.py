"""`turnwise listen --compare` and `--systems`: two files, or several folders, against each other."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from turnwise.cli.listening_choices import Asked, check_servers, diverse, hearing_of, remote_of
from turnwise.cli.listening_output import WIDTH_OF_A_FILE, Lines, number
from turnwise.cli.listening_rows import heard
from turnwise.foundation.errors import InputError
from turnwise.foundation.plain_text import plain_text
from turnwise.listening.pair import CONFIDENCE, FEWEST, Pair, apart
from turnwise.listening.preference import NAMES, OBVIOUS
from turnwise.listening.published_files import published as publish
from turnwise.listening.ratings import DIMENSIONS, TITLES, Ratings, printed, words
from turnwise.listening.results import Results
from turnwise.listening.row import Row
from turnwise.listening.session import Listening
from turnwise.listening.sounds_below import counted

if TYPE_CHECKING:
    from turnwise.listening.paired_systems import Standing

SPREAD = 1e-6  # of an interval that says anything


async def compare_files(
    paths: Sequence[Path], asked: Asked, results: Results | None, *, as_json: bool, published: Path | None
) -> int:
    """Two files."""
    if len(paths) != 2 or any(map(os.path.isdir, paths)):
        raise InputError(f"--compare takes two files, got {len(paths)}", "folders are compared by --systems")
    first, second = paths
    counted(paths)
    hearing = hearing_of(asked)
    remote = remote_of(asked)
    told: dict[str, str] = {}
    try:
        check_servers(hearing, remote)
        async with Listening(hearing, remote) as session:
            rows = (await session.row(first, results), await session.row(second, results))
            pair = await session.compare((first, second), rows, tie=asked.tie)
        if published is not None:
            other = diverse(hearing)
            varied: tuple[Row | None, Row | None] = (None, None)
            if other is not None:
                async with Listening(other, remote) as session:
                    a = await session.describe(first, rows[0]) if rows[0].ratings is not None else rows[0]
                    b = await session.describe(second, rows[1]) if rows[1].ratings is not None else rows[1]
                    varied = (a, b)
            made = publish(pair, varied)
            made.write(published)
            told = made.absent
    finally:
        await remote.close()
    if as_json:
        click.echo(msgspec.json.encode(_plain(pair, told)).decode())
    else:
        _print(pair)
        for name, why in told.items():
            click.echo(f"not written: {name}: {plain_text(why)}")
        if published is not None:
            click.echo(str(published))
    return 3 if pair.troubles or pair.first.troubles or pair.second.troubles or told else 0


async def compare_systems(
    paths: Sequence[Path], asked: Asked, results: Results | None, jobs: int | None, *, as_json: bool
) -> int:
    """Several folders on the turns they share."""
    from turnwise.listening.paired_systems import standing, turns_of

    turns = turns_of(paths)
    places = [(system, turn) for system, files in turns.items() for turn in files]
    rated: dict[str, dict[str, Ratings]] = {system: {} for system in turns}
    troubled: list[Row] = []
    waiting = iter(places)

    def take(row: Row) -> None:
        system, turn = next(waiting)  # rows come in the order of the files
        if row.ratings is not None:
            rated[system][turn] = row.ratings
        if row.troubles:
            troubled.append(row)

    if asked.describer is None and asked.model is None:
        asked = msgspec.structs.replace(asked, describer="none")  # words about single turns are not asked for
    files = [turns[system][turn] for system, turn in places]
    await heard(files, len(files), asked, results, jobs, take)
    found = standing({system: len(files) for system, files in turns.items()}, rated, tie=asked.tie, seed=asked.seed)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _print_standing(found)
    for row in troubled:
        click.echo(f"trouble: {plain_text(row.file)}: {'; '.join(map(str, row.troubles))}", err=True)
    return 3 if troubled else 0


def _plain(pair: Pair, absent: dict[str, str]) -> dict[str, object]:
    """A pair with what follows from it."""
    orders = pair.orders
    return {
        **msgspec.to_builtins(pair),
        "better": None if pair.rule.winner is None else NAMES[pair.rule.winner],
        "summary": pair.rule.token,
        "both_orders_agree": None if orders is None else orders.agreed,
        "position_bias": None if orders is None else orders.position_bias,
        "absent_files": absent,
    }


def _print(pair: Pair) -> None:
    lines = Lines()
    for row in (pair.first, pair.second):
        lines.row(row)
    click.echo()
    for line in _verdict(pair):
        for part in textwrap.wrap(line, WIDTH_OF_A_FILE):
            click.echo(part)
    if pair.text:
        click.echo()
        for line in pair.text.splitlines():
            for part in textwrap.wrap(plain_text(line), WIDTH_OF_A_FILE - 4):
                click.echo(f"    {part}")
    for trouble in pair.troubles:
        click.secho(f"trouble: {trouble}", fg="red")


def _verdict(pair: Pair) -> list[str]:
    """Which, why, how sure."""
    rule = pair.rule
    names = f"SpeechA is {plain_text(pair.first.file)}, SpeechB is {plain_text(pair.second.file)}."
    if rule.winner is None or rule.gap is None:
        return [names, f"Neither can be preferred: {rule.reason}."]
    if rule.winner == "tie":
        told = [names, f"A tie: the overall ratings differ by {abs(rule.gap):.2f}, which is within the margin of {rule.tie:g}."]
    else:
        told = [names, f"{NAMES[rule.winner]} is better: its overall rating is {abs(rule.gap):.2f} higher. {rule.token}"]
    for gap in rule.aspects:
        a, b = (f"{words(gap.dimension, printed(value))} ({value:.1f})" for value in (gap.first, gap.second))
        told.append(f"Why: {TITLES[gap.dimension]}: SpeechA {a}, SpeechB {b}.")
    if not rule.aspects:
        told.append(f"Why: no single aspect differs by more than {OBVIOUS:g}.")
    if pair.sureness is None:
        told.append(f"How sure: {_single(pair)}: nothing but the gap is known.")
    else:
        low, high = pair.sureness.low, pair.sureness.high
        over = " and ".join(map(str, pair.sureness.windows))
        clear = "does not hold 0" if low > 0 or high < 0 else "holds 0: which is better is not settled"
        interval = f"{_signed(low)} to {_signed(high)}"
        told.append(f"How sure: the gap's {CONFIDENCE:.0%} interval over windows ({over}) is {interval}; it {clear}.")
    if pair.orders is not None:
        told.append("Asked in both orders, the describer prefers the same." if pair.orders.agreed else "The two orders disagree.")
    return told


def _single(pair: Pair) -> str:
    """Why there is no interval."""
    counts = [len(apart(row.heard)) if row.heard else 0 for row in (pair.first, pair.second)]
    if max(counts) <= 1:
        return f"a single rating of each (an interval needs files of {FEWEST} windows)"
    names = (NAMES["first"], NAMES["second"])
    few = " and ".join(f"{name} has {count}" for name, count in zip(names, counts, strict=True) if count < FEWEST)
    return f"an interval needs {FEWEST} windows that do not overlap in both files, {few}"


def _print_standing(found: Standing) -> None:
    click.secho("".join(f"{d:>6}" for d in DIMENSIONS) + "   rated   system", bold=True)
    for one in found.systems:
        means = "".join(f"{_two(one.means[d]):>6}" for d in DIMENSIONS)
        click.echo(f"{means}{f'{one.rated}/{one.files}':>8}   {plain_text(one.system)}")
    click.echo(f"means over the {found.shared} turns that every system has rated")
    click.echo()
    for test, p in zip(found.tests, found.corrected, strict=True):
        chance = "no turn decided" if p is None else f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
        first, second = plain_text(test.first), plain_text(test.second)
        click.echo(
            f"{first} better on {test.wins} turns, {second} on {test.losses}, tied on {test.ties} (sign test, Holm: {chance})"
        )
    if found.ranking is not None and found.ranking.strengths:
        click.echo()
        share, turns = f"{found.ranking.confidence:.0%}", found.ranking.turns
        click.echo(
            f"Bradley-Terry strengths (log, mean 0; one tie added to each pair) with {share} intervals over {turns} turns:"
        )
        for place, one_of in enumerate(found.ranking.strengths, start=1):
            # Where every turn says the same, all resamples are alike: their spread of nothing is no certainty.
            known = one_of.low is not None and one_of.high is not None and one_of.high - one_of.low > SPREAD
            interval = f"[{_signed(one_of.low or 0.0)}, {_signed(one_of.high or 0.0)}]" if known else "no interval"
            click.echo(f"{place:>3}. {_signed(one_of.value)} {interval:>16}  {plain_text(one_of.system)}")
        if len(found.ranking.groups) > 1:
            told = "; ".join(", ".join(map(plain_text, group)) for group in found.ranking.groups)
            click.echo(f"No turns link these groups, so places mean something within one only: {told}.")
        elif found.ranking.separated:
            click.echo("Some systems never lost: no finite lead follows from the data, this one follows from the added ties.")
    for system, count in found.unpaired.items():
        if count:
            click.echo(f"left out: {count} turns that only {plain_text(system)} has rated")


def _two(value: float | None) -> str:
    return number(value) if value is None else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # no minus before a zero
