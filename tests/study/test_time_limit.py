"""What takes too long is ended, told as a fault of the task, and its seat is opened again; what only takes long is not."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_study import small_study
from turnwise.agents.agent import View
from turnwise.foundation.errors import InputError
from turnwise.judges.verdict import Fault, Score
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.plan import make_plan
from turnwise.study.pool import Processes
from turnwise.study.task import Ask, Part, Thought
from turnwise.study.worker import kit_of

LIMIT = 1.5  # seconds
HANGING = '''"""Agents and a judge that may hang, one by one and many at once."""
import os, pathlib, time
from turnwise.agents.agent import Reply
from turnwise.judges.judge import Criterion, Judge
from turnwise.judges.verdict import Score
class One:
    speaks = False
    def __init__(self, opening): self.opening = opening
    def identity(self): return {}
    def open(self, surroundings):
        time.sleep(self.opening)
        return self
    def answer(self, view, *, seed):
        if "hang" in view.text: time.sleep(600)
        return Reply(f"alive in {os.getpid()}")
    def close(self): pass
class Many(One):
    place, batch = "device", 2
    def answer_many(self, asked):
        texts = [one.view.text for one in asked]
        with open("batches", "a") as file: file.write(" ".join(texts) + "\\n")
        time.sleep(0.6 * len(asked))
        return [self.answer(one.view, seed=one.seed) for one in asked]
def agent(opening=0.0): return One(opening)
def many(): return Many(0.0)
class Sitting:
    def decide(self, exchange):
        if exchange.now.number == 2: time.sleep(600)
        return {"strange": Score(1.0)}
    def close(self): pass
def judge(): return Judge(version=1, criteria=(Criterion("strange", "points", "higher"),), open=lambda bench: Sitting())
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hanging.py").write_text(HANGING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pool(folder: Path) -> Iterator[Processes]:
    pool = Processes(kit_of(make_plan(small_study(folder), folder), folder / "clips"), 1, [], limit=LIMIT)
    yield pool
    pool.close()


def ask(text: str, factory: str = "agent", **options: float) -> Ask:
    return Ask(Part("agent", f"hanging:{factory}", dict(options)), View("d", 1, "", (), text, None), 1)


def said(done: object) -> str:
    return done.reply.text if isinstance(done, Thought) else repr(done)


def test_what_hangs_is_ended_and_its_seat_is_opened_again(pool: Processes) -> None:
    async def work() -> None:
        first = await pool.do(ask("hello"))
        began = time.monotonic()
        late = await pool.do(ask("hang"))
        assert LIMIT <= time.monotonic() - began < LIMIT + 10
        assert late == Fault("time-limit", "nothing was done within 1.5 s, and the process at work was ended")
        pid = int(said(first).rpartition(" ")[2])
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        second = await pool.do(ask("hello"))
        assert said(second).startswith("alive in ")
        assert second != first

    asyncio.run(work())


def test_opening_and_doing_each_have_the_whole_time(pool: Processes) -> None:
    async def work() -> None:
        assert said(await pool.do(ask("hello", opening=LIMIT - 0.4))).startswith("alive")
        assert isinstance(await pool.do(ask("hello", opening=LIMIT + 600)), Fault)

    asyncio.run(work())


def together(pool: Processes, *texts: str) -> list[str]:
    async def work() -> list[str]:
        return [said(done) for done in await asyncio.gather(*(pool.do(ask(t, "many"), heavy=True) for t in texts))]

    return asyncio.run(work())


def test_many_batches_one_after_the_other_take_longer_than_the_limit_and_are_not_ended(pool: Processes, folder: Path) -> None:
    texts = together(pool, *"abcdefg")  # the first alone, then three batches of 1.2 s
    assert len(set(texts)) == 1  # one process, never ended
    assert texts[0].startswith("alive in ")
    assert (folder / "batches").read_text().split("\n")[:4] == ["a", "b c", "d e", "f g"]


def test_only_the_one_that_hangs_is_at_fault(pool: Processes) -> None:
    texts = together(pool, "first", "b", "hang", "d")
    assert [text.startswith("alive") for text in texts] == [True, True, False, True]
    assert "time-limit" in texts[2]


def test_when_all_hang_not_each_is_waited_for(pool: Processes) -> None:
    began = time.monotonic()
    texts = together(pool, "first", *(f"hang-{n}" for n in range(20)))
    assert time.monotonic() - began < 5 * LIMIT + 20  # the batch, two of them alone, and the starts between
    assert texts[0].startswith("alive")
    assert [("not tried" in text) for text in texts[1:]] == [False, False] + [True] * 18
    assert all("time-limit" in text for text in texts[1:])


def test_a_judge_that_hangs_is_a_fault_of_its_turns(folder: Path) -> None:
    judges = ["repetition", "hanging:judge"]
    arms = {"a": {"agent": "echo", "context": {"user": "written"}}}
    done = carry_out(small_study(folder, count=1, judges=judges, arms=arms), folder / "run", workers=1, time_limit=LIMIT)
    assert done.tally.faults == 2  # judges of the workers decide in one task
    for answered in load_results(folder / "run").conversations[0].rounds:
        outcome = answered.outcomes["strange"]
        if answered.number == 2:
            assert isinstance(outcome, Fault) and outcome.cause == "time-limit"
        else:
            assert outcome == Score(1.0)


def test_a_limit_that_cannot_be_is_refused(folder: Path) -> None:
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="the time limit is"):
            carry_out(small_study(folder), folder / "run", workers=1, time_limit=limit)
    assert carry_out(small_study(folder, count=1), folder / "run", workers=1, time_limit=float("inf")).complete
