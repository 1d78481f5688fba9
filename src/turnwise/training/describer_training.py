"""The training of a describer of speech quality: its stages one after the other, each from the model before it.

<out>/recipe.json            what the folder was begun with; going on with anything else is refused
<out>/sft/log.jsonl          one line per step and per validation
<out>/sft/checkpoints/       to go on from
<out>/sft/model/             what came out, for the describer and the listener `trained`
<out>/alld/own.0.jsonl       the model's own answers, before the stage
<out>/alld/reference.0.jsonl log-probabilities by the expert
<out>/alld/...               as above
"""

from __future__ import annotations

import importlib
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.errors import InputError, MissingDependency, StorageError
from turnwise.foundation.fingerprint import seed_of
from turnwise.foundation.whole_file import write_whole
from turnwise.listening.sound_model import CARD, INSTALL, SoundModel, Trained, card_of, lora_versions, with_adapter
from turnwise.listening.sound_questions import Kind
from turnwise.speech.weights import (
    Placement,
    Weights,
    cuda_here,
    find_weights,
    free_memory,
    load,
    load_reader,
    memory_guard,
    seeded,
    versions,
)
from turnwise.training import trackers
from turnwise.training.alld import scorer
from turnwise.training.audio_batches import refuse_unheard
from turnwise.training.example_file import Example, data_digest, of_split, read_examples
from turnwise.training.loop import Run, Watch, train_stage
from turnwise.training.objectives import Aligning, Fitting, Objective
from turnwise.training.own_answers import own_answers, pairs
from turnwise.training.recipe import Alld, Recipe, decisive, training_digest
from turnwise.training.reference import refer


class Begun(msgspec.Struct, frozen=True):
    """What a folder of training was begun with."""

    recipe: str  # fingerprints
    data: str
    weights: dict[str, str]  # of the models that it names
    written: dict[str, Any]  # what of the recipe decides the weights, to be read


def train_describer(recipe: Recipe, out: Path, *, resume: bool, watch: Watch, stages: Sequence[str] = ()) -> Path:
    """Carry out the stages that are not done (all, or those named); the folder of the last model."""
    needed(recipe)
    _in_order(recipe, out, stages)
    examples = read_examples(Path(recipe.data.examples))
    accelerator = _accelerator(recipe, 1)
    with _alone(out) if accelerator.is_main_process else nullcontext():
        if accelerator.is_main_process:
            _begin(recipe, examples, out, resume)
        accelerator.wait_for_everyone()
        return _carry_out_all(recipe, examples, out, stages, watch)


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


def needed(recipe: Recipe) -> None:
    """MissingDependency for the first package that the recipe needs and that is not here."""
    versions("torch", "transformers", "safetensors")
    try:
        versions("accelerate")
    except MissingDependency:
        raise MissingDependency("accelerate", INSTALL) from None
    if recipe.model.tune == "lora":
        lora_versions()
    trackers.needed(recipe.track)


def _begin(recipe: Recipe, examples: Sequence[Example], out: Path, resume: bool) -> None:
    """Note down what the folder is for, or see that it is for this."""
    path = out / "recipe.json"
    begun = Begun(
        recipe=training_digest(recipe),
        data=data_digest(examples),
        weights=_named_weights(recipe),
        written=decisive(recipe),
    )
    if not path.is_file():
        if any(path.name != ".lock" for path in out.iterdir()):
            raise InputError(f"{out} is not empty and holds no training", "choose another folder")
        write_whole(path, msgspec.json.format(msgspec.json.encode(begun), indent=2) + b"\n")
        return
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
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout:
        raise StorageError(f"{out} is in use by another training", "wait for it, or choose another folder") from None
    except OSError as error:
        raise StorageError(f"{out} cannot be used: {error.strerror}", "permit writing there") from error


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
    """What runs where `accelerate config` says, in the recipe's numbers."""
    kind = importlib.import_module("accelerate").Accelerator
    mixed = "bf16" if _numbers(recipe) == "bfloat16" else "no"
    return kind(mixed_precision=mixed, gradient_accumulation_steps=accumulate)


def _numbers(recipe: Recipe) -> str:
    """The type of numbers that is computed with."""
    if recipe.precision == "auto":
        return "bfloat16" if cuda_here() else "float32"
    return {"fp32": "float32", "bf16": "bfloat16"}[recipe.precision]


class _Origin(msgspec.Struct, frozen=True):
    """Where a stage begins: a whole model, and the adapter over it that is trained further."""

    base: Weights
    adapter: Path | None = None


def _origin(recipe: Recipe, before: Path | None) -> _Origin:
    base = find_weights(recipe.model.base, recipe.model.revision)
    if before is None:
        return _Origin(base)
    card = card_of(before)
    if card is None or card.tuned == "full":
        return _Origin(find_weights(str(before)))
    if recipe.model.tune == "full":
        raise InputError(f"{before} is an adapter, which full tuning cannot go on from", 'model.tune = "lora"')
    if card.base != recipe.model.base:
        raise InputError(f"{before} is an adapter for {card.base}, and the recipe's base is {recipe.model.base}")
    return _Origin(base, before)


def _carry_out(recipe: Recipe, name: str, examples: Sequence[Example], before: Path | None, folder: Path, watch: Watch) -> None:
    """One stage, from the model before it (None: the base) to its own."""
    from transformers import Qwen2AudioProcessor

    stage = recipe.stage(name)
    accelerator = _accelerator(recipe, stage.accumulate)
    origin = _origin(recipe, before)
    processor = load_reader(Qwen2AudioProcessor, origin.base)
    chosen = tuple(e for e in examples if e.kind in stage.kinds and (not stage.variants or e.variant in stage.variants))
    refuse_unheard(chosen, processor)
    questions = questions_of(chosen)
    objective: Objective = Fitting(processor)
    if isinstance(stage, Alld):
        chosen, objective = _alignment(recipe, stage, chosen, origin, folder, processor, accelerator, watch)
    network = _network(recipe, origin)
    others = trackers.Trackers(recipe.track if accelerator.is_main_process else (), recipe.name, name, folder)
    run = Run(name, stage, recipe.seed, recipe.workers, folder, accelerator, watch, others.tell)
    try:
        trained = train_stage(run, scorer(network), objective, of_split(chosen, "train"), of_split(chosen, "validation"))
    finally:
        others.close()
    _export(recipe, name, accelerator, trained, network, processor, origin, questions, folder / "model")
    del trained, network
    accelerator.free_memory()
    free_memory()


def questions_of(examples: Sequence[Example]) -> dict[Kind, str]:
    """What was asked, which is what the model is to be asked; one question for each kind."""
    asked: dict[Kind, set[str]] = {}
    for example in examples:
        asked.setdefault(example.kind, set()).add(example.question)
    for kind, questions in asked.items():
        if len(questions) > 1:
            raise InputError(f"the examples ask for a {kind} in {len(questions)} ways", "a trained model is asked in one")
    return {kind: questions.pop() for kind, questions in sorted(asked.items())}


def _alignment(
    recipe: Recipe,
    stage: Alld,
    examples: tuple[Example, ...],
    origin: _Origin,
    folder: Path,
    processor: Any,
    accelerator: Any,
    watch: Watch,
) -> tuple[tuple[Example, ...], Objective]:
    """What ALLD needs before it begins: the model's own answers, and what the reference thinks of both."""
    placement = Placement(str(accelerator.device), _numbers(recipe), "")
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


def _network(recipe: Recipe, origin: _Origin) -> Any:
    """The network to be trained: what is trained of it in float32, what is not in the numbers that are computed with."""
    import torch
    from transformers import Qwen2AudioForConditionalGeneration

    made = recipe.model
    frozen = _numbers(recipe) if made.tune == "lora" else "float32"
    # On the host: accelerate puts it where it belongs, whole or in pieces.
    network = load(Qwen2AudioForConditionalGeneration, origin.base, Placement("cpu", frozen, ""))
    network.config.use_cache = False
    if recipe.checkpointing:
        # Named anew in transformers 5.2x; the versions before have the older name alone.
        newer = getattr(network, "activation_checkpointing_enable", None)
        (newer or network.gradient_checkpointing_enable)({"use_reentrant": False})
    if made.tune == "full":
        network.model.audio_tower.requires_grad_(made.ears)
        return network
    if origin.adapter is not None:
        return with_adapter(network, origin.adapter, trainable=True)
    from peft import LoraConfig, get_peft_model

    settings: Any = LoraConfig
    adapted: Any = get_peft_model
    lora = settings(r=made.rank, lora_alpha=made.alpha, lora_dropout=made.dropout, target_modules=made.targets)
    with seeded(seed_of("adapter", recipe.seed)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft asks by the older name
        try:
            network = adapted(network, lora)
        except ValueError as error:
            raise InputError(f"model.targets: {str(error).partition(chr(10))[0][:200]}") from error
    assert all(weight.dtype == torch.float32 for weight in network.parameters() if weight.requires_grad)
    return network


def _export(
    recipe: Recipe,
    name: str,
    accelerator: Any,
    trained: Any,
    network: Any,
    processor: Any,
    origin: _Origin,
    questions: dict[Kind, str],
    folder: Path,
) -> None:
    """The model as the describer and the listener `trained` load it; to be called by every process."""
    state = accelerator.get_state_dict(trained)  # gathered, where it is in pieces
    if accelerator.is_main_process:
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        weights = {key.removeprefix("network."): value for key, value in state.items()}
        if recipe.model.tune == "lora":
            for settings in network.peft_config.values():
                settings.base_model_name_or_path = origin.base.model
        network.config.use_cache = True
        network.save_pretrained(part, state_dict=weights)
        processor.save_pretrained(part)
        revision = recipe.model.revision if origin.base.model == recipe.model.base else "main"
        card = Trained(
            base=origin.base.model,
            revision=revision,
            tuned=recipe.model.tune,
            questions=questions,
            stage=name,
            recipe=training_digest(recipe),
        )
        write_whole(part / CARD, msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
        part.rename(folder)
    accelerator.wait_for_everyone()
