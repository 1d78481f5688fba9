"""The option `--time-limit` of verbs that play a study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def time_limit_option(command: F) -> F:
    """How long a worker process may be silent."""
    return click.option(
        "--time-limit",
        type=click.FloatRange(0, min_open=True),
        default=None,
        metavar="SECONDS",
        help="End a worker process that is at one task, or at one batch of a model, for longer: a fault of the cause "
        "time-limit. 1800 where not given; without worker processes nothing can be ended.",
    )(command)


def seconds(given: float | None) -> float:
    """The limit that was given, or the usual one."""
    from turnwise.study.pool import LIMIT

    return LIMIT if given is None else given
