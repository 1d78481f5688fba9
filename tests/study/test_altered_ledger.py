"""A ledger altered by other hands: one sentence that names the row, from every verb; and the manifest, which comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
options = { voice = true, fail_on = [3] }
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    write_corpus(folder, dialogues(2))
    (folder / "study.toml").write_text(STUDY)
    assert turnwise(folder, "run", "study.toml", "--out", "whole", "--workers", "0")[0] == 3
    return folder


def turnwise(desk: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "turnwise", *words], cwd=desk, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def altered(desk: Path, statement: str) -> tuple[str, int]:
    """A copy of the run's ledger after the statement, and the row that it struck."""
    name = f"run-{len(list(desk.glob('run-*')))}"
    (desk / name).mkdir()
    with opened(desk / "whole" / "ledger.sqlite") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (desk / name / "ledger.sqlite").write_bytes((desk / "whole" / "ledger.sqlite").read_bytes())
    with opened(desk / name / "ledger.sqlite") as db:
        return name, db.execute(f"{statement} RETURNING seq").fetchone()[0]


ONE = "seq = (SELECT MIN(seq) FROM cell WHERE kind = '{0}' AND outcome = '{1}')"


@pytest.mark.parametrize(
    ("kind", "outcome", "payload"),
    [
        ("reply", "done", '\'{"reply": {"text": "half\''),
        ("user-clip", "done", "'{}'"),
        ("user-transcript", "done", "'[]'"),
        ("verdict", "done", '\'{"verdicts": {"repetition": 5}}\''),
        ("transcript", "done", "X'FF00FE'"),
        ("transcript", "done", "5"),
        ("reply", "fault", "'{\"cause\"'"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(desk: Path, kind: str, outcome: str, payload: str) -> None:
    run, seq = altered(desk, f"UPDATE cell SET payload = {payload} WHERE {ONE.format(kind, outcome)}")
    what = kind if outcome == "done" else "a fault"
    verbs: list[tuple[str, ...]] = [("report", run)]
    if outcome == "done":  # a fault is not looked at by a run, which has it done again
        verbs.append(("run", "study.toml", "--out", run, "--workers", "0"))
    for verb in verbs:
        code, _, error = turnwise(desk, *verb)
        assert code == 2
        assert f"{run}/ledger.sqlite: row {seq} ({what}) cannot be read: " in error
        assert "turnwise verify checks every row" in error
        assert len(error.strip().splitlines()) == 2
    code, out, _ = turnwise(desk, "verify", run)
    assert code == 1
    assert f"ledger row {seq} ({kind}): the payload is not the one that was recorded" in out
    assert "finished" not in out


def test_a_plan_that_cannot_be_read(desk: Path) -> None:
    run, _ = altered(desk, "UPDATE plan SET body = '{\"study\": ' WHERE seq = 1")
    code, _, error = turnwise(desk, "report", run)
    assert code == 2
    assert "the newest plan of the ledger cannot be read" in error
    code, out, _ = turnwise(desk, "verify", run)
    assert code == 1
    assert "the newest plan of the ledger cannot be read" in out


def test_rows_with_other_keys_and_inputs(desk: Path) -> None:
    run, seq = altered(desk, f"UPDATE cell SET inputs = '[[[' WHERE {ONE.format('reply', 'done')}")
    code, out, _ = turnwise(desk, "verify", run)
    assert code == 1
    assert f"ledger row {seq} (reply): unreadable: " in out


def test_a_manifest_that_was_deleted_is_there_again_after_the_next_run(desk: Path) -> None:
    (desk / "study.toml").write_text(STUDY.replace(", fail_on = [3]", ""))
    words = ("run", "study.toml", "--out", "done", "--workers", "0")
    assert turnwise(desk, *words)[0] == 0
    manifest = desk / "done" / "manifest.json"
    before = manifest.read_bytes()
    manifest.unlink()
    code, out, _ = turnwise(desk, *words)
    assert (code, "nothing to do" in out) == (0, True)
    assert manifest.read_bytes() == before
    (desk / "study.toml").write_text(STUDY)
