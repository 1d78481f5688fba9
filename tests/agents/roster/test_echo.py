"""The double repeats, fails and falls silent as it is told."""

from pathlib import Path
from typing import Any

import pytest

from turnwise.agents.agent import AGENTS, Surroundings, Timings, View
from turnwise.agents.roster.echo import EchoSession, agent
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Material


def opened(tmp_path: Path, **options: Any) -> EchoSession:
    return agent(**options).open(Surroundings(ClipStore(tmp_path), Material()))


def said(text: str, number: int = 1) -> View:
    return View("d", number, "", (), text, None)


def test_it_repeats_the_words(tmp_path: Path) -> None:
    reply = opened(tmp_path).answer(said("good morning"), seed=1)
    assert reply.text == "You said: good morning"
    assert reply.clip is None
    assert reply.timings == Timings(think=0.1)
    assert opened(tmp_path, prefix="").answer(said("hi"), seed=1).text == "hi"


def test_it_speaks_and_hears_like_the_stub(tmp_path: Path) -> None:
    session = opened(tmp_path, voice=True, fixed_seconds=0.5)
    clip = session.clips.keep(SYNTHESIZERS.build("stub").open().speak("good morning", seed=1))
    reply = session.answer(View("d", 1, "", (), None, clip), seed=1)
    assert (reply.text, reply.heard) == ("You said: good morning", "good morning")
    assert reply.timings == Timings(0.5, 0.5, 0.5, 1.5)
    assert reply.clip is not None
    assert RECOGNIZERS.build("stub").open(Material()).hear(session.clips.load(reply.clip), dialogue="", seed=1).text == reply.text
    assert session.answer(said("x"), seed=1).timings == Timings(None, 0.5, 0.5, 1.0)
    session.close()
    session.close()


def test_planned_failures_and_silences(tmp_path: Path) -> None:
    session = opened(tmp_path, fail_on=[2], silent_on=[3], voice=True)
    assert session.answer(said("a", 1), seed=1).clip is not None
    with pytest.raises(EngineError) as caught:
        session.answer(said("a", 2), seed=1)
    assert caught.value.cause == "planned"
    silent = session.answer(said("a", 3), seed=1)
    assert (silent.text, silent.clip) == ("", None)


def test_neither_words_nor_sound(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        opened(tmp_path).answer(View("d", 1, "", (), None, None), seed=1)
    assert caught.value.cause == "no-input"


def test_options_and_identity() -> None:
    assert agent(voice=True).speaks
    assert not agent().speaks
    assert AGENTS.identity("echo") != AGENTS.identity("echo", {"voice": True})
    with pytest.raises(InputError, match="fixed_seconds"):
        agent(fixed_seconds=-1)
