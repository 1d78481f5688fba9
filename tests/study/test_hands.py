"""What waits for servers is done on the loop: once when many ask for it, told as a fault when it breaks, paid as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from small_study import opened, raw_study, small_study
from turnwise.foundation.errors import InputError, StorageError
from turnwise.judges.verdict import Abstention, Fault, Score
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.ledger import Ledger
from turnwise.study.study_file import read_study

FAR = '''"""An agent, a voice, ears and a judge that wait."""
import asyncio
from turnwise.agents.agent import Reply
from turnwise.endpoints import calls
from turnwise.endpoints.calls import Call
from turnwise.foundation.errors import EngineError, RunStopped, StorageError
from turnwise.judges.judge import Criterion, Judge
from turnwise.judges.verdict import Abstention, Fault, Score
from turnwise.speech.engine import Heard
from turnwise.speech.engines.stub import decode, encode

done = []
CRITERIA = tuple(Criterion(name, "points", "higher", 0.0, 100.0) for name in ("sense", "tone"))

class Far:
    place, speaks, adapts = "driver", False, False
    def __init__(self, what="fine", models=()): self.what, self.models = what, models
    def identity(self): return {}
    def reach(self, around): return self
    async def close(self): done.append(("close", ""))
    async def speak(self, utterance):
        await asyncio.sleep(0.01)
        done.append(("speak", utterance.text))
        return encode(utterance.text)
    async def hear(self, listening):
        await asyncio.sleep(0.01)
        done.append(("hear", listening.dialogue))
        return Heard(decode(listening.sound))
    async def answer(self, view, *, seed):
        await asyncio.sleep(0.001)
        done.append(("answer", view.round))
        calls.note(Call("far", "m", "/chat", 0.5, cost=0.25))
        if view.round == 2 and self.what == "boom": return 1 / 0
        if view.round == 2 and self.what == "full": raise StorageError("no room", "make some")
        if view.round == 2 and self.what == "spent": raise RunStopped("the budget of 1 is spent")
        if view.round == 2 and self.what == "mute": return Reply("")
        return Reply(f"I hear {view.text}")

class Sitting:
    def __init__(self, what): self.what = what
    async def decide(self, exchange, *, seed):
        await asyncio.sleep(0.001)
        number = exchange.now.number
        done.append(("decide", number, exchange.last))
        calls.note(Call("far", "j", "/chat", 0.5, failures=("rate-limit",), attempts=2))
        if self.what == "half" and number == 2: return {"sense": Score(10.0), "tone": Fault("parse", "no tone")}
        if self.what == "boom": raise EngineError("refused", "not me")
        if self.what == "needs": return {"sense": exchange.verdicts["repetition"], "tone": Abstention("no")}
        return {"sense": Score(seed % 99991 / 1000), "tone": Score(50.0)}
    async def close(self): done.append(("rise", ""))

def agent(what="fine"): return Far(what, ("vendor/m",))
def synthesizer(): return Far()
def recognizer(): return Far()
def judge(what="fine"):
    needs = ("repetition",) if what == "needs" else ()
    return Judge(1, CRITERIA, reach=lambda bench: Sitting(what), models=("vendor/j",), needs=needs, at_end=what == "end")
'''


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import importlib
    import sys

    (tmp_path / "far_away.py").write_text(FAR)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("far_away", None)
    yield importlib.import_module("far_away")
    sys.modules.pop("far_away", None)


def run(folder: Path, what: str = "fine", judges: Any = ("repetition",), workers: int = 0, **changes: Any) -> Any:
    arms = changes.pop("arms", {"a": {"agent": "far_away:agent", "options": {"what": what}, "context": {"user": "written"}}})
    study = small_study(folder, count=2, arms=arms, judges=list(judges), **changes)
    return carry_out(study, folder / "run", workers=workers)


def outcomes(folder: Path, criterion: str) -> list[Any]:
    results = load_results(folder / "run")
    return [answered.outcomes[criterion] for conversation in results.conversations for answered in conversation.rounds]


def test_a_cascade_of_far_parts_speaks_and_hears_each_thing_once(tmp_path: Path, far: Any) -> None:
    options = {"recognizer": "far_away:recognizer", "mind": "far_away:agent", "synthesizer": "far_away:synthesizer"}
    arms = {"a": {"agent": "cascade", "options": options}, "b": {"base": "a", "context": {"past": 0}}}
    study = small_study(tmp_path, count=2, arms=arms, user={"engine": "far_away:synthesizer"}, transcriber="far_away:recognizer")
    done = carry_out(study, tmp_path / "run", workers=0)
    assert done.complete
    assert [kind for kind, *_ in far.done].count("speak") == 8 + 8  # what the users say, and the same replies of both arms
    assert [kind for kind, *_ in far.done].count("hear") == 8 + 8  # cascade and transcriber share their ears
    results = load_results(tmp_path / "run")
    first = results.conversations[0].rounds[0]
    assert first.transcript == f"I hear {first.user.text}"
    assert results.arm_models == {"a": ("vendor/m",), "b": ("vendor/m",)}
    spent = {(e.purpose, e.model): (e.calls, e.cost) for e in results.expenses}
    assert spent == {("arm a", "m"): (8, 2.0), ("arm b", "m"): (6, 1.5)}  # in the first round both are shown the same
    before = len(far.done)
    assert carry_out(study, tmp_path / "run", workers=0).already
    assert len(far.done) == before


def test_far_and_near_work_together_in_processes(tmp_path: Path, far: Any) -> None:
    options = {"recognizer": "stub", "mind": "far_away:agent", "synthesizer": "stub"}
    judges = ["repetition", {"name": "far_away:judge", "label": "far"}]
    done = run(tmp_path, judges=judges, workers=1, arms={"a": {"agent": "cascade", "options": options}})
    assert done.complete
    assert all(isinstance(one, Score) for name in ("repetition", "far/sense") for one in outcomes(tmp_path, name))


def test_what_breaks_is_a_fault_of_that_turn(tmp_path: Path, far: Any) -> None:
    done = run(tmp_path, "boom", on_fault="skip")
    found = outcomes(tmp_path, "repetition")
    assert [type(one) for one in found] == [Score, Fault, Score, Score] * 2
    assert found[1].cause == "error"
    assert "ZeroDivisionError" in found[1].detail
    assert done.tally.faults == 2


def test_what_the_user_must_mend_ends_the_run(tmp_path: Path, far: Any) -> None:
    with pytest.raises(StorageError, match="no room"):
        run(tmp_path, "full")
    with Ledger(tmp_path / "run" / "ledger.sqlite", write=False) as ledger:
        assert len(list(ledger.calls())) >= 2  # the call of the turn that ended the run was paid too


def test_a_stop_is_no_fault_and_the_next_run_goes_on(tmp_path: Path, far: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(tmp_path, "spent")
    assert (done.complete, done.tally.faults) == (False, 0)
    assert done.tally.stopped == "the budget of 1 is spent"
    with opened(tmp_path / "run" / "ledger.sqlite") as db:
        assert db.execute("SELECT COUNT(*) FROM cell WHERE outcome = 'fault'").fetchone() == (0,)
    answer = far.Far.answer

    async def funded(self: Any, view: Any, *, seed: int) -> Any:
        self.what = "fine"
        return await answer(self, view, seed=seed)

    monkeypatch.setattr(far.Far, "answer", funded)
    again = run(tmp_path, "spent")
    assert again.complete
    assert [kind for kind, *_ in far.done].count("answer") == 8 + 2  # only what was stopped was asked again


def test_a_silent_turn_is_not_judged(tmp_path: Path, far: Any) -> None:
    run(tmp_path, "mute", judges=[{"name": "far_away:judge"}])
    assert sorted({one[1] for one in far.done if one[0] == "decide"}) == [1, 3, 4]


def test_one_criterion_at_fault_keeps_the_other_and_is_asked_again(tmp_path: Path, far: Any) -> None:
    judges = [{"name": "far_away:judge", "options": {"what": "half"}}]
    done = run(tmp_path, judges=judges)
    assert done.tally.faults == 2
    assert [type(one) for one in outcomes(tmp_path, "sense")] == [Score] * 8
    assert outcomes(tmp_path, "sense")[1] == Score(10.0)
    assert outcomes(tmp_path, "tone")[1].cause == "parse"
    before = [one[0] for one in far.done].count("decide")
    run(tmp_path, judges=judges)
    assert [one[0] for one in far.done].count("decide") == before + 2


def test_a_judge_that_fails_is_accounted_for(tmp_path: Path, far: Any) -> None:
    run(tmp_path, judges=["repetition", {"name": "far_away:judge", "options": {"what": "boom"}}])
    assert all(one == Fault("refused", "not me") for one in outcomes(tmp_path, "sense"))
    assert all(isinstance(one, Score) for one in outcomes(tmp_path, "repetition"))
    expense = next(e for e in load_results(tmp_path / "run").expenses if e.purpose == "judge far_away:judge")
    assert (expense.calls, expense.attempts, expense.failures, expense.cost) == (8, 16, {"rate-limit": 8}, None)


def test_repeats_are_judged_apart_and_their_mean_is_the_score(tmp_path: Path, far: Any) -> None:
    judges = [
        "repetition",
        {"name": "far_away:judge", "label": "x", "repeats": 3},
        {"name": "far_away:judge", "label": "y", "options": {"what": "needs"}},
    ]
    run(tmp_path, judges=judges)
    results = load_results(tmp_path / "run")
    answered = results.conversations[0].rounds[1]
    each = answered.repeats["x/sense"]
    assert len({one.value for one in each if isinstance(one, Score)}) == 3  # three seeds
    mean = answered.outcomes["x/sense"]
    assert isinstance(mean, Score)
    assert mean.value == pytest.approx(sum(one.value for one in each if isinstance(one, Score)) / 3)
    assert answered.outcomes["y/sense"] == answered.outcomes["repetition"]
    assert answered.outcomes["y/tone"] == Abstention("no")
    kept = {i.criterion.name: (i.judge, i.models, i.repeats) for i in results.instruments}
    assert kept["x/sense"] == ("x/far_away:judge", ("vendor/j",), 3)
    # Another label or more repeats does not make what was judged old.
    before = [one[0] for one in far.done].count("decide")
    judges[1] = {"name": "far_away:judge", "label": "z", "repeats": 4}
    run(tmp_path, judges=judges)
    assert [one[0] for one in far.done].count("decide") == before + 8


def test_two_arms_that_say_the_same_are_judged_once(tmp_path: Path, far: Any) -> None:
    arms = {
        "a": {"agent": "far_away:agent", "context": {"user": "written"}},
        "b": {"base": "a", "context": {"past": 0}},  # to be asked apart, and to answer the same
    }
    assert run(tmp_path, judges=[{"name": "far_away:judge"}], arms=arms).complete
    assert [one[0] for one in far.done].count("decide") == 8
    assert outcomes(tmp_path, "sense")[:8] == outcomes(tmp_path, "sense")[8:]


def test_a_judge_of_the_whole_is_asked_at_the_end(tmp_path: Path, far: Any) -> None:
    run(tmp_path, judges=[{"name": "far_away:judge", "options": {"what": "end"}}])
    assert [one for one in far.done if one[0] == "decide"] == [("decide", 4, True)] * 2
    assert [type(one) for one in outcomes(tmp_path, "sense")] == [Abstention, Abstention, Abstention, Score] * 2


@pytest.mark.parametrize(
    ("judges", "message"),
    [
        ([{"name": "repetition", "repeats": 2}], "decides the same every time"),
        (["repetition", {"name": "far_away:judge"}, {"name": "far_away:judge"}], "named twice"),
        ([{"name": "far_away:judge", "label": "a/b"}], "label"),
        ([{"name": "far_away:judge", "repeats": 0}], "repeats"),
        ([{"name": "far_away:judge", "options": {"what": "needs"}}], "needs the criterion 'repetition'"),
    ],
)
def test_wrong_judges_are_refused(tmp_path: Path, far: Any, judges: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, judges=judges)


def test_unknown_endpoints_are_refused_before_anything_runs(tmp_path: Path) -> None:
    raw = raw_study(tmp_path / "c.jsonl", arms={"a": {"agent": "echo"}})
    raw["user"] = {"engine": "stub", "options": {}}
    raw["endpoints"] = {"mine": {"url": "ftp://x"}}
    raw["judges"] = [{"name": "dialogue_quality", "options": {"model": "m", "endpoint": "mine"}}]
    with pytest.raises(InputError, match=r"endpoints\.mine\.url"):
        read_study(raw, "s")
    raw["endpoints"] = {}
    raw["judges"][0]["options"]["endpoint"] = "nowhere"
    with pytest.raises(InputError, match="no endpoint is called 'nowhere'"):
        read_study(raw, "s")
