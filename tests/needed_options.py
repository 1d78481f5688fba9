"""Options for plug-ins that cannot be built without: names that stand for what a user would give."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from turnwise.foundation.catalog import Catalog

STANDS_FOR: dict[str, Any] = {"model": "a-model", "command": ["true"]}


def needed(catalog: Catalog, name: str, folder: Path | None = None) -> dict[str, Any]:
    """A value for every option without a default; folders and files are `folder`."""
    parameters = inspect.signature(catalog.factory(name)).parameters.values()
    missing = [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind is not inspect.Parameter.VAR_KEYWORD]
    return {option: STANDS_FOR.get(option, str(folder or "a-folder")) for option in missing}
