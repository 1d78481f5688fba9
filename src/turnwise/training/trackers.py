"""Where else the lines of a training's log go: TensorBoard files, or Weights & Biases, by the packages of those names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from turnwise.foundation.errors import MissingDependency
from turnwise.speech.weights import versions
from turnwise.training.loop import Line


def needed(names: Sequence[str]) -> None:
    """MissingDependency for the first that is not installed."""
    for name in names:
        try:
            versions(name)
        except MissingDependency:
            raise MissingDependency(name, f"pip install {name}") from None


class Trackers:
    """Those that a recipe names, told of every line by the main process alone."""

    def __init__(self, names: Sequence[str], project: str, stage: str, folder: Path) -> None:
        self._writer: Any = None
        self._run: Any = None
        if "tensorboard" in names:
            self._writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard"))
        if "wandb" in names:
            self._run = importlib.import_module("wandb").init(project=project, name=stage, dir=str(folder))

    def tell(self, line: Line) -> None:
        """A step or a validation."""
        side = "held out" if line.held_out else "train"
        step = {} if line.held_out else {"rate": line.rate, "norm": line.norm}
        values = {f"{side}/{name}": value for name, value in {"loss": line.loss, **step, **line.more}.items()}
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, line.step)
        if self._run is not None:
            self._run.log(values, step=line.step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._run is not None:
            self._run.finish()
