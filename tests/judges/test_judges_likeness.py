from __future__ import annotations

import math
import random

import pytest

from judges.judging import Corpus
from turnwise.judges.alignment import SKIP, aligned
from turnwise.judges.likeness import Likeness, character_grams, same_word
from turnwise.judges.wording import tokens


def test_agrees_with_scikit_learn(demo: Corpus) -> None:
    text_features = pytest.importorskip("sklearn.feature_extraction.text")
    texts = [" ".join(tokens(t.text)) for d in demo[:20] for t in d.turns if t.speaker == "agent"]
    theirs = text_features.TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit(texts)
    ours = Likeness(tuple(text.split()) for text in texts)
    rows = theirs.transform(texts[:40])
    expected = (rows @ rows.T).toarray()
    vectors = [ours.vector(tuple(text.split())) for text in texts[:40]]
    for i, a in enumerate(vectors):
        for j, b in enumerate(vectors):
            assert math.isclose(Likeness.cosine(a, b), expected[i, j], abs_tol=1e-9)


def test_a_text_is_like_itself_and_unlike_nothing() -> None:
    likeness = Likeness([("table", "for", "two"), ("flight", "to", "boston")])
    vector = likeness.vector(("table", "for", "two"))
    assert math.isclose(Likeness.cosine(vector, vector), 1)
    assert Likeness.cosine(vector, likeness.vector(())) == 0
    assert Likeness.cosine(vector, likeness.vector(("xyz",))) == 0


def test_rare_words_weigh_more() -> None:
    texts = [("the", "harbor")] + [("the", f"word{i}") for i in range(20)]
    likeness = Likeness(texts)
    vector = likeness.vector(("the", "harbor"))
    assert vector[" harb"] > vector[" the "]


def test_short_words_keep_their_blanks() -> None:
    assert dict(character_grams(("a",))) == {" a ": 1}
    assert set(character_grams(("abc",))) == {" ab", "abc", "bc ", " abc", "abc ", " abc "}


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("harbor", "harbour", True),
        ("portland", "portlands", True),
        ("italian", "italian", True),
        ("boston", "austin", False),
        ("two", "too", False),
        ("7:30", "7:45", False),
        ("10", "10", True),
    ],
)
def test_same_word(a: str, b: str, same: bool) -> None:
    assert same_word(a, b) is same
    assert same_word(b, a) is same


def test_alignment_finds_the_common_stretch() -> None:
    a = tuple(["alas", "which", "part", "of", "town", "would", "you", "prefer", "today"])
    b = tuple(["fine", "which", "part", "of", "town", "would", "you", "prefer"])
    weight, (start, end) = aligned(a, b, lambda _: 1.0)
    assert (weight, a[start:end]) == (7.0, b[1:])


def test_alignment_bridges_a_misheard_word() -> None:
    a = tuple(["which", "part", "of", "lamp", "would", "you", "prefer"])
    b = tuple(["which", "part", "of", "town", "would", "you", "prefer"])
    weight, (start, end) = aligned(a, b, lambda w: float(len(w)))
    assert (start, end) == (0, 7)
    assert math.isclose(weight, sum(len(w) for w in a if w != "lamp") - SKIP)


def test_alignment_of_nothing_in_common() -> None:
    assert aligned(("a",), ("b",), lambda _: 1.0) == (0.0, (0, 0))
    assert aligned((), ("b",), lambda _: 1.0) == (0.0, (0, 0))


def test_alignment_is_bounded_and_full_for_itself() -> None:
    draw = random.Random(5)
    for _ in range(50):
        a = tuple(draw.choices(["red", "green", "blue", "gray", "pink"], k=draw.randint(1, 9)))
        b = tuple(draw.choices(["red", "green", "blue", "gray", "pink"], k=draw.randint(1, 9)))
        weight, (start, end) = aligned(a, b, lambda _: 1.0)
        assert 0 <= weight <= min(len(a), len(b))
        assert 0 <= start <= end <= len(a)
        assert aligned(a, a, lambda _: 1.0) == (float(len(a)), (0, len(a)))
