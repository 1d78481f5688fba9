"""Whisper: OpenAI's recogniser of many languages, in any of its sizes, in this process.

A sound of up to 30 s is heard in one piece; a longer one by the model's own walk from timestamp to timestamp, so that nothing is
left out. Sounds are resampled to 16 kHz. What is heard is the likeliest text (temperature 0). Where a piece of it looks wrong,
the sound is heard again by itself, by the model's own fallback through the temperatures of `fallback` (0.2, 0.4, 0.6, 0.8, 1.0),
drawn from the clip's own seed, and the note of the result says so: it repeats itself (it packs better than `most_repetition`:
1.35 for transformers, 2.4 for faster-whisper, which packs letters), or the mean log-probability of its tokens is below
`least_certainty` (-1.0). `fallback = []` keeps the likeliest text. A result does not depend on what else was heard in the same
batch.

Options: `model` is a folder or a hub id such as "openai/whisper-large-v3", with `revision`; there is no default, as sizes differ
by a factor of forty. `engine`: "transformers"; "faster-whisper" (CTranslate2; `model` is then a converted folder, its hub id, or
one of its sizes, "large-v3"); "auto" takes the second for what only it can read. `language` ("en"; "" lets the model tell it
from the sound). `batch` (8) sounds at a time (faster-whisper hears one by one, and loads its model anew to hear again).
`device`, `dtype` (see docs/local_models.md).

Limits: the model learnt from subtitles and may write such lines for music, noise or silence. Silent clips never come here;
silence within a clip does. In coarse numbers a GPU may round a batch otherwise than a single sound. A long sound in which the
model's timestamps do not move on is an error "no-progress".

Needs `pip install "turnwise[local]"`, for the second engine also `pip install faster-whisper`, and the weights:
`hf download openai/whisper-large-v3`. Licence of OpenAI's weights: MIT in their repository, Apache-2.0 on the hub.
"""

from __future__ import annotations

import gc
import importlib.util
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnwise.foundation.audio import Samples, Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.foundation.resampling import resample
from turnwise.speech.engine import Heard, Hearing, Listening, Material
from turnwise.speech.weights import (
    Placement,
    Weights,
    at_work,
    find_weights,
    free_memory,
    halving,
    load,
    load_reader,
    memory_guard,
    placement,
    seeded,
    versions,
)

RATE = 16000  # samples per second, of every size
PIECE = 30 * RATE  # samples the model takes at once
AGAIN = "heard again with sampling: the likeliest text repeated itself or was uncertain"
# How much better than its length a text may pack; the one engine packs token numbers, the other letters, so the scales differ.
REPETITION = {"transformers": 1.35, "faster-whisper": 2.4}
_WHOLE = {"truncation": False, "padding": "longest"}

Engine = Literal["transformers", "faster-whisper"]


def recognizer(
    model: str,
    revision: str = "main",
    engine: str = "auto",
    language: str = "en",
    fallback: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0),
    most_repetition: float | None = None,
    least_certainty: float = -1.0,
    batch: int = 8,
    device: str = "auto",
    dtype: str = "auto",
) -> Whisper:
    if engine not in ("auto", "transformers", "faster-whisper"):
        raise InputError(f"whisper: engine is {engine!r}, expected 'auto', 'transformers' or 'faster-whisper'")
    if any(not 0.0 < step <= 2.0 for step in fallback) or list(fallback) != sorted(fallback):
        raise InputError(f"whisper: fallback is {list(fallback)}, expected rising temperatures above 0, at most 2")
    if batch < 1:
        raise InputError(f"whisper: batch is {batch}, expected at least 1")
    place = placement("whisper", device, dtype)
    return Whisper(model, revision, engine, language, tuple(fallback), most_repetition, least_certainty, batch, place)


class Whisper(msgspec.Struct, frozen=True):
    """The recogniser with its options settled."""

    model: str
    revision: str
    engine: str
    language: str
    fallback: tuple[float, ...]
    most_repetition: float | None
    least_certainty: float
    batch: int
    placement: Placement
    adapts: bool = False

    @property
    def place(self) -> Place:
        return "device"

    def identity(self) -> Mapping[str, str]:
        engine, found = self.settled()
        packages = ("faster-whisper", "ctranslate2") if engine == "faster-whisper" else ("torch", "transformers", "tokenizers")
        return {
            "shared": lineage(__file__),
            "engine": engine,
            **found.identity(),
            **self.placement.identity(),
            **versions(*packages, "numpy", "soxr"),
        }

    def open(self, material: Material) -> Hearing:
        engine, found = self.settled()
        return FasterHearing(self, found) if engine == "faster-whisper" else WhisperHearing(self, found)

    def settled(self) -> tuple[Engine, Weights]:
        """Which engine it is, and its weights."""
        if not Path(self.model).expanduser().exists() and "/" not in self.model and self.engine != "transformers":
            _need_faster(self.model)
            return "faster-whisper", _size(self.model)
        found = find_weights(self.model, self.revision)
        converted = (found.folder / "model.bin").is_file() and not any(found.folder.glob("*.safetensors"))
        if self.engine == "transformers" or not (converted or self.engine == "faster-whisper"):
            return "transformers", found
        _need_faster(self.model)
        return "faster-whisper", found

    def repetition(self, engine: Engine) -> float:
        return REPETITION[engine] if self.most_repetition is None else self.most_repetition


class WhisperHearing:
    """The recogniser through transformers, its weights loaded."""

    def __init__(self, whisper: Whisper, found: Weights) -> None:
        versions("torch", "transformers")
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        self.batch = whisper.batch
        self._whisper = whisper
        self._network = load(WhisperForConditionalGeneration, found, whisper.placement)
        self._processor: Any = load_reader(WhisperProcessor, found)
        self._asked = _asked(self._network.generation_config, whisper)

    def hear(self, sound: Sound, *, dialogue: str, seed: int) -> Heard:
        return self.hear_many([Listening(sound, dialogue, seed)])[0]

    def hear_many(self, sounds: Sequence[Listening]) -> list[Heard]:
        samples = [_samples(listening.sound) for listening in sounds]
        heard: dict[int, Heard] = {}
        # Short and long sounds go different ways through the model, so they never share a batch.
        for long in (False, True):
            places = [place for place, one in enumerate(samples) if (len(one) > PIECE) is long]
            work = self._long if long else self._short
            heard.update(zip(places, halving([samples[place] for place in places], work) if places else (), strict=True))
        for place, listening in enumerate(sounds):
            if heard[place].note:
                heard[place] = self._again(samples[place], listening.seed)
        return [heard[place] for place in range(len(sounds))]

    def close(self) -> None:
        self._network = self._processor = None
        free_memory()

    def _short(self, sounds: Sequence[Samples]) -> list[Heard]:
        """Sounds of one piece. Each is filled up to 30 s by itself, so a batch changes none of them."""
        import torch

        with at_work():
            return self._likeliest(torch.cat([self._features(samples) for samples in sounds]), {})

    def _long(self, sounds: Sequence[Samples]) -> list[Heard]:
        """Sounds of several pieces. Features are made of each by itself; the mask says where a row of the batch ends."""
        import torch

        with at_work():
            rows = [self._features(samples, **_WHOLE)[0] for samples in sounds]
            longest = max(row.shape[-1] for row in rows)
            features = torch.stack([torch.nn.functional.pad(row, (0, longest - row.shape[-1])) for row in rows])
            lengths = torch.tensor([row.shape[-1] for row in rows], device=features.device)
            mask = (torch.arange(longest, device=features.device) < lengths[:, None]).long()
            return self._likeliest(features, {"return_timestamps": True, "attention_mask": mask})

    def _likeliest(self, features: Any, more: Mapping[str, Any]) -> list[Heard]:
        """The texts at temperature 0, with a note where the model's own fallback would go on."""
        asked = {**self._asked, **more, "temperature": 0.0, "monitor_progress": _Walk()}
        if not self._whisper.fallback:
            return [Heard(self._text(row)) for row in self._network.generate(features, **asked)]
        # A threshold that nothing falls below: it makes the model tell its scores, and changes nothing.
        told = self._network.generate(features, **asked, logprob_threshold=-math.inf, return_segments=True)
        made = []
        for row, segments in zip(told["sequences"], told["segments"], strict=True):
            pieces = {id(segment["result"]): segment["result"] for segment in segments}.values()
            made.append(Heard(self._text(row), AGAIN if any(self._doubtful(piece) for piece in pieces) else ""))
        return made

    def _again(self, samples: Samples, seed: int) -> Heard:
        """By the model's own fallback, alone and from the sound's own seed."""
        long = len(samples) > PIECE
        with at_work(), seeded(seed):
            told = self._network.generate(
                self._features(samples, **(_WHOLE if long else {})),
                **self._asked,
                **({"return_timestamps": True} if long else {}),
                temperature=(0.0, *self._whisper.fallback),
                compression_ratio_threshold=self._whisper.repetition("transformers"),
                logprob_threshold=self._whisper.least_certainty,
                monitor_progress=_Walk(),
            )
        return Heard(self._text(told[0]), AGAIN)

    def _features(self, samples: Samples, **settings: Any) -> Any:
        given = self._processor.feature_extractor(samples, sampling_rate=RATE, return_tensors="pt", **settings)
        return given["input_features"].to(self._network.device, self._network.dtype)

    def _text(self, tokens: Any) -> str:
        text: str = self._processor.tokenizer.decode(tokens, skip_special_tokens=True)
        return text.strip()

    def _doubtful(self, piece: Any) -> bool:
        """Whether the model's own fallback would not leave this piece as it is."""
        import torch

        scores = piece["scores"]
        tokens = piece["sequences"][len(piece["sequences"]) - len(scores) :]
        ends = (tokens == self._network.generation_config.eos_token_id).nonzero()
        tokens = tokens[: int(ends[0]) + 1] if len(ends) else tokens
        logits = torch.stack(list(scores[: len(tokens)])).float()
        certainty = torch.log_softmax(logits, dim=-1).gather(-1, tokens.to(logits.device)[:, None]).mean()
        width = int(math.log2(self._network.config.vocab_size) / 8) + 1
        text = b"".join(token.to_bytes(width, "little") for token in tokens.tolist())
        repetition = len(text) / len(zlib.compress(text))
        return repetition > self._whisper.repetition("transformers") or bool(certainty < self._whisper.least_certainty)


class FasterHearing:
    """The recogniser through CTranslate2, its weights loaded; one sound at a time."""

    batch = 1

    def __init__(self, whisper: Whisper, found: Weights) -> None:
        self._whisper = whisper
        self._found = found
        self._network = self._loaded()
        known = self._network.supported_languages
        if whisper.language and whisper.language not in known:
            raise InputError(f"{whisper.model} does not know the language {whisper.language!r}", f"it knows: {', '.join(known)}")

    def hear(self, sound: Sound, *, dialogue: str, seed: int) -> Heard:
        import ctranslate2  # type: ignore[import-not-found]

        whisper = self._whisper
        samples = _samples(sound)
        pieces = self._told(self._network, samples, [0.0])
        most = whisper.repetition("faster-whisper")
        doubtful = any(piece.compression_ratio > most or piece.avg_logprob < whisper.least_certainty for piece in pieces)
        if not (whisper.fallback and doubtful):
            return Heard(_joined(pieces))
        # Its generator takes the seed once, when a model is loaded, and goes on through everything that is heard.
        ctranslate2.set_random_seed(seed % 2**32)
        return Heard(_joined(self._told(self._loaded(), samples, [0.0, *whisper.fallback])), AGAIN)

    def hear_many(self, sounds: Sequence[Listening]) -> list[Heard]:
        return [self.hear(one.sound, dialogue=one.dialogue, seed=one.seed) for one in sounds]

    def close(self) -> None:
        self._network = None
        gc.collect()

    def _loaded(self) -> Any:
        from faster_whisper import WhisperModel  # type: ignore[import-not-found]

        place = self._whisper.placement
        device, _, number = place.on().partition(":")
        try:
            return WhisperModel(
                str(self._found.folder), device=device, device_index=int(number or 0), compute_type=place.numbers()
            )
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{self._whisper.model} cannot be loaded by faster-whisper: {error}") from error

    def _told(self, network: Any, samples: Samples, temperatures: list[float]) -> list[Any]:
        with memory_guard():
            pieces, _ = network.transcribe(
                samples,
                language=self._whisper.language or None,
                task="transcribe",
                beam_size=1,
                temperature=temperatures,
                compression_ratio_threshold=self._whisper.repetition("faster-whisper"),
                log_prob_threshold=self._whisper.least_certainty,
                no_speech_threshold=None,
                condition_on_previous_text=False,
                vad_filter=False,
            )
            return list(pieces)


class _Walk:
    """Watches a walk through long sounds: a model that goes on from where it stands would do so for ever."""

    def __init__(self) -> None:
        self._stood: Any = None

    def __call__(self, places: Any) -> None:
        """`places`: for each sound the frame it has come to and the frames it has."""
        if self._stood is not None and bool(((places[:, 0] == self._stood) & (places[:, 0] < places[:, 1])).any()):
            raise EngineError("no-progress", "a piece of a long sound ends where it begins, by the model's own timestamps")
        self._stood = places[:, 0].clone()


def _asked(config: Any, whisper: Whisper) -> dict[str, Any]:
    """What every request of the model says, after its files were asked what it can do."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    language = whisper.language.lower()
    language = TO_LANGUAGE_CODE.get(language, language)
    if not getattr(config, "is_multilingual", True):
        if language not in ("", "en"):
            raise InputError(f"{whisper.model} hears English only, not {whisper.language!r}", "name a model without '.en'")
        return {}
    known = [name.strip("<|>") for name in getattr(config, "lang_to_id", ())]
    if not known:
        raise InputError(
            f"generation_config.json of {whisper.model} names no languages", "it is older than its weights' use here"
        )
    if language and language not in known:
        raise InputError(
            f"{whisper.model} does not know the language {whisper.language!r}", f"it knows: {', '.join(sorted(known))}"
        )
    return {"task": "transcribe", "language": language or None}


def _samples(sound: Sound) -> Samples:
    if not len(sound.samples):
        raise EngineError("empty-audio", "a sound to be heard has no samples")
    return resample(sound, RATE).samples


def _need_faster(model: str) -> None:
    if importlib.util.find_spec("faster_whisper") is None:
        raise MissingDependency(
            "faster-whisper", f"pip install faster-whisper, which {model!r} needs; or name a hub id with owner"
        )


def _joined(pieces: Sequence[Any]) -> str:
    return "".join(piece.text for piece in pieces).strip()


def _size(name: str) -> Weights:
    """The files of one of faster-whisper's own sizes, where they were downloaded."""
    from faster_whisper import available_models, download_model
    from huggingface_hub.errors import LocalEntryNotFoundError

    if name not in available_models():
        raise InputError(
            f"faster-whisper has no size {name!r}", f"sizes: {', '.join(available_models())}; or a hub id with its owner"
        )
    try:
        folder = download_model(name, local_files_only=True)
    except LocalEntryNotFoundError:
        fetch = f"python -c \"import faster_whisper; faster_whisper.download_model('{name}')\""
        raise InputError(f"faster-whisper's {name} is not in the Hugging Face cache", f"download it once: {fetch}") from None
    return Weights(name, Path(folder), Path(folder).name)
