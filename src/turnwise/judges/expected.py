"""How well a reply fits the place where it was given, compared with the other places of the corpus.

Two linear maps are learned from the written dialogues: from a place (the user's words, the agent's before them, what was
stated and asked) to the words of the reply that follows. The fit of a reply is the cosine of what was expected and what was
said. A number of its own means little, so it is compared: the same reply at other places of the same intent, which asks
whether it belongs elsewhere, whatever the agent's wording is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from turnwise.judges.ridge import Columns, Ridge
from turnwise.judges.scene import Scene
from turnwise.judges.wording import grams, numeric

PENALTY = 1.0
MOST = 400  # other places that a reply is tried at; more change its standing by less than the wording does
LEAST = 8  # fewer say nothing about what is usual
Row = NDArray[np.float32]


def place_features(scene: Scene) -> list[str]:
    """What is known before the reply, as feature names."""
    made = [f"u:{g}" for g in grams(_plain(scene.user))]
    made += [f"b:{w}" for w in _plain(scene.before)]
    made += [f"fresh:{slot}" for slot in scene.fresh]
    made += [f"asked:{slot}" for slot in scene.asked]
    made += [f"known:{slot}" for slot in scene.stated]
    made.append(f"round:{min(scene.number, 8)}")
    made.append(f"intent:{scene.intent}")
    return made


def reply_features(words: tuple[str, ...]) -> tuple[str, ...]:
    return grams(_plain(words))


def _plain(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("#" if numeric(word) else word for word in words)


class Expected:
    """The map and the places it was learned from."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes
        places = [place_features(s) for s in scenes]
        replies = [reply_features(s.reply) for s in scenes]
        self._in = Columns(places, least=2, most=1200)
        self._out = Columns(replies, least=2, most=1000)
        x = self._in.matrix(places)
        y = self._out.matrix(replies)
        self._weigh = self._rarity(y)
        y = _unit(y * self._weigh)
        self._mean = y.mean(axis=0)
        self._ridge = Ridge(x, y - self._mean, [s.dialogue for s in scenes], PENALTY)
        self._owner = np.array([s.dialogue for s in scenes])
        self._intent = np.array([s.intent for s in scenes])
        self._kept: tuple[tuple[str, str], Row] = (("", ""), np.zeros((0, 0), np.float32))

    @staticmethod
    def _rarity(y: Row) -> Row:
        n = (y > 0).sum(axis=0)
        rarity: Row = np.log((1 + len(y)) / (1 + n)).astype(np.float32)
        return rarity

    def contrast(self, scene: Scene) -> float | None:
        """Standard deviations by which this place expects the reply more than other places of the intent do."""
        words = self._out.of(reply_features(scene.reply))
        if not words:
            return None
        y = np.zeros(len(self._out.names), np.float32)
        y[words] = 1
        y = _unit((y * self._weigh)[None])[0]
        expected = self._ridge.at(self._in.of(place_features(scene)), scene.dialogue)
        length = float(np.linalg.norm(expected)) or 1.0
        fit = float(expected @ y) / length
        others = self._others(scene)
        if len(others) < LEAST:
            return None
        elsewhere = others @ y
        return (fit - float(elsewhere.mean())) / (float(elsewhere.std()) + 0.02)

    def _others(self, scene: Scene) -> Row:
        """What the other places of the intent expect, the judged dialogue left out."""
        key = (scene.dialogue, scene.intent)
        if self._kept[0] != key:
            rows = np.flatnonzero((self._intent == scene.intent) & (self._owner != scene.dialogue))
            rows = rows[:: max(1, -(-len(rows) // MOST))]
            self._kept = (key, _unit(self._ridge.predictions(rows, scene.dialogue)))
        return self._kept[1]


def _unit(rows: Row) -> Row:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    out: Row = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return out
