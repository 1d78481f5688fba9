"""Carry out a study: do what is missing, then build the report."""

from __future__ import annotations

from pathlib import Path

import click

from turnwise.cli.added_arm import added, agent_options, study_of_file
from turnwise.cli.time_limit import seconds, time_limit_option


@click.command(epilog="Example: turnwise run study.toml --out runs/first")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Run folder; runs/NAME where not given.")
@click.option(
    "--workers", type=click.IntRange(0, 256), default=None, help="Worker processes; all cores where not given, 0 for none."
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="End when servers have cost this much over all runs of the folder, in the currency of the declared prices; calls under "
    "way are still paid.",
)
@click.option("--dry-run", is_flag=True, help="Say what servers would be asked and its cost; ask nothing, change nothing.")
@time_limit_option
@click.option("--embed-audio", is_flag=True, help="Put the sound inside the page instead of beside it.")
@agent_options
def run_command(
    study: Path,
    out: Path | None,
    workers: int | None,
    time_limit: float | None,
    budget: float | None,
    dry_run: bool,
    embed_audio: bool,
    agent: str | None,
    options: tuple[str, ...],
    context: tuple[str, ...],
) -> int:
    """Carry out the study in the file STUDY (TOML or YAML).

    Running it again finishes what is missing, retries faults, and touches nothing else. A run that reaches its budget ends
    cleanly: what was paid for is recorded, and a larger budget goes on from there.
    """
    from turnwise.cli.carry import carry

    declared = study_of_file(study, added(agent, options, context))
    if dry_run:
        from turnwise.cli.dry_run import dry_run as rehearse

        return rehearse(declared, out or Path("runs") / study.stem, study.parent)
    place = out or Path("runs") / study.stem
    return carry(
        declared,
        place,
        folder=study.parent,
        workers=workers,
        embed_audio=embed_audio,
        budget=budget,
        time_limit=seconds(time_limit),
    )
