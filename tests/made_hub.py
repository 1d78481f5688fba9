"""A home with everything that the shipped studies name: a hub cache, a clone of MiMo-Audio, a checkpoint of MOSA-Net+.

What lies under a model's name is the least that passes for weights, enough to read and plan a study with it; or what `made`
puts there, such as a tiny checkpoint that can be run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from needed_options import least_weights

MODELS = (
    "openai/whisper-large-v2",
    "openai/whisper-large-v3",
    "sesame/csm-1b",
    "Qwen/Qwen2.5-Omni-3B",
    "Qwen/Qwen2.5-Omni-7B",
    "XiaomiMiMo/MiMo-Audio-7B-Instruct",
    "XiaomiMiMo/MiMo-Audio-Tokenizer",
)


def model_folder(home: Path, model: str) -> Path:
    """Where the hub's package would have put a model."""
    return home / "hub" / f"models--{model.replace('/', '--')}" / "snapshots" / "main"


def made_hub(home: Path, patch: pytest.MonkeyPatch, made: Mapping[str, Callable[[Path], Any]] | None = None) -> Path:
    """Make it and point the environment at it."""
    for model in MODELS:
        (made or {}).get(model, least_weights)(model_folder(home, model))
    least_weights(home / "MiMo-Audio")  # passes for a clone, too
    python = home / "MiMo-Audio" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (home / "ckpt_mosa_net_plus").write_bytes(b"weights")
    patch.setenv("HOME", str(home))
    patch.setenv("HF_HUB_CACHE", str(home / "hub"))
    patch.setenv("TURNWISE_MOSANET", str(home / "ckpt_mosa_net_plus"))
    return home
