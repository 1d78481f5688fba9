"""Checkpoints of a training: everything that the next step depends on, whole or not there at all.

A checkpoint is a folder `step-00000020` with the trained weights, the optimizer's state, `position.json`, and in `best/` the
model with the lowest loss on what was held out so far. The learning rate, the order of the items and all random draws are
functions of the recipe and the number of the step, so the number is their state. Weights that are not trained are not in it:
they are those of the base. Sharded trainings (FSDP, DeepSpeed) are saved in the form of their own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.errors import InputError
from turnwise.foundation.whole_file import write_whole
from turnwise.training.kept_models import Seen
from turnwise.training.whole_folder import PART, linked, whole_folder

WHOLE = "whole"  # the form of a checkpoint that is not sharded


class Position(msgspec.Struct, frozen=True):
    """How far a training has come."""

    step: int = 0  # steps done
    per_step: int = 0  # items of one step, over all processes
    processes: int = 1
    form: str = WHOLE  # or the kind of sharding
    seen: Seen = Seen()


class Checkpoints:
    """The checkpoints of one stage; `best` is where it keeps its best model."""

    def __init__(self, folder: Path, accelerator: Any, keep: int, best: Path) -> None:
        self._folder, self._accelerator, self._keep, self._best = folder, accelerator, keep, best
        kind = str(accelerator.distributed_type.value)
        self.form = kind if kind in ("FSDP", "DEEPSPEED") else WHOLE
        if self.form == WHOLE:
            accelerator.register_save_state_pre_hook(_trained_alone)

    def save(self, position: Position) -> None:
        """To be called by every process."""
        accelerator = self._accelerator
        more = {"exclude_frozen_parameters": True} if self.form == "DEEPSPEED" else {}
        with whole_folder(self._folder / f"step-{position.step:08d}", accelerator) as part:
            accelerator.save_state(str(part), **more)
            if accelerator.is_main_process:
                if self._best.is_dir():
                    linked(self._best, part / "best")
                write_whole(part / "position.json", msgspec.json.encode(position))
        if accelerator.is_main_process:
            for old in self._there()[: -self._keep]:
                shutil.rmtree(old, ignore_errors=True)
        accelerator.wait_for_everyone()

    def load_latest(self, model: Any, per_step: int) -> Position:
        """Put the latest checkpoint into what `accelerator` prepared, and its best model where that is kept."""
        accelerator = self._accelerator
        latest = max(self._there(), default=None)
        accelerator.wait_for_everyone()  # all have looked before anything is tidied up
        if accelerator.is_main_process:
            self._tidy(latest)
        accelerator.wait_for_everyone()
        if latest is None:
            return Position(0, per_step, accelerator.num_processes, self.form)
        position = msgspec.json.decode((latest / "position.json").read_bytes(), type=Position)
        if (position.per_step, position.processes) != (per_step, accelerator.num_processes):
            raise InputError(
                f"{latest} was made with {position.per_step} items per step in {position.processes} processes, and now there are "
                f"{per_step} in {accelerator.num_processes}",
                "go on with as many processes as it was begun with",
            )
        if position.form != self.form:
            raise InputError(f"{latest} was made as {position.form}, and now it is {self.form}", "go on as it was begun")
        if self.form == WHOLE:
            _refuse_others(latest, accelerator.unwrap_model(model))
        # What is not trained is not in a checkpoint, and stays as it was loaded.
        more: dict[str, dict[str, bool]] = {WHOLE: {"strict": False}, "DEEPSPEED": {"load_module_strict": False}}
        accelerator.load_state(str(latest), **more.get(self.form, {}))
        return position

    def _tidy(self, latest: Path | None) -> None:
        """What a crash left half written goes; the best model is that of the checkpoint, whatever came after it."""
        for part in [*self._folder.glob(f"*{PART}"), *self._best.parent.glob(f"*{PART}")]:
            shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(self._best, ignore_errors=True)
        if latest is not None and (latest / "best").is_dir():
            linked(latest / "best", self._best)

    def _there(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("step-????????") if (path / "position.json").is_file())


def _trained_alone(models: list[Any], weights: list[dict[str, Any]], folder: str) -> None:
    """Leaves in a checkpoint what is trained; the library passes its list to be changed in place."""
    for place, model in enumerate(models):
        trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
        weights[place] = {name: weight for name, weight in weights[place].items() if name in trained}


def _refuse_others(folder: Path, model: Any) -> None:
    """A weight that is missing would stay as it was, without a word."""
    from safetensors import safe_open

    with safe_open(str(folder / "model.safetensors"), "pt") as file:
        held = set(file.keys())
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    if held != trained:
        raise InputError(f"{folder} holds {len(held)} weights, and {len(trained)} are trained here", "it is of another recipe")
