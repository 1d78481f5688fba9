"""The reference of ALLD: what a frozen expert, a text model that reads the ratings, thinks of both answers; computed once.

Its log-probabilities do not change while the other model is trained, so they are computed before, and the reference need not be
in memory with it. It has no ears: in place of the sound it is shown the ratings and what they mean. Answers must be the same
tokens for both models; where a tokenizer cuts one of them otherwise, or the reference has no such token, nothing is computed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.errors import EngineError, InputError
from turnwise.listening.ratings import DIMENSIONS, LEVELS, TITLES, Ratings
from turnwise.speech.weights import Placement, Weights, at_work, find_weights, free_memory, load, load_reader
from turnwise.training.alld import answer_scores
from turnwise.training.audio_batches import NOTHING, answer_tokens, filled_up, unmarked
from turnwise.training.example_file import Example
from turnwise.training.own_answers import Own
from turnwise.training.rank_files import RankFiles
from turnwise.training.recipe import Alld

_MEANING = "\n".join(
    [
        "Listeners rated speech recordings in five dimensions, each from 1 to 5; higher is better everywhere.",
        *(
            f"{key}: {TITLES[key]}; " + ", ".join(f"{k} = {words}" for k, words in enumerate(LEVELS[key], 1))
            for key in DIMENSIONS
        ),
    ]
)


class Referred(msgspec.Struct, frozen=True):
    """Log-probabilities of two answers, as sums over their tokens."""

    id: str  # of the example
    expert: float
    own: float
    expert_tokens: int
    own_tokens: int


def told_in_words(example: Example) -> str:
    """What the reference reads in place of hearing: the meaning of the ratings, the ratings, and the question."""
    names = ("SpeechA", "SpeechB") if len(example.ratings) > 1 else ("The recording",)
    rated = [f"{name} is rated {_json(ratings)}." for name, ratings in zip(names, example.ratings, strict=True)]
    return "\n\n".join([_MEANING, "\n".join(rated), example.question])


def refer(
    folder: Path,
    examples: Sequence[Example],
    own: Mapping[str, Own],
    stage: Alld,
    tokenizer: Any,
    *,
    placement: Placement,
    accelerator: Any,
    watch: Callable[[int], None],
) -> Mapping[str, Referred]:
    """The reference's log-probabilities for every example, by its id; `tokenizer` is that of the model to be trained."""
    files = RankFiles(folder, "reference", Referred, lambda referred: referred.id, accelerator)
    size = max(1, stage.reference_batch // 2)  # two answers each
    mine = files.share([examples[first : first + size] for first in range(0, len(examples), size)], lambda example: example.id)
    if mine:
        reading = Reading(stage.reference, stage.reference_revision, tokenizer, placement)
        try:
            done = 0
            for part in mine:
                files.add(*reading.refer(part, [own[example.id] for example in part]))
                done += len(part)
                watch(done)
        finally:
            reading.close()
    return files.all()


class Reader:
    """How the reference reads: its tokens, which for answers must be those of the model that is trained."""

    def __init__(self, name: str, found: Weights, trained: Any) -> None:
        """`trained` is the tokenizer of the model that is trained."""
        from transformers import AutoTokenizer

        self.name, self._trained = name, trained
        self.tokenizer: Any = load_reader(AutoTokenizer, found)
        if not self.tokenizer.chat_template:
            raise InputError(f"{name} has no chat template", "name the instruct version of the text model")

    def question(self, text: str) -> list[int]:
        rendered = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": unmarked(text, self.tokenizer)}], tokenize=False, add_generation_prompt=True
        )
        tokens: list[int] = self.tokenizer(rendered, add_special_tokens=False)["input_ids"]
        return tokens

    def answer(self, answer: str, whole: bool) -> list[int]:
        """The answer's tokens, which must be those that the trained model is taught."""
        tokens = answer_tokens(self._trained, answer, whole)
        # Marks of sound, which only the trained model has, are broken up for both.
        theirs = answer_tokens(self.tokenizer, unmarked(answer, self._trained), whole)
        if tokens != theirs:
            raise InputError(
                f"the reference {self.name} cuts {answer[:60]!r} into other tokens than the model that is trained",
                "both must have the same text vocabulary: for Qwen2-Audio a Qwen2 model",
            )
        return tokens


class Reading:
    """The reference with its weights loaded, frozen."""

    def __init__(self, model: str, revision: str, tokenizer: Any, placement: Placement) -> None:
        from transformers import AutoModelForCausalLM

        found = find_weights(model, revision)
        self._reader = Reader(model, found, tokenizer)
        self._network: Any = load(AutoModelForCausalLM, found, placement).requires_grad_(False)

    def refer(self, examples: Sequence[Example], own: Sequence[Own]) -> list[Referred]:
        questions = [self._reader.question(told_in_words(example)) for example in examples]
        expert = [self._answer(example.answer, True) for example in examples]
        others = [self._answer(each.answer, each.whole) for each in own]
        sums, tokens = self._scores(list(zip(questions * 2, [*expert, *others], strict=True)))
        if not all(map(math.isfinite, sums)):
            raise EngineError("not-a-number", f"{self._reader.name}, the reference, computes {sums}: its numbers overflow")
        n = len(examples)
        return [Referred(e.id, sums[k], sums[n + k], tokens[k], tokens[n + k]) for k, e in enumerate(examples)]

    def close(self) -> None:
        self._network = None
        free_memory()

    def _answer(self, answer: str, whole: bool) -> list[int]:
        tokens = self._reader.answer(answer, whole)
        if max(tokens, default=0) >= self._network.config.vocab_size:
            raise InputError(f"the reference {self._reader.name} has no token {max(tokens)}, which {answer[:60]!r} needs")
        return tokens

    def _scores(self, rows: Sequence[tuple[list[int], list[int]]]) -> tuple[list[float], list[int]]:
        padding = self._reader.tokenizer.pad_token_id
        inputs, labels = filled_up(rows, padding if padding is not None else 0)
        device = self._network.device
        first = int((labels != NOTHING).int().argmax(dim=1).min())
        begin = max(first - 1, 0)
        with at_work():
            inputs = {name: values.to(device) for name, values in inputs.items()}
            logits = self._network(**inputs, use_cache=False, logits_to_keep=labels.shape[1] - begin).logits
            sums, tokens = answer_scores(logits, labels[:, begin:].to(device))
        return [float(value) for value in sums], [int(value) for value in tokens]


def _json(ratings: Ratings) -> str:
    values = {key: ratings.value(key) for key in DIMENSIONS}
    return json.dumps({key: None if value is None else round(value, 1) for key, value in values.items()})
