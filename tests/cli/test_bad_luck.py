"""Bad input and bad luck: one sentence that names the place, the right exit code, no traceback, nothing damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from small_study import dialogues, opened, write_corpus

STUDY = """
name = "small"
transcriber = "stub"
judges = ["repetition"]
corpus = { format = "jsonl", path = "corpus.jsonl" }
user = { engine = "stub" }
[arms.voice]
agent = "echo"
options = { voice = true }
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    write_corpus(tmp_path, dialogues(2))
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def turnwise(desk: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "turnwise", *words], cwd=desk, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert "Traceback" not in done.stderr
    assert "Traceback" not in done.stdout
    return done.returncode, done.stdout, done.stderr


def run(desk: Path, out: str = "run") -> tuple[int, str, str]:
    return turnwise(desk, "run", "study.toml", "--out", out, "--workers", "0")


def test_a_run_ends_with_the_path_of_its_report(desk: Path) -> None:
    code, said, _ = run(desk)
    assert code == 0
    assert said.splitlines()[-1] == "run/report.html"
    code, said, _ = run(desk)
    assert code == 0
    assert "nothing to do" in said


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("study.toml", b"name = ", "study.toml: not TOML"),
        ("study.toml", b"\xff\xfe\x00", "study.toml is not UTF-8"),
        ("corpus.jsonl", b'{"id": "a", "turns": [', "corpus.jsonl"),
        ("corpus.jsonl", "naïve".encode("utf-16"), "corpus.jsonl"),
        ("corpus.jsonl", b"", "corpus.jsonl"),
    ],
)
def test_broken_files(desk: Path, file: str, content: bytes, said: str) -> None:
    (desk / file).write_bytes(content)
    code, _, error = run(desk)
    assert code == 2
    assert said in error
    assert len(error.strip().splitlines()) <= 2


def test_duplicate_and_hostile_ids_never_become_paths(desk: Path) -> None:
    import msgspec

    made = dialogues(2)
    hostile = msgspec.structs.replace(made[0], id="../../outside<script>")
    write_corpus(desk, [hostile, made[1], hostile])
    code, _, error = run(desk)
    assert code in (0, 2)
    if code == 2:  # refused with a reason that names the id
        assert "outside" in error
    assert not (desk.parent / "outside<script>").exists()
    assert not list(desk.parent.glob("outside*"))


def test_a_missing_corpus(desk: Path) -> None:
    (desk / "corpus.jsonl").unlink()
    code, _, error = run(desk)
    assert code == 2
    assert "corpus.jsonl" in error


def test_a_folder_that_cannot_be_made(desk: Path) -> None:
    (desk / "file").write_text("")
    code, _, error = run(desk, "file/run")
    assert code == 2
    assert "cannot be made" in error


def test_a_ledger_of_a_newer_version(desk: Path) -> None:
    run(desk)
    with opened(desk / "run" / "ledger.sqlite") as db:
        db.execute("INSERT INTO migration VALUES ('_m9999')")
    for verb in (("run", "study.toml", "--out", "run"), ("report", "run"), ("verify", "run")):
        code, _, error = turnwise(desk, *verb)
        assert code == 2
        assert "newer turnwise" in error


def test_a_ledger_of_garbage(desk: Path) -> None:
    (desk / "run").mkdir()
    (desk / "run" / "ledger.sqlite").write_bytes(b"garbage " * 999)
    code, _, error = run(desk)
    assert code == 2
    assert "is not a usable ledger" in error
    assert (desk / "run" / "ledger.sqlite").read_bytes() == b"garbage " * 999


def test_a_second_process_on_the_same_run(desk: Path) -> None:
    (desk / "run").mkdir()
    with filelock.FileLock(desk / "run" / ".lock"):
        code, _, error = run(desk)
    assert code == 2
    assert "another process is working on run" in error


def test_a_run_that_is_not_there(desk: Path) -> None:
    for verb in ("report", "verify"):
        code, _, error = turnwise(desk, verb, "nowhere")
        assert code == 2
        assert "does not exist" in error


def test_verify_tells_of_damage(desk: Path) -> None:
    run(desk)
    assert turnwise(desk, "verify", "run")[0] == 0
    clip = next((desk / "run" / "clips").rglob("*.flac"))
    clip.write_bytes(b"")
    code, said, _ = turnwise(desk, "verify", "run")
    assert code == 1
    assert clip.name in said


def test_faults_leave_with_three_and_are_counted(desk: Path) -> None:
    (desk / "study.toml").write_text(STUDY.replace("voice = true", "voice = true, fail_on = [2]"))
    code, said, _ = run(desk)
    assert code == 3
    assert "at fault" in said


def test_below_the_bar_leaves_with_one(desk: Path) -> None:
    (desk / "study.toml").write_text(STUDY.replace('name = "small"', 'name = "small"\nbar = { repetition = -1 }'))
    code, said, _ = run(desk)
    assert code == 1
    assert "below the bar: voice" in said


def test_wrong_usage(desk: Path) -> None:
    assert turnwise(desk, "run")[0] == 2
    assert turnwise(desk, "rnu")[0] == 2
    code, _, error = turnwise(desk, "list", "judges", "memry")
    assert code == 2
    assert "did you mean 'memory'?" in error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte, where this machine lets us have one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        shutil.which("mount")
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True).returncode == 0
    )
    if not mounted:
        pytest.skip("no small disk can be mounted here: that needs root and the right to mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_stops_the_run_and_damages_nothing(desk: Path, small_disk: Path) -> None:
    write_corpus(desk, dialogues(40))
    code, _, error = run(desk, str(small_disk / "run"))
    assert code == 2
    assert "make room" in error
    assert str(small_disk) in error
    # With room again, the same command goes on where it stopped.
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    code, said, _ = run(desk, str(small_disk / "run"))
    assert code == 0, said
    assert turnwise(desk, "verify", str(small_disk / "run"))[0] == 0


@pytest.fixture
def read_only(desk: Path) -> Iterator[Path]:
    place = desk / "kept"
    assert run(desk, "kept")[0] == 0
    mounted = subprocess.run(["mount", "--bind", place, place], capture_output=True).returncode == 0
    if not mounted or subprocess.run(["mount", "-o", "remount,bind,ro", place], capture_output=True).returncode != 0:
        if mounted:
            subprocess.run(["umount", place], check=True)
        pytest.skip("no folder can be made read-only for root here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_read_only_run_is_refused_for_writing_and_fine_for_verifying(desk: Path, read_only: Path) -> None:
    code, _, error = run(desk, "kept")
    assert code == 2
    assert "kept" in error
    assert turnwise(desk, "verify", "kept")[0] == 0
    code, _, error = turnwise(desk, "report", "kept")
    assert code == 2
    assert "cannot be written" in error
