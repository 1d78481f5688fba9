"""Worker processes die, and the run does not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from small_study import small_study
from turnwise.agents.agent import View
from turnwise.foundation.errors import StorageError
from turnwise.judges.verdict import Fault
from turnwise.study.plan import make_plan
from turnwise.study.pool import Processes
from turnwise.study.task import Ask, Speak
from turnwise.study.worker import kit_of

DEADLY = '''"""An agent that takes its process with it, or waits for ever."""
import os, time
from turnwise.agents.agent import Reply
from turnwise.foundation.errors import StorageError
class Deadly:
    speaks = False
    def identity(self): return {}
    def open(self, surroundings): return self
    def answer(self, view, *, seed):
        if view.text == "die": os._exit(9)
        if view.text == "wait": time.sleep(600)
        if view.text == "full": raise StorageError("the disk is full", "make room")
        return Reply(f"alive in {os.getpid()}")
    def close(self): pass
def agent(): return Deadly()
'''


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    arms = {"deadly": {"agent": "deadly:agent", "context": {"user": "written"}}}
    plan = make_plan(small_study(tmp_path, arms=arms), tmp_path)
    pool = Processes(kit_of(plan, tmp_path / "clips"), 1)
    yield pool
    pool.close()


def ask(text: str) -> Ask:
    return Ask("deadly", View("d", 1, "", (), text, None), 1)


def test_a_dead_worker_is_a_fault_of_its_task_and_is_replaced(pool: Processes) -> None:
    async def work() -> None:
        first = await pool.do(ask("hello"))
        assert await pool.do(ask("die")) == Fault("worker-died", "exit code 9")
        second = await pool.do(ask("hello"))
        assert first != second  # another process answered

    asyncio.run(work())


def test_what_the_user_must_mend_is_raised_here(pool: Processes) -> None:
    with pytest.raises(StorageError, match="disk is full") as caught:
        asyncio.run(pool.do(ask("full")))
    assert caught.value.hint == "make room"


def test_closing_ends_a_worker_in_the_middle_of_a_task(pool: Processes) -> None:
    async def work() -> None:
        waiting = asyncio.create_task(pool.do(ask("wait")))
        await asyncio.sleep(2)
        pool.close()
        assert await waiting == Fault("stopped", "the run was stopped")

    started = time.monotonic()
    asyncio.run(work())
    assert time.monotonic() - started < 30


def test_workers_speak_the_same_way(pool: Processes) -> None:
    async def work() -> None:
        one = await pool.do(Speak("good morning", 1, (), 0))
        assert one == await pool.do(Speak("good morning", 1, (), 0))

    asyncio.run(work())


ORPHANING = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small_study import small_study
from turnwise.study.plan import make_plan
from turnwise.study.pool import Processes
from turnwise.study.task import Speak
from turnwise.study.worker import kit_of
if __name__ == "__main__":
    folder = Path(sys.argv[2])
    plan = make_plan(small_study(folder), folder)
    pool = Processes(kit_of(plan, folder / "clips"), 1)
    asyncio.run(pool.do(Speak("good morning", 1, (), 0)))
    print(pool._seats[0]._process.pid, flush=True)
    input()
"""


def test_no_worker_outlives_a_killed_driver(tmp_path: Path) -> None:
    script = tmp_path / "orphaning.py"
    script.write_text(ORPHANING)
    tests = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [sys.executable, script, tests, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        os.kill(driver.pid, signal.SIGKILL)
    for _ in range(100):
        if not _running(worker):
            break
        time.sleep(0.1)
    assert not _running(worker)


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
