"""What a plug-in may do wrong, in words: anything it raises, as one sentence that names it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from turnwise.foundation.errors import InputError, TurnwiseError
from turnwise.foundation.secrets import without_secrets

# What a plug-in may raise: everything, and some call sys.exit where they should raise. Ctrl-C is the user's alone.
ANYTHING = (Exception, SystemExit)


@contextmanager
def naming(kind: str, name: str) -> Iterator[None]:
    """While a plug-in is imported, built and asked what it is: no traceback comes of it, but a sentence for the user."""
    try:
        yield
    except TurnwiseError:
        raise
    except ANYTHING as error:
        raise InputError(f"the {kind} {name!r} cannot be used: {told(error)}", "TURNWISE_DEBUG=1 shows where") from error


def told(error: BaseException) -> str:
    """What a plug-in raised, and where."""
    if isinstance(error, TurnwiseError):
        return whole_text(without_secrets(error.message))
    place = traceback.extract_tb(error.__traceback__)
    where = f" (in {Path(place[-1].filename).name}, line {place[-1].lineno})" if place else ""
    return whole_text(without_secrets(f"{type(error).__name__}: {error}{where}"))


def whole_text(text: str) -> str:
    """Text that can be stored: halves of characters, which some tokenizers leave behind, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
