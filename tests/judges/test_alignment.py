"""The alignment against the plain table it abbreviates, and on texts as long as models write."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.judges.alignment import LONGEST, SKIP, aligned
from turnwise.judges.likeness import same_word

WORDS = st.sampled_from(["a", "the", "hotel", "hotels", "harbor", "friday", "two", "quiet", "room", "of"])
TEXTS = st.lists(WORDS, max_size=14).map(tuple)


def weight(word: str) -> float:
    return {"a": 0.05, "the": 0.05, "of": 0.15}.get(word, 0.3 + len(word) / 10)


def plainly(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[float, tuple[int, int]]:
    """Every cell of the table."""
    best, where = 0.0, (0, 0)
    above = [(0.0, 0)] * (len(b) + 1)
    for i, word in enumerate(a):
        row = [(0.0, i + 1)]
        for j, other in enumerate(b):
            diagonal, start = above[j] if above[j][0] > 0 else (0.0, i)
            if same_word(word, other):
                cell = (diagonal + weight(word), start)
            else:
                cell = max([(diagonal - SKIP, start), (above[j + 1][0] - SKIP, above[j + 1][1])], key=lambda c: c[0])
                cell = (row[j][0] - SKIP, row[j][1]) if row[j][0] - SKIP > cell[0] else cell
            if cell[0] > best:
                best, where = cell[0], (cell[1], i + 1)
            row.append(cell if cell[0] > 0 else (0.0, i + 1))
        above = row
    return best, where


@given(TEXTS, TEXTS)
def test_it_is_the_best_cell_of_the_whole_table(a: tuple[str, ...], b: tuple[str, ...]) -> None:
    assert aligned(a, b, weight) == plainly(a, b)


@given(TEXTS)
def test_a_text_is_wholly_in_itself(a: tuple[str, ...]) -> None:
    found, where = aligned(a, a, weight)
    assert found == pytest.approx(sum(map(weight, a)))
    assert where == ((0, len(a)) if a else (0, 0))


def test_long_texts_are_compared_by_their_beginnings() -> None:
    draw = random.Random(1)
    vocabulary = [chr(97 + number % 26) * 3 + chr(97 + number // 26) * 3 for number in range(500)]
    a, b = (tuple(draw.choices(vocabulary, k=4000)) for _ in range(2))
    looked = [0]

    def counting(word: str) -> float:
        looked[0] += 1
        return 1.0

    found, (start, end) = aligned((*a[:460], *b[100:140], *a), b, counting)
    assert found == pytest.approx(40, abs=1)
    assert end == LONGEST and start <= 460
    assert looked[0] == LONGEST  # once per word, not per pair
    loop = ("okay",) * 3000
    assert aligned(loop, loop, lambda word: 1.0) == (LONGEST, (0, LONGEST))
