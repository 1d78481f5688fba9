"""Killed at any moment, a run loses and repeats nothing that was recorded."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from small_study import opened, small_study
from turnwise.statistics.table import tidy
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.study import Study
from turnwise.study.verify import verify

KILLS = 30

RUN = """
import sys, pathlib, msgspec
from turnwise.study.experiment import carry_out
from turnwise.study.study import Study
if __name__ == "__main__":
    study = msgspec.json.decode(pathlib.Path(sys.argv[1]).read_bytes(), type=Study)
    carry_out(study, pathlib.Path(sys.argv[2]), workers=int(sys.argv[3]))
"""

# An echo that takes its time, so that a kill has something to interrupt, and writes down every answer it really gives.
SLOW = '''"""Echoes slowly and keeps a diary of what it was asked."""
import os, time
from turnwise.agents.agent import Reply, Timings
class Slow:
    speaks = False
    def __init__(self, diary): self.diary = diary
    def identity(self): return {}
    def open(self, surroundings): return self
    def answer(self, view, *, seed):
        time.sleep(0.03)
        with open(self.diary, "a") as file: file.write(f"{view.dialogue} {view.round} {len(view.past)}\\n")
        return Reply(f"I heard {view.text} after {len(view.past)} turns, {seed % 1000}", timings=Timings(think=0.01))
    def close(self): pass
def agent(diary): return Slow(diary)
'''


def slow_study(folder: Path, diary: Path) -> Study:
    (folder / "slow.py").write_text(SLOW)
    arms: dict[str, Any] = {
        "memory": {"agent": "slow:agent", "options": {"diary": str(diary)}, "context": {"user": "transcript"}},
        "last": {"base": "memory", "context": {"past": 0}},
    }
    return small_study(folder, count=8, rounds=5, arms=arms)


def rows(out: Path) -> dict[str, tuple[int, str]]:
    """Finished cells: key to number and payload."""
    if not (out / "ledger.sqlite").exists():
        return {}
    with opened(out / "ledger.sqlite") as db:
        try:
            found = db.execute("SELECT key, seq, payload FROM cell WHERE outcome = 'done'").fetchall()
        except sqlite3.OperationalError:  # killed before the first table
            return {}
    return {key: (seq, payload) for key, seq, payload in found}


def test_thirty_kills_change_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    diary = tmp_path / "diary"
    study = slow_study(tmp_path, diary)
    started = time.monotonic()
    carry_out(study, tmp_path / "undisturbed", workers=0)
    alone = time.monotonic() - started
    answers = len(diary.read_text().splitlines())
    (tmp_path / "study.json").write_bytes(msgspec.json.encode(study))
    (tmp_path / "run.py").write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    chance = random.Random(20261121)
    kills = interrupted = 0
    folders = [tmp_path / "run-0"]
    known: dict[str, tuple[int, str]] = {}
    while kills < KILLS:
        workers = kills % 3  # in one process, in one worker, in two
        command = [sys.executable, tmp_path / "run.py", tmp_path / "study.json", folders[-1], str(workers)]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        time.sleep(chance.uniform(0.2, 0.8 + alone / 4))  # from the first import to somewhere in the work
        if process.poll() is None:
            process.kill()
            process.wait()
            kills += 1
            now = rows(folders[-1])
            assert {key: now[key] for key in known} == known  # nothing recorded was lost or touched
            interrupted += bool(now)
            known = now
        else:  # it came to its end before the kill: the next kills are for a fresh run
            assert process.returncode == 0
            folders.append(tmp_path / f"run-{len(folders)}")
            known = {}
    assert interrupted >= KILLS // 2  # many kills hit a run that had recorded something
    undisturbed = load_results(tmp_path / "undisturbed")
    for out in folders:
        carry_out(study, out, workers=2)
        killed = load_results(out)
        assert tidy(killed).equals(tidy(undisturbed))
        assert [c.rounds for c in killed.conversations] == [c.rounds for c in undisturbed.conversations]
        assert verify(out).wrong == ()
        with opened(out / "ledger.sqlite") as db:
            # Every answer is recorded once: what was in flight at a kill was asked again, what was recorded was not.
            assert db.execute("SELECT COUNT(*), COUNT(DISTINCT key) FROM cell WHERE kind = 'reply'").fetchone() == (
                answers,
                answers,
            )
    # In all, asked again is at most what was in flight: one question per worker process and kill.
    assert len(diary.read_text().splitlines()) <= answers * (1 + len(folders)) + 2 * KILLS


def test_ctrl_c_keeps_what_was_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    slow_study(tmp_path, diary)
    (tmp_path / "study.toml").write_text(
        f"""
name = "slow"
transcriber = "stub"
judges = ["repetition"]
corpus = {{ format = "jsonl", path = "corpus.jsonl" }}
user = {{ engine = "stub" }}
[arms.slow]
agent = "slow:agent"
options = {{ diary = "{diary}" }}
context = {{ user = "transcript" }}
"""
    )
    command = [
        sys.executable,
        "-c",
        "from turnwise.cli.main import main; main()",
        "run",
        "study.toml",
        "--out",
        "run",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(300):
        if len(rows(tmp_path / "run")) >= 5:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on" in said
    assert "Traceback" not in said
    before = rows(tmp_path / "run")
    assert before
    again = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    after = rows(tmp_path / "run")
    assert {key: after[key] for key in before} == before
