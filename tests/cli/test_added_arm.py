"""Any agent in one command: `--agent` on the real command line, with worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from small_study import dialogues, write_corpus
from turnwise.cli.added_arm import Added, added, study_of_file, study_with
from turnwise.foundation.errors import InputError
from turnwise.study.experiment import load_results
from turnwise.study.results import Conversation

AGENT = '''
"""Counts the words it is given."""

from counting.numbers import WORDS
from turnwise.agents.agent import Reply


class Counter:
    speaks = False

    def __init__(self, greeting, most):
        self.greeting, self.most = greeting, most

    def identity(self):
        return {}

    def open(self, surroundings):
        return self

    def answer(self, view, *, seed):
        count = len(view.text.split())
        return Reply(f"{self.greeting} {WORDS[min(count, self.most)]}; {len(view.past)} before; {view.instructions}")

    def close(self):
        pass


def agent(greeting="I read", most=99):
    return Counter(greeting, most)


def eager(greeting="At once:"):
    return Counter(greeting, 2)
'''
STUDY = """
name = "tiny"
instructions = "Be brief."
judges = ["repetition"]
transcriber = "stub"
corpus = { format = "jsonl", path = "corpus.jsonl" }
user = { engine = "stub" }
context = { past = 1 }
arms.text = { agent = "echo", context = { user = "written" } }
"""
# In place of carrying a study out.
SHOWING = """
import msgspec, turnwise.cli.carry
turnwise.cli.carry.carry = lambda study, out, **_: print(msgspec.json.encode(study).decode())
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A user's folder: a package of an agent, a corpus, a study."""
    (tmp_path / "counting").mkdir()
    (tmp_path / "counting" / "agents.py").write_text(AGENT)
    (tmp_path / "counting" / "numbers.py").write_text("WORDS = [f'{n} words' for n in range(100)]\n")
    write_corpus(tmp_path, dialogues(1, 2))
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def turnwise(place: Path, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    # As the installed command does, which unlike `python -m` does not look for modules in the current directory by itself.
    code = "import sys; del sys.path[0]; from turnwise.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", before + code, *words], cwd=place, capture_output=True, text=True)


def played(run: Path) -> dict[str, Conversation]:
    return {conversation.arm: conversation for conversation in load_results(run).conversations}


def test_an_agent_of_ones_own_beside_the_arms_of_a_study(place: Path) -> None:
    words = ["run", "study.toml", "--out", "out", "--workers", "1", "--agent", "counting.agents:agent"]
    done = turnwise(place, *words, "--option", "greeting=You wrote", "--option", "most=12", "--context", "user=written")
    assert done.returncode == 0, done.stderr
    found = played(place / "out")
    assert list(found) == ["text", "counting.agents"]
    said = [answered.reply.text for answered in found["counting.agents"].rounds if answered.reply is not None]
    assert said == ["You wrote 12 words; 0 before; Be brief.", "You wrote 12 words; 2 before; Be brief."]
    (arm,) = [arm for arm in load_results(place / "out").study.arms if arm.name == "counting.agents"]
    assert (arm.options, arm.context.past, arm.context.user) == ({"greeting": "You wrote", "most": 12}, 1, "written")
    assert arm.instructions == "Be brief."
    again = turnwise(place, *words, "--option", "greeting=You wrote", "--option", "most=12", "--context", "user=written")
    assert "nothing to do" in again.stdout
    # Its modules are part of what it is: a change makes other results.
    (place / "counting" / "numbers.py").write_text("WORDS = ['many words'] * 100\n")
    assert turnwise(place, *words, "--option", "greeting=You wrote", "--context", "user=written").returncode == 0
    assert "many words" in str(played(place / "out")["counting.agents"].rounds[0].reply)


def test_a_mind_of_ones_own_with_ears_and_a_voice(place: Path) -> None:
    parts = ["--option", "recognizer=stub", "--option", "synthesizer=stub", "--option", 'mind_options={"most": 3}']
    words = [
        "run",
        "study.toml",
        "--out",
        "out",
        "--workers",
        "1",
        "--agent",
        "cascade",
        "--option",
        "mind=counting.agents:agent",
    ]
    done = turnwise(place, *words, *parts)
    assert done.returncode == 0, done.stderr
    (answered, _) = played(place / "out")["cascade"].rounds
    assert answered.transcript == "I read 3 words; 0 before; Be brief."
    assert answered.reply is not None and answered.reply.heard == answered.user.text


def test_another_factory_of_the_module_and_the_dry_run(place: Path) -> None:
    done = turnwise(place, "run", "study.toml", "--dry-run", "--agent", "counting.agents:eager")
    assert (done.returncode, done.stdout) == (0, "no server would be asked\n"), done.stderr


def test_beside_the_demo(place: Path) -> None:
    """The demo itself takes its time and has its own tests: here is what it would be given."""
    pytest.importorskip("onnxruntime", reason='pip install "turnwise[embedded]"')
    words = ["demo", "--agent", "counting.agents:agent", "--context", "user=transcript"]
    shown = (
        "import msgspec, turnwise.cli.carry as c\nc.carry = lambda study, out, **_: print(msgspec.json.encode(study).decode())\n"
    )
    done = turnwise(place, *words, before=shown)
    assert done.returncode == 0, done.stderr
    *ours, arm = json.loads(done.stdout)["arms"]
    assert [one["name"] for one in ours] == ["frame", "frame-last-turn", "retrieval", "frame-written"]
    assert (arm["name"], arm["agent"]) == ("counting.agents", "counting.agents:agent")
    assert arm["instructions"] == ours[0]["instructions"]
    assert arm["context"] == {**ours[0]["context"], "user": "transcript"}


def test_mistakes_are_sentences(place: Path) -> None:
    for words, told in (
        (("--agent", "nowhere:agent"), "no module is called 'nowhere'"),
        (("--agent", "counting.agents:agnt"), "counting.agents has no 'agnt'"),
        (("--agent", "counting.agents:agent", "--option", "greting=x"), "did you mean 'greeting'?"),
        (("--agent", "echoo"), "did you mean 'echo'?"),
        (("--agent", "echo", "--context", "past=-1"), "arms.echo.context.past: expected"),
        (("--agent", "echo", "--option", "voice"), "--option 'voice': expected KEY=VALUE"),
        (("--option", "voice=true"), "name it with --agent"),
    ):
        done = turnwise(place, "run", "study.toml", *words)
        assert done.returncode == 2, (words, done.stdout)
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    assert not (place / "runs").exists()


def raw(**arms: Any) -> dict[str, Any]:
    return {"name": "s", "transcriber": "stub", "user": {"engine": "stub"}, "judges": ["repetition"], "arms": arms}


@pytest.mark.parametrize(
    ("agent", "taken", "name"),
    [
        ("echo", {}, "echo"),
        ("echo", {"echo": {"agent": "echo"}}, "echo 2"),
        ("echo", {"echo": {"agent": "echo"}, "echo 2": {"agent": "echo"}}, "echo 3"),
        ("turnwise.agents.roster.echo:agent", {}, "turnwise.agents.roster.echo"),
    ],
)
def test_the_arm_is_called_after_its_agent(agent: str, taken: dict[str, Any], name: str) -> None:
    assert [arm.name for arm in study_with(raw(**taken), "s", Added(agent, {}, {})).arms] == [*taken, name]


def test_values_are_json_or_plain_words() -> None:
    more = added("a", ("n=3", "on=true", 'mind_options={"model": "m"}', "word=plain words", 'text="3"', "none=", "x=a=b"), ())
    assert more is not None
    assert more.options == {
        "n": 3, "on": True, "mind_options": {"model": "m"}, "word": "plain words", "text": "3", "none": "", "x": "a=b",
    }  # fmt: skip
    with pytest.raises(click.UsageError, match="given twice"):
        added("a", ("n=3", "n=4"), ())
    assert added(None, (), ()) is None


def test_what_is_wrong_with_the_file_is_told_first(place: Path) -> None:
    (place / "study.yaml").write_text(
        "name: s\ntranscriber: stub\nuser: {engine: stub}\njudges: [repetition]\narms: {e: {agent: echo}}\n"
    )
    assert [arm.name for arm in study_of_file(place / "study.yaml", Added("echo", {"voice": True}, {})).arms] == ["e", "echo"]
    (place / "study.yaml").write_text("name: s\narms: {e: {agnt: echo}}\n")
    with pytest.raises(InputError, match="unknown key 'agnt'"):
        study_of_file(place / "study.yaml", Added("echo", {}, {}))
