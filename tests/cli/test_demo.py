"""The embedded default for real: voices, ears, agents, judges and the report, on a few dialogues."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars
import pytest

REAL = ("espeakng_loader", "pocketsphinx", "onnxruntime", "kaldi_native_fbank")


def turnwise(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "turnwise", *words], capture_output=True, text=True)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in REAL:
        pytest.importorskip(module, reason='the embedded engines are absent: pip install "turnwise[embedded]"')
    out = tmp_path_factory.mktemp("demo") / "run"
    done = turnwise("demo", "--out", str(out), "--dialogues", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out / "report.html")
    assert "verdicts planned" in done.stdout
    return out


@pytest.fixture(scope="module")
def summary(demo: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    loaded: dict[str, Any] = json.loads((demo / "summary.json").read_text(), parse_constant=refuse)
    return loaded


def test_all_four_arms_answer_and_are_heard(summary: dict[str, Any]) -> None:
    assert list(summary["arms"]) == ["frame", "frame-last-turn", "retrieval", "frame-written"]
    for arm in ("frame", "frame-last-turn", "retrieval"):
        reading = summary["arms"][arm]
        assert 0 < reading["wer_agent"]["mean"] < 0.15
        assert 0 < reading["wer_user"]["mean"] < 0.15
        assert 2.5 < reading["mos"]["mean"] < 4.5
        assert reading["voice_consistency"]["mean"] > 80
        assert reading["first_audio_seconds"]["mean"] > reading["speak_seconds"]["mean"] > 0
    assert summary["arms"]["frame-written"]["mos"]["mean"] is None
    assert summary["arms"]["frame-written"]["mos"]["n"] == 0


def test_forgetting_is_seen_as_forgetting(summary: dict[str, Any]) -> None:
    contrast = {(c["a"], c["b"], c["judge"]): c for c in summary["contrasts"]}
    lost = contrast["frame", "frame-last-turn", "consistency"]
    assert lost["difference"] > 10
    assert lost["ci"][0] > 0
    assert contrast["frame", "frame-last-turn", "memory"]["difference"] < -10
    sound = contrast["frame", "frame-last-turn", "mos"]
    assert abs(sound["difference"]) < 0.3  # the same voice: the sound has nothing to do with it


def test_the_accounting_closes(demo: Path, summary: dict[str, Any]) -> None:
    counted = summary["accounting"]
    assert counted["planned"] == sum(counted[status] for status in ("scored", "abstained", "fault", "silent"))
    table = polars.read_parquet(demo / "table.parquet")
    assert len(table) == counted["planned"]
    for arm, readings in summary["arms"].items():
        for criterion, reading in readings.items():
            rows = table.filter((polars.col("arm") == arm) & (polars.col("criterion") == criterion))
            assert reading["n"] + sum(reading["missing"].values()) == len(rows)
            mean = rows["value"].mean()
            assert reading["mean"] == (None if mean is None else pytest.approx(mean, abs=1e-6))


def test_a_second_run_does_nothing(demo: Path) -> None:
    before = _files(demo)
    again = turnwise("demo", "--out", str(demo), "--dialogues", "4")
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    assert again.stdout.splitlines()[-1] == str(demo / "report.html")
    assert _files(demo) == before


def _files(run: Path) -> dict[Path, int]:
    """Every file and when it was written, but for the lock and what SQLite keeps beside an open ledger."""
    passing = (".lock", "ledger.sqlite-wal", "ledger.sqlite-shm")
    return {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and path.name not in passing}


def test_it_verifies_and_reports_again_from_the_ledger_alone(demo: Path, tmp_path: Path) -> None:
    assert turnwise("verify", str(demo)).returncode == 0
    (tmp_path / "ledger.sqlite").write_bytes((demo / "ledger.sqlite").read_bytes())
    done = turnwise("report", str(tmp_path), "--no-figures")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "summary.json").read_bytes() == (demo / "summary.json").read_bytes()


def test_the_report_says_what_the_ears_were(summary: dict[str, Any]) -> None:
    assert any("fitted to the voices" in note for note in summary["notes"])
