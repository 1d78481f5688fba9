"""Examples as batches for Qwen2-Audio: sounds as features, the question as its chat template has it, a loss on the answer alone.

A row is the question's tokens, then the answer's, then the mark that ends an answer; labels are NOTHING everywhere but at the
answer and its end. Rows are filled up on the right, where nothing is generated. Answers are tokenized apart from the question,
which is how a model meets them when it writes: a token never spans the border. A sound that the model could not hear to its end
is refused, never cut (`refuse_unheard`, from the headers of all files before anything is trained).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.listening.sound_questions import asked_in_words, heard, rate_of
from turnwise.speech.special_marks import broken_up, marks_of
from turnwise.training.example_file import Example

if TYPE_CHECKING:
    import torch

NOTHING = -100  # label of a position without a loss


class Batch(NamedTuple):
    """What the network is given, and where its answers are."""

    inputs: dict[str, torch.Tensor]  # input_ids, attention_mask [row, token]; input_features, feature_attention_mask [sound, ..]
    labels: torch.Tensor  # [row, token]

    @property
    def tokens(self) -> int:
        """Tokens that have a loss."""
        return int((self.labels != NOTHING).sum())

    def to(self, device: Any) -> Batch:
        return Batch({name: values.to(device) for name, values in self.inputs.items()}, self.labels.to(device))


def audio_batch(
    processor: Any,
    examples: Sequence[Example],
    answers: Sequence[Sequence[str]],
    whole: Sequence[Sequence[bool]] | None = None,
) -> Batch:
    """One row per answer: the first answer of every example, then the second of every example, and so on.

    The features of a sound are computed once and stand in every row that hears it. An answer that is not `whole` has no end.
    """
    questions, features, masks = [], [], []
    for example in examples:
        question, feature, mask = _question(processor, example)
        questions.append(question)
        features.append(feature)
        masks.append(mask)
    rounds = len(answers[0])
    rows = [
        (questions[place], answer_tokens(processor.tokenizer, answers[place][turn], whole is None or whole[place][turn]))
        for turn in range(rounds)
        for place in range(len(examples))
    ]
    inputs, labels = filled_up(rows, processor.tokenizer.pad_token_id)
    inputs["input_features"] = _tensor(np.concatenate(features * rounds))
    inputs["feature_attention_mask"] = _tensor(np.concatenate(masks * rounds))
    return Batch(inputs, labels)


def answer_tokens(tokenizer: Any, answer: str, whole: bool = True) -> list[int]:
    """An answer and, where it is whole, the mark that ends it; marks within it are broken up."""
    safe = unmarked(answer.strip(), tokenizer)
    tokens: list[int] = tokenizer(safe, add_special_tokens=False)["input_ids"]
    return [*tokens, end_of_answer(tokenizer)] if whole else tokens


def unmarked(text: str, tokenizer: Any) -> str:
    """Text in which nothing is a mark to the tokenizer."""
    return broken_up(text, [mark for mark in _marks(tokenizer) if mark in text])


@functools.lru_cache(maxsize=8)
def _marks(tokenizer: Any) -> tuple[str, ...]:
    """Of a tokenizer of sound there are thousands, as one for every fiftieth of a second."""
    return marks_of(tokenizer)


def end_of_answer(tokenizer: Any) -> int:
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    if end is None or end == tokenizer.unk_token_id:
        raise InputError("the tokenizer has no <|im_end|>, the mark that ends an answer", "name a model of the Qwen family")
    return int(end)


def filled_up(rows: Sequence[tuple[Sequence[int], Sequence[int]]], padding: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Ids, mask and labels of (question, answer) rows of different lengths."""
    longest = max(len(question) + len(answer) for question, answer in rows)
    ids = np.full((len(rows), longest), padding, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    labels = np.full((len(rows), longest), NOTHING, dtype=np.int64)
    for row, (question, answer) in enumerate(rows):
        end = len(question) + len(answer)
        ids[row, :end] = [*question, *answer]
        mask[row, :end] = 1
        labels[row, len(question) : end] = answer
    return {"input_ids": _tensor(ids), "attention_mask": _tensor(mask)}, _tensor(labels)


def refuse_unheard(examples: Iterable[Example], longest: float) -> None:
    """InputError for the first sound that is not there or has more seconds than the model hears; only headers are read."""
    import soundfile

    for sound in dict.fromkeys(sound for example in examples for sound in example.sounds):
        if not Path(sound).is_file():
            raise InputError(f"{sound} does not exist", "the examples name it; have the sounds moved?")
        try:
            seconds = soundfile.info(sound).duration
        except (soundfile.LibsndfileError, OSError) as error:
            raise InputError(f"{sound} cannot be read as sound: {error}") from error
        if seconds > longest:
            raise InputError(
                f"{sound} has {seconds:.1f} s and the model hears {longest:g} s",
                "leave it out: a rating of the whole does not hold for a part",
            )


def _question(processor: Any, example: Example) -> tuple[list[int], Any, Any]:
    """Token ids of the question with a mark for every moment of sound, and the sounds' features and masks."""
    try:
        samples = [heard(processor, read_sound(Path(sound))) for sound in example.sounds]
    except EngineError as error:
        raise InputError(f"{', '.join(example.sounds)}: {error.message}") from error
    text = asked_in_words(processor, example.question, len(samples))
    encoded = processor(text=[text], audio=samples, sampling_rate=rate_of(processor), return_tensors="np")
    return (
        [int(token) for token in encoded["input_ids"][0]],
        np.asarray(encoded["input_features"], dtype=np.float32),
        np.asarray(encoded["feature_attention_mask"], dtype=np.int64),
    )


def _tensor(values: Any) -> torch.Tensor:
    import torch

    return torch.from_numpy(values)
