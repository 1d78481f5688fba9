"""Sampling whose draws belong to one row of a batch and to no other.

The usual sampling takes its random numbers from one generator for the whole batch, so that a row's result depends on who stands
beside it. Here every row has a generator of its own seed and takes one number per step: a row gives the same tokens alone, in any
batch and in any order (up to the last bits of a model's arithmetic, which a batch may round differently).

A `RowDraws` is a logits processor for `generate(..., do_sample=False, logits_processor=[draws])`: it draws the token and leaves
it as the only one that can be chosen. Without a temperature it changes nothing, and the most probable token wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from turnwise.foundation.errors import EngineError

if TYPE_CHECKING:
    import torch


class RowDraws:
    """Draws for a batch: one seed per row."""

    def __init__(
        self,
        seeds: Sequence[int],
        temperature: float = 0.0,
        *,
        top_k: int = 0,
        top_p: float = 1.0,
        below: int | None = None,
    ) -> None:
        """`top_k` (0: all) and `top_p` narrow the choice as usual, in this order; ids from `below` on are never chosen."""
        import torch

        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature, self._top_k, self._top_p, self._below = temperature, top_k, top_p, below

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of one step (row, token); where something is drawn, all but the drawn token at minus infinity."""
        import torch

        if torch.isnan(scores).any():
            raise EngineError("not-a-number", "the model's scores are not numbers, as after an overflow")
        if self._below is not None:
            scores = scores.masked_fill(torch.arange(scores.shape[-1], device=scores.device) >= self._below, -torch.inf)
        if not self._temperature:
            return scores
        # The wheel is turned in float64: its steps are then far finer than the differences between devices.
        wheel = torch.softmax(scores.double() / self._temperature, dim=-1)
        if self._top_k:
            least = wheel.topk(min(self._top_k, wheel.shape[-1]), dim=-1).values[:, -1:]
            wheel = wheel.where(wheel >= least, 0.0)
        if self._top_p < 1.0:
            wheel = wheel.where(self._likely(wheel), 0.0)
        wheel = wheel.cumsum(dim=-1)
        turns = torch.cat([torch.rand(1, 1, dtype=torch.float64, generator=generator) for generator in self._generators])
        whole = wheel[:, -1:]
        # Rounding must not carry the aim to the very end, where the token may be one that cannot be chosen.
        aim = torch.minimum(turns.to(wheel.device) * whole, torch.nextafter(whole, torch.zeros_like(whole)))
        drawn = (wheel <= aim).sum(dim=-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter(-1, drawn, 0.0)

    def _likely(self, wheel: torch.Tensor) -> torch.Tensor:
        """The smallest set of most probable tokens that holds `top_p` of the whole."""
        ordered, places = wheel.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        kept = before < self._top_p * ordered.sum(dim=-1, keepdim=True)
        return kept.new_zeros(kept.shape).scatter(-1, places, kept)
