"""A trained model that hears, opened: its weights, its questions, and its answers.

Its folder is what `turnwise train describer` leaves: either a whole model, or an adapter (LoRA) with `describer.json`, which
names the model below it and the questions it was trained on. A folder or hub id without `describer.json` is taken for a whole
Qwen2-Audio, which is asked our own questions.

A process holds the weights of a model once, however many have opened it (`listen --model` rates and describes by the same one),
and lets go of them with the last. Nor is anything asked twice in a row: the last answers are kept for whoever asks the same of
the same sounds.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import canonical, digest, fingerprint
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
_KEPT = 64  # answers of a model that are kept


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
        _, trained = model.found()
        self._model, self._questions = model, {**QUESTIONS, **trained.questions, **questions}
        self._held: _Held | None = _take(model)
        self.longest = longest_of(self._held.processor)

    def answer_many(self, kind: Kind, asked: Sequence[Sequence[Sound]], seeds: Sequence[int]) -> list[str]:
        """One answer for each one or two sounds; an answer that ran into `most_tokens` is an EngineError("cut-short")."""
        answers = self.write_many(kind, asked, seeds)
        if not all(answer.whole for answer in answers):
            raise self.cut_short()
        return [answer.text for answer in answers]

    def write_many(self, kind: Kind, asked: Sequence[Sequence[Sound]], seeds: Sequence[int]) -> list[Answer]:
        """The same, with answers that were cut as they are."""
        held = self._opened()
        keys = [self._key(kind, sounds, seed) for sounds, seed in zip(asked, seeds, strict=True)]
        known = {key: held.answers[key] for key in keys if key in held.answers}
        new = {key: (sounds, seed) for key, sounds, seed in zip(keys, asked, seeds, strict=True) if key not in known}
        if new:
            written = halving(list(new.values()), lambda part: self._answer(held, kind, part))
            known |= zip(new, written, strict=True)
            held.keep({key: known[key] for key in new})
        return [known[key] for key in keys]

    def cut_short(self) -> EngineError:
        """What to say of an answer that has no end."""
        return EngineError("cut-short", f"an answer ran into the limit of {self._model.most_tokens} tokens")

    def close(self) -> None:
        """Let go of the weights; may be called twice."""
        if self._held is not None:
            _leave(self._held)
            self._held = None

    def _opened(self) -> _Held:
        if self._held is None:
            raise ValueError("the model is closed")
        return self._held

    def _key(self, kind: Kind, sounds: Sequence[Sound], seed: int) -> str:
        """Name of all that shapes an answer beside the weights."""
        model = self._model
        drawn = (model.temperature, model.top_p, seed) if model.temperature else ()
        heard = [part for sound in sounds for part in (digest(sound.samples.tobytes()), sound.rate)]
        return fingerprint(self._questions[kind], model.most_tokens, *drawn, *heard)

    def _answer(self, held: _Held, kind: Kind, asked: Sequence[tuple[Sequence[Sound], int]]) -> list[Answer]:
        model = self._model
        inputs = inputs_of(held.processor, [(self._questions[kind], sounds) for sounds, _ in asked])
        inputs = inputs.to(held.network.device, dtype=held.network.dtype)
        width = inputs["input_ids"].shape[1]
        draws: Any = RowDraws([seed for _, seed in asked], model.temperature, top_p=model.top_p)
        with at_work():
            told = held.network.generate(**inputs, max_new_tokens=model.most_tokens, logits_processor=[draws])
        return [held.text(row[width:].tolist()) for row in told]


class _Held:
    """A network and its processor, and for how many they are held."""

    def __init__(self, model: SoundModel, name: str) -> None:
        found, trained = model.found()
        self.name = name
        self.users = 1
        self.answers: OrderedDict[str, Answer] = OrderedDict()
        self.network, self.processor = _loaded(model, found, trained)
        self._tokenizer: Any = self.processor.tokenizer
        import transformers

        own = self.network.generation_config.eos_token_id
        ends = own if isinstance(own, list) else [own]
        self._ends = sorted({end for end in (*ends, self._tokenizer.eos_token_id) if end is not None})
        # In place of what the checkpoint recommends for itself (penalties, top_k), of which `generate` would take the rest.
        settings: Any = transformers.GenerationConfig
        whole = self.network.get_base_model() if trained.tuned == "lora" else self.network
        whole.generation_config = settings(do_sample=False, eos_token_id=self._ends, pad_token_id=self._tokenizer.pad_token_id)

    def keep(self, answers: Mapping[str, Answer]) -> None:
        self.answers.update(answers)
        while len(self.answers) > _KEPT:
            self.answers.popitem(last=False)

    def text(self, tokens: list[int]) -> Answer:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        text: str = self._tokenizer.decode(tokens[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Answer(text.strip(), end is not None)


_open: dict[str, _Held] = {}  # by the name of their files, their place and their numbers
_taking = threading.Lock()


def _take(model: SoundModel) -> _Held:
    """The weights, loaded where nobody holds them yet."""
    name = fingerprint(canonical(dict(model.identity())), model.placement.on())
    with _taking:
        held = _open.get(name)
        if held is None:
            held = _open[name] = _Held(model, name)
        else:
            held.users += 1
        return held


def _leave(held: _Held) -> None:
    with _taking:
        held.users -= 1
        if held.users:
            return
        del _open[held.name]
        held.network = held.processor = None
    free_memory()


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
