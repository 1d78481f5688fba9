"""One step of training a describer: seconds, tokens per second, memory, and the share of what the machine could compute.

    python benchmarks/training_step.py                                   # a tiny shape on this CPU
    python benchmarks/training_step.py --shape 7b --batch 4 --tune lora  # the shape of Qwen2-Audio-7B, random weights, on a GPU

The model has the configuration of Qwen2-Audio-7B and random weights: how long a step takes depends on shapes, not on what was
learned. Every row hears `--seconds` of made sound and answers with `--answer` tokens. The step is the trainer's own: its scorer
with gradient checkpointing, its loss, clipping and AdamW. `--objective alld` scores two answers per sound; `--batch` are sounds.

Floating-point operations are counted from shapes: 2 per weight and position forward, twice that backward (once where the
weights are frozen: LoRA), forward once more for checkpointing, attention beside it. `--peak` is the dense bf16 peak of the
device in teraflops (H100 and H200 SXM: 989); without it no share is told. Last line: a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

from turnwise.training.alld import alld_losses, scorer
from turnwise.training.audio_batches import NOTHING
from turnwise.training.recipe import Model

SOUND_TOKENS_PER_SECOND = 25
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "audio": {"d_model": 64, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 128},
        "text": {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 1024,
        },
    },
    "7b": {
        "audio": {"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120},
        "text": {
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "vocab_size": 156032,
        },
    },
}


def built(shape: str, tune: str, device: torch.device, checkpointing: bool) -> tuple[Any, Any]:
    """The whole network with random weights, and what is trained of it."""
    parts = SHAPES[shape]
    text = {"model_type": "qwen2", "max_position_embeddings": 8192, "tie_word_embeddings": False, **parts["text"]}
    audio = {"model_type": "qwen2_audio_encoder", "num_mel_bins": 128, "max_source_positions": 1500, **parts["audio"]}
    config = Qwen2AudioConfig(audio_config=audio, text_config=text, audio_token_index=parts["text"]["vocab_size"] - 1)
    config.use_cache = False
    frozen = torch.bfloat16 if device.type == "cuda" and tune == "lora" else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(frozen)
    try:
        with device:
            network: Any = Qwen2AudioForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    if checkpointing:
        newer = getattr(network, "activation_checkpointing_enable", None)
        (newer or network.gradient_checkpointing_enable)({"use_reentrant": False})
    if tune == "full":
        network.model.audio_tower.requires_grad_(False)
        return network, network
    import warnings

    from peft import LoraConfig, get_peft_model

    knobs = Model()
    settings: Any = LoraConfig(r=knobs.rank, lora_alpha=knobs.alpha, lora_dropout=knobs.dropout, target_modules=knobs.targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return network, get_peft_model(network, settings)


def batch_of(network: Any, rows: int, seconds: float, question: int, answer: int, device: torch.device) -> tuple[Any, Any]:
    """Random sounds and words, with the labels of an answer."""
    frames = round(100 * seconds)
    sound = ((frames - 1) // 2 + 1 - 2) // 2 + 1
    vocabulary = network.config.text_config.vocab_size
    words = torch.randint(0, vocabulary - 1, (rows, question + sound + answer), device=device)
    words[:, question : question + sound] = network.config.audio_token_id
    labels = words.clone()
    labels[:, : question + sound] = NOTHING
    mask = torch.zeros(rows, 3000, dtype=torch.long, device=device)
    mask[:, :frames] = 1
    inputs = {
        "input_ids": words,
        "attention_mask": torch.ones_like(words),
        "input_features": torch.randn(rows, 128, 3000, device=device),
        "feature_attention_mask": mask,
    }
    return inputs, labels


def operations(network: Any, rows: int, length: int, answer: int, tune: str, checkpointing: bool) -> float:
    """Floating-point operations of one step, from shapes alone."""
    text, audio = network.config.text_config, network.config.audio_config
    layers = sum(weight.numel() for weight in network.model.language_model.layers.parameters())
    attention = 4.0 * text.num_hidden_layers * text.hidden_size * length / 2  # per position, causal
    ears = sum(weight.numel() for weight in network.model.audio_tower.layers.parameters())
    # Forward, backward through activations, gradients of weights, forward again.
    passes = 1.0 + 1.0 + (1.0 if tune == "full" else 0.0) + (1.0 if checkpointing else 0.0)
    words = rows * length * (2.0 * layers + attention) * passes
    hearing = rows * 1500 * (2.0 * ears + 4.0 * audio.encoder_layers * audio.d_model * 1500)  # frozen: forward alone
    head = rows * (answer + 1) * 2.0 * text.hidden_size * text.vocab_size * (3.0 if tune == "full" else 2.0)
    return words + hearing + head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--tune", choices=["lora", "full"], default="lora")
    parser.add_argument("--objective", choices=["sft", "alld"], default="sft")
    parser.add_argument("--batch", type=int, default=2, help="sounds per step")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each sound; NISQA's are 6 to 12")
    parser.add_argument("--question", type=int, default=90, help="tokens")
    parser.add_argument("--answer", type=int, default=120, help="tokens")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--no-checkpointing", action="store_true")
    parser.add_argument("--peak", type=float, help="teraflops of the device, dense bf16")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    checkpointing = not given.no_checkpointing
    network, trained = built(given.shape, given.tune, device, checkpointing)
    score = scorer(trained).train()
    weights = [weight for weight in trained.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-5)
    rows = given.batch * (2 if given.objective == "alld" else 1)
    inputs, labels = batch_of(network, rows, given.seconds, given.question, given.answer, device)

    def step() -> float:
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            sums, tokens = score(inputs, labels)
        if given.objective == "alld":
            reference = torch.full((given.batch,), -100.0, device=device)
            loss = alld_losses(*sums.chunk(2), reference, reference, beta=0.1).losses.mean()
        else:
            loss = -(sums / tokens).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {float(loss)}")
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    first = step()  # finds kernels and makes the optimizer's state
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = statistics.median(step() for _ in range(given.steps))
    length = labels.shape[1]
    done = operations(network, rows, length, given.answer, given.tune, checkpointing)
    found = {
        "shape": given.shape,
        "tune": given.tune,
        "objective": given.objective,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "trained": sum(weight.numel() for weight in weights),
        "rows": rows,
        "positions per row": length,
        "first step, s": round(first, 4),
        "step, s": round(seconds, 4),
        "sounds per s": round(given.batch / seconds, 2),
        "tokens per s": round(rows * length / seconds, 1),
        "teraflops": round(done / seconds / 1e12, 4),
        "memory, GiB": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None,
        "share of peak": round(done / seconds / 1e12 / given.peak, 3) if given.peak else None,
    }
    for name, value in found.items():
        if value is not None:
            print(f"{name}: {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
