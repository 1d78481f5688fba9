"""Whoever reads the output may leave, and the disk under it may be full: the run goes on, and no traceback is ever shown."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from small_study import dialogues, write_corpus
from turnwise.study.ledger import Ledger

CHATTY = '''"""Prints as it answers, as libraries do."""
import sys
from turnwise.agents.agent import Reply
class Chatty:
    speaks = False
    def identity(self): return {}
    def open(self, surroundings): return self
    def answer(self, view, *, seed):
        print("x" * 100_000, flush=True)
        print("y" * 100_000, file=sys.stderr, flush=True)
        return Reply(f"I heard {view.text}")
    def close(self): pass
def agent(): return Chatty()
'''
STUDY = """
name = "small"
transcriber = "stub"
judges = ["repetition"]
corpus = { format = "jsonl", path = "corpus.jsonl" }
user = { engine = "stub" }
[arms.chatty]
agent = "chatty:agent"
context = { user = "written" }
"""
TURNWISE = f"{sys.executable} -m turnwise"
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists() or not stat.S_ISCHR(FULL.stat().st_mode), reason="needs a full device")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "chatty.py").write_text(CHATTY)
    (tmp_path / "study.toml").write_text(STUDY)
    write_corpus(tmp_path, dialogues(2))
    return tmp_path


def shell(desk: Path, line: str, **environment: str) -> tuple[int, str]:
    """Exit code of the first program of a line of the shell, and what came to its error output."""
    command = ["bash", "-c", line + '; exit "${PIPESTATUS[0]}"']
    done = subprocess.run(command, cwd=desk, capture_output=True, text=True, env={**os.environ, **environment})
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


def complete(desk: Path) -> bool:
    with Ledger(desk / "run" / "ledger.sqlite", write=False) as ledger:
        plan = ledger.plan()
        assert ledger.faults() == {}
        return plan is not None and ledger.finished(plan[0])


RUN = f"{TURNWISE} run study.toml --out run --workers"


@pytest.mark.parametrize(
    "line",
    [
        f"{RUN} 1 2>/dev/null | head -n 1 >/dev/null",
        f"{RUN} 1 2>&1 | head -c 1 >/dev/null",  # the workers' outputs too
        f"{RUN} 0 2>&1 | true",
        f"{RUN} 1 >&- 2>&-",
        f"{RUN} 0 <&- >&- 2>&-",
        pytest.param(f"{RUN} 1 2>/dev/full", marks=needs_full),
    ],
)
def test_the_run_is_not_for_its_readers(desk: Path, line: str) -> None:
    code, said = shell(desk, line)
    assert (code, said) == (0, "")
    assert complete(desk)
    assert (desk / "run" / "report.html").stat().st_size > 10_000
    assert not any((desk / "run" / name).read_bytes().startswith(b"x") for name in ("ledger.sqlite", "report.html"))


@needs_full
def test_what_cannot_be_written_is_said_when_all_is_done(desk: Path) -> None:
    assert shell(desk, f"{RUN} 1 2>errors >/dev/full")[0] == 2
    assert complete(desk)
    told = (desk / "errors").read_text().splitlines()[-1]
    assert told == "turnwise: what was printed could not be written: No space left on device"
    # Another exit code is not covered by it.
    with (desk / "study.toml").open("a") as study:
        study.write("[bar]\nrepetition = -1\n")
    assert shell(desk, f"{RUN} 1 2>errors >/dev/full")[0] == 1


@pytest.mark.parametrize("words", ["list judges", "--help", "demo --print-study", "run --help", "list judges memory"])
def test_verbs_that_only_print(desk: Path, words: str) -> None:
    assert shell(desk, f"{TURNWISE} {words} | true") == (0, "")
    assert shell(desk, f"{TURNWISE} {words} >&-") == (0, "")


@needs_full
@pytest.mark.parametrize("words", ["list judges", "--help", "demo --print-study"])
def test_verbs_whose_output_is_lost(desk: Path, words: str) -> None:
    code, said = shell(desk, f"{TURNWISE} {words} >/dev/full")
    assert (code, said) == (2, "turnwise: what was printed could not be written: No space left on device\n")


def test_an_error_with_nobody_to_tell_keeps_its_exit_code(desk: Path) -> None:
    for line in ("run absent.toml 2>&-", "rnu 2>&1 | true", "verify nowhere >&- 2>&-"):
        assert shell(desk, f"{TURNWISE} {line}") == (2, "")


def test_characters_that_the_output_lacks(desk: Path) -> None:
    """An output of old encoding gets escapes, not a failure."""
    code, said = shell(desk, f"{RUN} 0 >out 2>/dev/null", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (code, said) == (0, "")
    assert "report.html" in (desk / "out").read_text(encoding="ascii")
