"""A watch on a model that generates: which tokens came, and when the last one did.

A `TokenWatch` is a streamer of transformers (`generate(streamer=watch)`) for one conversation at a time. At the end it may stop
what would follow, by an error of its `finish`: an audio model with nothing to say then goes no further to its voice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class TokenWatch:
    """What was generated so far."""

    def __init__(self, finish: Callable[[list[int]], None]) -> None:
        """`finish` is given all tokens when the last one has come."""
        self.tokens: list[int] = []
        self.ended: float | None = None  # time.perf_counter() of the last token
        self._finish = finish
        self._prompted = False

    def put(self, value: Any) -> None:
        """The library hands over the prompt first, then each token."""
        if self._prompted:
            self.tokens += value.flatten().tolist()
        self._prompted = True

    def end(self) -> None:
        self.ended = time.perf_counter()
        self._finish(self.tokens)
