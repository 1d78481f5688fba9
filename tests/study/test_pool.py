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
from turnwise.study.cell import Transcript
from turnwise.study.plan import make_plan
from turnwise.study.pool import Processes, visible_devices
from turnwise.study.task import Ask, Part, Speak, Thought, Transcribe
from turnwise.study.worker import Worker, kit_of

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
    return Ask(Part("agent", "deadly:agent"), View("d", 1, "", (), text, None), 1)


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
        one = await pool.do(Speak(Part("synthesizer", "stub"), "good morning", 1))
        assert one == await pool.do(Speak(Part("synthesizer", "stub"), "good morning", 1))

    asyncio.run(work())


HEAVY = '''"""An agent and ears that load weights, take several at once, and tell what was asked of them."""
import os
from turnwise.agents.agent import Reply
from turnwise.speech.engine import Heard
class Heavy:
    place, speaks, adapts, batch = "device", False, False, 4
    def __init__(self): self.calls, self.closed = [], 0
    def identity(self): return {}
    def open(self, around): return self
    def close(self): self.closed += 1
    def answer_many(self, asked):
        if len(asked) > 1 and any(one.view.text == "alone" for one in asked): raise RuntimeError("together it is too much")
        if any(one.view.text == "die" for one in asked): os._exit(7)
        self.calls.append(len(asked))
        state = f"{os.getpid()} {self.closed} {self.calls} {os.environ.get('CUDA_VISIBLE_DEVICES')}"
        return [Reply(f"{one.view.text} {state}") for one in asked]
    def hear_many(self, sounds):
        self.calls.append(len(sounds))
        return [Heard(f"{one.dialogue} of {len(sounds)}") for one in sounds]
shared = Heavy()
def agent(): return shared
def recognizer(): return Heavy()
'''
HEAVY_AGENT = Part("agent", "heavy_parts:agent")


@pytest.fixture
def two_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    (tmp_path / "heavy_parts.py").write_text(HEAVY)
    monkeypatch.syspath_prepend(tmp_path)
    kit = kit_of(make_plan(small_study(tmp_path), tmp_path), tmp_path / "clips")
    made = [Processes(kit, 1, devices) for devices in ([], ["3"], ["0", "1"])]
    yield made
    for pool in made:
        pool.close()


def think(text: str) -> Ask:
    return Ask(HEAVY_AGENT, View("d", 1, "", (), text, None), 1)


async def _texts(pool: Processes, *texts: str) -> list[list[str]]:
    done = await asyncio.gather(*(pool.do(think(text), heavy=True) for text in texts))
    return [one.reply.text.split(" ", 3) if isinstance(one, Thought) else [repr(one)] for one in done]


def test_a_device_is_given_all_that_waits_for_the_same_part(two_devices: list[Processes]) -> None:
    async def work() -> None:
        texts = await _texts(two_devices[0], *map(str, range(11)))
        assert [one[0] for one in texts] == [*map(str, range(11))]
        assert len({one[1] for one in texts}) == 1  # one process holds it
        # The first is alone; the ten behind it went together, four at a time.
        assert texts[-1][3] == "[1, 4, 4, 2] None"

    asyncio.run(work())


def test_each_device_has_its_process_and_sees_no_other(two_devices: list[Processes]) -> None:
    async def work() -> None:
        assert (await _texts(two_devices[1], "a"))[0][3] == "[1] 3"
        seen = await _texts(two_devices[2], "a", "b")
        assert {one[3] for one in seen} == {"[1] 0", "[1] 1"}

    asyncio.run(work())


def test_what_fails_together_is_done_alone(two_devices: list[Processes]) -> None:
    async def work() -> None:
        texts = await _texts(two_devices[0], "first", "alone", "other")
        assert [one[0] for one in texts] == ["first", "alone", "other"]

    asyncio.run(work())


def test_only_the_one_that_kills_the_process_is_at_fault(two_devices: list[Processes]) -> None:
    async def work() -> None:
        texts = await _texts(two_devices[0], "first", "good", "die", "fine")
        assert [one[0] for one in (texts[0], texts[1], texts[3])] == ["first", "good", "fine"]
        assert "worker-died" in texts[2][0]

    asyncio.run(work())


def test_freed_parts_are_closed_and_opened_anew(two_devices: list[Processes]) -> None:
    async def work() -> None:
        assert (await _texts(two_devices[0], "a"))[0][2] == "0"
        await two_devices[0].free((HEAVY_AGENT.key,))
        assert (await _texts(two_devices[0], "a"))[0][2] == "1"

    asyncio.run(work())


def test_ears_hear_many_and_remember(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from turnwise.foundation.audio import Sound

    (tmp_path / "heavy_parts.py").write_text(HEAVY)
    monkeypatch.syspath_prepend(tmp_path)
    worker = Worker(kit_of(make_plan(small_study(tmp_path), tmp_path), tmp_path / "clips"))
    ears = Part("recognizer", "heavy_parts:recognizer")
    clips = [worker.clips.keep(Sound(np.full(100, level, dtype=np.float32), 8000)) for level in (0.1, 0.2, 0.3, 0.4, 0.5, 0.0)]
    tasks = [Transcribe(ears, clip, "d") for clip in clips]
    first = worker.do(tasks[1])
    assert isinstance(first, Transcript)
    assert first.text == "d of 1"
    texts = [done.text for done in worker.do_many(tasks) if isinstance(done, Transcript)]
    assert texts == ["d of 4", "d of 1", "d of 4", "d of 4", "d of 4", ""]  # the second remembered, the last one mute
    assert [task for task in worker.do_many(tasks)] == worker.do_many(tasks[:3]) + worker.do_many(tasks[3:])


def test_gpus_are_found_without_loading_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, found in (("", ()), ("-1", ()), ("2,0", ("2", "0")), ("GPU-abc", ("GPU-abc",))):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
        assert visible_devices() == found


ORPHANING = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small_study import small_study
from turnwise.study.plan import make_plan
from turnwise.study.pool import Processes
from turnwise.study.task import Part, Speak
from turnwise.study.worker import kit_of
if __name__ == "__main__":
    folder = Path(sys.argv[2])
    plan = make_plan(small_study(folder), folder)
    pool = Processes(kit_of(plan, folder / "clips"), 1)
    asyncio.run(pool.do(Speak(Part("synthesizer", "stub"), "good morning", 1)))
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
