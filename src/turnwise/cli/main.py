"""The command: one verb per file of this folder, loaded when it is used.

Exit codes: 0 done, 1 done but below the bar the user set, 2 wrong usage or input or a disk that is full, 3 some cells at fault;
130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP. A reader of the output that leaves (`| head`) stops nothing.
"""

from __future__ import annotations

import ast
import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

import click

from turnwise.foundation.errors import TurnwiseError
from turnwise.study.standard_streams import NOBODY_READS, Lasting, outlive_readers

UNWRITTEN = 2  # exit code, where all went well but for the printing


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
    output, _ = outlive_readers()
    stops = Stops()
    _find_plugins_here()
    try:
        code = _code_of(turnwise.main(standalone_mode=False))
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo(f"\n{stops.said}", err=True)
        code = stops.code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except TurnwiseError as error:
        if os.environ.get("TURNWISE_DEBUG"):
            traceback.print_exc()
        click.echo(f"turnwise: {error.message}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        code = error.exit_code
    stops.over()
    sys.exit(_written(output, code))


def _code_of(returned: object) -> int:
    return returned if isinstance(returned, int) else 0


def _written(output: Lasting, code: int) -> int:
    """The exit code, after all that was printed is out: a reader that left is no failure, a full disk is."""
    sys.stdout.flush()
    if output.lost is None or output.lost.errno in NOBODY_READS:
        return code
    click.echo(f"turnwise: what was printed could not be written: {output.lost.strerror}", err=True)
    return code or UNWRITTEN


class Stops:
    """Signals that ask this process to end, each answered as Ctrl-C is: what is under way is left, what was done is kept."""

    def __init__(self) -> None:
        self._number = signal.SIGINT
        self._heeded: list[signal.Signals] = []
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # In the background of a script: Ctrl-C does not reach us, but the event loop is to answer the others as it does that.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # what whoever started us wants ignored (nohup) stays ignored
                signal.signal(number, self._stop)
                self._heeded.append(number)

    @property
    def code(self) -> int:
        """As shells count the end by a signal."""
        return 128 + self._number

    @property
    def said(self) -> str:
        by = "" if self._number == signal.SIGINT else f" by {self._number.name}"
        flag = " with --resume" if sys.argv[1:3] == ["train", "describer"] else ""
        return f"stopped{by}; what was done is kept: run the same command again{flag} to go on"

    def over(self) -> None:
        """The exit code is known: nothing is to be stopped any more."""
        for number in self._heeded:
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._number = signal.Signals(number)
        ctrl_c = signal.getsignal(signal.SIGINT)  # of the event loop, while one runs
        assert callable(ctrl_c)
        ctrl_c(signal.SIGINT, frame)


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
