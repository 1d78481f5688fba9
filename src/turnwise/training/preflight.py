"""What can be known of a training before any weights are loaded: that it can be done, and how much it is.

A mistake that would show after hours is shown at once: examples that are missing on one side, a sound that is not there or is
longer than the model hears, questions asked in several ways, an expert whose tokens are not those of the model, a pattern for
LoRA that fits nothing. Only headers of sounds, configurations and tokenizers are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.listening.sound_model import INSTALL, card_of, lora_versions
from turnwise.listening.sound_questions import Kind, longest_of
from turnwise.speech.weights import Weights, cuda_here, find_weights, load_reader, versions
from turnwise.training import trackers
from turnwise.training.audio_batches import end_of_answer, refuse_unheard
from turnwise.training.example_file import Example, copies_apart, of_split
from turnwise.training.loop import items_per_step, steps_of
from turnwise.training.recipe import Alld, Model, Recipe, Stage
from turnwise.training.reference import Reader

LARGEST = 1024  # items at once that are no slip of the pen, also where there are fewer
LOOKED_AT = 200  # answers whose tokens are compared before the training; the rest when the reference reads them


class Foreseen(msgspec.Struct, frozen=True):
    """One stage, before it is begun."""

    name: str
    begins_with: str
    train: int  # items
    held: int
    looked_at: int  # held-out items of one validation
    steps: int
    per_step: int  # items
    trained: int  # weights
    weights: int  # of the whole model

    @property
    def told(self) -> str:
        """In a sentence."""
        items = f"{self.train} items to train on, {self.looked_at} of {self.held} held out"
        share = f"{self.trained:,} of {self.weights:,} weights are trained"
        return f"{self.name}: from {self.begins_with}: {items}; steps: {self.steps}, of {self.per_step} items each; {share}"


class Origin(msgspec.Struct, frozen=True):
    """Where a stage begins: a whole model, and the adapter over it that is trained further."""

    base: Weights
    adapter: Path | None = None


def foresee(recipe: Recipe, examples: Sequence[Example], stages: Sequence[str], processes: int) -> tuple[Foreseen, ...]:
    """The stages, each of which can be done as far as can be seen; else a sentence about the first thing that cannot."""
    needed(recipe)
    if numbers(recipe) == "float16" and not cuda_here():
        raise InputError('precision = "fp16" needs a GPU: a CPU has no arithmetic for it worth its name', 'precision = "fp32"')
    origin = origin_of(recipe, Path(recipe.start) if recipe.start else None)
    processor = _processor(origin.base)
    trained, weights = _counted(recipe.model, origin.base)
    before = recipe.start or recipe.model.base
    foreseen = []
    for name in recipe.stages:
        stage = recipe.stage(name)
        if not stages or name in stages:
            chosen = of_stage(stage, examples)
            train, held = len(of_split(chosen, "train")), len(of_split(chosen, "validation"))
            if not train or not held:
                raise InputError(f"{name}: there are {train} items to train on and {held} held out; both are needed")
            if stage.batch > max(train, LARGEST):
                raise InputError(f"{name}.batch: expected at most the {train} items to train on, got {stage.batch}")
            questions_of(chosen)
            refuse_unheard(chosen, longest_of(processor))
            copies_apart(chosen, name)
            if isinstance(stage, Alld):
                _same_tokens(stage, chosen, processor.tokenizer)
            per_step = items_per_step(stage, processes)
            looked_at = min(held, stage.validate_items)
            steps = steps_of(stage, train, per_step)
            foreseen.append(Foreseen(name, before, train, held, looked_at, steps, per_step, trained, weights))
        before = name
    return tuple(foreseen)


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


def numbers(recipe: Recipe) -> str:
    """The type of numbers that is computed with."""
    if recipe.precision == "auto":
        return "bfloat16" if cuda_here() else "float32"
    return {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[recipe.precision]


def of_stage(stage: Stage, examples: Sequence[Example]) -> tuple[Example, ...]:
    """What of the examples a stage learns from and is looked at with."""
    return tuple(e for e in examples if e.kind in stage.kinds and (not stage.variants or e.variant in stage.variants))


def questions_of(examples: Sequence[Example]) -> dict[Kind, str]:
    """What was asked, which is what the model is to be asked; one question for each kind."""
    asked: dict[Kind, set[str]] = {}
    for example in examples:
        asked.setdefault(example.kind, set()).add(example.question)
    for kind, questions in asked.items():
        if len(questions) > 1:
            raise InputError(f"the examples ask for a {kind} in {len(questions)} ways", "a trained model is asked in one")
    return {kind: questions.pop() for kind, questions in sorted(asked.items())}


def origin_of(recipe: Recipe, before: Path | None) -> Origin:
    """What a stage begins with, given the folder of the model before it (None: the base)."""
    base = find_weights(recipe.model.base, recipe.model.revision)
    if before is None:
        return Origin(base)
    card = card_of(before)
    if card is None or card.tuned == "full":
        return Origin(find_weights(str(before)))
    if recipe.model.tune == "full":
        raise InputError(f"{before} is an adapter, which full tuning cannot go on from", 'model.tune = "lora"')
    if card.base != recipe.model.base:
        raise InputError(f"{before} is an adapter for {card.base}, and the recipe's base is {recipe.model.base}")
    return Origin(base, before)


def adapted(network: Any, model: Model) -> Any:
    """The network under a new adapter, as the recipe has it."""
    import warnings

    from peft import LoraConfig, get_peft_model

    settings: Any = LoraConfig
    wrap: Any = get_peft_model
    lora = settings(r=model.rank, lora_alpha=model.alpha, lora_dropout=model.dropout, target_modules=model.targets)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft asks by the older name
        try:
            return wrap(network, lora)
        except ValueError as error:
            raise InputError(f"model.targets: {str(error).partition(chr(10))[0][:200]}") from error


def frozen_but_for(network: Any, model: Model) -> None:
    """Full tuning: the language model and what joins it to the ears, and the ears themselves where the recipe says so."""
    ears = network.model.audio_tower
    ears.requires_grad_(model.ears)
    ears.embed_positions.requires_grad_(False)  # sines of fixed lengths; loading forgets that they are fixed


def _processor(base: Weights) -> Any:
    from transformers import Qwen2AudioProcessor

    path = base.folder / "config.json"
    try:
        kind = msgspec.json.decode(path.read_bytes()).get("model_type")
    except (OSError, msgspec.DecodeError, AttributeError):
        kind = None
    if kind != "qwen2_audio":
        raise InputError(
            f"{base.model} is no Qwen2-Audio: its config.json says {kind!r}", "name a model of that kind as model.base"
        )
    processor = load_reader(Qwen2AudioProcessor, base)
    end_of_answer(processor.tokenizer)
    return processor


def _counted(model: Model, base: Weights) -> tuple[int, int]:
    """Weights that are trained, and all, by the shape of the model alone."""
    import torch
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    with torch.device("meta"):
        network: Any = Qwen2AudioForConditionalGeneration(Qwen2AudioConfig.from_pretrained(base.folder))
        whole = sum(weight.numel() for weight in network.parameters())
        if model.tune == "lora":
            network = adapted(network, model)
        else:
            frozen_but_for(network, model)
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad), whole


def _same_tokens(stage: Alld, examples: Sequence[Example], tokenizer: Any) -> None:
    """The expert talks, and cuts the answers as the model does."""
    reader = Reader(stage.reference, find_weights(stage.reference, stage.reference_revision), tokenizer)
    for example in examples[:: max(1, len(examples) // LOOKED_AT)]:
        reader.answer(example.answer, True)
