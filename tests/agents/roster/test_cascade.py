"""The chain of recogniser, mind and synthesizer, on stub engines."""

from pathlib import Path
from typing import Any

import pytest

from at_hand import AtHand
from turnwise.agents.agent import AGENTS, Past, Reply, View
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


def around(tmp_path: Path, **more: Any) -> AtHand:
    return AtHand(tmp_path, **more)


def spoken(clips: ClipStore, text: str) -> Clip:
    return clips.keep(SYNTHESIZERS.build("stub").open().speak(text, seed=1))


def counting(**options: Any) -> Cascade:
    name = "counting_parts:{}".format
    return agent(name("recognizer"), mind=name("agent"), synthesizer=name("synthesizer"), **options)


def heard(clip: Clip, past: tuple[Past, ...] = (), number: int = 1) -> View:
    return View("d", number, "", past, None, clip)


def test_words_go_in_and_come_out_as_sound(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    reply = surroundings.answer(agent(**STUBS), heard(spoken(surroundings.clips, "we need a restaurant for four people")))
    assert reply.heard == "we need a restaurant for four people"
    assert "four people" in reply.text
    assert reply.clip is not None
    said = RECOGNIZERS.build("stub").open(Material()).hear(surroundings.clips.load(reply.clip), dialogue="", seed=1)
    assert said.text == reply.text


def test_written_words_are_not_heard(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    clip = spoken(surroundings.clips, "one thing")
    reply = surroundings.answer(agent(**STUBS), View("d", 1, "", (), "we need a hotel", clip))
    assert reply.heard is None
    assert reply.timings.hear is None
    assert "hotel" in reply.text


def test_time_to_first_audio_is_the_sum_of_the_stages(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    times = surroundings.answer(agent(**STUBS), heard(spoken(surroundings.clips, "hello"))).timings
    assert None not in (times.hear, times.think, times.speak)
    assert times.first_audio == pytest.approx(times.hear + times.think + times.speak)  # type: ignore[operator]


def test_hearing_and_speaking_are_done_once_thinking_each_time(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    clip = spoken(surroundings.clips, "hello")
    chain = counting()
    first = surroundings.answer(chain, heard(clip))
    second = surroundings.answer(chain, heard(clip, number=2), seed=2)
    done = [name for name, _ in parts.calls]
    assert (done.count("hear"), done.count("think"), done.count("speak")) == (1, 2, 1)
    assert first.clip == second.clip
    assert (first.timings.hear, first.timings.speak) == (second.timings.hear, second.timings.speak)
    assert first.notes == ("a note",)


def test_a_recogniser_that_adapts_hears_anew_in_another_dialogue(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    clip = spoken(surroundings.clips, "hello")
    surroundings.answer(counting(), heard(clip))
    surroundings.answer(counting(), View("other", 1, "", (), None, clip))
    assert [name for name, _ in parts.calls].count("hear") == 2
    assert counting().adapts


def test_a_lost_clip_is_spoken_again(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    view = View("d", 1, "", (), "hello", None)
    first = surroundings.answer(agent(**STUBS), view)
    assert first.clip is not None
    surroundings.clips.path(first.clip).unlink()
    again = surroundings.answer(agent(**STUBS), view)
    assert again.clip == first.clip
    assert surroundings.clips.check(first.clip) is None


def test_the_mind_gets_words_only(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    past = (Past("user", None, spoken(surroundings.clips, "earlier")), Past("agent", "as text"), Past("user", None))
    reply = surroundings.answer(counting(mind_options={"text": "view"}), heard(spoken(surroundings.clips, "now"), past))
    assert reply.text == "now|earlier,as text,?"


def test_an_empty_recognition_is_passed_on(tmp_path: Path, parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from turnwise.speech.engine import Heard

    surroundings = around(tmp_path)
    monkeypatch.setattr(parts.Part, "hear", lambda self, sound, *, dialogue, seed: Heard(""))
    reply = surroundings.answer(counting(mind_options={"text": "view"}), heard(spoken(surroundings.clips, "noise")))
    assert (reply.heard, reply.text) == ("", "|")


def test_a_mind_that_says_nothing_is_silent(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    reply = surroundings.answer(counting(mind_options={"text": " "}), heard(spoken(surroundings.clips, "hello")))
    assert reply == Reply("", heard="hello", timings=reply.timings, notes=("a note",))
    assert reply.timings.speak is None
    assert reply.timings.first_audio is None


@pytest.mark.parametrize(("part", "cause"), [("recognizer", "hear"), ("mind", "think"), ("synthesizer", "speak")])
def test_a_broken_stage_is_named_and_its_error_kept(tmp_path: Path, parts: Any, part: str, cause: str) -> None:
    surroundings = around(tmp_path)
    chain = counting(**{f"{part}_options": {"fail": "no power"}})
    with pytest.raises(EngineError, match="no power") as caught:
        surroundings.answer(chain, heard(spoken(surroundings.clips, "hello")))
    assert caught.value.cause == cause
    assert caught.value.__cause__ is not None
    with pytest.raises(EngineError) as again:  # a failure is not remembered as a result
        surroundings.answer(chain, heard(spoken(surroundings.clips, "hello")))
    assert again.value.cause == cause


def test_neither_words_nor_sound(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        around(tmp_path).answer(agent(**STUBS), View("d", 1, "", (), None, None))
    assert caught.value.cause == "no-input"


def test_the_parts_belong_to_the_run(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    surroundings.answer(counting(), heard(spoken(surroundings.clips, "hello")))
    assert [name for name, _ in parts.calls].count("close") == 0
    surroundings.pool.close()
    assert [name for name, _ in parts.calls].count("close") == 3


def test_the_reply_keeps_the_words_and_the_voice_gets_them_clean(tmp_path: Path, parts: Any) -> None:
    surroundings = around(tmp_path)
    said = "**Sure!** Call (312) 555-0100, or ask your Assistant."
    for clean, spoken_words in ((True, "Sure! Call (312) 555-0100, or ask your Assistant."), (False, said)):
        reply = surroundings.answer(counting(mind_options={"text": said}, clean=clean), View("d", 1, "", (), "hi", None))
        assert reply.text == said
        assert reply.clip is not None
        ears = RECOGNIZERS.build("stub").open(Material())
        assert ears.hear(surroundings.clips.load(reply.clip), dialogue="", seed=1).text == spoken_words


def test_where_it_and_its_parts_work() -> None:
    chain = agent(**STUBS)
    assert chain.place == "driver"
    assert [place for _, place in chain.parts()] == ["worker", "worker", "worker"]


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
    found = around(tmp_path, corpus=(other,)).answer(retrieval, View("d", 1, "", (), "hello", None))
    assert found.text == "good day to you"


def test_wrong_parts_are_refused_when_building() -> None:
    with pytest.raises(InputError, match="speaks by itself"):
        agent(**STUBS, mind="echo", mind_options={"voice": True})
    with pytest.raises(InputError, match="no agent is called"):
        agent(**STUBS, mind="fram")
