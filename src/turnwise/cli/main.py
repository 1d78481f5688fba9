"""The command: one verb per file of this folder, loaded when it is used.

Exit codes: 0 done, 1 done but below the bar the user set, 2 wrong usage or input, 3 some cells at fault, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
from pathlib import Path

import click

from turnwise.foundation.errors import TurnwiseError


class Verbs(click.Group):
    """The folder is the list; a verb's help line is the first line of its file."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_verbs())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        verbs = _verbs()
        if name not in verbs:
            return None
        module = importlib.import_module(f"turnwise.cli.{name}")
        command = getattr(module, verbs[name])
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _summary(name)) for name in self.list_commands(context)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        close = difflib.get_close_matches(args[0], self.list_commands(context), n=1)
        if args[0] not in self.list_commands(context) and close:
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {close[0]!r}?", context)
        return super().resolve_command(context, args)


def _verbs() -> dict[str, str]:
    """Verb to the name of its click object, without importing any of them."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for suffix in ("command", "group"):
            if f"def {path.stem}_{suffix}(" in text:
                found[path.stem] = f"{path.stem}_{suffix}"
    return found


def _summary(verb: str) -> str:
    text = (Path(__file__).parent / f"{verb}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")


EPILOG = "Start with: turnwise demo --out runs/demo"


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="turnwise")
def turnwise() -> None:
    """Which spoken agent keeps the thread of a conversation, where does it lose it, and why."""


def main() -> None:
    """Run the command; the user's mistakes are sentences, not tracebacks."""
    _find_plugins_here()
    try:
        code = turnwise.main(standalone_mode=False)
    except click.exceptions.Abort:
        _stopped()
    except KeyboardInterrupt:
        _stopped()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except TurnwiseError as error:
        if os.environ.get("TURNWISE_DEBUG"):
            traceback.print_exc()
        click.echo(f"turnwise: {error.message}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone (`turnwise list | head`); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _find_plugins_here() -> None:
    """Modules of the current directory can be named by dotted path, also in worker processes, which are given this path. It comes
    last: a file here hides no installed module.
    """
    try:
        here = os.getcwd()
    except OSError:  # the directory is gone
        return
    if here not in sys.path:
        sys.path.append(here)


def _stopped() -> None:
    click.echo("\nstopped; what was done is kept: run the same command again to go on", err=True)
    sys.exit(130)
