"""The chain of recogniser, mind and synthesizer, on stub engines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from turnwise.agents.agent import AGENTS, Past, Reply, Surroundings, View
from turnwise.agents.roster.cascade import Cascade, agent
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Material

STUBS: dict[str, Any] = {"recognizer": "stub", "synthesizer": "stub"}

PARTS = '''"""Parts that count what is asked of them."""
from turnwise.agents.agent import Reply
from turnwise.foundation.errors import EngineError
from turnwise.speech.engine import Heard
from turnwise.speech.engines.stub import StubEar, StubVoice, encode, decode

calls = []

class Part:
    speaks = False
    adapts = True
    def __init__(self, fail="", text="fine"): self.fail, self.text = fail, text
    def identity(self): return {}
    def open(self, *given): calls.append(("open", len(given))); return self
    def close(self): calls.append(("close", 0))
    def speak(self, text, *, seed):
        calls.append(("speak", seed))
        if self.fail: raise RuntimeError(self.fail)
        return encode(text)
    def hear(self, sound, *, dialogue, seed):
        calls.append(("hear", seed))
        if self.fail: raise EngineError("timeout", self.fail)
        return Heard(decode(sound))
    def answer(self, view, *, seed):
        calls.append(("think", seed))
        if self.fail: raise ValueError(self.fail)
        shown = ",".join(p.text or "?" for p in view.past)
        return Reply(f"{view.text}|{shown}" if self.text == "view" else self.text, notes=("a note",))

def agent(fail="", text="fine"): return Part(fail, text)
def recognizer(fail=""): return Part(fail)
def synthesizer(fail=""): return Part(fail)
'''


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import importlib
    import sys

    (tmp_path / "counting_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("counting_parts", None)
    yield importlib.import_module("counting_parts")
    sys.modules.pop("counting_parts", None)


def around(tmp_path: Path, **more: Any) -> Surroundings:
    return Surroundings(ClipStore(tmp_path / "clips"), Material(digest="m"), **more)


def spoken(clips: ClipStore, text: str) -> Clip:
    return clips.keep(SYNTHESIZERS.build("stub").open().speak(text, seed=1))


def counting(**options: Mapping[str, Any]) -> Cascade:
    name = "counting_parts:{}".format
    return agent(name("recognizer"), mind=name("agent"), synthesizer=name("synthesizer"), **options)  # type: ignore[arg-type]


def heard(clip: Clip, past: tuple[Past, ...] = (), number: int = 1) -> View:
    return View("d", number, "", past, None, clip)


def test_words_go_in_and_come_out_as_sound(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    session = agent(**STUBS).open(surroundings)
    reply = session.answer(heard(spoken(surroundings.clips, "we need a restaurant for four people")), seed=1)
    assert reply.heard == "we need a restaurant for four people"
    assert "four people" in reply.text
    assert reply.clip is not None
    said = RECOGNIZERS.build("stub").open(Material()).hear(surroundings.clips.load(reply.clip), dialogue="", seed=1)
    assert said.text == reply.text


def test_written_words_are_not_heard(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    clip = spoken(surroundings.clips, "one thing")
    reply = agent(**STUBS).open(surroundings).answer(View("d", 1, "", (), "we need a hotel", clip), seed=1)
    assert reply.heard is None
    assert reply.timings.hear is None
    assert "hotel" in reply.text


def test_time_to_first_audio_is_the_sum_of_the_stages(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    times = agent(**STUBS).open(surroundings).answer(heard(spoken(surroundings.clips, "hello")), seed=1).timings
    assert None not in (times.hear, times.think, times.speak)
    assert times.first_audio == pytest.approx(times.hear + times.think + times.speak)  # type: ignore[operator]


def test_hearing_and_speaking_are_done_once_thinking_each_time(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    clip = spoken(surroundings.clips, "hello")
    chain = counting()
    first = chain.open(surroundings).answer(heard(clip), seed=1)
    second = chain.open(surroundings).answer(heard(clip, number=2), seed=2)
    done = [name for name, _ in parts.calls]
    assert (done.count("hear"), done.count("think"), done.count("speak")) == (1, 2, 1)
    assert first.clip == second.clip
    assert (first.timings.hear, first.timings.speak) == (second.timings.hear, second.timings.speak)
    assert first.notes == ("a note",)


def test_a_recogniser_that_adapts_hears_anew_in_another_dialogue(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    clip = spoken(surroundings.clips, "hello")
    session = counting().open(surroundings)
    session.answer(heard(clip), seed=1)
    session.answer(View("other", 1, "", (), None, clip), seed=1)
    assert [name for name, _ in parts.calls].count("hear") == 2
    assert counting().adapts


def test_a_lost_clip_is_spoken_again(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    view = View("d", 1, "", (), "hello", None)
    first = agent(**STUBS).open(surroundings).answer(view, seed=1)
    assert first.clip is not None
    surroundings.clips.path(first.clip).unlink()
    again = agent(**STUBS).open(surroundings).answer(view, seed=1)
    assert again.clip == first.clip
    assert surroundings.clips.check(first.clip) is None


def test_the_mind_gets_words_only(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    past = (Past("user", None, spoken(surroundings.clips, "earlier")), Past("agent", "as text"), Past("user", None))
    session = counting(mind_options={"text": "view"}).open(surroundings)
    reply = session.answer(heard(spoken(surroundings.clips, "now"), past), seed=1)
    assert reply.text == "now|earlier,as text,?"


def test_an_empty_recognition_is_passed_on(tmp_path: Path, parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from turnwise.speech.engine import Heard

    surroundings = around(tmp_path)
    monkeypatch.setattr(parts.Part, "hear", lambda self, sound, *, dialogue, seed: Heard(""))
    session = counting(mind_options={"text": "view"}).open(surroundings)
    reply = session.answer(heard(spoken(surroundings.clips, "noise")), seed=1)
    assert (reply.heard, reply.text) == ("", "|")


def test_a_mind_that_says_nothing_is_silent(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    session = counting(mind_options={"text": " "}).open(surroundings)
    reply = session.answer(heard(spoken(surroundings.clips, "hello")), seed=1)
    assert reply == Reply("", heard="hello", timings=reply.timings, notes=("a note",))
    assert reply.timings.speak is None
    assert reply.timings.first_audio is None


@pytest.mark.parametrize(("part", "cause"), [("recognizer", "hear"), ("mind", "think"), ("synthesizer", "speak")])
def test_a_broken_stage_is_named_and_its_error_kept(tmp_path: Path, parts: Any, part: str, cause: str) -> None:
    surroundings = around(tmp_path)
    session = counting(**{f"{part}_options": {"fail": "no power"}}).open(surroundings)
    with pytest.raises(EngineError, match="no power") as caught:
        session.answer(heard(spoken(surroundings.clips, "hello")), seed=1)
    assert caught.value.cause == cause
    assert caught.value.__cause__ is not None
    with pytest.raises(EngineError) as again:  # a failure is not remembered as a result
        session.answer(heard(spoken(surroundings.clips, "hello")), seed=1)
    assert again.value.cause == cause


def test_neither_words_nor_sound(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        agent(**STUBS).open(around(tmp_path)).answer(View("d", 1, "", (), None, None), seed=1)
    assert caught.value.cause == "no-input"


def test_closing_closes_the_parts_and_twice_is_harmless(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    session = counting().open(surroundings)
    session.answer(heard(spoken(surroundings.clips, "hello")), seed=1)
    session.close()
    assert [name for name, _ in parts.calls].count("close") == 3
    session.close()


def test_identity_follows_every_part() -> None:
    plain = AGENTS.identity("cascade", STUBS)
    others = [
        {**STUBS, "recognizer_options": {"word_errors": 0.1}},
        {**STUBS, "synthesizer_options": {"voice": 2}},
        {**STUBS, "mind": "retrieval"},
    ]
    assert len({plain, *(AGENTS.identity("cascade", options) for options in others)}) == 4
    assert AGENTS.identity("cascade", STUBS) == plain


def test_what_it_forwards(tmp_path: Path) -> None:
    assert agent(**STUBS).phrases() == AGENTS.build("frame").phrases()
    retrieval = agent(**STUBS, mind="retrieval")
    assert retrieval.phrases() == ()
    assert (retrieval.reads_corpus, agent(**STUBS).reads_corpus, agent(**STUBS).adapts) == (True, False, False)
    other = Dialogue("o", (Turn("user", "hello"), Turn("agent", "good day to you")))
    session = retrieval.open(around(tmp_path, corpus=(other,)))
    assert session.answer(View("d", 1, "", (), "hello", None), seed=1).text == "good day to you"


def test_wrong_parts_are_refused_when_building() -> None:
    with pytest.raises(InputError, match="speaks by itself"):
        agent(**STUBS, mind="echo", mind_options={"voice": True})
    with pytest.raises(InputError, match="no agent is called"):
        agent(**STUBS, mind="fram")
