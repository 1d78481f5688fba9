"""A listener or a describer by name, built and looked at before it is used: what is wrong with one of others is a sentence.

    part = made(LISTENERS, "my_package:listener", options)
    with naming("listener", "my_package:listener"):
        opened = part.open()

What an own part raises, and what it lacks, is told with its name before the first file, whatever it is.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from turnwise.endpoints.secrets import without_secrets
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import InputError, TurnwiseError
from turnwise.foundation.place import place_of

# What a part may raise: everything, and some call sys.exit where they should raise. Ctrl-C is the user's alone.
ANYTHING = (Exception, SystemExit)
_SAYS = {"listener": "longest", "describer": "listens"}  # what a part of each kind says of itself


@contextmanager
def naming(kind: str, name: str) -> Iterator[None]:
    """While a part is imported, built, asked what it is, or opened."""
    try:
        yield
    except TurnwiseError:
        raise
    except ANYTHING as error:
        place = traceback.extract_tb(error.__traceback__)
        where = f" (in {Path(place[-1].filename).name}, line {place[-1].lineno})" if place else ""
        told = without_secrets(f"{type(error).__name__}: {error}{where}")
        raise InputError(f"the {kind} {name!r} cannot be used: {told}", "TURNWISE_DEBUG=1 shows where") from error


def made(catalog: Catalog, name: str, options: Mapping[str, Any]) -> Any:
    """The part with these options, not yet opened."""
    with naming(catalog.kind, name):
        part = catalog.build(name, options)
        if part is None:
            raise InputError(f"the {catalog.kind} {name!r} cannot be used: its factory returns nothing")
        opens = "reach" if place_of(part) == "driver" else "open"
        for attribute in (_SAYS[catalog.kind], opens):
            if not hasattr(part, attribute):
                raise InputError(f"the {catalog.kind} {name!r} cannot be used: it has no {attribute!r}")
        longest = getattr(part, "longest", 1.0)
        if catalog.kind == "listener" and not (isinstance(longest, int | float) and longest > 0):
            raise InputError(f"the listener {name!r} cannot be used: its longest is {longest!r}, expected seconds")
    return part


def identity(catalog: Catalog, name: str, options: Mapping[str, Any]) -> str:
    """The name of all that the part says shapes its results."""
    made(catalog, name, options)
    with naming(catalog.kind, name):
        return catalog.identity(name, options)
