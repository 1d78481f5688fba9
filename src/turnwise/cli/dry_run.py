"""What a run would ask of servers, as a table."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from turnwise.study.expenses import expenses
from turnwise.study.ledger import Ledger
from turnwise.study.plan import make_plan
from turnwise.study.reader import walk
from turnwise.study.rehearsal import Forecast, forecast
from turnwise.study.run_folder import RunFolder
from turnwise.study.study import Study


def dry_run(study: Study, out: Path, folder: Path) -> int:
    """Print what is missing in `out`; nothing is asked and nothing is written."""
    plan = make_plan(study, folder)
    place = RunFolder(out)
    if place.ledger.exists():
        with Ledger(place.ledger, write=False) as ledger:
            found = forecast(plan, walk(plan, ledger)[0], expenses(ledger.calls()))
    else:
        found = forecast(plan, (), ())
    if not found:
        click.echo("no server would be asked")
        return 0
    console = Console()
    console.print(_table(found))
    unpriced = sorted({one.model for one in found if one.cost is None})
    costs = [one.cost for one in found if one.cost is not None]
    total = f"about {sum(costs):.2f} for those with a price" if costs else "no price is declared"
    click.echo(f"{sum(one.calls for one in found)} calls; {total}")
    if unpriced:
        click.echo(f'without a price: {", ".join(unpriced)}; declare it under [endpoints.NAME.prices."MODEL"]')
    if any(not one.usage.audio_input and one.basis == "the text" for one in found):
        click.echo("tokens of sound are not in the estimate until a server has told them: run a few dialogues first")
    return 0


def _table(found: tuple[Forecast, ...]) -> Table:
    table = Table(title="What servers would be asked", title_justify="left")
    for column in ("for", "endpoint", "model"):
        table.add_column(column, overflow="fold")
    for column in ("calls", "tokens in", "tokens out", "cost"):
        table.add_column(column, justify="right")
    table.add_column("estimated from")
    for one in found:
        usage = one.usage
        table.add_row(
            one.purpose,
            one.endpoint,
            one.model,
            f"{one.calls:,}",
            f"{usage.input + usage.audio_input:,}",
            f"{usage.output + usage.audio_output:,}",
            "–" if one.cost is None else f"{one.cost:.2f}",
            one.basis,
        )
    return table
