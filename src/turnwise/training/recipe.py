"""A recipe: every knob of the training of a describer, with its reason, read from TOML; every mistake is named.

Two stages, in this order, each optional: `sft`, supervised fine-tuning on texts that an expert language model wrote from ratings;
then `alld`, the preference objective of training/alld.py, whose reference is a frozen text model that reads the ratings. Defaults
are the published settings where they are known (Qwen2-Audio-7B, ICLR 2025), else named as ours.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnwise.endpoints.endpoint import Endpoint, resolved
from turnwise.foundation.catalog import check_options
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import canonical, fingerprint
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.preference import TIE
from turnwise.listening.sound_questions import Kind
from turnwise.training.kept_models import Rule

# Temperature and top_p of the five caption files of the published recipe.
VARIANTS: dict[str, tuple[float, float]] = {
    "base": (1.0, 0.9),
    "t0.9-p0.85": (0.9, 0.85),
    "t0.9-p0.95": (0.9, 0.95),
    "t1.1-p0.85": (1.1, 0.85),
    "t1.1-p0.95": (1.1, 0.95),
}
STAGES = ("sft", "alld")
LARGEST = 1 << 20  # bytes; a recipe is written by hand
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rated speech, and the texts about it."""

    examples: str = "examples.jsonl"  # the items: made by `turnwise train data`, or brought by you
    corpus: str = ""  # the NISQA corpus folder; needed only where items are to be made
    train: tuple[str, ...] = ("NISQA_TRAIN_SIM",)
    validation: tuple[str, ...] = ("NISQA_VAL_SIM",)  # none: `held_out` of the recordings of `train` are held out instead
    held_out: float = 0.1
    captions: int | None = None  # sounds to be described per part of the split, drawn by the seed; all where not given
    comparisons: int = 0  # pairs of sounds to be compared, of the training side; the published file has 10,000
    validation_comparisons: int = 0
    variants: tuple[str, ...] = ("base",)  # samplings; the published training used all five, each on the same sounds
    describer: str = "template"  # who writes the texts; "language_model" is the published way
    options: dict[str, Any] = {}
    tries: int = 3  # a text that contradicts its ratings is written again, this often in all, then left out
    tie: float = 0.1  # pairs whose overall ratings differ by no more are not drawn: listeners' means are not that exact
    endpoints: dict[str, Endpoint] = {}


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is trained, and how much of it."""

    base: str = "Qwen/Qwen2-Audio-7B-Instruct"
    revision: str = "main"
    tune: Literal["lora", "full"] = "lora"  # full is published; LoRA fits one GPU of 40 GB, full needs several
    ears: bool = False  # whether the audio encoder is trained too (full only); ours: it hears well, and is half as costly frozen
    rank: int = 16  # of LoRA; ours
    alpha: int = 32  # LoRA's changes are scaled by alpha / rank
    dropout: float = 0.05  # before LoRA's first matrix
    # Modules that LoRA changes: every linear layer of the language model, none of the ears.
    targets: str = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both stages have."""

    kinds: tuple[Kind, ...] = ("caption", "comparison")  # of the items that are learned
    variants: tuple[str, ...] = ()  # of the samplings, all where none is named
    epochs: float = 2.0
    batch: int = 4  # items that one process computes at once; published: 4 in sft, 1 in alld
    accumulate: int = 1  # batches per step and process; items per step = processes x batch x accumulate
    rate: float = 1e-5  # the highest learning rate; published, for full tuning. LoRA wants ten times as much
    warmup: float = 0.1  # share of the steps in which the rate rises from nothing; published for alld
    floor: float = 0.0  # the rate falls along a cosine to this share of the highest
    decay: float = 0.0  # of weights, decoupled (AdamW)
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0  # longest gradient
    validate_every: int = 100  # steps; 0 only at the end
    validate_items: int = 500  # held-out items, drawn by the seed; published: 100 and 500
    save_every: int = 100  # steps between checkpoints; what a crash costs at most
    keep: int = 2  # checkpoints that are kept
    # Which weights become the stage's model: those of the validation with the lowest loss, or those of the last step (published).
    # Both are kept. Where training does not overfit they are the same.
    export: Rule = "best"


class Sft(Stage, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Supervised fine-tuning: the loss is the mean over all tokens of the answers, not of the questions."""


class Alld(Stage, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Alignment with the expert."""

    epochs: float = 1.0
    batch: int = 1  # pairs; each is two answers
    reference: str = "Qwen/Qwen2-7B-Instruct"  # must have the same text tokens as the model that is trained
    reference_revision: str = "main"
    reference_batch: int = 8  # answers read at once by the reference, before training begins
    beta: float = 0.1  # how strongly the reference holds; published
    # Log-probabilities per token instead of per answer. Published: sums. A reproduction saw sums collapse, and took means with
    # beta 0.4.
    length_norm: bool = False
    own_temperature: float = 1.0  # the model's own answers, which are the ones not preferred, are drawn at this temperature
    own_top_p: float = 0.9
    own_tokens: int = 256  # longest own answer
    own_batch: int = 8


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides what a training gives."""

    name: str
    seed: int
    data: Data = Data()
    model: Model = Model()
    sft: Sft | None = None
    alld: Alld | None = None
    start: str = ""  # the folder of an earlier training to go on from; "" begins with the base
    # auto: bf16 on a GPU, fp32 on a CPU. Published: fp16, which overflows more easily.
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpointing: bool = True  # forget activations and compute them again: a third more work for several times less memory
    workers: int = 2  # threads that prepare sounds while the model computes
    track: tuple[Literal["tensorboard", "wandb"], ...] = ()  # beside log.jsonl, which is always written

    def stage(self, name: str) -> Stage:
        found = {"sft": self.sft, "alld": self.alld}[name]
        if found is None:
            raise InputError(f"the recipe {self.name!r} has no stage [{name}]")
        return found

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(name for name in STAGES if getattr(self, name) is not None)


def load_recipe(path: Path) -> Recipe:
    """The recipe in a file; its relative paths start at the file's folder."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST >> 20} MiB; that is no recipe")
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise InputError(f"{path}: not TOML: {error}") from error
    return read_recipe(raw, str(path), path.resolve().parent)


def read_recipe(raw: Any, name: str, folder: Path = Path()) -> Recipe:
    """A recipe from plain values; `name` says in errors where they come from."""
    try:
        recipe = msgspec.convert(raw, Recipe)
    except msgspec.ValidationError as error:
        raise _explained(str(error), name) from error
    wrong = [*_wrong(recipe)]
    if wrong:
        raise InputError(f"{name}: {'; '.join(wrong)}")
    _check_describer(recipe.data, name)
    data = msgspec.structs.replace(
        recipe.data,
        examples=str(folder / recipe.data.examples),
        corpus=str(folder / Path(recipe.data.corpus).expanduser()) if recipe.data.corpus else "",
    )
    model = msgspec.structs.replace(recipe.model, base=_place(recipe.model.base, folder))
    alld = recipe.alld and msgspec.structs.replace(recipe.alld, reference=_place(recipe.alld.reference, folder))
    start = str(folder / Path(recipe.start).expanduser()) if recipe.start else ""
    return msgspec.structs.replace(recipe, data=data, model=model, alld=alld, start=start)


def training_digest(recipe: Recipe) -> str:
    """Name of what decides the weights."""
    return fingerprint(canonical(decisive(recipe)))


def decisive(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe decides the weights: all but where the items come from, how often is saved, and who watches."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(recipe))
    for key in ("name", "data", "workers", "track"):
        del plain[key]
    for stage in recipe.stages:
        # Where the best weights are chosen, how often and at what is looked decides which these are.
        looking = ("validate_every", "validate_items") if plain[stage]["export"] == "last" else ()
        for key in ("save_every", "keep", *looking):
            del plain[stage][key]
    return plain


def _place(model: str, folder: Path) -> str:
    """A model's folder relative to the recipe, where it is one; else a hub id, as it is."""
    path = folder / Path(model).expanduser()
    return str(path) if model.startswith((".", "/", "~")) or path.is_dir() else model


def _wrong(recipe: Recipe) -> list[str]:
    """What cannot be, each in a few words."""
    data, model = recipe.data, recipe.model
    wrong: list[str] = []

    def require(fine: bool, text: str) -> None:
        if not fine:
            wrong.append(text)

    require(bool(_NAME.fullmatch(recipe.name)), f"name: {recipe.name[:40]!r}: letters, digits and ._- only, 64 at most")
    require(bool(recipe.stages), "no stage: expected [sft], [alld] or both")
    require(0 <= recipe.workers <= 64, f"workers: expected 0 to 64, got {recipe.workers}")
    require(bool(data.train), "data.train: expected at least one part of the corpus")
    common = sorted(set(data.train) & set(data.validation))
    require(not common, f"data.validation: {', '.join(common)} is also trained on")
    require(0 < data.held_out < 1, f"data.held_out: expected a share between 0 and 1, got {data.held_out:g}")
    require(data.captions is None or data.captions >= 0, f"data.captions: expected at least 0, got {data.captions}")
    for key in ("comparisons", "validation_comparisons"):
        require(getattr(data, key) >= 0, f"data.{key}: expected at least 0, got {getattr(data, key)}")
    require(bool(data.variants), f"data.variants: expected at least one of {', '.join(VARIANTS)}")
    require(1 <= data.tries <= 100, f"data.tries: expected 1 to 100, got {data.tries}")
    # Below the margin of a describer its comparisons say that neither is better.
    require(TIE <= data.tie <= 4, f"data.tie: expected {TIE:g} to 4, got {data.tie:g}")
    for place, variants in (("data", data.variants), *((s, recipe.stage(s).variants) for s in recipe.stages)):
        for variant in variants:
            require(variant in VARIANTS, f"{place}.variants: {variant!r} is none of {', '.join(VARIANTS)}")
        require(len(set(variants)) == len(variants), f"{place}.variants: one is named twice")
    require(1 <= model.rank <= 1024, f"model.rank: expected 1 to 1024, got {model.rank}")
    require(model.alpha >= 1, f"model.alpha: expected at least 1, got {model.alpha}")
    require(0 <= model.dropout < 1, f"model.dropout: expected 0 to below 1, got {model.dropout:g}")
    require(not (model.ears and model.tune == "lora"), "model.ears: only full tuning trains the ears")
    try:
        re.compile(model.targets)
    except re.error as error:
        wrong.append(f"model.targets: not a regular expression: {error}")
    for name in recipe.stages:
        wrong += _wrong_stage(name, recipe.stage(name))
    if recipe.alld is not None:
        require(0 < recipe.alld.beta <= 100, f"alld.beta: expected above 0, at most 100, got {recipe.alld.beta:g}")
        require(recipe.alld.own_temperature > 0, f"alld.own_temperature: expected above 0, got {recipe.alld.own_temperature:g}")
        require(0 < recipe.alld.own_top_p <= 1, f"alld.own_top_p: expected above 0, at most 1, got {recipe.alld.own_top_p:g}")
        for key in ("own_tokens", "own_batch", "reference_batch"):
            require(getattr(recipe.alld, key) >= 1, f"alld.{key}: expected at least 1, got {getattr(recipe.alld, key)}")
    return wrong


def _wrong_stage(name: str, stage: Stage) -> list[str]:
    bounds: dict[str, tuple[bool, str]] = {
        "kinds": (bool(stage.kinds), "at least one of caption, comparison"),
        "epochs": (0 < stage.epochs <= 1000, "above 0, at most 1000"),
        "batch": (stage.batch >= 1, "at least 1"),
        "accumulate": (stage.accumulate >= 1, "at least 1"),
        "rate": (0 < stage.rate < 1, "above 0, below 1"),
        "warmup": (0 <= stage.warmup < 1, "0 to below 1"),
        "floor": (0 <= stage.floor <= 1, "0 to 1"),
        "decay": (stage.decay >= 0, "at least 0"),
        "betas": (all(0 <= beta < 1 for beta in stage.betas), "both 0 to below 1"),
        "clip": (stage.clip > 0, "above 0"),
        "validate_every": (stage.validate_every >= 0, "at least 0"),
        "validate_items": (stage.validate_items >= 1, "at least 1"),
        "save_every": (stage.save_every >= 1, "at least 1"),
        "keep": (stage.keep >= 1, "at least 1"),
    }
    return [f"{name}.{key}: expected {what}, got {getattr(stage, key)!r}" for key, (fine, what) in bounds.items() if not fine]


def _check_describer(data: Data, name: str) -> None:
    """The writer exists, takes its options, and is where they say."""
    try:
        factory = DESCRIBERS.factory(data.describer)
        check_options(factory, data.options, f"describer {data.describer!r}")
        endpoint = data.options.get("endpoint")
        if isinstance(endpoint, str) and endpoint:
            resolved(endpoint, data.endpoints)
    except InputError as error:
        raise InputError(f"{name}: data.describer: {error.message}", error.hint) from error


def _explained(message: str, name: str) -> InputError:
    """msgspec's message with the key path in front and the nearest known key behind."""
    text, _, path = message.partition(" - at `")
    place = path.rstrip("`").removeprefix("$").strip(".")
    unknown = re.search(r"unknown field `(.*)`", text)
    hint = ""
    if unknown:
        kind: Any = {"data": Data, "model": Model, "sft": Sft, "alld": Alld}.get(place, Recipe)
        kind = Endpoint if place.startswith("data.endpoints") else kind
        known = list(kind.__struct_fields__)
        close = difflib.get_close_matches(unknown[1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        text = f"unknown key {unknown[1]!r}"
    return InputError(f"{name}: {place + ': ' if place else ''}{text}", hint)
