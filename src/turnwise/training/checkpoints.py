"""Checkpoints of a training: everything that the next step depends on, whole or not there at all.

A checkpoint is a folder `step-00000020` with the trained weights, the optimizer's state and `position.json`; it is written
beside its place and then renamed. The learning rate, the order of the items and all random draws are functions of the recipe
and the number of the step, so the number is their state. Weights that are not trained are not in it: they are those of the
base. Sharded trainings (FSDP, DeepSpeed) are saved in the form of their own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.errors import InputError, StorageError
from turnwise.foundation.whole_file import write_whole


class Position(msgspec.Struct, frozen=True):
    """How far a training has come."""

    step: int  # steps done
    per_step: int  # items of one step, over all processes
    processes: int


class Checkpoints:
    """The checkpoints of one stage."""

    def __init__(self, folder: Path, accelerator: Any, keep: int) -> None:
        self._folder, self._accelerator, self._keep = folder, accelerator, keep
        self._whole = not _sharded(accelerator)
        if self._whole:
            accelerator.register_save_state_pre_hook(_trained_alone)

    def save(self, position: Position) -> None:
        """To be called by every process."""
        accelerator = self._accelerator
        place = self._folder / f"step-{position.step:08d}"
        part = place.with_suffix(".part")
        try:
            if accelerator.is_main_process:
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir(parents=True)
            accelerator.wait_for_everyone()
            more = {"exclude_frozen_parameters": True} if _distributed(accelerator) == "DEEPSPEED" else {}
            accelerator.save_state(str(part), **more)
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                write_whole(part / "position.json", msgspec.json.encode(position))
                shutil.rmtree(place, ignore_errors=True)
                part.rename(place)
                for old in self._there()[: -self._keep]:
                    shutil.rmtree(old)
        except OSError as error:
            raise StorageError(f"{place} cannot be written: {error.strerror}", "make room or permit writing there") from error
        accelerator.wait_for_everyone()

    def load_latest(self, model: Any, per_step: int) -> int:
        """Put the latest checkpoint into what `accelerator` prepared; the number of steps done, 0 where there is none."""
        there = self._there()
        if not there:
            return 0
        latest = there[-1]
        position = msgspec.json.decode((latest / "position.json").read_bytes(), type=Position)
        if (position.per_step, position.processes) != (per_step, self._accelerator.num_processes):
            raise InputError(
                f"{latest} was made with {position.per_step} items per step in {position.processes} processes, and now there are "
                f"{per_step} in {self._accelerator.num_processes}",
                "go on with as many processes as it was begun with",
            )
        if self._whole:
            _refuse_others(latest, model)
            self._accelerator.load_state(str(latest), strict=False)
        else:
            self._accelerator.load_state(str(latest))
        return position.step

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


def _distributed(accelerator: Any) -> str:
    return str(accelerator.distributed_type.value)


def _sharded(accelerator: Any) -> bool:
    return _distributed(accelerator) in ("FSDP", "DEEPSPEED")
