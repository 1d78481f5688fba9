"""Derive every fingerprint of a run again and check every clip."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: turnwise verify runs/first")
@click.argument("run", type=click.Path(path_type=Path))
def verify_command(run: Path) -> int:
    """Say whether the run folder RUN is what it says it is. Leaves with 1 when something is wrong; changes nothing.

    Clips whose file is missing are made again by the next run; delete those that are damaged, and it makes them too.
    """
    from turnwise.study.verify import verify

    found = verify(run)
    for line in found.wrong:
        click.echo(line)
    if found.damaged:
        click.echo("delete what is damaged and run the study again: clips that are missing are made again")
    click.echo(f"{found.cells} cells, {found.clips} clips: {len(found.wrong) or 'nothing'} wrong")
    return 1 if found.wrong else 0
