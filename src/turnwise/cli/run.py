"""Carry out a study: do what is missing, then build the report."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: turnwise run study.toml --out runs/first")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Run folder; runs/NAME where not given.")
@click.option(
    "--workers", type=click.IntRange(0, 256), default=None, help="Worker processes; all cores where not given, 0 for none."
)
@click.option("--embed-audio", is_flag=True, help="Put the sound inside the page instead of beside it.")
def run_command(study: Path, out: Path | None, workers: int | None, embed_audio: bool) -> int:
    """Carry out the study in the file STUDY (TOML or YAML).

    Running it again finishes what is missing, retries faults, and touches nothing else.
    """
    from turnwise.cli.carry import carry
    from turnwise.study.study_file import load_study

    declared = load_study(study)
    return carry(declared, out or Path("runs") / study.stem, folder=study.parent, workers=workers, embed_audio=embed_audio)
