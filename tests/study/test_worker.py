"""Whatever a plug-in returns or raises, a worker gives a result the ledger can hold, or a fault with its cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from small_study import small_study
from turnwise.agents.agent import View
from turnwise.foundation.errors import MissingDependency
from turnwise.judges.verdict import Abstention, Fault, Score
from turnwise.speech.clip import Clip
from turnwise.study.cell import Transcript
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.plan import make_plan
from turnwise.study.task import Ask, Degrade, Part, Speak, SpokenClip, Thought, Transcribe
from turnwise.study.worker import Worker, kit_of

STUB_VOICE, STUB_EARS = Part("synthesizer", "stub"), Part("recognizer", "stub")
STRANGE = '''"""An agent that returns what it is told to, and a judge that decides what it is told to."""
import numpy as np
from turnwise.agents.agent import Reply
from turnwise.foundation.errors import EngineError, MissingDependency
from turnwise.judges.judge import Criterion, Judge
from turnwise.judges.verdict import Abstention, Fault, Score
from turnwise.speech.clip import Clip
class Strange:
    speaks = False
    def __init__(self, what): self.what = what
    def identity(self): return {}
    def open(self, surroundings): return self
    def answer(self, view, *, seed):
        if self.what == "surrogate": return Reply("half \\ud83d of it")
        if self.what == "none": return Reply(None)
        if self.what == "other": return "just words"
        if self.what == "nan": return Reply("x", timings=float("nan"))
        if self.what == "clip": return Reply("x", Clip("b2:" + "0" * 32, 8000, 1.0))
        if self.what == "path": return Reply("x", Clip("../../../etc/passwd", 8000, 1.0))
        if self.what == "divide": return 1 / 0
        if self.what == "refused": raise EngineError("refused", "the server said no to key abcdefgh12345678")
        if self.what == "absent": raise MissingDependency("av", "pip install av")
        return Reply("fine")
    def close(self): pass
def agent(what="fine"): return Strange(what)
class Sitting:
    def __init__(self, what): self.what = what
    def decide(self, exchange):
        return {
            "fine": {"strange": Score(1.0)}, "nothing": {}, "more": {"strange": Score(1.0), "extra": Score(2.0)},
            "text": {"strange": "good"}, "abstain": {"strange": Abstention("nothing to go by")},
            "fault": {"strange": Fault("parse", "no number")},
        }[self.what] if self.what != "boom" else [][1]
    def close(self): pass
def judge(what="fine"):
    return Judge(version=1, criteria=(Criterion("strange", "points", "higher"),), open=lambda bench: Sitting(what))
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "strange.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def worker(folder: Path, what: str) -> Worker:
    arms = {"a": {"agent": "strange:agent", "options": {"what": what}, "context": {"user": "written"}}}
    return Worker(kit_of(make_plan(small_study(folder, arms=arms), folder), folder / "clips"))


def ask(folder: Path, what: str) -> Any:
    asked = Ask(Part("agent", "strange:agent", {"what": what}), View("d", 1, "", (), "hello", None), 1)
    return worker(folder, what).do(asked)


def test_half_characters_are_replaced_and_noted(folder: Path) -> None:
    answer = ask(folder, "surrogate")
    assert isinstance(answer, Thought)
    assert answer.reply.text == "half \ufffd of it"
    assert "replaced" in answer.reply.notes[0]


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("none", "error"),
        ("other", "error"),
        ("nan", "contract"),
        ("clip", "contract"),
        ("path", "contract"),
        ("divide", "error"),
        ("refused", "refused"),
    ],
)
def test_strange_replies_are_faults(folder: Path, what: str, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "abcdefgh12345678")
    fault = ask(folder, what)
    assert isinstance(fault, Fault)
    assert fault.cause == cause
    assert "abcdefgh12345678" not in fault.detail


def test_what_the_user_must_mend_is_raised(folder: Path) -> None:
    with pytest.raises(MissingDependency):
        ask(folder, "absent")


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("fine", Score(1.0)),
        ("abstain", Abstention("nothing to go by")),
        ("fault", Fault("parse", "no number")),
        ("nothing", "contract"),
        ("more", "contract"),
        ("text", "contract"),
        ("boom", "error"),
    ],
)
def test_strange_verdicts(folder: Path, what: str, outcome: Any) -> None:
    arms = {"a": {"agent": "strange:agent", "context": {"user": "written"}}}
    judges = ["repetition", {"name": "strange:judge", "options": {"what": what}}]
    carry_out(small_study(folder, count=1, arms=arms, judges=judges), folder / "run", workers=0)
    for conversation in load_results(folder / "run").conversations:
        for answered in conversation.rounds:
            found = answered.outcomes["strange"]
            assert found == outcome if not isinstance(outcome, str) else isinstance(found, Fault) and found.cause == outcome
            assert isinstance(answered.outcomes["repetition"], Score)  # a broken judge harms no other


def test_a_mute_clip_is_silent_and_not_transcribed(folder: Path) -> None:
    import numpy as np

    from turnwise.foundation.audio import Sound

    able = worker(folder, "fine")
    clip = able.clips.keep(Sound(np.full(8000, 1e-4, dtype=np.float32), 8000))
    heard = able.do(Transcribe(STUB_EARS, clip, "d"))
    assert isinstance(heard, Transcript)
    assert (heard.text, heard.silent) == ("", True)


def test_perturbations_are_recorded_with_the_clip(folder: Path) -> None:
    from turnwise.study.study import Choice

    able = worker(folder, "fine")
    spoken = able.do(Speak(STUB_VOICE, "good morning to you", 1))
    assert isinstance(spoken, SpokenClip)
    noise = Choice("noise", {"snr": 10}), Choice("telephone")
    noisy = able.do(Degrade(spoken.clip, noise, 42))
    assert isinstance(noisy, Clip)
    assert noisy == able.do(Degrade(spoken.clip, noise, 42))
    assert noisy != able.do(Degrade(spoken.clip, noise, 43))
    assert "snr" in noisy.perturbation
    assert "seed 42" in noisy.perturbation
