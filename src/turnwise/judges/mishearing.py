"""What a recogniser makes of a text at a given word error rate, for auditing judges: seeded, no sound involved.

Half of the errors replace a word (one time in two by one of the domain that looks alike, otherwise by any word of the domain), a
quarter drop one, a quarter insert one. Also at rate 0 a heard text is lower case without punctuation.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:[':][^\W_]+)*")


class Mishearing:
    """Errors at one rate, with words from one collection of texts."""

    def __init__(self, texts: Iterable[str], rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"a word error rate is between 0 and 1, not {rate}")
        self.rate = rate
        words = [word for text in texts for word in heard_words(text)] if rate else []
        self._words = sorted(words)  # with repeats: frequent words are misheard more often into
        self._alike: dict[str, list[str]] = {}
        for word in sorted(set(words)):
            self._alike.setdefault(_look(word), []).append(word)

    def heard(self, text: str, seed: int) -> str:
        """The text as heard; the same seed hears the same."""
        words = heard_words(text)
        if not self.rate or not self._words:
            return " ".join(words)
        draw = random.Random(seed)
        out: list[str] = []
        for word in words:
            if draw.random() >= self.rate:
                out.append(word)
                continue
            kind = draw.random()
            if kind < 0.5:
                alike = [other for other in self._alike.get(_look(word), []) if other != word]
                out.append(draw.choice(alike) if alike and draw.random() < 0.5 else draw.choice(self._words))
            elif kind < 0.75:
                out.extend((word, draw.choice(self._words)))
        return " ".join(out)


def heard_words(text: str) -> list[str]:
    """Lower case, no punctuation."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def _look(word: str) -> str:
    return f"{word[:2]}{len(word) // 2}"
