"""The training of a describer of speech quality: its stages one after the other, each from the model of the one before it.

<out>/recipe.json            what the folder was begun with; going on with anything else is refused
<out>/sft/log.jsonl          one line per step and per validation, and at the end why which step was chosen
<out>/sft/checkpoints/       to go on from
<out>/sft/best/, last/       the weights with the lowest loss on what was held out, and those of the last step
<out>/sft/model/             the one of them that the recipe asks for (chosen.json says why), for the describer `trained`
<out>/alld/own.0.jsonl       the model's own answers, before the stage
<out>/alld/reference.0.jsonl log-probabilities by the expert
<out>/alld/...               as above
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.errors import InputError, StorageError, TurnwiseError
from turnwise.foundation.fingerprint import seed_of
from turnwise.foundation.whole_file import write_whole
from turnwise.listening.sound_model import SoundModel, Trained, with_adapter
from turnwise.speech.weights import Placement, find_weights, free_memory, load, load_reader, memory_guard, seeded
from turnwise.training import trackers
from turnwise.training.alld import scorer
from turnwise.training.example_file import Example, data_digest, of_split, read_examples
from turnwise.training.kept_models import KeptModels
from turnwise.training.loop import Run, Watch, train_stage
from turnwise.training.model_folder import ModelFolder
from turnwise.training.objectives import Aligning, Fitting, Objective
from turnwise.training.own_answers import own_answers, pairs
from turnwise.training.preflight import (
    Foreseen,
    Origin,
    adapted,
    foresee,
    frozen_but_for,
    numbers,
    of_stage,
    origin_of,
    questions_of,
)
from turnwise.training.recipe import Alld, Recipe, decisive, training_digest
from turnwise.training.reference import refer

PATIENCE = timedelta(days=7)  # of a process that waits for the others: own answers take hours, and not the same everywhere
SPARING = "FSDP_CPU_RAM_EFFICIENT_LOADING"  # of accelerate; transformers looks at it whenever it loads weights


class Begun(msgspec.Struct, frozen=True):
    """What a folder of training was begun with."""

    recipe: str  # fingerprints
    data: str
    weights: dict[str, str]  # of the models that it names
    written: dict[str, Any]  # what of the recipe decides the weights, to be read


def train_describer(recipe: Recipe, out: Path, *, resume: bool, watch: Watch, stages: Sequence[str] = ()) -> Path:
    """Carry out the stages that are not done (all, or those named); the folder of the last model."""
    examples, _ = _foreseen(recipe, out, stages, 1)
    accelerator = _accelerator(recipe, 1)
    with ExitStack() as held:

        def begin() -> None:
            held.enter_context(_alone(out))
            _begin(recipe, examples, out, resume)

        _by_main(accelerator, begin)
        return _carry_out_all(recipe, examples, out, stages, watch)


def foresee_describer(recipe: Recipe, out: Path, *, resume: bool, processes: int, stages: Sequence[str] = ()) -> list[Foreseen]:
    """Everything that `train_describer` refuses, refused, and the stages that it would carry out; nothing is written."""
    examples, foreseen = _foreseen(recipe, out, stages, processes)
    _refuse_other(recipe, examples, out, resume)
    return [stage for stage in foreseen if not (out / stage.name / "model").is_dir()]


def _foreseen(
    recipe: Recipe, out: Path, stages: Sequence[str], processes: int
) -> tuple[tuple[Example, ...], tuple[Foreseen, ...]]:
    _in_order(recipe, out, stages)
    examples = read_examples(Path(recipe.data.examples))
    return examples, foresee(recipe, examples, stages, processes)


def _carry_out_all(recipe: Recipe, examples: Sequence[Example], out: Path, stages: Sequence[str], watch: Watch) -> Path:
    model = Path(recipe.start) if recipe.start else None
    for name in recipe.stages:
        folder = out / name
        if not (folder / "model").is_dir() and (not stages or name in stages):
            with memory_guard():
                _carry_out(recipe, name, examples, model, folder, watch)
        if (folder / "model").is_dir():
            model = folder / "model"
    assert model is not None  # a recipe has a stage, and one that is named is carried out
    return model


def _begin(recipe: Recipe, examples: Sequence[Example], out: Path, resume: bool) -> None:
    """Note down what the folder is for, or see that it is for this."""
    begun = _refuse_other(recipe, examples, out, resume)
    if not (out / "recipe.json").is_file():
        write_whole(out / "recipe.json", msgspec.json.format(msgspec.json.encode(begun), indent=2) + b"\n")


def _refuse_other(recipe: Recipe, examples: Sequence[Example], out: Path, resume: bool) -> Begun:
    """InputError for a folder that is not for this training; what it is begun with, or was."""
    path = out / "recipe.json"
    begun = Begun(
        recipe=training_digest(recipe),
        data=data_digest(examples),
        weights=_named_weights(recipe),
        written=decisive(recipe),
    )
    if not path.is_file():
        if out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
            raise InputError(f"{out} is not empty and holds no training", "choose another folder")
        return begun
    if not resume:
        raise InputError(f"{out} holds a training already", "go on with it by --resume, or choose another folder")
    try:
        before = msgspec.json.decode(path.read_bytes(), type=Begun)
    except (msgspec.DecodeError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if before.recipe != begun.recipe:
        changed = ", ".join(_changed(before.written, begun.written)) or "its form"
        raise InputError(f"{out} was begun with another recipe: {changed} changed", "train into another folder")
    if before.data != begun.data:
        raise InputError(
            f"{out} was begun with other examples than {recipe.data.examples} holds now", "train into another folder"
        )
    for model in sorted(before.weights.keys() | begun.weights.keys()):
        if before.weights.get(model) != begun.weights.get(model):
            raise InputError(f"{out} was begun with other weights than {model} has now", "train into another folder")
    return begun


def _named_weights(recipe: Recipe) -> dict[str, str]:
    """Every model that the recipe names, found before hours are spent on what comes first."""
    named = {recipe.model.base: recipe.model.revision}
    if recipe.alld is not None:
        named[recipe.alld.reference] = recipe.alld.reference_revision
    if recipe.start:
        named[recipe.start] = "main"
    return {model: find_weights(model, revision).identity()["weights"] for model, revision in named.items()}


def _in_order(recipe: Recipe, out: Path, stages: Sequence[str]) -> None:
    """A stage is not begun before those that the recipe puts before it."""
    for name in stages:
        recipe.stage(name)
        for before in recipe.stages[: recipe.stages.index(name)]:
            if before not in stages and not (out / before / "model").is_dir():
                raise InputError(f"{name} goes on from {before}, which is not done in {out}", f"first: --stage {before}")


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """No two trainings in one folder; the lock goes with the process that holds it."""
    from filelock import FileLock, Timeout

    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise StorageError(f"{out} is in use by another training", "wait for it, or choose another folder") from None
    except OSError as error:
        raise StorageError(f"{out} cannot be used: {error.strerror}", "permit writing there") from error
    try:
        yield
    finally:
        lock.release()


def _by_main(accelerator: Any, work: Callable[[], None]) -> None:
    """Work of the main process; where it cannot be done it says so, and the others end without a word instead of waiting."""
    failed: TurnwiseError | None = None
    if accelerator.is_main_process:
        try:
            work()
        except TurnwiseError as error:
            failed = error
    told = [failed]
    if accelerator.num_processes > 1:
        importlib.import_module("accelerate.utils").broadcast_object_list(told)
    if failed is not None:
        raise failed
    if told[0] is not None:
        raise SystemExit(told[0].exit_code)


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], at: str = "") -> list[str]:
    """Keys whose values differ, by their paths."""
    found = []
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _changed(one, other, f"{at}{key}.")
        elif one != other:
            found.append(f"{at}{key}")
    return found


def _accelerator(recipe: Recipe, accumulate: int) -> Any:
    """What runs where `accelerate config` says, in the recipe's numbers and batches."""
    accelerate, utils = (importlib.import_module(name) for name in ("accelerate", "accelerate.utils"))
    mixed = {"bfloat16": "bf16", "float16": "fp16", "float32": "no"}[numbers(recipe)]
    # As a plug-in: a plain number gives way to what the environment of `accelerate launch` says.
    batches = utils.GradientAccumulationPlugin(num_steps=accumulate, sync_with_dataloader=False)
    waiting = utils.InitProcessGroupKwargs(timeout=PATIENCE)
    return accelerate.Accelerator(mixed_precision=mixed, gradient_accumulation_plugin=batches, kwargs_handlers=[waiting])


def _carry_out(recipe: Recipe, name: str, examples: Sequence[Example], before: Path | None, folder: Path, watch: Watch) -> None:
    """One stage, from the model before it (None: the base) to its own."""
    from transformers import Qwen2AudioProcessor

    stage = recipe.stage(name)
    accelerator = _accelerator(recipe, stage.accumulate)
    origin = origin_of(recipe, before)
    processor = load_reader(Qwen2AudioProcessor, origin.base)
    chosen = of_stage(stage, examples)
    questions = questions_of(chosen)
    objective: Objective = Fitting(processor)
    if isinstance(stage, Alld):
        with _whole_models(accelerator):
            chosen, objective = _alignment(recipe, stage, chosen, origin, folder, processor, accelerator, watch)
    network = _network(recipe, origin)
    card = Trained(
        base=origin.base.model,
        revision=recipe.model.revision if origin.base.model == recipe.model.base else "main",
        tuned=recipe.model.tune,
        questions=questions,
        stage=name,
        recipe=training_digest(recipe),
    )
    kept = KeptModels(folder, accelerator, ModelFolder(network, processor, card, accelerator).write)
    others = trackers.Trackers(recipe.track if accelerator.is_main_process else (), recipe.name, name, folder)
    run = Run(name, stage, recipe.seed, recipe.workers, folder, accelerator, watch, others.tell, kept)
    try:
        train_stage(run, scorer(network), objective, of_split(chosen, "train"), of_split(chosen, "validation"))
    finally:
        others.close()
    del run, kept, network
    accelerator.free_memory()
    free_memory()


@contextmanager
def _whole_models(accelerator: Any) -> Iterator[None]:
    """Models that are loaded in it are whole in every process: ZeRO-3 would take them to pieces, and with FSDP's loading that
    spares the memory of the host the main process alone may have weights.
    """
    plugin = getattr(accelerator.state, "deepspeed_plugin", None)
    known: Any = importlib.import_module("transformers.integrations.deepspeed")
    sparing = os.environ.pop(SPARING, None)
    if plugin is not None:
        known.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if plugin is not None:
            known.set_hf_deepspeed_config(plugin.dschf)
        if sparing is not None:
            os.environ[SPARING] = sparing


def _alignment(
    recipe: Recipe,
    stage: Alld,
    examples: tuple[Example, ...],
    origin: Origin,
    folder: Path,
    processor: Any,
    accelerator: Any,
    watch: Watch,
) -> tuple[tuple[Example, ...], Objective]:
    """What ALLD needs before it begins: the model's own answers, and what the reference thinks of both."""
    placement = Placement(str(accelerator.device), numbers(recipe), "")
    where = str(origin.adapter or origin.base.model)
    revision = recipe.model.revision if where == recipe.model.base else "main"
    model = SoundModel(where, revision, "", stage.own_temperature, stage.own_top_p, stage.own_tokens, placement)
    watch.begin("own answers", 0, len(examples))
    own = own_answers(
        folder,
        examples,
        model,
        questions_of(examples),
        stage.own_batch,
        seed=recipe.seed,
        accelerator=accelerator,
        watch=_counting(watch),
    )
    free_memory()
    examples = pairs(examples, own)
    watch.begin("reference", 0, len(examples))
    referred = refer(
        folder,
        examples,
        own,
        stage,
        processor.tokenizer,
        placement=placement,
        accelerator=accelerator,
        watch=_counting(watch),
    )
    return examples, Aligning(processor, stage, own, referred)


def _counting(watch: Watch) -> Callable[[int], None]:
    return lambda done: watch.went(done, "")


def _network(recipe: Recipe, origin: Origin) -> Any:
    """The network to be trained: what is trained of it in float32, what is not in the numbers that are computed with."""
    import torch
    from transformers import Qwen2AudioForConditionalGeneration

    made = recipe.model
    frozen = numbers(recipe) if made.tune == "lora" else "float32"
    # On the host: accelerate puts it where it belongs, whole or in pieces.
    network = load(Qwen2AudioForConditionalGeneration, origin.base, Placement("cpu", frozen, ""))
    network.config.use_cache = False
    if recipe.checkpointing:
        # Named anew in transformers 5.2x; the versions before have the older name alone.
        newer = getattr(network, "activation_checkpointing_enable", None)
        (newer or network.gradient_checkpointing_enable)({"use_reentrant": False})
    if made.tune == "full":
        frozen_but_for(network, made)
        return network
    if origin.adapter is not None:
        return with_adapter(network, origin.adapter, trainable=True)
    with seeded(seed_of("adapter", recipe.seed)):
        network = adapted(network, made)
    assert all(weight.dtype == torch.float32 for weight in network.parameters() if weight.requires_grad)
    return network
