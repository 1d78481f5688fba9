"""Run the embedded default: no key, no GPU, no model hub, no system package."""

from __future__ import annotations

from pathlib import Path

import click

from turnwise.cli.added_arm import added, agent_options, study_with
from turnwise.cli.time_limit import seconds, time_limit_option


@click.command(epilog="Example: turnwise demo --out runs/demo --dialogues 48")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/demo"), show_default=True, help="Run folder.")
@click.option("--dialogues", type=click.IntRange(1, 48), default=12, show_default=True, help="How many of the 48 dialogues.")
@click.option(
    "--workers", type=click.IntRange(0, 256), default=None, help="Worker processes; all cores where not given, 0 for none."
)
@time_limit_option
@click.option("--embed-audio", is_flag=True, help="Put the sound inside the page instead of beside it.")
@click.option("--print-study", is_flag=True, help="Print the study file and leave: a start for your own.")
@agent_options
def demo_command(
    out: Path,
    dialogues: int,
    workers: int | None,
    time_limit: float | None,
    embed_audio: bool,
    print_study: bool,
    agent: str | None,
    options: tuple[str, ...],
    context: tuple[str, ...],
) -> int:
    """Run a small real study: an agent with its full memory, the same agent shown only the last turn, a retrieval
    agent, and the first one reading the written words.

    With --agent, another one beside them: turnwise demo --agent mypackage.mymodule:agent
    """
    from turnwise.study.shipped import shipped_study

    more = added(agent, options, context)
    text = shipped_study("demo")
    if print_study:
        click.echo(text, nl=False)
        return 0
    import tomllib

    from turnwise.cli.carry import carry

    raw = tomllib.loads(text)
    if dialogues != len(raw["corpus"]["ids"]):
        del raw["corpus"]["ids"]
        raw["corpus"]["n"] = dialogues
    study = study_with(raw, "demo", more)
    return carry(study, out, folder=Path(), workers=workers, embed_audio=embed_audio, time_limit=seconds(time_limit))
