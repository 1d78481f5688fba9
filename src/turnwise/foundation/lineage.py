"""The modules behind a plug-in: every file of ours whose change could change its results, as one fingerprint.

Imports are followed through the whole package, also those inside functions. Records, storage, naming and transport carry values
between the parts of a result and decide none of it: they are left out, so that a new retry rule does not make a study's answers
old.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import lru_cache
from pathlib import Path

from turnwise.foundation.fingerprint import fingerprint, source_digest

PACKAGE = __name__.partition(".")[0]
CARRIERS = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "agents.agent",
        "dialogues.dialogue",
        "endpoints.attempts",
        "foundation.audio",
        "endpoints.calling",
        "endpoints.calls",
        "foundation.catalog",
        "endpoints.endpoint",
        "foundation.errors",
        "foundation.fingerprint",
        "endpoints.limits",
        "foundation.lineage",
        "foundation.place",
        "endpoints.remote",
        "foundation.secrets",
        "endpoints.sending",
        "endpoints.spending",
        "endpoints.sse",
        "endpoints.streaming",
        "endpoints.waiting",
        "foundation.whole_file",
        "judges.instrument",
        "judges.judge",
        "judges.verdict",
        "speech.clip",
        "speech.clip_store",
        "speech.engine",
    )
)


@lru_cache(maxsize=256)
def lineage(file: str) -> str:
    """Fingerprint of all modules of ours that the module in `file` imports, directly or through others; itself left out."""
    found: dict[str, str] = {}
    waiting = [Path(file)]
    while waiting:
        for name in sorted(_imported(waiting.pop())):
            path = _file(name)
            if path is not None and name not in found and name not in CARRIERS:
                found[name] = source_digest(path)
                waiting.append(path)
    return fingerprint(*(f"{name} {digest}" for name, digest in sorted(found.items())))


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.startswith(f"{PACKAGE}.")}


def _file(name: str) -> Path | None:
    """Of a module; None for a name inside one, or a package."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None or spec.origin.endswith("__init__.py"):
        return None
    return Path(spec.origin)
