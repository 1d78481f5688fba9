"""The processor of an audio model: its chat template, its tokenizer and its ears.

The processors of the Qwen Omni models have eyes as well, and those need torchvision. A spoken dialogue has nothing to be seen,
so they are loaded without: what they make of words and sound is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from turnwise.foundation.audio import Samples
from turnwise.foundation.errors import InputError
from turnwise.speech.weights import Weights

_WITH_EYES = {"qwen2_5_omni": "Qwen2_5OmniProcessor", "qwen3_omni_moe": "Qwen3OmniMoeProcessor"}  # by type of model
_MARKS = ("image", "audio", "video")  # what the processors take from their tokenizer: a token each, its number, and its borders
_BORDERS = ("vision_bos_token", "vision_eos_token", "audio_bos_token", "audio_eos_token")


def load_processor(weights: Weights, model_type: str) -> Any:
    """The processor that lies beside these weights; batches are padded on the left, where nothing is generated."""
    import transformers

    eyed = _WITH_EYES.get(model_type)
    kind = _without_eyes(getattr(transformers, eyed)) if eyed else transformers.AutoProcessor
    try:
        processor = kind.from_pretrained(weights.folder, local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        raise InputError(f"the processor of {weights.model} needs a package that is not installed: {_line(error)}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the processor of {weights.model} cannot be loaded: {_line(error)}") from error
    if getattr(processor, "tokenizer", None) is None or not getattr(ears(processor), "sampling_rate", 0):
        raise InputError(f"{weights.model} is no model of words and sound: its processor lacks a tokenizer or ears")
    processor.tokenizer.padding_side = "left"
    return processor


def ears(processor: Any) -> Any:
    """The part that makes features of sound; None where there is none."""
    return getattr(processor, "feature_extractor", None) or getattr(processor, "audio_processor", None)


def padding(processor: Any, sounds: Sequence[Samples]) -> dict[str, Any]:
    """How this processor is to fill up a batch.

    Qwen2.5-Omni's ears fill every clip up to 300 s, which takes most of a second per clip, and the model drops what was filled up
    before anything else. A second beyond the longest clip gives the same features to the last bit.
    """
    if not sounds:
        return {"padding": True}
    ear = ears(processor)
    hearing = {"sampling_rate": int(ear.sampling_rate)}
    if type(processor).__name__ in _WITH_EYES.values():
        longest = max(len(samples) for samples in sounds) + int(ear.sampling_rate)
        hearing["max_length"] = min(longest, int(ear.n_samples))
    return {"padding": True, "audio_kwargs": hearing}


def _without_eyes(kind: Any) -> Any:
    """The same processor for words and sound alone. The library reads off `__init__` which parts to load."""
    from transformers import ProcessorMixin

    plain: Any = ProcessorMixin

    def start(self: Any, feature_extractor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
        plain.__init__(self, feature_extractor, tokenizer, chat_template=chat_template)
        for name in (*(f"{m}_token" for m in _MARKS), *(f"{m}_token_id" for m in _MARKS), *_BORDERS):
            setattr(self, name, getattr(tokenizer, name))

    def names(self: Any) -> list[str]:
        inputs = [*self.tokenizer.model_input_names, *self.feature_extractor.model_input_names, "feature_attention_mask"]
        return list(dict.fromkeys(inputs))

    # Older versions read the size of a patch even where there is no picture.
    blind = SimpleNamespace(merge_size=2)
    parts = {"__init__": start, "model_input_names": property(names), "image_processor": blind, "video_processor": blind}
    return type(kind.__name__, (kind,), parts)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
