"""An arm given on the command line: any agent, by catalog name or dotted path, under the study's own conditions.

Whatever the study gives to every arm, this one has too: context, instructions, user audio, ears, judges. Its name is the agent's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from turnwise.study.study import Study

F = TypeVar("F", bound=Callable[..., Any])
LONGEST = 60  # characters of a name, of the 64 that an arm may have


@dataclass(frozen=True)
class Added:
    """What was given."""

    agent: str
    options: dict[str, Any]
    context: dict[str, Any]


def agent_options(command: F) -> F:
    """The options `--agent`, `--option` and `--context` for a verb that plays a study."""
    command = click.option(
        "--context",
        "context",
        metavar="KEY=VALUE",
        multiple=True,
        help="What this agent is shown, where it differs from the study's context: user=transcript for one that only reads.",
    )(command)
    command = click.option(
        "--option", "options", metavar="KEY=VALUE", multiple=True, help="An option of the agent; the value may be JSON."
    )(command)
    return click.option(
        "--agent", metavar="NAME", help="Add an arm with this agent: a name of the catalog, or package.module:factory."
    )(command)


def added(agent: str | None, options: Sequence[str], context: Sequence[str]) -> Added | None:
    """What these words of the command line say; None where no agent is named."""
    if agent is None:
        if options or context:
            raise click.UsageError("--option and --context say something of an agent: name it with --agent")
        return None
    return Added(agent, _pairs("--option", options), _pairs("--context", context))


def study_with(raw: Mapping[str, Any], name: str, more: Added | None) -> Study:
    """The study of these plain values, with the arm in addition."""
    from turnwise.study.study_file import read_study

    if more is None:
        return read_study(dict(raw), name)
    arm = {"agent": more.agent, "options": more.options, "context": more.context}
    return read_study({**raw, "arms": {**raw["arms"], _free_name(more.agent, raw["arms"]): arm}}, name)


def study_of_file(path: Path, more: Added | None) -> Study:
    """The study in a file, with the arm in addition."""
    from turnwise.cli.plain_study import plain_study
    from turnwise.study.study_file import load_study

    study = load_study(path)  # whatever is wrong with the file is told before anything is added to it
    return study if more is None else study_with(plain_study(path), str(path), more)


def _pairs(flag: str, given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{flag} {one!r}: expected KEY=VALUE")
        if key in found:
            raise click.UsageError(f"{flag} {key} is given twice")
        try:
            found[key] = json.loads(value)
        except ValueError:  # plain words
            found[key] = value
    return found


def _free_name(agent: str, taken: Mapping[str, Any]) -> str:
    """The agent's name as an arm may be called, with a number where the study has such an arm."""
    module, _, factory = agent.partition(":")
    plain = (module if factory in ("", "agent") else f"{module}.{factory}")[-LONGEST:].lstrip("._+-")
    number = 2
    name = plain
    while name in taken:
        name, number = f"{plain} {number}", number + 1
    return name
