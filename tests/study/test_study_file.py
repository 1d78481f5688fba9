"""A study file is read with everything inherited, and every mistake is named with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from turnwise.agents.agent import Context
from turnwise.foundation.errors import InputError
from turnwise.study.study import Choice
from turnwise.study.study_file import load_study, read_study

MINIMAL = """
name = "small"
judges = ["repetition"]
transcriber = "stub"
instructions = "be kind"
[user]
engine = "stub"
[context]
past = 3
[arms.base]
agent = "echo"
options = { prefix = "Yes:" }
"""


def write(tmp_path: Path, text: str, name: str = "study.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_arms_inherit_options_context_and_instructions(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + """
[arms.short]
base = "base"
context = { past = 0 }
[arms.other]
base = "short"
options = { voice = true }
instructions = "be brief"
perturb = ["telephone", { name = "noise", options = { snr = 10 } }]
"""
    )
    study = load_study(write(tmp_path, text))
    base, short, other = study.arms
    assert base.context == Context(past=3)
    assert (short.agent, short.options, short.context.past, short.base) == ("echo", {"prefix": "Yes:"}, 0, "base")
    assert other.options == {"prefix": "Yes:", "voice": True}
    assert (base.instructions, other.instructions) == ("be kind", "be brief")
    assert other.perturb == (Choice("telephone"), Choice("noise", {"snr": 10}))
    assert base.perturb is None


def test_another_agent_does_not_inherit_options(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, MINIMAL + '[arms.new]\nbase = "base"\nagent = "frame"\n'))
    assert study.arms[1].options == {}


def test_yaml_says_the_same(tmp_path: Path) -> None:
    yaml = """
name: small
judges: [repetition]
transcriber: stub
instructions: be kind
user: {engine: stub}
context: {past: 3}
arms:
  base: {agent: echo, options: {prefix: "Yes:"}}
"""
    assert load_study(write(tmp_path, yaml, "study.yaml")) == load_study(write(tmp_path, MINIMAL))


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("judges =", "juges =", "unknown key 'juges'", "did you mean 'judges'?"),
        ('engine = "stub"', 'engine = "stub"\nvoise = 1', "user: unknown key 'voise'", "known here"),
        ('agent = "echo"', 'agnet = "echo"', "unknown key 'agnet'", "did you mean 'agent'?"),
        ('agent = "echo"', 'agent = "ecko"', "arms.base: no agent is called 'ecko'", "did you mean 'echo'?"),
        ('prefix = "Yes:"', 'prefx = "Yes:"', "arms.base: agent 'echo' has no option 'prefx'", "did you mean 'prefix'?"),
        ('["repetition"]', '["repetitoin"]', "judges: no judge is called 'repetitoin'", "did you mean 'repetition'?"),
        ("past = 3", 'past = "some"', "context.past", ""),
        ("past = 3", "past = -1", "context.past", ""),
        ("past = 3", "pst = 3", "unknown key 'pst'", "did you mean 'past'?"),
        ('name = "small"', "name = 7", "name: Expected `str`, got `int`", ""),
        ('name = "small"', "", "missing required field `name`", ""),
        ('engine = "stub"', 'engine = "stib"', "user.engine: no synthesizer is called 'stib'", "did you mean 'stub'?"),
        ('transcriber = "stub"', 'transcriber = "nobody"', "transcriber: no recognizer is called 'nobody'", ""),
        ('name = "small"', 'name = "small"\nbar = { repetitions = 5 }', "bar.repetitions", "did you mean 'repetition'?"),
        ('name = "small"', 'name = "small"\ncorpus = { format = "msgdd" }', "corpus.format", "did you mean 'msgd'?"),
        ('name = "small"', 'name = "small"\ncorpus = { n = 0 }', "corpus.n: expected at least 1", ""),
        ("[arms.base]", '[arms."../x"]', "a name has letters", ""),
        ("[arms.base]", "[arms.base", "not TOML", ""),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str, hint: str) -> None:
    assert old in MINIMAL
    with pytest.raises(InputError) as caught:
        load_study(write(tmp_path, MINIMAL.replace(old, new)))
    assert message in caught.value.message
    assert "study.toml" in caught.value.message
    assert hint in caught.value.hint


def test_circles_and_missing_bases(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="in a circle: a -> b -> a"):
        load_study(write(tmp_path, MINIMAL + '[arms.a]\nbase = "b"\n[arms.b]\nbase = "a"\n'))
    with pytest.raises(InputError, match="no arm is called 'bse'") as caught:
        load_study(write(tmp_path, MINIMAL + '[arms.a]\nbase = "bse"\n'))
    assert caught.value.hint == "did you mean 'base'?"


@pytest.mark.parametrize("raw", [None, [], "x", 7, {"name": "x", "arms": {}}, {"name": "x", "arms": []}])
def test_other_shapes_are_refused(raw: Any) -> None:
    with pytest.raises(InputError):
        read_study(raw, "here")


def test_unreadable_files_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes('name = "café"'.encode("latin-1"))
    for name, message in (("latin.toml", "is not UTF-8"), ("absent.toml", "cannot be read"), (".", "cannot be read")):
        with pytest.raises(InputError, match=message):
            load_study(tmp_path / name)
    with pytest.raises(InputError, match=r"line 2.*not YAML"):
        load_study(write(tmp_path, "a: 1\nb: [", "bad.yaml"))


def test_the_printed_demo_is_a_study(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from turnwise.cli.demo import demo_command

    text = CliRunner().invoke(demo_command, ["--print-study"]).output
    study = load_study(write(tmp_path, text))
    assert [arm.name for arm in study.arms] == ["frame", "frame-last-turn", "retrieval", "frame-written"]
    assert study.arms[1].context.past == 0
    assert study.arms[0].options == study.arms[1].options
