"""A listener or a describer by name, built and looked at before it is used: what is wrong with one of others is a sentence.

    part = made(LISTENERS, "my_package:listener", options)

What an own part raises, and what it lacks, is told with its name before the first file, whatever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import InputError
from turnwise.foundation.place import place_of
from turnwise.foundation.plugin import naming

_SAYS = {"listener": "longest", "describer": "listens"}  # what a part of each kind says of itself


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
