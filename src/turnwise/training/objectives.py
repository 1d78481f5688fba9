"""What the two stages learn: how examples become a batch, and a batch a loss.

A loss is a sum over units (tokens of answers for `sft`, pairs for `alld`), which the loop divides by the units of a whole step:
so every token weighs the same however a step is cut into batches and processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from turnwise.foundation.errors import EngineError
from turnwise.training.alld import alld_losses
from turnwise.training.audio_batches import Batch, audio_batch
from turnwise.training.example_file import Example
from turnwise.training.own_answers import Own
from turnwise.training.recipe import Alld
from turnwise.training.reference import Referred

if TYPE_CHECKING:
    import torch


class Ready(NamedTuple):
    """A batch, what the reference says of its pairs, and how many units it has."""

    batch: Batch
    units: int
    reference: tuple[tuple[float, ...], ...] = ()  # log-probabilities of the expert's answers, of the model's own
    lengths: tuple[int, ...] = ()  # tokens of every row, as the reference counted them


class Objective(Protocol):
    """One stage's."""

    unit: str

    def ready(self, examples: Sequence[Example]) -> Ready: ...

    def loss(self, scorer: Any, ready: Ready) -> tuple[torch.Tensor, dict[str, float]]:
        """The sum over the units, and further sums to be told as means per unit."""
        ...


class Fitting:
    """`sft`: the answers as they are, token by token."""

    unit = "tokens"

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def ready(self, examples: Sequence[Example]) -> Ready:
        batch = audio_batch(self._processor, examples, [(example.answer,) for example in examples])
        return Ready(batch, batch.tokens)

    def loss(self, scorer: Any, ready: Ready) -> tuple[torch.Tensor, dict[str, float]]:
        scores, _ = scorer(ready.batch.inputs, ready.batch.labels)
        return -scores.sum(), {}


class Aligning:
    """`alld`: the expert's answers before the model's own."""

    unit = "pairs"

    def __init__(self, processor: Any, stage: Alld, own: Mapping[str, Own], referred: Mapping[str, Referred]) -> None:
        self._processor, self._stage, self._own, self._referred = processor, stage, own, referred

    def ready(self, examples: Sequence[Example]) -> Ready:
        own = [self._own[example.id] for example in examples]
        pairs = [(example.answer, each.answer) for example, each in zip(examples, own, strict=True)]
        batch = audio_batch(self._processor, examples, pairs, [(True, each.whole) for each in own])
        referred = [self._referred[example.id] for example in examples]
        lengths = (*(each.expert_tokens for each in referred), *(each.own_tokens for each in referred))
        return Ready(batch, len(examples), (tuple(e.expert for e in referred), tuple(e.own for e in referred)), lengths)

    def loss(self, scorer: Any, ready: Ready) -> tuple[torch.Tensor, dict[str, float]]:
        import torch

        scores, tokens = scorer(ready.batch.inputs, ready.batch.labels)
        if tokens.tolist() != list(ready.lengths):
            raise EngineError("tokens", "the reference read other tokens than the model is trained on: make its scores again")
        reference = torch.tensor(ready.reference, dtype=torch.float32, device=scores.device).flatten()
        if self._stage.length_norm:
            scores, reference = scores / tokens, reference / tokens
        expert, own = scores.chunk(2)
        reference_expert, reference_own = reference.chunk(2)
        found = alld_losses(expert, own, reference_expert, reference_own, beta=self._stage.beta)
        told = {"margin": float(found.margins.sum()), "preferred": float((found.margins > 0).sum())}
        return found.losses.sum(), told
