"""`turnwise published`: tables that others published, and whether their figures carry their claims."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from turnwise.statistics.claims import Claim
    from turnwise.statistics.published_table import Published


@click.command("published")
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Choice(["1", "2", "3", "4", "5", "salesagent"]),
    help="Only this table; may be repeated.",
)
@click.option("--json", "form", flag_value="json", help="Strict JSON, for machines.")
@click.option("--latex", "form", flag_value="latex", help="LaTeX tables (booktabs).")
@click.option("--markdown", "form", flag_value="markdown", help="Markdown tables.")
def published_command(tables: tuple[str, ...], form: str | None) -> None:
    """Print published tables with what follows from them.

    Means, slopes, ratios and the rounds that fall are computed from the printed figures by the same statistics as a
    run's, and each claim made with them gets a verdict.

    \b
    Examples:
      turnwise published
      turnwise published --table 5 --latex
      turnwise published --table 1 --table 2 --json
    """
    from turnwise.statistics.claims import claims
    from turnwise.statistics.published_table import published

    chosen = published(*tables)
    found = [claim for claim in claims() if not tables or set(claim.tables) & set(tables)]
    if form == "json":
        click.echo(json.dumps(_plain(chosen, found), ensure_ascii=False, allow_nan=False, indent=1))
        return
    click.echo("\n".join(_written(chosen, found, form)), nl=False)


def _written(chosen: tuple[Published, ...], claims: list[Claim], form: str | None) -> list[str]:
    from turnwise.statistics.published_table import sheets
    from turnwise.statistics.sheet import Sheet, row

    made = [sheet for table in chosen for sheet in sheets(table)]
    if form is None:
        lines = [sheet.text() for sheet in made]
        if claims:
            lines.append("Claims looked at (of the paper, and checks of our own)\n")
            lines += [f"{c.verdict.upper()} ({c.by}): {c.claim}\n    {c.evidence}\n" for c in claims]
        return lines
    if claims:
        body = tuple(row(c.claim, c.by, c.verdict, c.evidence) for c in claims)
        made.append(Sheet("Claims looked at", ("claim", "by", "verdict", "evidence"), body))
    return [sheet.latex() if form == "latex" else sheet.markdown() for sheet in made]


def _plain(chosen: tuple[Published, ...], claims: list[Claim]) -> dict[str, Any]:
    import msgspec

    from turnwise.statistics.published_table import falls, means, ratios, tilts

    made = []
    for table in chosen:
        entry: dict[str, Any] = msgspec.to_builtins(table)
        if table.key.startswith("5"):
            entry["computed"] = {
                "mean": {k: round(v, 2) for k, v in means(table).items()},
                "slope": {k: round(v, 2) for k, v in tilts(table).items()},
                "falls": {k: list(v) for k, v in falls(table).items()},
            }
        if table.key == "2":
            entry["computed"] = {"ratio": {k: [round(r, 2) for r in v] for k, v in ratios(table).items()}}
        made.append(entry)
    return {"tables": made, "claims": [msgspec.to_builtins(c) for c in claims]}
