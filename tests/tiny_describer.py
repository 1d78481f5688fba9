"""What the training of a describer needs, in the smallest form: a corpus of made sounds, a Qwen2-Audio of two seconds, an expert.

The models are of the real classes, saved and loaded as the real ones are; their ears end after two seconds instead of thirty,
which makes a step some ten times quicker and changes nothing else.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tiny_omni import _tokenizer
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import write_sound
from turnwise.listening.ratings import DIMENSIONS, Ratings
from turnwise.training.example_file import Example, Split
from turnwise.training.recipe import Recipe, read_recipe

SECONDS = 2  # that the tiny model hears
HEADER = [
    "db",
    "con",
    "file",
    "con_description",
    "filename_deg",
    "filename_ref",
    "source",
    "lang",
    "votes",
    "mos",
    "noi",
    "col",
    "dis",
    "loud",
    "noi_std",
    "col_std",
    "dis_std",
    "loud_std",
    "mos_std",
    "filepath_deg",
    "filepath_ref",
    "filter",
    "wbgn",
]


def qwen2_audio(folder: Path, *, seed: int = 0, width: int = 32, seconds: int = SECONDS) -> Path:
    """A Qwen2-Audio of two layers under ears of one."""
    import torch
    from transformers import (
        GenerationConfig,
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        WhisperFeatureExtractor,
    )

    tokenizer = tiny_tokenizer()
    number = tokenizer.convert_tokens_to_ids
    torch.manual_seed(seed)
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 128,
            "d_model": width,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 2 * width,
            "max_source_positions": 50 * seconds,
        },
        text_config=text_settings(tokenizer, width, 2),
        audio_token_index=number("<|AUDIO|>"),
    )
    model = Qwen2AudioForConditionalGeneration(config)
    with torch.no_grad():  # ears that tell sounds apart from the start; as they are born all sounds are nearly one
        for name, weight in model.model.audio_tower.named_parameters():
            if weight.dim() > 1 and "embed_positions" not in name:
                weight.normal_(0.0, 1.0 / weight[0].numel() ** 0.5)
    ends = [number("<|im_end|>"), number("<|endoftext|>")]
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=number("<|endoftext|>"))
    model.save_pretrained(folder)
    Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=128, chunk_length=seconds), tokenizer).save_pretrained(folder)
    return folder


def expert(folder: Path, *, seed: int = 1, tokenizer: Any = None) -> Path:
    """A text model of another width and another size of vocabulary, with the same tokens."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = tokenizer or tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    settings = text_settings(tokenizer, 24, 1)
    settings["vocab_size"] += 16
    torch.manual_seed(seed)
    Qwen2ForCausalLM(Qwen2Config(**settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def text_settings(tokenizer: Any, width: int, layers: int) -> dict[str, Any]:
    number = tokenizer.convert_tokens_to_ids
    return {
        "model_type": "qwen2",
        "vocab_size": len(tokenizer),
        "initializer_range": 0.1,  # so that what goes in changes what comes out from the start
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "bos_token_id": number("<|im_start|>"),
        "eos_token_id": number("<|im_end|>"),
        "pad_token_id": number("<|endoftext|>"),
        "tie_word_embeddings": False,
    }


def tiny_tokenizer() -> Any:
    return _tokenizer({}, ["<|im_start|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"])


def made_sound(mos: float, seed: int, seconds: float = 1.0) -> Sound:
    """A tone under noise: the worse it is rated, the more noise."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16000)) / 16000
    tone = 0.3 * np.sin(2 * np.pi * (120 + 40 * seed) * time)
    noise = draw.standard_normal(len(time)) * (5.0 - mos) * 0.05
    return Sound((tone + noise).astype(np.float32), 16000)


def corpus(folder: Path, parts: dict[str, int], *, seconds: float = 1.0) -> Path:
    """Parts with so many sounds each, three of every clean recording, and their tables."""
    whole: list[dict[str, Any]] = []
    for p, (part, number) in enumerate(parts.items()):
        rows = []
        for k in range(number):
            mos = round(1.2 + 3.6 * ((k * 7) % number) / max(1, number - 1), 1)
            name = f"c{k:05d}_rec{p}_{k // 3}.wav"
            write_sound(made_sound(mos, 100 * p + k, seconds), folder / part / "deg" / name)
            ratings = dict(zip(DIMENSIONS, (mos, min(5, mos + 0.2), 4.0, 4.6, 4.1), strict=True))
            rows.append(
                {
                    "db": part,
                    "con": f"{k}.0",
                    "file": k,
                    "filename_deg": name,
                    "filename_ref": f"rec{p}_{k // 3}.wav",
                    "source": "made",
                    "lang": "en",
                    "votes": 5 + k,
                    **{d: f"{value:g}" for d, value in ratings.items()},
                    **{f"{d}_std": f"{0.1 * (1 + place):.2f}" for place, d in enumerate(DIMENSIONS)},
                    "filepath_deg": f"{part}/deg/{name}",
                    "filepath_ref": f"{part}/ref/rec{p}_{k // 3}.wav",
                    "wbgn": "1.0",
                }
            )
        write_table(folder / part / f"{part}_file.csv", rows)
        whole += rows
    write_table(folder / "NISQA_corpus_file.csv", whole)
    return folder


def write_table(path: Path, rows: list[dict[str, Any]], header: list[str] = HEADER) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, restval="")
        writer.writeheader()
        writer.writerows(rows)


def tone(step: int) -> Sound:
    """One second of one pitch: something that a tiny model soon tells from others."""
    time = np.arange(15999) / 16000
    return Sound((0.3 * np.sin(2 * np.pi * 150 * 2 ** (0.7 * step) * time)).astype(np.float32), 16000)


def caption(name: str, mos: float, split: Split = "train", **more: Any) -> Example:
    """An example of the tone in `<name>.wav`."""
    ratings = Ratings(mos, mos, mos, mos, mos)
    given = {"id": name, "origins": (f"rec-{name}",), "question": "Rate it.", "answer": f"MOS: {mos}", **more}
    return Example(kind="caption", split=split, sounds=(f"{name}.wav",), ratings=(ratings,), **given)


def comparison(name: str, first: Example, second: Example) -> Example:
    """Which of the tones of two captions is better."""
    better = "SpeechA" if (first.ratings[0].mos or 0) > (second.ratings[0].mos or 0) else "SpeechB"
    return Example(
        id=name,
        kind="comparison",
        split=first.split,
        sounds=first.sounds + second.sounds,
        origins=first.origins + second.origins,
        ratings=first.ratings + second.ratings,
        question="Which is better?",
        answer=f"[{better}]",
    )


def write_examples(path: Path, examples: list[Example]) -> Path:
    """The file, and a tone for every sound in it that is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(example) + b"\n" for example in examples))
    names = sorted({sound for example in examples for sound in example.sounds})
    for step, name in enumerate(names):
        if not (path.parent / name).exists():
            made = tone(step % 8)
            if name.startswith("v"):  # held out: the same to the ear, and another file
                made = Sound(np.append(made.samples[:-1], np.float32(0.001)), made.rate)
            write_sound(made, path.parent / name)
    return path


def recipe(folder: Path, **parts: Any) -> Recipe:
    """A recipe with this folder's `base`, `expert` and `examples.jsonl`; short stages that look seldom."""
    seldom = {"validate_every": 0, "save_every": 1000}
    raw: dict[str, Any] = {"name": "tiny", "seed": 1, "workers": 0, "checkpointing": False, **parts}
    raw["model"] = {"base": str(folder / "base"), **raw.get("model", {})}
    if "sft" in raw:
        raw["sft"] = {**seldom, **raw["sft"]}
    if "alld" in raw:
        raw["alld"] = {**seldom, "reference": str(folder / "expert"), "own_tokens": 12, **raw["alld"]}
    return read_recipe(raw, "recipe", folder)


class Quiet:
    """A watcher that only counts."""

    def __init__(self) -> None:
        self.began: list[tuple[str, int, int]] = []
        self.done: list[int] = []

    def begin(self, what: str, done: int, of: int) -> None:
        self.began.append((what, done, of))

    def went(self, done: int, told: str = "") -> None:
        self.done.append(done)
