"""Plug-ins that leave where they should raise, fail while they are closed, or fail before they are built."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from small_study import small_study
from turnwise.foundation.errors import InputError
from turnwise.judges.verdict import Fault, Score
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.readiness import examine

ILL = '''"""Plug-ins that do what they should not."""
import asyncio, sys
from turnwise.agents.agent import Reply
from turnwise.judges.judge import Criterion, Judge
from turnwise.judges.verdict import Score
from turnwise.speech.engine import Heard
from turnwise.speech.engines.stub import decode, encode

class Near:
    speaks, adapts = False, False
    def __init__(self, what): self.what = what
    def identity(self): return 1 / 0 if self.what == "identity" else {}
    def open(self, *_):
        if self.what == "open": sys.exit("no weights")
        return self
    def do(self):
        if self.what == "exit": sys.exit(3)
    def answer(self, view, *, seed):
        if view.round == 2: self.do()
        return Reply(f"I hear {view.text}")
    def speak(self, text, *, seed):
        self.do()
        return encode(text)
    def hear(self, sound, *, dialogue, seed):
        self.do()
        return Heard(decode(sound))
    def close(self):
        if self.what == "close": raise ValueError("already closed")
        if self.what == "leave": sys.exit(9)

class Far(Near):
    place = "driver"
    def reach(self, around): return self
    async def answer(self, view, *, seed):
        if self.what == "cancel" and view.round == 2: raise asyncio.CancelledError
        return Near.answer(self, view, seed=seed)
    async def speak(self, utterance):
        self.do()
        return encode(utterance.text)
    async def close(self):
        if self.what == "hang": await asyncio.sleep(600)
        Near.close(self)

class Sitting:
    def __init__(self, what): self.what = what
    def decide(self, exchange):
        if self.what == "exit" and exchange.now.number == 2: sys.exit(4)
        return {"strange": Score(1.0)}
    def close(self): Near.close(self)

class FarSitting(Sitting):
    async def decide(self, exchange, *, seed):
        if self.what == "cancel" and exchange.now.number == 2: raise asyncio.CancelledError
        return Sitting.decide(self, exchange)
    async def close(self): Near.close(self)

def near(what="fine"):
    if what == "build": raise KeyError("weights of secret-key-abcdefgh12345678")
    if what == "quit": sys.exit(5)
    return None if what == "nothing" else Near(what)
agent = synthesizer = recognizer = near
def far(what="fine"): return Far(what)
CRITERIA = (Criterion("strange", "points", "higher"),)
def judge(what="fine"):
    near(what)
    if what == "nothing": return None
    if what == "identity": return Broken(version=1, criteria=CRITERIA, open=lambda bench: Sitting(what))
    return Judge(version=1, criteria=CRITERIA, open=lambda bench: Sitting(what))
class Broken(Judge):
    def identity(self): return 1 / 0
def far_judge(what="fine"): return Judge(version=1, criteria=CRITERIA, reach=lambda bench: FarSitting(what))
'''


@pytest.fixture(autouse=True)
def ill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "ill.py").write_text(ILL)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("ill", None)
    yield importlib.import_module("ill")
    sys.modules.pop("ill", None)


def run(folder: Path, agent: str = "echo", what: str = "", workers: int = 0, **changes: Any) -> Any:
    arm: dict[str, Any] = {"agent": agent, "options": {"what": what} if what else {}, "context": {"user": "written"}}
    study = small_study(folder, count=2, **{"arms": {"a": arm}, "on_fault": "skip", **changes})
    return carry_out(study, folder / "run", workers=workers)


def outcomes(folder: Path, criterion: str) -> list[Any]:
    conversations = load_results(folder / "run").conversations
    return [answered.outcomes[criterion] for conversation in conversations for answered in conversation.rounds]


@pytest.mark.parametrize(
    ("agent", "what", "told"),
    [
        ("ill:near", "exit", "SystemExit: 3 (in ill.py, line "),
        ("ill:far", "exit", "SystemExit: 3 (in ill.py, line "),
        ("ill:far", "cancel", "CancelledError"),
    ],
)
def test_an_agent_that_leaves_is_a_fault_of_its_turn(tmp_path: Path, agent: str, what: str, told: str) -> None:
    done = run(tmp_path, agent, what)
    assert (done.complete, done.tally.faults) == (False, 2)
    found = outcomes(tmp_path, "repetition")
    assert [type(one) for one in found] == [Score, Fault, Score, Score] * 2
    assert found[1].cause == "error"
    assert found[1].detail.startswith(told)


@pytest.mark.parametrize(("judge", "what"), [("ill:judge", "exit"), ("ill:far_judge", "exit"), ("ill:far_judge", "cancel")])
def test_a_judge_that_leaves_is_a_fault_of_its_verdicts(tmp_path: Path, judge: str, what: str) -> None:
    done = run(tmp_path, judges=["repetition", {"name": judge, "options": {"what": what}}])
    assert (done.complete, done.tally.faults) == (False, 2)
    assert [type(one) for one in outcomes(tmp_path, "strange")] == [Score, Fault, Score, Score] * 2
    assert [type(one) for one in outcomes(tmp_path, "repetition")] == [Score] * 8


@pytest.mark.parametrize("place", ["near", "far"])
def test_an_engine_that_leaves_is_a_fault_of_all_who_asked(tmp_path: Path, place: str) -> None:
    arms = {"a": {"agent": "echo"}, "b": {"agent": "echo", "context": {"past": 0}}}
    done = run(tmp_path, arms=arms, user={"engine": f"ill:{place}", "options": {"what": "exit"}})
    assert not done.complete
    found = outcomes(tmp_path, "repetition")
    assert len(found) == 16
    assert all(isinstance(one, Fault) and one.cause == "user-audio" and "SystemExit: 3" in one.detail for one in found)


def test_a_worker_process_outlives_it(tmp_path: Path) -> None:
    run(tmp_path, "ill:near", "exit", workers=1)
    assert outcomes(tmp_path, "repetition")[1].detail.startswith("SystemExit: 3")  # and no process died of it


def test_one_that_leaves_while_it_is_opened(tmp_path: Path) -> None:
    run(tmp_path, "ill:near", "open")
    assert all("SystemExit: no weights" in one.detail for one in outcomes(tmp_path, "repetition"))


@pytest.mark.parametrize(
    ("agent", "what", "told"),
    [
        ("ill:near", "close", "the agent 'ill:near' failed while it was closed: ValueError: already closed (in ill.py, line "),
        ("ill:near", "leave", "the agent 'ill:near' failed while it was closed: SystemExit: 9 (in ill.py, line "),
        ("ill:far", "close", "the agent 'ill:far' failed while it was closed: ValueError: already closed (in ill.py, line "),
        ("ill:far", "hang", "the agent 'ill:far' did not close within 0.2 s"),
    ],
)
def test_what_fails_while_it_is_closed_is_told_and_changes_nothing(
    tmp_path: Path, agent: str, what: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnwise.study.hands.CLOSING", 0.2)
    done = run(tmp_path, agent, what)
    assert done.complete
    (remark,) = done.tally.remarks
    assert remark.startswith(told)
    assert all(isinstance(one, Score) for one in outcomes(tmp_path, "repetition"))


def test_each_is_closed_whatever_becomes_of_the_others(tmp_path: Path) -> None:
    judges = [{"name": name, "label": name[4:], "options": {"what": "close"}} for name in ("ill:judge", "ill:far_judge")]
    done = run(tmp_path, "ill:near", "close", judges=judges)
    assert done.complete
    assert [remark.partition(" failed")[0] for remark in done.tally.remarks] == [
        "the judge 'far_judge/ill:far_judge'",
        "the agent 'ill:near'",
        "the judge 'judge/ill:judge'",
    ]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("build", "KeyError: "),
        ("quit", "SystemExit: 5"),
        ("nothing", "AttributeError: 'NoneType' object has no attribute"),
        ("identity", "ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.parametrize("kind", ["agent", "judge", "synthesizer", "recognizer"])
def test_what_cannot_be_built_is_one_sentence_with_its_name(
    tmp_path: Path, kind: str, what: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret-key-abcdefgh12345678")
    options = {"what": what}
    changes: dict[str, Any] = {
        "agent": {"agent": "ill:agent", "what": what},
        "judge": {"judges": [{"name": "ill:judge", "options": options}]},
        "synthesizer": {"user": {"engine": "ill:synthesizer", "options": options}},
        "recognizer": {"transcriber": {"name": "ill:recognizer", "options": options}},
    }[kind]
    with pytest.raises(InputError) as caught:
        run(tmp_path, **changes)
    assert caught.value.message.startswith(f"the {kind} 'ill:{kind}' cannot be used: {told}")
    assert "secret-key" not in caught.value.message


def test_a_module_that_leaves_while_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "quitter.py").write_text('"""Leaves."""\nimport sys\nsys.exit(7)\n')
    with pytest.raises(InputError, match=r"the agent 'quitter:agent' cannot be used: SystemExit: 7 \(in quitter.py, line 3\)"):
        run(tmp_path, "quitter:agent")


def test_the_doctor_tells_it_as_a_point(tmp_path: Path) -> None:
    raw = {
        "name": "x",
        "corpus": {"format": "demo", "n": 1},
        "transcriber": "stub",
        "user": {"engine": "stub"},
        "judges": ["repetition"],
        "arms": {"a": {"agent": "ill:agent", "options": {"what": "identity"}}},
    }
    _, points = examine(raw, "x", tmp_path)
    (wrong,) = (point for point in points if point.missing)
    assert wrong.missing.startswith("the agent 'ill:agent' cannot be used: ZeroDivisionError")
