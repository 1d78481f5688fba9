"""Tiny checkpoints with random weights, saved as the real ones are: whisper, csm, vits and a chat model.

Their weights are larger than usual at birth, so that what goes in changes what comes out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

WHISPER_LANGUAGES = ("en", "zh", "de", "es")


def tone(seconds: float, rate: int = 16000, seed: int = 0) -> Sound:
    """Three partials under a slow envelope, with some noise; another seed is another sound."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitches = draw.uniform(90, 3000, 3)
    samples = sum(0.2 * np.sin(2 * np.pi * pitch * time + draw.uniform(0, 6)) for pitch in pitches)
    samples = samples * 0.5 * (1 + np.sin(2 * np.pi * draw.uniform(2, 6) * time)) + 0.01 * draw.standard_normal(len(time))
    return Sound(np.asarray(samples, dtype=np.float32), rate)


def byte_vocabulary() -> dict[str, int]:
    """The 256 characters that byte-level tokenizers write bytes with."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = [chr(byte) for byte in plain] + [chr(256 + place) for place in range(len(others))]
    return {letter: number for number, letter in enumerate(sorted(letters))}


def whisper(folder: Path, *, multilingual: bool = True, seed: int = 0) -> Path:
    """A Whisper of two layers with four languages."""
    import torch
    from tokenizers import AddedToken
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    languages = [f"<|{name}|>" for name in WHISPER_LANGUAGES]
    # Their order matters: the end of the text first, the timestamps last and without gaps.
    specials = ["<|endoftext|>", "<|startoftranscript|>", *languages, "<|translate|>", "<|transcribe|>", "<|startoflm|>"]
    specials += ["<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    vocabulary = byte_vocabulary()
    vocabulary["<|endoftext|>"] = len(vocabulary)
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=[], pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"extra_special_tokens": specials})
    tokenizer.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", special=False, normalized=False) for i in range(1501)])
    number = {name: tokenizer.convert_tokens_to_ids(name) for name in specials}
    end = number["<|endoftext|>"]
    WhisperProcessor(WhisperFeatureExtractor(feature_size=80), tokenizer).save_pretrained(folder)
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer),
            num_mel_bins=80,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            init_std=0.6,
            pad_token_id=end,
            bos_token_id=end,
            eos_token_id=end,
            decoder_start_token_id=number["<|startoftranscript|>"],
        )
    )
    settings: dict[str, Any] = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": number["<|startoftranscript|>"],
        "is_multilingual": multilingual,
        "no_timestamps_token_id": number["<|notimestamps|>"],
        "prev_sot_token_id": number["<|startofprev|>"],
        "max_initial_timestamp_index": 50,
        "max_length": 24,
        "return_timestamps": False,
    }
    if multilingual:
        settings["lang_to_id"] = {name: number[name] for name in languages}
        settings["task_to_id"] = {"translate": number["<|translate|>"], "transcribe": number["<|transcribe|>"]}
    model.generation_config = GenerationConfig(**settings)
    model.save_pretrained(folder)
    return folder


CSM_TEMPLATE = """
{%- for message in messages %}
    {%- if not (message['role'] is string and message['role'].isdigit()) %}
        {{- raise_exception("the role must be digits") }}
    {%- endif %}
    {%- set kinds = message['content'] | map(attribute='type') | list %}
    {%- if not loop.last and kinds != ['text', 'audio'] %}
        {{- raise_exception("every message but the last must be one text and one audio") }}
    {%- endif %}
    {{- bos_token + '[' + message['role'] + ']' + message['content'][0]['text'] + eos_token }}
    {%- if kinds | length > 1 %}
        {{- '<|AUDIO|><|audio_eos|>' }}
    {%- endif %}
{%- endfor %}
"""


def csm(folder: Path, *, limit: int = 2048, entries: int = 32, seed: int = 0) -> Path:
    """A CSM with four codebooks and its codec (1920 samples a frame, as the real one); with two entries it soon ends."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CsmConfig,
        CsmForConditionalGeneration,
        CsmProcessor,
        EncodecFeatureExtractor,
        GenerationConfig,
        MimiConfig,
        PreTrainedTokenizerFast,
    )

    words = Tokenizer(models.BPE(vocab=byte_vocabulary(), merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<|begin_of_text|>",
        eos_token="<|end_of_text|>",
        pad_token="<|end_of_text|>",
        extra_special_tokens=["<|AUDIO|>", "<|audio_eos|>"],
    )
    ears = EncodecFeatureExtractor(feature_size=1, sampling_rate=24000, padding_value=0.0)
    CsmProcessor(ears, tokenizer, chat_template=CSM_TEMPLATE).save_pretrained(folder)
    audio, audio_end = tokenizer.convert_tokens_to_ids(["<|AUDIO|>", "<|audio_eos|>"])
    books, width = 4, 32
    small = {"hidden_size": width, "num_attention_heads": 2, "head_dim": 16}
    codec = MimiConfig(
        hidden_size=width,
        num_filters=4,
        codebook_size=entries,
        codebook_dim=16,
        vector_quantization_hidden_dimension=16,
        num_quantizers=books,
        num_hidden_layers=1,
        intermediate_size=width,
        num_attention_heads=2,
        num_key_value_heads=2,
        upsample_groups=32,
        sliding_window=32,
    )
    depth = {
        **small,
        "num_codebooks": books,
        "backbone_hidden_size": width,
        "vocab_size": entries + 3,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_key_value_heads": 1,
        "max_position_embeddings": books + 1,
    }
    torch.manual_seed(seed)
    model = CsmForConditionalGeneration(
        CsmConfig(
            **small,
            num_codebooks=books,
            vocab_size=entries + 3,
            text_vocab_size=len(tokenizer),
            intermediate_size=64,
            num_hidden_layers=2,
            num_key_value_heads=1,
            max_position_embeddings=limit,
            initializer_range=0.3,
            pad_token_id=audio,
            codebook_pad_token_id=entries + 2,
            codebook_eos_token_id=0,
            bos_token_id=tokenizer.bos_token_id,
            audio_token_id=audio,
            audio_eos_token_id=audio_end,
            depth_decoder_config=depth,
            codec_config=codec.to_dict(),
        )
    )
    with torch.no_grad():  # a codec is born with all its sounds alike
        for name, values in model.codec_model.named_buffers():
            if name.endswith("embed_sum"):
                values.normal_()
    model.generation_config = GenerationConfig(
        do_sample=True, max_new_tokens=125, temperature=0.96, bos_token_id=tokenizer.bos_token_id, pad_token_id=audio
    )
    model.depth_decoder.generation_config = GenerationConfig(do_sample=True, temperature=0.96)
    model.save_pretrained(folder)
    return folder


def vits(folder: Path, *, speakers: int = 1, seed: int = 0) -> Path:
    """A VITS that knows small letters, the blank and the apostrophe: no digits, as the MMS voices."""
    import json

    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = ["|", *"abcdefghijklmnopqrstuvwxyz", " ", "'", "-", "<unk>"]
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    tokenizer = VitsTokenizer(
        str(folder / "vocab.json"), pad_token="|", unk_token="<unk>", language="eng", add_blank=True, phonemize=False
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    model = VitsModel(
        VitsConfig(
            vocab_size=len(letters),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            ffn_dim=16,
            flow_size=16,
            spectrogram_bins=9,
            prior_encoder_num_flows=1,
            prior_encoder_num_wavenet_layers=1,
            posterior_encoder_num_wavenet_layers=1,
            wavenet_dilation_rate=1,
            upsample_initial_channel=16,
            upsample_rates=[8, 8],
            upsample_kernel_sizes=[16, 16],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
            duration_predictor_num_flows=1,
            duration_predictor_filter_channels=16,
            duration_predictor_tail_bound=5.0,
            depth_separable_num_layers=1,
            num_speakers=speakers,
            speaker_embedding_size=8 if speakers > 1 else 0,
            sampling_rate=16000,
        )
    )
    model.save_pretrained(folder)
    return folder


CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{%- if message['role'] == 'system' and not loop.first %}{{ raise_exception('a system message must come first') }}{% endif %}"
    "<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}<|assistant|>{% if enable_thinking is defined and not enable_thinking %}<|quiet|>{% endif %}"
    "{%- endif %}"
)


def chat(folder: Path, *, limit: int = 512, template: str | None = CHAT_TEMPLATE, seed: int = 0) -> Path:
    """A Llama of two layers that reads bytes and a few marks."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.BPE(vocab=byte_vocabulary(), merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token="<|end|>",
        extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>", "<|quiet|>"],
        chat_template=template,
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=limit,
            initializer_range=0.5,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, do_sample=True, temperature=0.6, top_p=0.9)
    model.save_pretrained(folder)
    return folder


def without_weight(folder: Path, target: Path, key: str) -> Path:
    """A copy of a checkpoint that lacks one weight."""
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, target)
    weights = load_file(folder / "model.safetensors")
    del weights[key]
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def largest(samples: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """The largest difference of two sounds; infinite where their lengths differ."""
    return float(np.abs(samples - others).max()) if samples.shape == others.shape else float("inf")
