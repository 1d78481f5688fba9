"""One stage of a training, from top to bottom: order, learning rate, steps, validation, checkpoints.

Nothing in it is drawn from the clock or from what happened before: the order of the items, the rate and every random draw are
functions of the recipe's seed and of the number of the step. A training that was killed therefore goes on from its last
checkpoint as if nothing had been, and on one CPU ends with the same weights to the last bit.

Where it runs is accelerate's business: one process, several (DDP), or sharded (FSDP, DeepSpeed), as `accelerate config` says.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.foundation.whole_file import write_whole
from turnwise.training.checkpoints import Checkpoints
from turnwise.training.example_file import Example
from turnwise.training.growing_file import GrowingFile
from turnwise.training.kept_models import Chosen, KeptModels
from turnwise.training.objectives import Objective, Ready
from turnwise.training.recipe import Stage

SMALLEST_SCALE = 2.0**-10  # of the gradients of fp16; it begins at 2^16
AHEAD = 2  # steps whose sounds are prepared before they are needed


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is logged of one step, of one validation (`held_out`), or of the choice at the end (`chosen`)."""

    step: int
    loss: float  # mean over the units: tokens of answers, or pairs
    units: int
    held_out: bool = False
    rate: float = 0.0
    norm: float = 0.0  # length of the gradient, before it was clipped
    skipped: bool = False  # fp16: the gradient overflowed, no weight was changed, and its scale was halved
    more: dict[str, float] = {}  # means over the units
    seconds: float = 0.0
    chosen: str = ""  # why this step's weights are the model of the stage

    @property
    def key(self) -> str:
        return f"{self.step} {self.held_out} {bool(self.chosen)}"


class Watch(Protocol):
    """Who looks on."""

    def begin(self, what: str, done: int, of: int) -> None: ...

    def went(self, done: int, told: str = "") -> None: ...


class Run(msgspec.Struct, frozen=True):
    """What a stage is done with."""

    name: str  # of the stage
    stage: Stage
    seed: int
    workers: int
    folder: Path
    accelerator: Any
    watch: Watch
    track: Callable[[Line], None]
    kept: KeptModels


def train_stage(run: Run, scorer: Any, objective: Objective, train: Sequence[Example], held: Sequence[Example]) -> Chosen:
    """Train to the end of the stage, from the latest checkpoint on; which step's weights became its model."""
    import torch

    stage, accelerator = run.stage, run.accelerator
    if not train or not held:
        raise InputError(f"{run.name}: there are {len(train)} items to train on and {len(held)} held out; both are needed")
    per_step = items_per_step(stage, accelerator.num_processes)
    steps = steps_of(stage, len(train), per_step)

    optimizer: Any = torch.optim.AdamW(_groups(scorer, stage.decay), lr=stage.rate, betas=stage.betas)
    _tell_deepspeed(accelerator, stage)
    model, optimizer = accelerator.prepare(scorer, optimizer)
    checkpoints = Checkpoints(run.folder / "checkpoints", accelerator, stage.keep, run.kept.best)
    position = checkpoints.load_latest(model, per_step)
    done, seen = position.step, position.seen
    log = _log(run, done)
    looked_at = _drawn(held, stage.validate_items, seed_of("held out", run.seed, run.name))
    run.watch.begin(run.name, done, steps)

    model.train()
    batches = _ready_batches(run, objective, train, done, steps, per_step)
    for step in range(done, steps):
        began = time.perf_counter()
        readies = next(batches)
        units = _sum(accelerator, [sum(ready.units for ready in readies)])[0]
        rate = learning_rate(stage, step, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(seed_of("step", run.seed, run.name, step, accelerator.process_index))

        lost, more, norm = 0.0, dict[str, float](), 0.0
        for ready in readies:
            with accelerator.accumulate(model):
                loss, told = objective.loss(model, _on(ready, accelerator.device))
                lost += float(loss.detach())
                more = {name: more.get(name, 0.0) + value for name, value in told.items()}
                # accelerate means over the batches of a step and over processes; ours is the mean over units.
                accelerator.backward(loss * (accelerator.num_processes * len(readies) / units))
                if accelerator.sync_gradients:
                    norm = float(accelerator.clip_grad_norm_(model.parameters(), stage.clip) or 0.0)
                optimizer.step()
                optimizer.zero_grad()

        skipped = _skipped(accelerator)
        norm = 0.0 if skipped else norm
        line = _line(run, step + 1, lost, more, units, rate=rate, norm=norm, skipped=skipped, seconds=time.perf_counter() - began)
        # Before anything of this step is kept: weights that are no numbers would be gone on with for ever.
        _refuse_no_number(run, "loss", line.loss, step + 1)
        _refuse_no_number(run, "gradient", line.norm, step + 1)
        _tell(run, log, line)
        run.watch.went(step + 1, f"loss {line.loss:.4f}")

        last = step + 1 == steps
        if last or (stage.validate_every and (step + 1) % stage.validate_every == 0):
            looked = validate(run, model, objective, looked_at, step + 1)
            _refuse_no_number(run, "held-out loss", looked.loss, step + 1)
            is_lower = _as_main(accelerator, seen.lower(looked.loss))
            if is_lower:
                run.kept.keep_best(model)
            seen = seen.after(step + 1, looked.loss, is_lower)
            _tell(run, log, looked)
        if last or (step + 1) % stage.save_every == 0:
            checkpoints.save(msgspec.structs.replace(position, step=step + 1, seen=seen))

    chosen = run.kept.choose(model, stage.export, steps, seen)
    if log is not None:
        log.add(Line(step=chosen.step, loss=chosen.loss, units=0, held_out=True, chosen=chosen.why))
    return chosen


def validate(run: Run, model: Any, objective: Objective, held: Sequence[Example], step: int) -> Line:
    """The loss of held-out items; leaves nothing behind."""
    import torch

    began = time.perf_counter()
    accelerator, size = run.accelerator, run.stage.batch
    chunks = [held[first : first + size] for first in range(0, len(held), size)]
    lost, units, more = 0.0, 0, dict[str, float]()
    model.eval()
    with torch.no_grad():
        # Sharded models need every process at every batch: who has none left computes one that does not count.
        for first in range(0, len(chunks), accelerator.num_processes):
            place = first + accelerator.process_index
            ready = objective.ready(chunks[place if place < len(chunks) else 0])
            loss, told = objective.loss(model, _on(ready, accelerator.device))
            if place < len(chunks):
                lost, units = lost + float(loss), units + ready.units
                more = {name: more.get(name, 0.0) + value for name, value in told.items()}
            else:
                more = {name: more.get(name, 0.0) for name in told}
    model.train()
    all_units = _sum(accelerator, [units])[0]
    return _line(run, step, lost, more, all_units, held_out=True, seconds=time.perf_counter() - began)


def items_per_step(stage: Stage, processes: int) -> int:
    return processes * stage.batch * stage.accumulate


def steps_of(stage: Stage, items: int, per_step: int) -> int:
    """Steps of a stage. Its epochs are the number that was written: 0.1 of 30 items are 3, and not a little more."""
    return math.ceil(Fraction(str(stage.epochs)) * items / per_step)


def learning_rate(stage: Stage, step: int, steps: int) -> float:
    """Of the step after `step` steps: rises evenly over the warm-up, then falls along a half cosine to the floor."""
    rising = math.ceil(stage.warmup * steps)
    if step < rising:
        return stage.rate * (step + 1) / rising
    share = (step - rising) / max(1, steps - rising)
    return stage.rate * (stage.floor + (1 - stage.floor) * (1 + math.cos(math.pi * share)) / 2)


def items_of_step(step: int, per_step: int, items: int, seed: int, name: str) -> list[int]:
    """Which items a step has: every epoch has all of them once, in an order of its own."""
    return [
        int(_order(place // items, items, seed, name)[place % items]) for place in range(step * per_step, (step + 1) * per_step)
    ]


@functools.lru_cache(maxsize=4)
def _order(epoch: int, items: int, seed: int, name: str) -> Any:
    return np.random.Generator(np.random.PCG64(seed_of("order", seed, name, epoch))).permutation(items)


def _ready_batches(
    run: Run, objective: Objective, train: Sequence[Example], done: int, steps: int, per_step: int
) -> Iterator[list[Ready]]:
    """The batches of this process, step by step; threads prepare sounds while the model computes."""
    size, process = run.stage.batch, run.accelerator.process_index
    share = per_step // run.accelerator.num_processes

    def prepare(step: int) -> list[Ready]:
        items = items_of_step(step, per_step, len(train), run.seed, run.name)[process * share : (process + 1) * share]
        return [objective.ready([train[k] for k in items[first : first + size]]) for first in range(0, share, size)]

    if not run.workers:
        yield from map(prepare, range(done, steps))
        return
    with ThreadPoolExecutor(run.workers, "sounds") as pool:
        waiting: list[Future[list[Ready]]] = [pool.submit(prepare, step) for step in range(done, min(done + AHEAD, steps))]
        try:
            for step in range(done, steps):
                if step + AHEAD < steps:
                    waiting.append(pool.submit(prepare, step + AHEAD))
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _groups(scorer: Any, decay: float) -> list[dict[str, Any]]:
    """What is trained; weights of matrices decay, those of norms and biases do not."""
    trained = [weight for weight in scorer.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if weight.dim() > 1]
    others = [weight for weight in trained if weight.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _drawn(held: Sequence[Example], number: int, seed: int) -> list[Example]:
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(held))[:number]
    return [held[int(place)] for place in sorted(order)]


def _log(run: Run, done: int) -> GrowingFile[Line] | None:
    """The log of the main process; lines of steps that will be done again are taken out."""
    if not run.accelerator.is_main_process:
        return None
    path = run.folder / "log.jsonl"
    log = GrowingFile(path, Line, lambda line: line.key)
    kept = [line for line in log.records.values() if line.step <= done and not line.chosen]
    if len(kept) < len(log.records):
        encode = msgspec.json.Encoder().encode
        write_whole(path, b"".join(encode(line) + b"\n" for line in kept))
        log = GrowingFile(path, Line, lambda line: line.key)
    return log


def _line(run: Run, step: int, lost: float, more: dict[str, float], units: float, **known: Any) -> Line:
    """Sums of this process as means over all."""
    names = sorted(more)
    total, *others = _sum(run.accelerator, [lost, *(more[name] for name in names)])
    means = {name: value / units for name, value in zip(names, others, strict=True)}
    return Line(step=step, loss=total / units, units=int(units), more=means, **known)


def _sum(accelerator: Any, values: Sequence[float]) -> list[float]:
    """Over all processes."""
    import torch

    held = torch.tensor(values, dtype=torch.float32 if accelerator.device.type == "mps" else torch.float64)
    return [float(value) for value in accelerator.reduce(held.to(accelerator.device), "sum")]


def _as_main(accelerator: Any, yes: bool) -> bool:
    """What the main process says: all must do the same, whatever the last bits of their sums are."""
    return bool(_sum(accelerator, [float(yes and accelerator.is_main_process)])[0])


def _refuse_no_number(run: Run, what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise EngineError("not-a-number", f"{run.name}: the {what} of step {step} is {value}; a lower rate may help")


def _skipped(accelerator: Any) -> bool:
    """Whether the step was left out by the scaling of fp16; a scale that has shrunk to nothing will never find its gradient."""
    if not accelerator.optimizer_step_was_skipped:
        return False
    scaler = _scaler(accelerator)
    return scaler is None or float(scaler.get_scale()) > SMALLEST_SCALE


def _scaler(accelerator: Any) -> Any:
    """None where DeepSpeed scales by itself."""
    return accelerator.scaler


def _tell(run: Run, log: GrowingFile[Line] | None, line: Line) -> None:
    if log is not None:
        log.add(line)
        run.track(line)


def _on(ready: Ready, device: Any) -> Ready:
    return ready._replace(batch=ready.batch.to(device))


def _tell_deepspeed(accelerator: Any, stage: Stage) -> None:
    """What DeepSpeed does by itself it does as the recipe says: otherwise it would cut steps and gradients by its own file."""
    plugin = getattr(accelerator.state, "deepspeed_plugin", None)
    if plugin is None:
        return
    told = plugin.deepspeed_config
    told["train_micro_batch_size_per_gpu"] = stage.batch
    told["gradient_accumulation_steps"] = stage.accumulate
    told["train_batch_size"] = items_per_step(stage, accelerator.num_processes)
    told["gradient_clipping"] = stage.clip
    told["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] = True  # else nothing could be exported
