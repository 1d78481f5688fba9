"""A judge whose instrument is more than its own file: what it shares with its neighbours counts into its identity.

A verdict must never be mixed with one of another version. The plug-in's file is fingerprinted by the catalog; the files that the
text judges share (wording, learning, comparison) are fingerprinted here, when the identity is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from turnwise.dialogues import dialogue
from turnwise.foundation.fingerprint import fingerprint, source_digest
from turnwise.judges.judge import Judge

SHARED = (
    "alignment",
    "asking",
    "composition",
    "expected",
    "known_facts",
    "learned",
    "likeness",
    "phrasing",
    "ridge",
    "scene",
    "severity",
    "subjects",
    "values",
    "wording",
)


@lru_cache(maxsize=1)
def shared_digest() -> str:
    """Fingerprint of the code that the text judges share, and of how a dialogue is cut into the rounds they learn from."""
    folder = Path(__file__).parent
    files = {name: folder / f"{name}.py" for name in SHARED} | {"dialogue": Path(dialogue.__file__ or "")}
    return fingerprint(*(f"{name} {source_digest(path)}" for name, path in files.items()))


@dataclass(frozen=True)
class TextJudge(Judge):
    """A judge that reads words, with the code it shares."""

    def identity(self) -> Mapping[str, str]:
        return {**super().identity(), "shared": shared_digest()}
