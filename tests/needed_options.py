"""Options for plug-ins that cannot be built without: what a user would give, in the least form."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

from turnwise.foundation.catalog import Catalog

STANDS_FOR: dict[str, Any] = {"command": ["true"], "python": sys.executable}
# Where nothing alone is needed, but one of several things is; and weights that have a usual place.
ONE_OF: dict[tuple[str, str], dict[str, str | list[str]]] = {
    ("agent", "command"): {"command": ["true"]},
    ("estimator", "nisqa"): {"weights": "model.safetensors"},
    ("listener", "nisqa"): {"weights": "model.safetensors"},
    ("estimator", "mosanet"): {"checkpoint": "model.safetensors", "whisper": ""},
}


def needed(catalog: Catalog, name: str, folder: Path | None = None) -> dict[str, Any]:
    """A value for every option without a default; models, folders and files are `folder`."""
    parameters = inspect.signature(catalog.factory(name)).parameters.values()
    missing = [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind is not inspect.Parameter.VAR_KEYWORD]
    given = {option: STANDS_FOR.get(option, str(folder or "a-model")) for option in missing}
    more = ONE_OF.get((catalog.kind, name), {})
    return {**given, **{key: str((folder or Path()) / value) if isinstance(value, str) else value for key, value in more.items()}}


def least_weights(folder: Path) -> Path:
    """A folder that passes for a model (a configuration, one tensor), a clone of MiMo-Audio, and a folder of recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    clone = folder / "src" / "mimo_audio" / "mimo_audio.py"
    clone.parent.mkdir(parents=True)
    clone.write_text("")
    (folder / "d").mkdir()
    (folder / "d" / "transcript.json").write_text(json.dumps({"dialogue_id": "d", "total_rounds": 0, "dialogue_history": []}))
    return folder
