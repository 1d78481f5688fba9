"""Weights of models that run in our own processes: where they are, what they are called, and how they are loaded.

`find_weights("org/name")` looks into the Hugging Face cache (`HF_HUB_CACHE`, else `HF_HOME`/hub), `find_weights("./folder")` into
a folder. Nothing is ever downloaded: what is absent is an `InputError` that says how to get it, so that no run waits for a
network by accident and offline work needs no switch. `load(model_class, weights, placement)` gives the model, in evaluation mode,
on its device. Weights load from safetensors only, without code of their repository, at full precision unless asked otherwise; a
model of which the files lack a single weight is refused, as it would be a random one in part.

    found = find_weights(model, revision)                   # InputError when absent
    place = placement("csm", device, dtype, quantization)   # checks the options; asks no hardware
    identity = {**found.identity(), **place.identity(), **versions("torch", "transformers")}
    network, processor = load(CsmForConditionalGeneration, found, place), load_reader(CsmProcessor, found)
    with at_work(), seeded(seed):                           # no gradients, no chatter; no memory is an EngineError; draws
        network.generate(...)                               # outside stay as they are

`halving(items, work)` does a batch, and where memory does not hold it, in halves down to single items: never with less in each.
`free_memory()` after the last reference to a model is gone gives its memory back.

An identity names the files of a model, their sizes, the whole content of those up to 64 MiB, and of larger ones the first
megabyte (where safetensors keeps names, types and shapes) and 64 pieces of 4 KiB spread over the rest: a few megabytes are read
of a model of any size. Weights that were trained further differ in nearly every piece; a change of a few numbers may go unseen.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import fingerprint

INSTALL = 'pip install "turnwise[local]"'
DTYPES = ("auto", "float32", "bfloat16", "float16")
QUANTIZATIONS = ("", "4bit")

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_WHOLE = 64 << 20  # bytes; files up to this size are named by their whole content
_HEAD = 1 << 20
_PIECES, _PIECE = 64, 4096
# What a model is made of. Read-me files, pictures and the like may change without changing any result.
_PARTS = frozenset((".json", ".jinja", ".txt", ".model", ".tiktoken", ".safetensors", ".bin", ".pt", ".npy", ".npz"))
_NO_PARTS = frozenset(("trainer_state.json", "training_args.bin"))

Item = TypeVar("Item")
Made = TypeVar("Made")


class Weights(msgspec.Struct, frozen=True):
    """A model's files on this machine."""

    model: str  # as the user names it
    folder: Path
    revision: str = ""  # commit, where the cache of the hub knows it

    def parts(self) -> tuple[Path, ...]:
        """The files that make the model, in order of their names."""
        inside = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        parts = (p for p in inside if p.suffix in _PARTS and p.name not in _NO_PARTS and not any(n[0] == "." for n in p.parts))
        return tuple(sorted(self.folder / part for part in parts))

    def identity(self) -> dict[str, str]:
        """What these weights are; two folders with the same files are the same."""
        named = (f"{path.relative_to(self.folder).as_posix()} {_content(path)}" for path in self.parts())
        return {"weights": fingerprint(*named), **({"revision": self.revision} if self.revision else {})}


class Placement(msgspec.Struct, frozen=True):
    """Where a model computes, and in which numbers."""

    device: str
    dtype: str
    quantization: str

    def on(self) -> str:
        """The device, decided."""
        return ("cuda" if cuda_here() else "cpu") if self.device == "auto" else self.device

    def numbers(self) -> str:
        """The type of numbers, decided: bfloat16 on a GPU, float32 elsewhere, unless asked otherwise."""
        return ("float32" if self.on() == "cpu" else "bfloat16") if self.dtype == "auto" else self.dtype

    def identity(self) -> dict[str, str]:
        """The numbers and the kind of device; which of several GPUs it is changes no result."""
        extra = {"quantization": self.quantization, **versions("bitsandbytes")} if self.quantization else {}
        return {"numbers": f"{self.numbers()} on {self.on().partition(':')[0]}", **extra}


def placement(who: str, device: str = "auto", dtype: str = "auto", quantization: str = "") -> Placement:
    """The placement of these options, checked by form only; `who` names the plug-in in messages."""
    if not _DEVICE.fullmatch(device):
        raise InputError(f"{who}: device is {device!r}, expected 'auto', 'cpu', 'cuda' or 'cuda:1'")
    if dtype not in DTYPES:
        raise InputError(f"{who}: dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
    if quantization not in QUANTIZATIONS:
        raise InputError(f"{who}: quantization is {quantization!r}, expected '' (none) or '4bit'")
    return Placement(device, dtype, quantization)


def find_weights(model: str, revision: str = "main") -> Weights:
    """The files of a folder or of a hub id; nothing is downloaded."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any(path.suffix in _PARTS for path in folder.iterdir()):
            raise InputError(f"the folder {model} holds no model", "expected config.json and *.safetensors in it")
        return Weights(model, folder)
    if not _HUB_ID.fullmatch(model):
        raise InputError(f"the folder {model} does not exist", "give the folder of a model, or its id on the Hugging Face hub")
    fetch = f"hf download {model}" + ("" if revision == "main" else f" --revision {revision}")
    place = _hub_cache() / f"models--{model.replace('/', '--')}"
    name = place / "refs" / revision
    commit = name.read_text(encoding="utf-8").strip() if name.is_file() else revision
    snapshot = place / "snapshots" / commit
    if not snapshot.is_dir():
        what = model if revision == "main" else f"revision {revision} of {model}"
        raise InputError(
            f"{what} is neither a folder nor in the Hugging Face cache {_hub_cache()}",
            f"download it once: {fetch} (older: huggingface-cli download {model}), or give the folder it is in",
        )
    found = Weights(model, snapshot, commit)
    lacking = _lacking_shards(found)
    if lacking:
        raise InputError(f"{model} is not complete in the Hugging Face cache: {lacking[0]} is missing", f"finish it: {fetch}")
    return found


def versions(*packages: str) -> dict[str, str]:
    """Versions of packages by name; one that is absent is a MissingDependency."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise MissingDependency(package, f"pip install {package}" if package == "bitsandbytes" else INSTALL) from None
    return found


@functools.cache
def cuda_here() -> bool:
    """Whether torch can use a GPU; told without importing it where it was built for the CPU alone."""
    if versions("torch")["torch"].endswith("+cpu"):
        return False
    import torch

    return bool(torch.cuda.is_available())


def load(model_class: Any, weights: Weights, placement: Placement, *, may_lack: Sequence[str] = (), **settings: Any) -> Any:
    """The model of this class (of transformers) with these weights, ready to be asked.

    `may_lack` are patterns of weights that the files need not hold because the model does not use them; `settings` go to
    `from_pretrained`.
    """
    import torch
    from safetensors import SafetensorError

    device = torch.device(placement.on())
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {placement.device!r} was asked for and torch finds no GPU here", "device = 'cpu' or 'auto'")
    if device.type != "cpu":
        # Straight to where it belongs: the memory of the host need not hold it all.
        settings.setdefault("device_map", {"": placement.on()})
    if placement.quantization:
        versions("bitsandbytes", "accelerate")
        settings["quantization_config"] = _four_bits()
        settings.setdefault("device_map", {"": placement.on()})
    try:
        with memory_guard(), _quiet():  # not `at_work`: weights made without gradients could never be trained
            network, told = model_class.from_pretrained(
                weights.folder,
                dtype=getattr(torch, placement.numbers()),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **settings,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        what = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"{weights.model} cannot be loaded as {model_class.__name__}: {what}") from error
    absent = [key for key in told["missing_keys"] if not any(re.search(pattern, key) for pattern in may_lack)]
    if absent:
        raise InputError(
            f"{weights.model} lacks {len(absent)} of the weights of {type(network).__name__}, among them {min(absent)}",
            "the files belong to another kind of model or are not complete; what is missing would have been random",
        )
    return network.eval()


def load_reader(reader_class: Any, weights: Weights, **settings: Any) -> Any:
    """What turns text and sound into numbers for the model: a tokenizer or processor (of transformers) from the same files."""
    try:
        with _quiet():
            return reader_class.from_pretrained(weights.folder, trust_remote_code=False, local_files_only=True, **settings)
    except (OSError, ValueError, KeyError, ImportError) as error:
        what = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"{weights.model} has no usable {reader_class.__name__}: {what}") from error


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws inside depend on the seed alone, and leave those outside as they were, on every device."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def memory_guard() -> Iterator[None]:
    """Memory that does not suffice is an EngineError("out-of-memory"); what it was for is not made smaller."""
    try:
        yield
    except MemoryError as error:
        raise EngineError("out-of-memory", "the memory of this machine does not suffice") from error
    except RuntimeError as error:
        if not _is_memory(error):
            raise
        raise EngineError("out-of-memory", str(error).strip().partition("\n")[0][:300]) from error


@contextmanager
def at_work() -> Iterator[None]:
    """Around every use of a model: no gradients, memory errors as EngineErrors, no chatter of the library on standard error."""
    import torch

    with torch.inference_mode(), memory_guard(), _quiet():
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """No chatter and no bars of the library, unless TRANSFORMERS_VERBOSITY asks for them."""
    import transformers

    logging: Any = transformers.utils.logging
    if os.environ.get("TRANSFORMERS_VERBOSITY"):
        yield
        return
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def halving(items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Made]]) -> list[Made]:
    """What `work` makes of all items at once, or of halves of them where the memory does not hold all.

    Only for work whose results do not depend on which items are done together.
    """
    try:
        with memory_guard():
            return list(work(items))
    except EngineError as error:
        if error.cause != "out-of-memory" or len(items) < 2:
            raise
    free_memory()
    middle = len(items) // 2
    return [*halving(items[:middle], work), *halving(items[middle:], work)]


def _is_memory(error: RuntimeError) -> bool:
    import torch

    said = str(error).lower()  # the allocator of the CPU, and libraries beside torch, have no class of their own
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(word in said for word in words)


def free_memory() -> None:
    """Give back what no model holds any more; to be called after the last reference to it is gone."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _four_bits() -> Any:
    import torch
    import transformers

    settings: Any = transformers.BitsAndBytesConfig
    return settings(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_use_double_quant=True
    )


def _hub_cache() -> Path:
    """Where the Hugging Face hub keeps what it downloaded."""
    environment = os.environ
    home = environment.get("HF_HOME") or Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.path.expandvars(environment.get("HF_HUB_CACHE") or Path(home) / "hub")).expanduser()


def _lacking_shards(weights: Weights) -> list[str]:
    """Files that an index names and that are not there, as after a download that was stopped."""
    if not weights.parts():
        return ["config.json"]
    lacking: set[str] = set()
    for index in weights.folder.glob("*.safetensors.index.json"):
        try:
            shards = msgspec.json.decode(index.read_bytes())["weight_map"].values()
        except (msgspec.DecodeError, OSError, KeyError, AttributeError, TypeError):
            return [index.name]
        lacking |= {shard for shard in shards if not (weights.folder / shard).is_file()}
    return sorted(lacking)


def _content(path: Path) -> str:
    size = path.stat().st_size
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        if size <= _WHOLE:
            state.update(file.read())
        else:
            state.update(file.read(_HEAD))
            for number in range(_PIECES):
                file.seek(_HEAD + (size - _HEAD - _PIECE) * number // (_PIECES - 1))
                state.update(file.read(_PIECE))
    return f"{size} {state.hexdigest()}"
