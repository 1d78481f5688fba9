"""The nearest written reply of another dialogue."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from turnwise.agents.agent import AGENTS, Past, Surroundings, View
from turnwise.agents.roster.retrieval import RetrievalSession, agent
from turnwise.dialogues.corpora.demo import corpus
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material


def opened(tmp_path: Path, dialogues: tuple[Dialogue, ...], **options: float) -> RetrievalSession:
    return agent(**options).open(Surroundings(ClipStore(tmp_path), Material(), corpus=dialogues))  # type: ignore[arg-type]


def dialogue(name: str, *turns: str) -> Dialogue:
    return Dialogue(name, tuple(Turn("user" if n % 2 == 0 else "agent", text) for n, text in enumerate(turns)))


THREE = (
    dialogue("a", "I want to eat fish.", "Fish is fresh today.", "Which day did I say?", "You said Friday."),
    dialogue("b", "I want to see a film.", "Films are on all week.", "Which day did I say?", "You said Monday."),
    dialogue("c", "Rent me a car.", "Here are the keys."),
)


def test_the_nearest_moment_of_another_dialogue_is_quoted(tmp_path: Path) -> None:
    session = opened(tmp_path, THREE)
    assert session.answer(View("x", 1, "", (), "We want to eat some fish!", None), seed=1).text == "Fish is fresh today."
    assert session.answer(View("a", 1, "", (), "I want to eat fish.", None), seed=1).text != "Fish is fresh today."


def test_context_decides_between_equal_turns(tmp_path: Path) -> None:
    session = opened(tmp_path, THREE)
    past = (Past("user", "Let us see a film."), Past("agent", "Films are on all week."))
    assert session.answer(View("x", 2, "", past, "Which day did I say?", None), seed=1).text == "You said Monday."


def test_no_reply_twice_while_another_is_left(tmp_path: Path) -> None:
    session = opened(tmp_path, THREE)
    past: tuple[Past, ...] = ()
    replies = []
    for number in range(1, 6):
        replies.append(session.answer(View("x", number, "", past, "Rent me a car.", None), seed=1).text)
        past += (Past("user", "Rent me a car."), Past("agent", replies[-1]))
    assert len(set(replies)) == 5
    again = session.answer(View("x", 6, "", past, "Rent me a car.", None), seed=1).text
    assert again == "Here are the keys."  # nothing new is left


def test_never_the_same_dialogue_on_the_demo_corpus(tmp_path: Path) -> None:
    dialogues = corpus().read(None).dialogues
    session = opened(tmp_path, dialogues)
    for played in dialogues[::4]:
        written = {turn.text for turn in played.turns if turn.speaker == "agent"}
        elsewhere = {turn.text for other in dialogues if other.id != played.id for turn in other.turns if turn.speaker == "agent"}
        for step in played.rounds():
            reply = session.answer(View(played.id, step.number, "", (), step.user.text, None), seed=1)
            assert reply.text in elsewhere
            assert reply.text not in written
            assert reply.timings.think is not None


def test_k_lets_the_seed_choose(tmp_path: Path) -> None:
    view = View("x", 1, "", (), "I want to eat fish.", None)
    chosen = {opened(tmp_path, THREE, k=3).answer(view, seed=seed).text for seed in range(30)}
    assert len(chosen) == 3
    assert len({opened(tmp_path, THREE).answer(view, seed=seed).text for seed in range(30)}) == 1


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        opened(tmp_path, ()).answer(View("x", 1, "", (), "Hello", None), seed=1)
    assert caught.value.cause == "no-corpus"
    with pytest.raises(EngineError) as caught:
        opened(tmp_path, THREE[2:]).answer(View("c", 1, "", (), "Hello", None), seed=1)
    assert caught.value.cause == "no-corpus"
    with pytest.raises(EngineError) as caught:
        opened(tmp_path, THREE).answer(View("x", 1, "", (), None, None), seed=1)
    assert caught.value.cause == "no-text"
    with pytest.raises(InputError):
        agent(k=0)


def test_words_that_nobody_said_still_get_a_reply(tmp_path: Path) -> None:
    assert opened(tmp_path, THREE).answer(View("x", 1, "", (), "zzz qqq", None), seed=1).text
    assert opened(tmp_path, THREE).answer(View("x", 1, "", (), "", None), seed=1).text


def test_building_and_listing_import_nothing_heavy() -> None:
    code = (
        "import sys; from turnwise.agents.agent import AGENTS; AGENTS.build('retrieval'); AGENTS.identity('retrieval');"
        "AGENTS.build('cascade'); sys.exit('sklearn' in sys.modules or 'pocketsphinx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


def test_declared_needs() -> None:
    assert AGENTS.build("retrieval").reads_corpus
    assert "scikit-learn" in AGENTS.build("retrieval").identity()
