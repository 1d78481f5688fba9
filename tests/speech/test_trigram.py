from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.speech.trigram import arpa

SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=6), min_size=1, max_size=8)


class Model:
    """A plain reader of ARPA text with back-off, to check the writer by."""

    def __init__(self, text: str) -> None:
        self.logs: dict[tuple[str, ...], float] = {}
        self.rooms: dict[tuple[str, ...], float] = {}
        self.promised: dict[int, int] = {}
        order = 0
        for line in text.splitlines():
            if line.startswith("ngram "):
                number, count = line.removeprefix("ngram ").split("=")
                self.promised[int(number)] = int(count)
            elif line.endswith("-grams:"):
                order = int(line[1])
            elif order and line and not line.startswith("\\"):
                parts = line.split(" ")
                gram = tuple(parts[1 : order + 1])
                self.logs[gram] = float(parts[0])
                if len(parts) > order + 1:
                    self.rooms[gram] = float(parts[-1])

    def probability(self, word: str, context: Sequence[str]) -> float:
        gram = (*context, word)
        if gram in self.logs:
            return float(10 ** self.logs[gram])
        return float(10 ** self.rooms.get(tuple(context), 0.0)) * self.probability(word, context[1:])


@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.floats(0.1, 3.0))
def test_every_context_shares_out_exactly_one(sentences: list[list[str]], weight: float) -> None:
    model = Model(arpa(sentences, {"a": 0.5, "b": 0.3, "z": 0.2}, weight))
    words = [gram[0] for gram in model.logs if len(gram) == 1 and gram[0] != "<s>"]
    contexts: list[tuple[str, ...]] = [(), *model.rooms, ("never", "seen")]
    for context in contexts:
        assert sum(model.probability(word, context) for word in words) == pytest.approx(1.0, abs=2e-3)


@given(SENTENCES)
def test_counts_in_the_head_are_those_below(sentences: list[list[str]]) -> None:
    model = Model(arpa(sentences, {"z": 1.0}))
    for order, count in model.promised.items():
        assert count == sum(len(gram) == order for gram in model.logs)


def test_a_worked_example() -> None:
    model = Model(arpa([["a", "b"], ["a", "c"]], {"a": 1.0, "b": 1.0, "c": 1.0, "</s>": 1.0}))
    # 6 tokens of 4 kinds: a 2, b 1, c 1, </s> 2; the background is a quarter each.
    assert model.probability("a", ()) == pytest.approx((2 + 4 / 4) / 10, rel=1e-3)
    # a was followed by 2 kinds in 2 places.
    assert model.probability("b", ("a",)) == pytest.approx((1 + 2 * 0.2) / 4, rel=1e-3)
    assert model.rooms[("a",)] == pytest.approx(math.log10(2 / 4), abs=1e-4)


def test_words_of_the_background_can_be_heard() -> None:
    model = Model(arpa([["a"]], {"rare": 0.001, "common": 0.1}))
    assert 0 < model.probability("rare", ("a",)) < model.probability("common", ("a",))


def test_without_sentences_the_background_remains() -> None:
    model = Model(arpa([], {"x": 3.0, "y": 1.0, "</s>": 1.0}))
    assert model.probability("x", ()) == pytest.approx(0.6, rel=1e-3)


def test_seen_sentences_are_likelier() -> None:
    model = Model(arpa([["a", "b", "c"]] * 3 + [["c", "b", "a"]], {"d": 1.0}))
    assert model.probability("c", ("a", "b")) > model.probability("a", ("a", "b"))


def test_order_of_sentences_does_not_matter() -> None:
    sentences = [["b", "a"], ["c"], ["a", "b", "c"]]
    assert arpa(sentences, {"z": 1.0}) == arpa(reversed(sentences), {"z": 1.0})
