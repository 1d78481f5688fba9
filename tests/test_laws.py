"""The laws of the house, at the level of a whole study. Each says where its finer tests are.

1 a failure is never a number           here, tests/statistics
2 nothing done is lost or done twice    tests/study/test_killed.py, test_experiment.py
3 what an agent is shown is declared    here, tests/study/test_view.py
4 seeds come from the study and cell    tests/study/test_experiment.py
5 no samples without rate, no score     here, tests/statistics (a table refuses mixed versions)
  without unit, direction, version
6 all arms through the same ears        here
7 model text is hostile until escaped   here, tests/report
8 arrows point one way                  tests/test_architecture.py
"""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import turnwise
from needed_options import needed
from small_study import opened, small_study
from turnwise.foundation.audio import Sound
from turnwise.judges.judge import JUDGES
from turnwise.judges.verdict import Score
from turnwise.statistics.summary import summarise
from turnwise.statistics.summary_json import summary_json
from turnwise.statistics.table import tidy
from turnwise.study.experiment import carry_out, load_results

PACKAGE = Path(turnwise.__file__).parent


# ---------------------------------------------------------------- 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_1_a_score_is_a_finite_number(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Score(value)


def test_1_failures_are_counted_and_never_averaged(tmp_path: Path) -> None:
    arms = {
        "whole": {"agent": "echo", "context": {"user": "written"}},
        "broken": {"base": "whole", "options": {"fail_on": [3], "silent_on": [1]}},
    }
    carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0)
    results = load_results(tmp_path / "run")
    table = tidy(results)
    assert (table["value"].is_not_null() == (table["status"] == "scored")).all()
    told = summary_json(summarise(results))["arms"]["broken"]["repetition"]
    assert told["n"] == 3  # of 12: only the second round of each dialogue was answered
    assert sum(told["missing"].values()) == 9
    assert {cause.partition(":")[0] for cause in told["missing"]} == {"silent", "planned", "blocked"}


# ---------------------------------------------------------------- 3

DIARY = '''"""Writes down what it is shown."""
import json
from turnwise.agents.agent import Reply
class Diarist:
    speaks = False
    def __init__(self, diary): self.diary = diary
    def identity(self): return {}
    def open(self, surroundings):
        assert not surroundings.corpus and not surroundings.material.passages  # not declared, so not given
        return self
    def answer(self, view, *, seed):
        shown = [f"{p.speaker}: {p.text}" for p in view.past]
        with open(self.diary, "a") as file: file.write(json.dumps([view.dialogue, view.round, shown]) + "\\n")
        return Reply(f"answer {view.round}")
    def close(self): pass
def agent(diary): return Diarist(diary)
'''


@pytest.mark.parametrize("past", ["all", 0, 1, 2])
def test_3_what_was_shown_is_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, past: Any) -> None:
    (tmp_path / "diarist.py").write_text(DIARY)
    monkeypatch.syspath_prepend(tmp_path)
    diary = tmp_path / "diary"
    arms = {"d": {"agent": "diarist:agent", "options": {"diary": str(diary)}, "context": {"past": past, "user": "written"}}}
    carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0)
    lived = {(dialogue, round): tuple(shown) for dialogue, round, shown in map(json.loads, diary.read_text().splitlines())}
    recorded = {
        (conversation.dialogue.id, answered.number): answered.shown
        for conversation in load_results(tmp_path / "run").conversations
        for answered in conversation.rounds
    }
    assert lived == recorded
    for (_, round), shown in lived.items():
        assert len(shown) == 2 * min(round - 1, round - 1 if past == "all" else past)


# ---------------------------------------------------------------- 5


def test_5_samples_have_a_rate() -> None:
    with pytest.raises(TypeError):
        Sound(np.zeros(4, dtype=np.float32))  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="positive sample rate"):
        Sound(np.zeros(4, dtype=np.float32), 0)
    with pytest.raises(ValueError, match="mono float32"):
        Sound(np.zeros((4, 2), dtype=np.float32), 8000)


def test_5_every_criterion_has_unit_and_direction_and_every_score_a_version(tmp_path: Path) -> None:
    for name in JUDGES.cards():
        for criterion in JUDGES.build(name, needed(JUDGES, name)).criteria:
            assert criterion.unit
            assert criterion.better in ("higher", "lower")
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    table = tidy(load_results(tmp_path / "run"))
    assert table["version"].cast(polars.String).str.starts_with("b2:").all()
    assert table.group_by("criterion").agg(n=table["version"].n_unique())["n"].max() == 1


# ---------------------------------------------------------------- 6


def test_6_every_transcript_comes_from_the_one_transcriber(tmp_path: Path) -> None:
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    with opened(tmp_path / "run" / "ledger.sqlite") as db:
        rows = db.execute("SELECT inputs FROM cell WHERE kind IN ('transcript', 'user-transcript')").fetchall()
    assert rows
    assert {json.loads(inputs)[0] for (inputs,) in rows} == {manifest["instruments"]["transcriber"]}


# ---------------------------------------------------------------- 7


def test_7_no_key_reaches_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaky.py").write_text(
        '"""Fails with its key in the message."""\nimport os\n'
        "class Leaky:\n    speaks = False\n    def identity(self): return {}\n    def open(self, surroundings): return self\n"
        "    def answer(self, view, *, seed): raise RuntimeError('401 for ' + os.environ['SOME_API_KEY'])\n"
        "    def close(self): pass\ndef agent(): return Leaky()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value-1234")
    arms = {"leaky": {"agent": "leaky:agent", "context": {"user": "written"}}}
    done = carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0)
    assert done.tally.faults
    results = load_results(tmp_path / "run")
    turnwise.build_report(results, tmp_path / "run", figures=False)
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or b"very-secret-value" not in path.read_bytes(), path


def risky_loads(source: str) -> list[str]:
    """Calls that could run what a weights file says."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if (
                called in ("pickle.load", "joblib.load", "dill.load", "np.load", "numpy.load")
                and keywords.get("allow_pickle") != "False"
            ):
                found.append(called)
            if called == "torch.load" and keywords.get("weights_only") != "True":
                found.append(called)
    return found


def test_7_weights_load_without_pickle() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert risky_loads(path.read_text(encoding="utf-8")) == [], path
    assert risky_loads("import torch; torch.load('x')") == ["torch.load"]
    assert risky_loads("import numpy as np; np.load('x', allow_pickle=True)") == ["np.load"]
    assert risky_loads("import numpy as np; np.load('x', allow_pickle=False)") == []
