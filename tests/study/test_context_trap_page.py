"""docs/context_trap.md: its snippets are parts of studies, its commands exist, its figures are those of a dry run."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from click import Command, Group
from click.testing import CliRunner

from made_hub import made_hub
from turnwise.cli.main import turnwise
from turnwise.dialogues.corpora import demo
from turnwise.study.plan import make_plan
from turnwise.study.rehearsal import forecast
from turnwise.study.shipped import shipped_study
from turnwise.study.study_file import read_study

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "context_trap.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
CORPUS = Path(__file__).resolve().parents[1] / "fixtures" / "corpora" / "msgd_thirteen.json"


def merged(study: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """What a user does who writes the snippet into the file: tables are joined, lists go on, values are replaced."""
    for key, value in more.items():
        old = study.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and key != "user":
            study[key] = merged(old, value)
        else:
            study[key] = [*old, *value] if isinstance(old, list) else value
    return study


def test_there_are_some() -> None:
    assert len(SNIPPETS) == 8


@pytest.mark.parametrize("number", range(8))
def test_a_snippet_belongs_into_the_file(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_hub(tmp_path / "home", monkeypatch)
    weights = Path(__file__).resolve().parents[3] / "shared" / "data" / "nisqa" / "nisqa.tar"
    if "nisqa" in SNIPPETS[number]:
        if not weights.is_file():
            pytest.skip("the weights of NISQA are not here")
        monkeypatch.setenv("TURNWISE_NISQA", str(weights))
    monkeypatch.chdir(tmp_path)
    for place in (
        "user_audio/merge_0001_turn00.wav",
        "outputs/agent_omni_3b-Ethan_fixed_eval/merge_0001/agent_audio_round_000.wav",
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True)
        path.write_bytes(b"RIFF")
    snippet = tomllib.loads(SNIPPETS[number])
    shipped = tomllib.loads(shipped_study("context_trap"))
    if "name" in snippet:  # a study by itself, which shares the user's side with the whole
        assert all(snippet[part] == shipped[part] for part in ("seed", "user", "transcriber", "corpus"))
    whole = snippet if "name" in snippet else merged(shipped, snippet)
    whole["corpus"] |= {"path": str(CORPUS), "n": 2}
    plan = make_plan(read_study(whole, "page"), tmp_path)
    assert len(plan.arms) >= (1 if "name" in snippet else 8)


def test_every_command_exists_with_its_options() -> None:
    lines = re.findall(r"^    (turnwise [^#\n>]*)", PAGE, re.MULTILINE) + re.findall(r"`(turnwise [^`]*)`", PAGE)
    assert len(lines) > 15
    for line in lines:
        words = shlex.split(line)[1:]
        command: Command | None = turnwise
        while isinstance(command, Group) and words and not words[0].startswith("-"):
            command = command.get_command(None, words.pop(0))  # type: ignore[arg-type]
        assert command is not None and command is not turnwise, line
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
    assert CliRunner().invoke(turnwise, ["list", "studies", "context_trap_server"]).exit_code == 0


def test_the_tokens_of_a_turn_are_those_of_a_dry_run(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason='pip install "turnwise[embedded]"')
    text = shipped_study("context_trap_api").replace('format = "msgd"', 'format = "demo"')
    text = re.sub(r"^path = \"MSGD.*\n", "", text, flags=re.MULTILINE)
    study = tomllib.loads(text)
    ids = [dialogue.id for dialogue in demo.corpus().read(None).dialogues]
    study["corpus"] = {"format": "demo", "ids": ids[::10]}
    calls: dict[str, int] = defaultdict(int)
    sent: dict[str, int] = defaultdict(int)
    for one in forecast(make_plan(read_study(study, "page"), tmp_path), (), ()):
        calls[one.purpose] += one.calls
        sent[one.purpose] += one.usage.input
    found = {purpose: sent[purpose] / calls[purpose] for purpose in calls}
    table = {
        "a mind": found["arm GPT-4o-m (T)"],
        "an audio model": found["arm GPT-audio (E2E)"],
        "`dialogue_quality": found["judge dialogue_quality"],
        "`failures": found["judge failures"],
        "`same_voice": found["judge same_voice"],
    }
    for row, tokens in table.items():
        (said,) = re.findall(rf"^\| {row}.*? \| (\d+)\b", PAGE, re.MULTILINE)
        assert int(said) == pytest.approx(tokens, rel=0.1), row
