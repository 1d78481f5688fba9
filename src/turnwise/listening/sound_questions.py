"""What a model that hears is asked about the quality of a sound: the questions, and how they and the sounds become its input.

Training and use go through this file, so that a trained model is asked as it was taught. One sound is described, two are
compared; the first of two is SpeechA. A model hears at one rate and no longer than its ears are (30 s for Qwen2-Audio), and its
own processor cuts what is longer without a word: here it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from turnwise.foundation.audio import Samples, Sound
from turnwise.foundation.errors import EngineError
from turnwise.foundation.resampling import resample
from turnwise.speech.special_marks import broken_up

Kind = Literal["caption", "comparison"]
SOUNDS: dict[Kind, int] = {"caption": 1, "comparison": 2}  # how many each question is about
QUESTIONS: dict[Kind, str] = {
    "caption": (
        "Evaluate the quality of this speech recording. Describe its noise, its coloration, its discontinuity and its loudness, "
        "say what they do to the whole, and end with the overall quality as a number from 1 to 5, as in: MOS: 3.2"
    ),
    "comparison": (
        "The first recording is SpeechA, the second is SpeechB. Compare them in the one to three of noise, coloration, "
        "discontinuity and loudness in which they differ most, say which one is better overall and why, and end with "
        "[SpeechA], [SpeechB], or [Tie] if neither is better."
    ),
}


def rate_of(processor: Any) -> int:
    """Samples per second that the model hears."""
    return int(processor.feature_extractor.sampling_rate)


def longest_of(processor: Any) -> float:
    """Seconds that the model hears of one sound."""
    return float(processor.feature_extractor.n_samples / processor.feature_extractor.sampling_rate)


def asked_in_words(processor: Any, question: str, sounds: int) -> str:
    """The conversation up to where the model answers, with one mark for each sound."""
    safe = broken_up(question, processor.tokenizer.all_special_tokens)
    content = [*({"type": "audio"} for _ in range(sounds)), {"type": "text", "text": safe}]
    text: str = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    return text


def heard(processor: Any, sound: Sound) -> Samples:
    """The samples as the model hears them; EngineError("too-long") for what it could not hear to the end."""
    longest = longest_of(processor)
    if sound.seconds > longest:
        raise EngineError("too-long", f"the sound has {sound.seconds:.1f} s and the model hears {longest:g} s")
    return np.ascontiguousarray(resample(sound, rate_of(processor)).samples)


def inputs_of(processor: Any, asked: Sequence[tuple[str, Sequence[Sound]]]) -> Any:
    """Token ids, features and masks for a batch of (question, its sounds), filled up on the left."""
    processor.tokenizer.padding_side = "left"
    texts = [asked_in_words(processor, question, len(sounds)) for question, sounds in asked]
    samples = [heard(processor, sound) for _, sounds in asked for sound in sounds]
    return processor(text=texts, audio=samples, sampling_rate=rate_of(processor), padding=True, return_tensors="pt")
