"""A study file as plain values, for verbs that look at it or add to it before it is read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


def plain_study(path: Path) -> dict[str, Any]:
    """The values of a TOML or YAML file; what is wrong with its form is told as when a study is read."""
    import yaml

    from turnwise.foundation.errors import InputError
    from turnwise.study.study_file import load_study

    try:
        text = path.read_text(encoding="utf-8-sig")
        values = yaml.safe_load(text) if path.suffix.lower() in (".yaml", ".yml") else tomllib.loads(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        load_study(path)  # says it with file, line and column
        raise
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no study", "expected keys such as name and arms")
    return values
