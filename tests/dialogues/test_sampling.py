from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogues.made_up import TABLE_4, dialogue, population
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.sampling import quotas, sample
from turnwise.foundation.errors import InputError


def by_intent(drawn: tuple[Dialogue, ...]) -> dict[str, int]:
    return dict(Counter(each.intent for each in drawn))


def test_proportional() -> None:
    assert by_intent(sample(population(A=60, B=30, C=10), 10, "intent", seed=1)) == {"A": 6, "B": 3, "C": 1}


def test_table_4_of_itself_and_of_ten_times_itself() -> None:
    assert by_intent(sample(population(**TABLE_4), 500, seed=7)) == TABLE_4
    assert quotas({name: 10 * count for name, count in TABLE_4.items()}, 500) == TABLE_4


def test_a_short_intent_does_not_shrink_the_sample() -> None:
    drawn = sample(population(A=100, B=2), 50, seed=3)
    assert len(drawn) == 50
    assert by_intent(drawn) == {"A": 49, "B": 1}


def test_same_seed_same_ids_whatever_the_order() -> None:
    corpus = population(A=40, B=20)
    first = [each.id for each in sample(corpus, 12, seed=5)]
    shuffled = corpus[:]
    random.Random(0).shuffle(shuffled)
    again = [each.id for each in sample(shuffled, 12, seed=5)]
    assert first == [each.id for each in sample(corpus, 12, seed=5)]
    assert sorted(first) == sorted(again)
    assert first != [each.id for each in sample(corpus, 12, seed=6)]
    assert [each.id for each in corpus if each.id in first] == first  # the corpus's own order


def test_the_draw_of_one_seed_is_pinned() -> None:
    """A study that names a seed must mean the same dialogues next year."""
    drawn = sample(population(A=6, B=3), 3, seed=1)
    assert [each.id for each in drawn] == ["A-002", "B-002", "A-005"]


def test_plain_draw() -> None:
    draws = [sample(population(A=30, B=30), 20, None, seed=seed) for seed in range(20)]
    assert all(len({each.id for each in drawn}) == 20 for drawn in draws)
    assert len({by_intent(drawn)["A"] for drawn in draws}) > 1  # intents are left to chance


def test_every_dialogue_is_drawn_equally_often() -> None:
    corpus = population(A=10)
    counts = Counter(each.id for seed in range(2000) for each in sample(corpus, 3, seed=seed))
    expected = 2000 * 3 / 10
    chi_square = sum((counts[each.id] - expected) ** 2 / expected for each in corpus)
    assert chi_square < 27.9  # 99.9 % of chi-square with 9 degrees of freedom; draws without replacement vary less


def test_shares_of_another_corpus_and_what_is_short_goes_round() -> None:
    assert quotas({"A": 10, "B": 2, "C": 10}, 12, {"A": 1, "B": 1, "C": 1}) == {"A": 5, "B": 2, "C": 5}
    assert quotas({"A": 100, "B": 2}, 50, {"A": 1, "B": 1}) == {"A": 48, "B": 2}
    assert quotas({"A": 9, "B": 9}, 4, {"A": 1}) == {"A": 4, "B": 0}
    drawn = sample(population(A=10, B=10), 4, seed=1, shares={"B": 2.5})
    assert by_intent(drawn) == {"B": 4}


def test_ties_go_to_the_larger_then_to_the_first_name() -> None:
    assert quotas({"B": 2, "A": 2, "C": 2}, 4) == {"A": 2, "B": 1, "C": 1}
    assert quotas({"B": 3, "A": 1}, 2) == {"A": 0, "B": 2}
    assert quotas({"A": 5, "B": 5}, 1, {"A": 0.1 + 0.2, "B": 0.3}) == {"A": 1, "B": 0}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: sample(c, 5, seed=1), "cannot sample 5 of 4"),
        (lambda c: sample(c, 0, seed=1), "at least 1"),
        (lambda c: sample(c, -1, seed=1), "at least 1"),
        (lambda c: sample(c, 2, "speaker", seed=1), "cannot sample by 'speaker'"),
        (lambda c: sample(c + c[:1], 2, seed=1), "more than once"),
        (lambda c: sample(c, 2, None, seed=1, shares={"A": 1}), "not by intent"),
        (lambda c: sample(c, 3, seed=1, shares={"A": 1}), "too few"),
        (lambda c: sample(c, 3, seed=1, shares={"A": float("nan")}), "share of 'A'"),
        (lambda c: sample(c, 3, seed=1, shares={"A": -1}), "share of 'A'"),
        (lambda c: quotas({"A": 1}, 2), "cannot take 2"),
    ],
)
def test_what_cannot_be_drawn_is_said(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words) as caught:
        call(population(A=2, B=2))
    assert "\n" not in str(caught.value)


sizes = st.dictionaries(st.sampled_from("ABCDEFG"), st.integers(0, 60), min_size=1)


@given(sizes.filter(lambda each: sum(each.values()) > 0), st.data())
def test_quotas_are_the_nearest_whole_shares(available: dict[str, int], data: st.DataObject) -> None:
    total = sum(available.values())
    n = data.draw(st.integers(0, total))
    taken = quotas(available, n)
    assert sum(taken.values()) == n
    for name, size in available.items():
        assert 0 <= taken[name] <= size
        assert abs(taken[name] - Fraction(size * n, total)) < 1
    # The sum of squared distances to the exact shares cannot be lowered by moving one dialogue.
    exact = {name: size * n / total for name, size in available.items()}
    distance = np.array([taken[name] - exact[name] for name in available])
    assert distance.max() - distance.min() <= 1 + 1e-9


@given(sizes, st.data())
def test_shares_never_overdraw(available: dict[str, int], data: st.DataObject) -> None:
    shares = {name: data.draw(st.floats(0.01, 100)) for name in available}
    n = data.draw(st.integers(0, sum(available.values())))
    taken = quotas(available, n, shares)
    assert sum(taken.values()) == n
    assert all(0 <= taken[name] <= available[name] for name in available)


def test_a_sample_may_be_the_whole() -> None:
    corpus = [dialogue("x", intent=""), dialogue("y", intent="A")]
    assert sample(corpus, 2, seed=9) == tuple(corpus)
