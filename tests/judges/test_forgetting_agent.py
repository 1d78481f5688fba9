"""The judges tell an agent that remembers from the same agent that does not, in words that the corpus does not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from judges.judging import Corpus, Open
from turnwise.agents.agent import AGENTS, Agent, Past, Surroundings, View
from turnwise.dialogues.corpus import CORPORA
from turnwise.judges.judge import JUDGES, Exchange, Spoken
from turnwise.judges.verdict import Score, Verdict
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material

PARTS = ("topic_drift", "misunderstanding", "memory", "repetition")


@pytest.fixture(scope="module")
def held_out(demo_part: Callable[[str], Path]) -> Corpus:
    return CORPORA.build("jsonl").read(demo_part("travel")).dialogues[:12]  # type: ignore[no-any-return]


def _means(held_out: Corpus, demo: Corpus, sitting: Open, folder: Path, past: int | None) -> dict[str, float]:
    """Mean of every criterion over an agent's own conversation, the agent shown all of the past or `past` rounds."""
    agent: Agent = AGENTS.build("frame")
    session = agent.open(Surroundings(ClipStore(folder), Material()))
    judges = {name: sitting(name, demo) for name in (*PARTS, "consistency")}
    values: dict[str, list[float]] = {name: [] for name in judges}
    for dialogue in held_out:
        shown: list[Past] = []
        rounds: list[Spoken] = []
        for each in dialogue.rounds():
            view = tuple(shown if past is None else shown[len(shown) - 2 * past :])
            text = session.answer(View(dialogue.id, each.number, "", view, each.user.text, None), seed=1).text
            shown += [Past("user", each.user.text), Past("agent", text)]
            rounds.append(Spoken(each.number, each.user, None, None, text, text, None))
            exchange = Exchange(dialogue.id, dialogue.intent, (), tuple(rounds))
            verdicts: dict[str, Verdict] = {name: judges[name].decide(exchange)[name] for name in PARTS}
            composed = judges["consistency"].decide(msgspec.structs.replace(exchange, verdicts=verdicts))
            for name, verdict in {**verdicts, **composed}.items():
                if isinstance(verdict, Score):
                    values[name].append(verdict.value)
    return {name: sum(found) / len(found) for name, found in values.items()}


def test_forgetting_costs_consistency_and_shows_as_memory(held_out: Corpus, demo: Corpus, sitting: Open, tmp_path: Path) -> None:
    assert "consistency" in JUDGES.cards()
    remembers = _means(held_out, demo, sitting, tmp_path, None)
    forgets = _means(held_out, demo, sitting, tmp_path, 0)
    assert remembers["consistency"] > forgets["consistency"] + 10
    assert remembers["memory"] < 10 < forgets["memory"]
    assert forgets["topic_drift"] - remembers["topic_drift"] < 15  # what is lost is the memory, not the subject
