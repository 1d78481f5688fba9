"""A trained model that hears, opened: its weights, its questions, and its answers.

Its folder is what `turnwise train describer` leaves: either a whole model, or an adapter (LoRA) with `describer.json`, which
names the model below it and the questions it was trained on. A folder or hub id without `describer.json` is taken for a whole
Qwen2-Audio, which is asked our own questions.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.listening.sound_questions import QUESTIONS, Kind, inputs_of, longest_of
from turnwise.speech.row_draws import RowDraws
from turnwise.speech.weights import (
    Placement,
    Weights,
    at_work,
    find_weights,
    free_memory,
    halving,
    load,
    load_reader,
    versions,
)

CARD = "describer.json"
LONGEST = 30.0  # seconds that Qwen2-Audio hears
INSTALL = 'pip install "turnwise[train]"'


class Trained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a trained folder says of itself."""

    base: str  # the model that training began with, as the recipe names it
    revision: str = "main"
    tuned: Literal["lora", "full"] = "full"
    questions: dict[Kind, str] = {}  # where they are not our own of today
    stage: str = ""  # the last stage of its training
    recipe: str = ""  # fingerprint of the recipe and its data


class SoundModel(msgspec.Struct, frozen=True):
    """Where a model lies and how it is to answer; building it reads nothing."""

    model: str
    revision: str
    base: str  # in place of the base that the folder names, "" to go by the folder
    temperature: float
    top_p: float
    most_tokens: int
    placement: Placement

    def identity(self) -> Mapping[str, str]:
        found, trained = self.found()
        below = {} if trained.tuned == "full" else {"base " + k: v for k, v in self.below(trained).identity().items()}
        packages = versions("torch", "transformers") if trained.tuned == "full" else lora_versions()
        return {**found.identity(), **below, **self.placement.identity(), **packages}

    def found(self) -> tuple[Weights, Trained]:
        found = find_weights(self.model, self.revision)
        return found, card_of(found.folder) or Trained(self.model, self.revision)

    def below(self, trained: Trained) -> Weights:
        """The model under an adapter."""
        return find_weights(self.base) if self.base else find_weights(trained.base, trained.revision)

    def open(self, questions: Mapping[Kind, str] | None = None) -> Answering:
        """`questions` in place of those that the model was trained on."""
        return Answering(self, questions or {})


def sound_model(
    who: str, model: str, revision: str, base: str, temperature: float, top_p: float, most_tokens: int, placement: Placement
) -> SoundModel:
    """The options of a plug-in, checked; `who` names it in messages."""
    if not model:
        raise InputError(f"{who}: model is empty, expected the folder of a trained describer")
    if not 0 <= temperature <= 10:
        raise InputError(f"{who}: temperature is {temperature}, expected 0 to 10")
    if not 0 < top_p <= 1:
        raise InputError(f"{who}: top_p is {top_p}, expected above 0, at most 1")
    if most_tokens < 1:
        raise InputError(f"{who}: most_tokens is {most_tokens}, expected at least 1")
    return SoundModel(model, revision, base, temperature, top_p, most_tokens, placement)


def card_of(folder: Path) -> Trained | None:
    """What a folder says of itself, None where it says nothing."""
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Trained)
    except (msgspec.DecodeError, OSError) as error:
        raise InputError(f"{path} does not describe a trained model: {error}") from error


def lora_versions() -> dict[str, str]:
    try:
        return versions("torch", "transformers", "peft")
    except MissingDependency:
        versions("torch", "transformers")  # one of these may be what is missing
        raise MissingDependency("peft", INSTALL) from None


class Answer(msgspec.Struct, frozen=True):
    """What a model wrote; not whole where it ran into the limit of tokens."""

    text: str
    whole: bool


class Answering:
    """The model with its weights loaded."""

    def __init__(self, model: SoundModel, questions: Mapping[Kind, str]) -> None:
        found, trained = model.found()
        self._network, self._processor = _loaded(model, found, trained)
        self._model, self._questions = model, {**QUESTIONS, **trained.questions, **questions}
        self._tokenizer: Any = self._processor.tokenizer
        import transformers

        own = self._network.generation_config.eos_token_id
        ends = own if isinstance(own, list) else [own]
        self._ends = sorted({end for end in (*ends, self._tokenizer.eos_token_id) if end is not None})
        # In place of what the checkpoint recommends for itself (penalties, top_k), of which `generate` would take the rest.
        settings: Any = transformers.GenerationConfig
        whole = self._network.get_base_model() if trained.tuned == "lora" else self._network
        whole.generation_config = settings(
            do_sample=False, max_new_tokens=model.most_tokens, eos_token_id=self._ends, pad_token_id=self._tokenizer.pad_token_id
        )
        self.longest = longest_of(self._processor)

    def answer_many(self, kind: Kind, asked: Sequence[Sequence[Sound]], seeds: Sequence[int]) -> list[str]:
        """One answer for each one or two sounds; an answer that ran into `most_tokens` is an EngineError("cut-short")."""
        answers = self.write_many(kind, asked, seeds)
        if not all(answer.whole for answer in answers):
            raise EngineError("cut-short", f"an answer ran into the limit of {self._model.most_tokens} tokens")
        return [answer.text for answer in answers]

    def write_many(self, kind: Kind, asked: Sequence[Sequence[Sound]], seeds: Sequence[int]) -> list[Answer]:
        """The same, with answers that were cut as they are."""
        return halving(list(zip(asked, seeds, strict=True)), lambda part: self._answer(kind, part))

    def close(self) -> None:
        self._network = self._processor = None
        free_memory()

    def _answer(self, kind: Kind, asked: Sequence[tuple[Sequence[Sound], int]]) -> list[Answer]:
        model = self._model
        inputs = inputs_of(self._processor, [(self._questions[kind], sounds) for sounds, _ in asked])
        inputs = inputs.to(self._network.device, dtype=self._network.dtype)
        width = inputs["input_ids"].shape[1]
        draws: Any = RowDraws([seed for _, seed in asked], model.temperature, top_p=model.top_p)
        with at_work():
            told = self._network.generate(**inputs, logits_processor=[draws])
        return [self._text(row[width:].tolist()) for row in told]

    def _text(self, tokens: list[int]) -> Answer:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        text: str = self._tokenizer.decode(tokens[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Answer(text.strip(), end is not None)


def _loaded(model: SoundModel, found: Weights, trained: Trained) -> tuple[Any, Any]:
    """The network and its processor."""
    from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

    if trained.tuned == "full":
        return load(Qwen2AudioForConditionalGeneration, found, model.placement), load_reader(Qwen2AudioProcessor, found)
    lora_versions()
    below = model.below(trained)
    network = load(Qwen2AudioForConditionalGeneration, below, model.placement)
    return with_adapter(network, found.folder), load_reader(Qwen2AudioProcessor, below)


def with_adapter(network: Any, folder: Path, *, trainable: bool = False) -> Any:
    """The network under the adapter of a folder; a weight that is missing or strange is refused."""
    from peft import PeftModel
    from safetensors import SafetensorError, safe_open

    kind: Any = PeftModel
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft asks by the older name
            adapted = kind.from_pretrained(network, folder, is_trainable=trainable, autocast_adapter_dtype=trainable)
        with safe_open(str(folder / "adapter_model.safetensors"), "pt") as file:
            held = len(list(file.keys()))
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        what = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"{folder} holds no adapter for this model: {what}") from error
    made = sum(".lora_" in name for name, _ in adapted.named_parameters())
    if held != made:
        raise InputError(f"{folder} holds {held} weights of an adapter and the model takes {made}", "the base is another model")
    return adapted if trainable else adapted.eval()
