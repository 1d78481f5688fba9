"""The tree of errors: a class exists where the remedy differs.

Every message is one sentence that names the file or key and what was expected; `hint` says what to do next. The command
line prints both and leaves with `exit_code`; nothing here ever reaches a user as a traceback.
"""

from __future__ import annotations

from typing import Any


class TurnwiseError(Exception):
    """Anything the user can act on."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), dict(self.__dict__))  # whole, across process borders


def _again(kind: type[TurnwiseError], attributes: dict[str, Any]) -> TurnwiseError:
    error = kind.__new__(kind, attributes["message"])
    error.__dict__.update(attributes)
    return error


class InputError(TurnwiseError):
    """A file, a key or a name given by the user is wrong: correct it."""


class MissingDependency(TurnwiseError):
    """An optional package or program is absent: install it."""

    def __init__(self, package: str, install: str) -> None:
        super().__init__(f"{package} is not installed", f"install it with: {install}")


class StorageError(TurnwiseError):
    """The disk, the folder or the ledger cannot be used as it is: make room, permit, or wait for the other process."""


class EngineError(TurnwiseError):
    """An engine, an agent or a judge failed on one item; the run stores it as a fault of that cell."""

    exit_code = 3

    def __init__(self, cause: str, message: str) -> None:
        """`cause` is a short stable word for accounting (`timeout`, `parse`, `refused`, `empty-audio`, ...)."""
        super().__init__(message)
        self.cause = cause


class RunStopped(EngineError):
    """The run ends before this was done: no fault of the item, which is left for the next run. Never to be wrapped."""

    def __init__(self, message: str) -> None:
        super().__init__("stopped", message)
