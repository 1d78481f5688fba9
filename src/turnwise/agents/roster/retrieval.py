"""The reply that was written in the most similar moment of another dialogue of the corpus, word for word.

Moments are compared by the user's turn and, more lightly, by the two turns before it as shown, over words, word pairs and
letter groups weighted by how rare they are (TF-IDF, cosine). It never quotes the dialogue it is in, and never gives a reply a
second time in the conversation shown while another is left. It knows nothing of the user's wishes: its replies are fluent and
often about somebody else's booking, which makes it a measure of what fluency alone is worth. Uses scikit-learn (BSD).

Options: `k`, how many of the nearest moments the seed chooses from (1: always the nearest); `context`, the weight of the turns
before against the user's turn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.agents import cues, domains
from turnwise.agents.agent import Reply, Surroundings, Timings, View
from turnwise.agents.cues import plain
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import fingerprint, seed_of, source_digest
from turnwise.speech import spoken_words

_WORDS = 0.6  # weight of words against letter groups, which forgive misheard words


@dataclass(frozen=True)
class Retrieval:
    """The agent, not yet opened."""

    k: int
    context: float
    speaks = False
    reads_corpus = True

    def identity(self) -> Mapping[str, str]:
        from importlib.metadata import PackageNotFoundError, version

        try:
            package = version("scikit-learn")
        except PackageNotFoundError:
            raise MissingDependency("scikit-learn", "pip install scikit-learn") from None
        code = (source_digest(Path(module.__file__ or "")) for module in (cues, domains, spoken_words))
        return {"scikit-learn": package, "code": fingerprint(*code)}

    def open(self, surroundings: Surroundings) -> RetrievalSession:
        return RetrievalSession(self, _moments(surroundings.corpus))


@dataclass(frozen=True)
class _Moment:
    dialogue: str
    user: str
    before: str
    reply: str


class RetrievalSession:
    """The index over all moments of the corpus, built once."""

    def __init__(self, agent: Retrieval, moments: list[_Moment]) -> None:
        self._agent = agent
        self._moments = moments
        self._dialogues = np.array([m.dialogue for m in moments])
        self._replies = [plain(m.reply) for m in moments]
        self._index = _Index(moments) if moments else None

    def answer(self, view: View, *, seed: int) -> Reply:
        if view.text is None:
            raise EngineError("no-text", "the agent 'retrieval' reads words and was given sound only: put it into a cascade")
        started = time.perf_counter()
        said = {plain(p.text) for p in view.past if p.speaker == "agent" and p.text}
        before = " ".join(p.text for p in view.past[-2:] if p.text)
        others = np.flatnonzero(self._dialogues != view.dialogue) if self._moments else np.zeros(0, dtype=np.int64)
        if not len(others) or self._index is None:
            raise EngineError("no-corpus", "there is no other dialogue to take a reply from")
        scores = self._index.scores(view.text, before, self._agent.context)[others]
        nearest = others[np.argsort(-scores, kind="stable")]
        new = [int(place) for place in nearest if self._replies[place] not in said] or [int(place) for place in nearest]
        chosen = new[seed_of("retrieval", seed) % min(self._agent.k, len(new))]
        return Reply(self._moments[chosen].reply, timings=Timings(think=time.perf_counter() - started))

    def close(self) -> None:
        pass


class _Index:
    def __init__(self, moments: list[_Moment]) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError:
            raise MissingDependency("scikit-learn", "pip install scikit-learn") from None
        users = [plain(m.user) for m in moments]
        self._words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
        self._letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
        self._by_word: Any = self._words.fit_transform(users)
        self._by_letter: Any = self._letters.fit_transform(users)
        self._by_context: Any = self._words.transform([plain(m.before) for m in moments])

    def scores(self, user: str, before: str, context: float) -> NDArray[np.float64]:
        """How near every moment is, from 0 to 1 + `context`."""
        words = self._by_word @ self._words.transform([plain(user)]).T
        letters = self._by_letter @ self._letters.transform([plain(user)]).T
        score = _WORDS * words.toarray().ravel() + (1 - _WORDS) * letters.toarray().ravel()
        if context and before:
            score = score + context * (self._by_context @ self._words.transform([plain(before)]).T).toarray().ravel()
        return np.asarray(score, dtype=np.float64)


def _moments(corpus: tuple[Dialogue, ...]) -> list[_Moment]:
    made = []
    for dialogue in corpus:
        for step in dialogue.rounds():
            if step.written is not None and step.written.text and plain(step.user.text):
                before = " ".join(turn.text for turn in dialogue.turns[max(0, step.position - 2) : step.position])
                made.append(_Moment(dialogue.id, step.user.text, before, step.written.text))
    return made


def agent(k: int = 1, context: float = 0.25) -> Retrieval:
    if k < 1:
        raise InputError(f"retrieval: k is {k}, expected at least 1")
    if not 0.0 <= context <= 10.0:
        raise InputError(f"retrieval: context is {context}, expected 0 to 10")
    return Retrieval(k, context)
