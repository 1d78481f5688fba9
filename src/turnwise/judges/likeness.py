"""How alike two texts are: the cosine of their character n-grams, each weighted by how rare it is.

N-grams of three to five characters within words (a word keeps a blank at both ends), weights tf x idf with
idf = ln((1 + N) / (1 + n)) + 1: what scikit-learn calls `TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5))`, without the
seconds its import takes. Parts of words survive where a recogniser mishears the ending of one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

Vector = Mapping[str, float]


@lru_cache(maxsize=1 << 15)
def _of_word(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    made: list[str] = []
    for n in (3, 4, 5):
        if len(padded) <= n:
            made.append(padded)
            break
        made.extend(padded[i : i + n] for i in range(len(padded) - n + 1))
    return tuple(made)


def character_grams(words: Iterable[str]) -> Counter[str]:
    """Every n-gram of these words with its count."""
    found: Counter[str] = Counter()
    for word in words:
        found.update(_of_word(word))
    return found


class Likeness:
    """Weights learned from a collection of texts, given as tokens."""

    def __init__(self, texts: Iterable[tuple[str, ...]]) -> None:
        seen: Counter[str] = Counter()
        size = 0
        for words in texts:
            size += 1
            seen.update(set(character_grams(words)))
        self._rarest = math.log(1 + size) + 1
        self._idf = {gram: math.log((1 + size) / (1 + n)) + 1 for gram, n in seen.items()}

    def vector(self, words: tuple[str, ...]) -> Vector:
        """Unit vector of a text; n-grams never seen in the collection weigh as the rarest."""
        raw = {gram: n * self._idf.get(gram, self._rarest) for gram, n in character_grams(words).items()}
        length = math.sqrt(sum(v * v for v in raw.values())) or 1.0
        return {gram: v / length for gram, v in raw.items()}

    @staticmethod
    def cosine(a: Vector, b: Vector) -> float:
        """Between 0, nothing in common, and 1."""
        if len(b) < len(a):
            a, b = b, a
        return sum(v * b[gram] for gram, v in a.items() if gram in b)


@lru_cache(maxsize=1 << 17)
def same_word(a: str, b: str) -> bool:
    """Whether two words are the same but for a misheard part: at least 60 % of their letter pairs in common (Dice)."""
    if a == b:
        return True
    if a[:1].isdigit() or b[:1].isdigit() or min(len(a), len(b)) < 4:
        return False
    enough = 0.6 * (len(a) + len(b) - 2)
    if 2 * (min(len(a), len(b)) - 1) < enough:  # the shorter one has too few pairs, whichever they are
        return False
    return 2 * (_pairs(a) & _pairs(b)).total() >= enough


@lru_cache(maxsize=1 << 15)
def _pairs(word: str) -> Counter[tuple[str, str]]:
    return Counter(pairwise(word))
