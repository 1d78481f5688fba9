from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper

from turnwise.foundation.errors import EngineError
from turnwise.speech.row_draws import RowDraws

torch.set_num_threads(1)
IDS = torch.zeros(1, 1, dtype=torch.long)


def scores(rows: int, tokens: int = 12, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, tokens, generator=torch.Generator().manual_seed(seed)) * 2


def drawn(draws: RowDraws, given: torch.Tensor) -> list[int]:
    out = draws(IDS, given)
    assert (out == 0).sum(dim=-1).tolist() == [1] * len(given)  # one token can be chosen, no other
    assert torch.isneginf(out).sum(dim=-1).tolist() == [given.shape[1] - 1] * len(given)
    return out.argmax(dim=-1).tolist()


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_tokens_come_as_often_as_their_probability_says(temperature: float) -> None:
    row = scores(1)
    draws = RowDraws([4], temperature)
    counts = np.bincount([drawn(draws, row)[0] for _ in range(4000)], minlength=12)
    expected = torch.softmax(row[0].double() / temperature, dim=-1).numpy() * 4000
    kept = expected > 5
    rare = [(counts[~kept].sum(), expected[~kept].sum())] if not kept.all() else []
    seen, awaited = zip(*zip(counts[kept], expected[kept], strict=True), *rare, strict=True)
    assert stats.chisquare(seen, awaited).pvalue > 0.001


def test_a_row_draws_alone_what_it_draws_in_company() -> None:
    steps = [scores(4, 50, step) for step in range(20)]
    together = RowDraws([10, 11, 12, 13], 1.0)
    table = np.array([drawn(together, step) for step in steps])
    for row, seed in enumerate((10, 11, 12, 13)):
        alone = RowDraws([seed], 1.0)
        assert [drawn(alone, step[row : row + 1])[0] for step in steps] == table[:, row].tolist()
    other = RowDraws([14], 1.0)
    assert [drawn(other, step[:1])[0] for step in steps] != table[:, 0].tolist()


@pytest.mark.parametrize("top_k", [1, 3, 100])
def test_the_most_probable_few_are_those_of_transformers(top_k: int) -> None:
    row = scores(1)
    allowed = torch.isfinite(TopKLogitsWarper(top_k=min(top_k, 12))(IDS, row))[0]
    draws = RowDraws([1], 3.0, top_k=top_k)
    assert {drawn(draws, row)[0] for _ in range(1500)} == set(allowed.nonzero()[:, 0].tolist())


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9])
def test_the_most_probable_mass_is_that_of_transformers(top_p: float) -> None:
    row = scores(1)
    allowed = torch.isfinite(TopPLogitsWarper(top_p=top_p)(IDS, row))[0]
    draws = RowDraws([1], 1.0, top_p=top_p)
    assert {drawn(draws, row)[0] for _ in range(1500)} == set(allowed.nonzero()[:, 0].tolist())


def test_without_a_temperature_the_scores_stay() -> None:
    row = scores(2)
    assert torch.equal(RowDraws([1, 2])(IDS, row), row)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_forbidden_tokens_are_never_chosen(temperature: float) -> None:
    row = torch.tensor([[0.0, 1.0, 50.0, 60.0]])
    draws = RowDraws([3], temperature, below=2)
    assert {draws(IDS, row).argmax(dim=-1).item() for _ in range(50)} <= {0, 1}
    assert row[0, 2] == 50.0  # what was given is not changed


def test_a_token_without_probability_is_never_chosen_at_the_ends() -> None:
    row = torch.full((1, 9), -torch.inf)
    row[0, 4] = 1.0
    draws = RowDraws([5], 1.0)
    assert {drawn(draws, row)[0] for _ in range(200)} == {4}


def test_scores_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(EngineError) as caught:
        RowDraws([1])(IDS, torch.tensor([[1.0, torch.nan]]))
    assert caught.value.cause == "not-a-number"
