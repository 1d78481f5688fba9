"""Tiny audio models, saved as the real ones are: Qwen2.5-Omni, Qwen3-Omni, Qwen2-Audio; and a head that says what it is told.

Their weights are larger than usual at birth, so that what goes in changes what comes out.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tiny_models import byte_vocabulary

# The form of Qwen's templates, reduced to words and sound.
TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}BOS_MARKSOUND_MARKEOS_MARK{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ROPE = {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 1e6}
_LAYERS = {"num_attention_heads": 2, "num_key_value_heads": 1, "hidden_size": 32}


def qwen25_omni(folder: Path, *, limit: int = 4096, template: str = TEMPLATE, seed: int = 0) -> Path:
    """Thinker, talker, vocoder and two voices, in the layout of the hub."""
    import torch
    from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

    names = {
        "image_token": "<|IMAGE|>",
        "audio_token": "<|AUDIO|>",
        "video_token": "<|VIDEO|>",
        "vision_bos_token": "<|vision_bos|>",
        "vision_eos_token": "<|vision_eos|>",
        "audio_bos_token": "<|audio_bos|>",
        "audio_eos_token": "<|audio_eos|>",
    }
    tokenizer = _tokenizer(names, ["<|im_start|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eos>"])
    number = tokenizer.convert_tokens_to_ids
    codes = 64  # what the talker may say; its marks follow
    shared = {
        "audio_token_index": number("<|AUDIO|>"),
        "image_token_index": number("<|IMAGE|>"),
        "video_token_index": number("<|VIDEO|>"),
        "audio_start_token_id": number("<|audio_bos|>"),
        "audio_end_token_id": number("<|audio_eos|>"),
        "vision_start_token_id": number("<|vision_bos|>"),
        "vision_end_token_id": number("<|vision_eos|>"),
    }
    text = {
        **_LAYERS,
        "vocab_size": len(tokenizer),
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "max_position_embeddings": limit,
        "tie_word_embeddings": False,
        "bos_token_id": number("<|im_start|>"),
        "eos_token_id": number("<|im_end|>"),
        "pad_token_id": number("<|endoftext|>"),
        "rope_parameters": _ROPE,
    }
    thinker = {
        "audio_config": {
            "num_mel_bins": 128,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "d_model": 32,
            "output_dim": 32,
            "n_window": 100,
        },
        "vision_config": {
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        "text_config": text,
        "user_token_id": number("user"),
        "pad_token_id": number("<|endoftext|>"),
        **shared,
    }
    talker = {
        **_LAYERS,
        "vocab_size": codes + 8,
        "tts_text_start_token_id": number("<tts_text_bos>"),
        "tts_text_end_token_id": number("<tts_text_eos>"),
        "tts_text_pad_token_id": number("<tts_pad>"),
        "tts_codec_pad_token_id": codes,
        "tts_codec_start_token_id": codes + 1,
        "tts_codec_end_token_id": codes + 2,
        "tts_codec_mask_token_id": codes + 4,
        "embedding_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "pad_token_id": codes,
        "rope_parameters": _ROPE,
        **shared,
    }
    vocoder = {
        "dit_config": {
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "head_dim": 16,
            "emb_dim": 16,
            "num_embeds": codes + 8,
            "look_ahead_layers": [0],
            "look_backward_layers": [0],
            "enc_emb_dim": 16,
            "enc_dim": 8,
            "enc_channels": [16, 16, 16, 16, 48],
            "enc_attention_channels": 8,
            "enc_se_channels": 8,
            "enc_res2net_scale": 2,
            "mel_dim": 80,
        },
        "bigvgan_config": {"mel_dim": 80, "upsample_initial_channel": 64},
    }
    torch.manual_seed(seed)
    config = Qwen2_5OmniConfig(thinker_config=thinker, talker_config=talker, token2wav_config=vocoder, enable_audio_output=True)
    model = Qwen2_5OmniForConditionalGeneration(config)
    _draw(model.thinker, seed)
    _draw(model.talker, seed)
    _draw(model.token2wav.code2wav_dit_model, seed)
    _draw_vocoder(model.token2wav.code2wav_bigvgan_model, seed)
    with torch.no_grad():
        model.talker.codec_head.weight[codes:] = 0.0  # marks are unlikely, so that something is spoken
    model.save_pretrained(folder)
    voices = {
        name: {"cond": torch.randn(1, 16), "ref_mel": torch.randn(1, 30, 80), "bos_token": number(mark)}
        for name, mark in (("Chelsie", "<tts_text_bos>"), ("Ethan", "<tts_pad>"))
    }
    torch.save(voices, folder / "spk_dict.pt")
    _save_processor(folder, tokenizer, _marked(template, "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"), seconds=300)
    return folder


def qwen3_omni(folder: Path, *, seed: int = 0) -> Path:
    """A mixture of experts that thinks and one that talks, with three voices."""
    import torch
    from transformers import Qwen3OmniMoeConfig, Qwen3OmniMoeForConditionalGeneration

    names = {
        "image_token": "<|image_pad|>",
        "audio_token": "<|audio_pad|>",
        "video_token": "<|video_pad|>",
        "vision_bos_token": "<|vision_start|>",
        "vision_eos_token": "<|vision_end|>",
        "audio_bos_token": "<|audio_start|>",
        "audio_eos_token": "<|audio_end|>",
    }
    tokenizer = _tokenizer(names, ["<|im_start|>", "<tts_pad>", "<tts_bos>", "<tts_eos>"])
    number = tokenizer.convert_tokens_to_ids
    experts = {
        **_LAYERS,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "head_dim": 16,
        "rope_parameters": {**_ROPE, "mrope_interleaved": True},
    }
    books, entries = 4, 64
    codes = entries + 1024  # the last 1024 of the talker's numbers are marks that it is kept from saying
    shared = {
        "audio_token_id": number("<|audio_pad|>"),
        "image_token_id": number("<|image_pad|>"),
        "video_token_id": number("<|video_pad|>"),
        "audio_start_token_id": number("<|audio_start|>"),
    }
    thinker = {
        "audio_config": {
            "num_mel_bins": 128,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "d_model": 32,
            "output_dim": 32,
            "downsample_hidden_size": 8,
        },
        "vision_config": {
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 16,
        },
        "text_config": {**experts, "vocab_size": len(tokenizer), "eos_token_id": number("<|im_end|>")},
        "user_token_id": number("user"),
        "vision_start_token_id": number("<|vision_start|>"),
        "vision_end_token_id": number("<|vision_end|>"),
        "audio_end_token_id": number("<|audio_end|>"),
        **shared,
    }
    talker = {
        "text_config": {**experts, "vocab_size": codes, "shared_expert_intermediate_size": 32},
        "code_predictor_config": {
            **_LAYERS,
            "vocab_size": entries,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "head_dim": 16,
            "num_code_groups": books,
        },
        "num_code_groups": books,
        "thinker_hidden_size": 32,
        "accept_hidden_layer": 1,
        "codec_pad_id": entries,
        "codec_bos_id": entries + 1,
        "codec_eos_token_id": entries + 2,
        "codec_nothink_id": entries + 7,
        "codec_think_bos_id": entries + 8,
        "codec_think_eos_id": entries + 9,
        "speaker_id": {"chelsie": entries + 20, "ethan": entries + 21, "aiden": entries + 22},
        "vision_start_token_id": number("<|vision_start|>"),
        "spatial_merge_size": 2,
        **shared,
    }
    vocoder = {
        "codebook_size": entries,
        "hidden_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_quantizers": books,
        "decoder_dim": 96,
    }
    torch.manual_seed(seed)
    config = Qwen3OmniMoeConfig(
        thinker_config=thinker,
        talker_config=talker,
        code2wav_config=vocoder,
        im_start_token_id=number("<|im_start|>"),
        im_end_token_id=number("<|im_end|>"),
        tts_pad_token_id=number("<tts_pad>"),
        tts_bos_token_id=number("<tts_bos>"),
        tts_eos_token_id=number("<tts_eos>"),
        system_token_id=number("system"),
        user_token_id=number("user"),
        assistant_token_id=number("assistant"),
    )
    model = Qwen3OmniMoeForConditionalGeneration(config)
    _draw(model.thinker, seed)
    _draw(model.talker, seed)
    _draw_vocoder(model.code2wav, seed)
    model.save_pretrained(folder)
    _save_processor(folder, tokenizer, _marked(TEMPLATE, "<|audio_start|>", "<|audio_pad|>", "<|audio_end|>"), seconds=30)
    return folder


def qwen2_audio(folder: Path, *, seed: int = 0) -> Path:
    """Ears of 30 s and a text model; it cannot speak. The template is the one its processor brings."""
    import torch
    from transformers import (
        GenerationConfig,
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        WhisperFeatureExtractor,
    )

    tokenizer = _tokenizer({}, ["<|im_start|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"])
    number = tokenizer.convert_tokens_to_ids
    text = {
        **_LAYERS,
        "model_type": "qwen2",
        "vocab_size": len(tokenizer),
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    }
    sound = {
        "model_type": "qwen2_audio_encoder",
        "num_mel_bins": 128,
        "d_model": 32,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
    }
    torch.manual_seed(seed)
    config = Qwen2AudioConfig(audio_config=sound, text_config=text, audio_token_index=number("<|AUDIO|>"))
    model = Qwen2AudioForConditionalGeneration(config)
    _draw(model, seed)
    model.generation_config = GenerationConfig(
        eos_token_id=[number("<|im_end|>"), number("<|endoftext|>")], pad_token_id=number("<|endoftext|>")
    )
    model.save_pretrained(folder)
    Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=128), tokenizer).save_pretrained(folder)
    return folder


class Script:
    """Stands in for a head: whatever the model thinks, these tokens come, one per step."""

    def __init__(self, tokens: list[int], size: int) -> None:
        self._tokens, self._size, self._step = tokens, size, 0

    def __call__(self, hidden: Any) -> Any:
        import torch

        scores = torch.zeros(*hidden.shape[:-1], self._size, dtype=torch.float32)
        scores[..., self._tokens[min(self._step, len(self._tokens) - 1)]] = 1000.0
        self._step += 1
        return scores


def _draw(model: Any, seed: int) -> None:
    """Weights for all matrices; the library leaves some of Qwen3-Omni's as the memory happened to be."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.dim() > 1:
                weight.normal_(0.0, 0.3, generator=generator)


def _draw_vocoder(model: Any, seed: int) -> None:
    """Weights that keep a sound about as strong as what made it; as they are born, nothing would be left of it in 16 bits."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.dim() > 1:
                weight.normal_(0.0, 0.7 / weight[0].numel() ** 0.5, generator=generator)
            elif name.endswith("gamma"):
                weight.fill_(1.0)


def edited(folder: Path, target: Path, name: str, **changes: Any) -> Path:
    """A copy of a checkpoint with one of its JSON files changed."""
    shutil.copytree(folder, target)
    path = target / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return target


def _tokenizer(named: dict[str, str], others: list[str]) -> Any:
    """Bytes, and each role as one token, as the models of this family look for."""
    from transformers import Qwen2Tokenizer

    vocabulary, merges = byte_vocabulary(), []
    for word in ("user", "assistant", "system"):
        grown = word[0]
        for letter in word[1:]:
            if (grown, letter) not in merges:
                merges.append((grown, letter))
            grown += letter
            vocabulary.setdefault(grown, len(vocabulary))
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=named or others,
    )
    if named:
        tokenizer.add_special_tokens({"extra_special_tokens": others}, replace_extra_special_tokens=False)
    return tokenizer


def _marked(template: str, begin: str, sound: str, end: str) -> str:
    return template.replace("BOS_MARK", begin).replace("SOUND_MARK", sound).replace("EOS_MARK", end)


def _save_processor(folder: Path, tokenizer: Any, template: str, *, seconds: int) -> None:
    """As on the hub: one file for eyes and ears, one for the template."""
    from transformers import WhisperFeatureExtractor

    WhisperFeatureExtractor(feature_size=128, chunk_length=seconds, return_attention_mask=True).save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    eyes = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    path.write_text(json.dumps({**json.loads(path.read_text()), **eyes}))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    tokenizer.save_pretrained(folder)
