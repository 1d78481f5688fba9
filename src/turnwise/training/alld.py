"""ALLD, the alignment of a model that hears with an expert that reads (ICLR 2025): its loss, and the network that is scored.

The expert's answer y_t is preferred to the model's own y_a. As in direct preference optimisation the loss is that of a logistic
choice by the difference of two log-ratios, but the reference is no copy of the model: it is a frozen text model which hears
nothing and is shown the ratings (x_t) where the trained model is given the sound (x_a):

    d = beta [log p(y_t | x_a) - log r(y_t | x_t)] - beta [log p(y_a | x_a) - log r(y_a | x_t)]        p trained, r reference
    loss = - mean log sigmoid(d)

Log-probabilities are sums over the tokens of an answer (`length_norm`: means), so both models must cut an answer into the same
tokens. With equal ratios the loss is ln 2. Gradients reach p alone: r is a table of numbers made before training
(training/reference.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from turnwise.training.audio_batches import NOTHING

if TYPE_CHECKING:
    import torch


class Preferred(NamedTuple):
    """The loss of every pair, and what it was made of."""

    losses: torch.Tensor  # [pair]
    margins: torch.Tensor  # d of every pair, without gradients


def alld_losses(
    policy_expert: torch.Tensor,
    policy_own: torch.Tensor,
    reference_expert: torch.Tensor,
    reference_own: torch.Tensor,
    *,
    beta: float,
) -> Preferred:
    """Losses from log-probabilities of the expert's answers and of the model's own, [pair] each."""
    import torch

    expert = policy_expert - reference_expert.detach()
    own = policy_own - reference_own.detach()
    margins = beta * (expert - own)
    return Preferred(-torch.nn.functional.logsigmoid(margins), margins.detach())


def answer_scores(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of the log-probabilities of the answer's tokens, and their number, [row] each.

    Logits at a position are of the token that follows; both are [row, token(, vocabulary)] and aligned.
    """
    import torch

    # In float32: a sum of hundreds of log-probabilities has no digits left in bfloat16.
    each = -torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), labels[:, 1:], ignore_index=NOTHING, reduction="none"
    )
    return each.sum(dim=1), (labels[:, 1:] != NOTHING).sum(dim=1)


def scorer(network: Any) -> Any:
    """A module that gives the scores of a batch's answers, with logits for answers alone: a row of Qwen2-Audio has some 750
    positions of sound, and a vocabulary of 150,000 at each of them would be most of the memory.

    What is distributed over GPUs is this module, so that everything which is computed happens inside its `forward`.
    """
    import torch

    class Scorer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, inputs: dict[str, torch.Tensor], labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            core = self.network.get_base_model() if hasattr(self.network, "get_base_model") else self.network
            states = core.model(**inputs, use_cache=False).last_hidden_state
            first = int((labels != NOTHING).int().argmax(dim=1).min())
            begin = max(first - 1, 0)  # the position that tells the first token of an answer
            return answer_scores(core.lm_head(states[:, begin:]), labels[:, begin:])

    return Scorer()
