"""Words heard wrong: the alignment of what was said and what was understood, and the word error rate.

Both texts are normalised first, as Whisper's evaluation does it (`whisper-normalizer`, MIT): lower case, no punctuation,
spelling of American English, contractions and numbers in one form ("twenty five" and "25" are the same word), fillers such as
"uh" dropped. The alignment is that of `jiwer` (Apache-2.0). A reference without words has no rate: whatever was heard is
counted as inserted.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from turnwise.foundation.errors import MissingDependency


class WordErrors(msgspec.Struct, frozen=True):
    """Counts of one alignment; counts of several can be added."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def words(self) -> int:
        """Words of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per word of the reference, above 1 when much was inserted; None when the reference has no words."""
        return self.errors / self.words if self.words else None


def word_errors(reference: str, heard: str) -> WordErrors:
    """Compare what was said with what was understood."""
    said, understood = normalised(reference), normalised(heard)
    if not said:
        return WordErrors(0, 0, 0, len(understood.split()))
    try:
        import jiwer
    except ImportError:
        raise MissingDependency("jiwer", "pip install jiwer") from None
    found = jiwer.process_words(said, understood)
    return WordErrors(found.hits, found.substitutions, found.deletions, found.insertions)


def total(parts: Iterable[WordErrors]) -> WordErrors:
    """The sum of several alignments: its rate weighs every word alike, whatever sentence it stood in."""
    kept = list(parts)
    return WordErrors(
        sum(part.hits for part in kept),
        sum(part.substitutions for part in kept),
        sum(part.deletions for part in kept),
        sum(part.insertions for part in kept),
    )


def normalised(text: str) -> str:
    """The text in the form in which words are compared."""
    return " ".join(word for word in str(_normaliser()(text)).split() if any(c.isalnum() for c in word))


@cache
def _normaliser() -> Any:
    try:
        from whisper_normalizer.english import EnglishTextNormalizer
    except ImportError:
        raise MissingDependency("whisper-normalizer", "pip install whisper-normalizer") from None
    return EnglishTextNormalizer()
