"""The models that a stage keeps, and which of them becomes its `model`.

<stage>/best/        the weights with the lowest loss on what was held out, written whenever a validation has a lower one
<stage>/last/        the weights after the last step
<stage>/model/       the one of the two that the recipe asks for: the same files (hard links, or copies where there are none)
<stage>/chosen.json  which step that is, and why

Each is a whole folder as the describer and the listener `trained` load it; with LoRA it holds the adapter alone. Of equal losses
the first counts. A checkpoint holds the best model of its time (training/checkpoints.py), so that a training that was killed
and goes on chooses as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnwise.foundation.errors import InputError
from turnwise.foundation.whole_file import write_whole
from turnwise.training.whole_folder import linked, whole_folder

Rule = Literal["best", "last"]


class Seen(msgspec.Struct, frozen=True):
    """What the validations of a stage have shown so far."""

    validations: int = 0
    step: int = 0  # of the lowest loss
    lowest: float = 0.0
    latest: float = 0.0

    def lower(self, loss: float) -> bool:
        return not self.validations or loss < self.lowest

    def after(self, step: int, loss: float, is_lower: bool) -> Seen:
        best = (step, loss) if is_lower else (self.step, self.lowest)
        return Seen(self.validations + 1, *best, loss)


class Chosen(msgspec.Struct, frozen=True):
    """Which step's weights became the model of a stage."""

    rule: Rule  # as the recipe says
    step: int
    steps: int  # of the stage
    loss: float  # of this step's weights, on what was held out
    seen: Seen

    @property
    def why(self) -> str:
        """In a sentence."""
        seen = self.seen
        of = f"{seen.validations} held-out losses" if seen.validations > 1 else "the only held-out loss"
        if self.rule == "last":
            lowest = "" if seen.step == self.step else f"; the lowest of {of} was {seen.lowest:.4f}, of step {seen.step}"
            return f"step {self.step} of {self.steps}, the last, as the recipe asks: {self.loss:.4f} on what was held out{lowest}"
        which = f"the lowest of {of}" if seen.validations > 1 else of
        latest = "" if self.step == self.steps else f" (the last step's: {seen.latest:.4f})"
        return f"step {self.step} of {self.steps}: {which}, {self.loss:.4f}{latest}"


class KeptModels:
    """Those of one stage; all methods are to be called by every process."""

    def __init__(self, folder: Path, accelerator: Any, write: Callable[[Any, Path], None]) -> None:
        """`write` puts what is trained into a folder."""
        self.best, self._last = folder / "best", folder / "last"
        self._folder, self._accelerator, self._write = folder, accelerator, write

    def keep_best(self, trained: Any) -> None:
        self._write(trained, self.best)

    def choose(self, trained: Any, rule: Rule, steps: int, seen: Seen) -> Chosen:
        """The end of the stage: its last model, and the one that becomes its `model`."""
        if seen.step == steps:
            self._copy(self.best, self._last)
        else:
            self._write(trained, self._last)
        step, loss = (steps, seen.latest) if rule == "last" else (seen.step, seen.lowest)
        chosen = Chosen(rule, step, steps, loss, seen)
        if self._accelerator.is_main_process:
            write_whole(self._folder / "chosen.json", msgspec.json.format(msgspec.json.encode(chosen), indent=2) + b"\n")
        # The stage is done where this is there, so it comes last.
        self._copy(self._last if rule == "last" else self.best, self._folder / "model")
        return chosen

    def _copy(self, source: Path, place: Path) -> None:
        with whole_folder(place, self._accelerator) as part:
            if self._accelerator.is_main_process:
                linked(source, part)


def chosen_of(folder: Path) -> Chosen | None:
    """Which step became the model of a stage that is done; None where it is not."""
    path = folder / "chosen.json"
    if not (folder / "model").is_dir() or not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Chosen)
    except (msgspec.DecodeError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
