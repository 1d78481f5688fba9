"""A simulated user: shown the conversation from its own side, stopped by rule, recorded, told apart from a fixed one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from small_study import dialogues, opened, small_study
from turnwise.agents.agent import Past, Reply
from turnwise.dialogues.dialogue import Dialogue, Fact, Turn
from turnwise.foundation.errors import EngineError, InputError
from turnwise.judges.judge import Spoken
from turnwise.judges.verdict import Fault, Score
from turnwise.study.cell import UserTurn
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.simulated_user import ended, instructions, turn_of, view_of
from turnwise.study.study import SimulatedUser

CUSTOMER = '''"""A customer who counts what it is told, then leaves; and an agent that repeats."""
from turnwise.agents.agent import Reply
from turnwise.foundation.errors import EngineError
class Customer:
    speaks = False
    def __init__(self, leave, fail): self.leave, self.fail = leave, fail
    def identity(self): return {}
    def open(self, around): return self
    def close(self): pass
    def answer(self, view, *, seed):
        if view.round == self.fail: raise EngineError("timeout", "too late")
        turns = sum(past.speaker == "agent" for past in view.past)
        if view.round == self.leave: return Reply("Goodbye. [END]")
        return Reply(f"After {turns} turns of mine you said {view.text[:40]}")
def agent(leave=4, fail=0): return Customer(leave, fail)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "customers.py").write_text(CUSTOMER)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def live(folder: Path, **options: Any) -> Any:
    simulator = {"agent": "customers:agent", **options}
    arms = {"fixed": {"agent": "echo", "options": {"voice": True}}, "live": {"base": "fixed", "user_mode": "live"}}
    return small_study(folder, count=2, arms=arms, simulator=simulator)


def test_a_live_conversation_is_played_recorded_and_marked(folder: Path) -> None:
    done = carry_out(live(folder), folder / "run", workers=0)
    assert done.complete
    results = load_results(folder / "run")
    by_arm = {arm: [c for c in results.conversations if c.arm == arm] for arm in ("fixed", "live")}
    assert [c.ended for c in by_arm["fixed"]] == ["", ""]
    for conversation in by_arm["live"]:
        said = [answered.user.text for answered in conversation.rounds]
        assert said[0] == "Hi."
        assert said[1] == "After 1 turns of mine you said You said: Hi."
        assert said[2].startswith("After 2 turns of mine you said You said: After 1 turns")
        assert said[3] == "Goodbye."
        assert conversation.ended == "the user left"
        assert len(conversation.rounds) == len(conversation.dialogue.rounds()) == 4
        assert all(isinstance(answered.outcomes["repetition"], Score) for answered in conversation.rounds)
        assert all(answered.transcript for answered in conversation.rounds)
    with opened(folder / "run" / "ledger.sqlite") as db:
        assert db.execute("SELECT COUNT(*) FROM cell WHERE kind = 'user-turn'").fetchone() == (6,)
    assert carry_out(live(folder), folder / "run", workers=0).already


def test_summaries_and_reports_take_both_kinds_of_arms(folder: Path) -> None:
    from turnwise.report.page import build
    from turnwise.statistics.summary import summarise

    carry_out(live(folder, options={"leave": 3}), folder / "run", workers=0)
    results = load_results(folder / "run")
    summary = summarise(results)
    planned = {arm.name: arm.criteria["repetition"].estimate for arm in summary.arms}
    assert planned["fixed"].n == 8
    assert planned["live"].n == 6
    build(results, folder / "run", summary=summary)
    assert "simulated user" in (folder / "run" / "report.html").read_text()


def test_a_user_who_fails_is_a_fault_and_the_next_run_goes_on(folder: Path) -> None:
    done = carry_out(live(folder, options={"fail": 3}), folder / "run", workers=0)
    assert done.tally.faults == 2
    conversation = next(c for c in load_results(folder / "run").conversations if c.arm == "live")
    assert [answered.fault for answered in conversation.rounds] == [None, None, Fault("simulated-user", "timeout: too late")]


def test_the_number_of_turns_is_kept(folder: Path) -> None:
    carry_out(live(folder, options={"leave": 99}, most_turns=5), folder / "run", workers=0)
    conversation = next(c for c in load_results(folder / "run").conversations if c.arm == "live")
    assert (len(conversation.rounds), conversation.ended) == (5, "5 turns")


def test_the_roles_are_the_right_way_round() -> None:
    dialogue = Dialogue(
        "d", (Turn("agent", "Welcome."), Turn("user", "A", facts=(Fact("city", "Rome"),)), Turn("agent", "B")), "FindHotel"
    )
    user = SimulatedUser(persona="a nurse")
    assert view_of(user, dialogue, 1, ()).text == "Welcome."
    spoken = [Spoken(1, Turn("user", "Hi."), None, None, "what can i do", "What can I do?", None)]
    view = view_of(user, dialogue, 2, spoken)
    assert view.past == (Past("user", "Welcome."), Past("agent", "Hi."))
    assert view.text == "what can i do"  # as it was heard, not as the agent wrote it
    told = instructions(user, dialogue)
    for part in ("a nurse", "FindHotel", "city: Rome", "customer"):
        assert part in told


@pytest.mark.parametrize("label", ["no_preference", "not_interested_2", "not_interested_4", "not_interested_all"])
def test_each_willingness_has_its_words(label: Any) -> None:
    told = {instructions(SimulatedUser(willingness=w), dialogues(1)[0]) for w in ("no_preference", label)}
    assert len(told) == (1 if label == "no_preference" else 2)


def test_when_it_ends() -> None:
    user = SimulatedUser(most_turns=2)

    def one(said: str) -> Spoken:
        return Spoken(1, Turn("user", "x"), None, None, said, said, None)

    assert ended(user, [one("what else")], UserTurn("x")) == ""
    assert ended(user, [one("Proceed to task oriented dialog agent.")], UserTurn("x")) == "the agent handed over"
    assert ended(user, [one("thanks and good bye")], UserTurn("x")) == "the agent took leave"
    assert ended(user, [one("have a nice day")], UserTurn("x")) == "the agent took leave"
    assert ended(user, [one("the bus goes by eyebright lane")], UserTurn("x")) == ""
    assert ended(user, [one("a"), one("b")], UserTurn("x")) == "2 turns"
    assert turn_of(Reply("That is all. [END]")) == UserTurn("That is all.", "the user left")
    assert turn_of(Reply("[END]")) == UserTurn("", "the user left")
    with pytest.raises(EngineError, match="said nothing"):
        turn_of(Reply("  "))


def test_what_a_live_arm_needs(folder: Path) -> None:
    arms = {"live": {"agent": "echo", "user_mode": "live"}}
    with pytest.raises(InputError, match="there is no simulated user"):
        small_study(folder, arms=arms)
    with pytest.raises(InputError, match="speaks by itself"):
        small_study(folder, arms=arms, simulator={"agent": "echo", "options": {"voice": True}})
    arms["live"]["context"] = {"replies": "written"}  # type: ignore[assignment]
    with pytest.raises(InputError, match="no written replies"):
        small_study(folder, arms=arms, simulator={"agent": "customers:agent"})
