"""The recipes of CONTRIBUTING.md work exactly as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

import turnwise
from scripted import Told, scripted
from servers.chat_server import Request, chatting
from small_study import small_study
from turnwise.judges.judge import JUDGES, Bench, Judge
from turnwise.judges.verdict import Fault, Score
from turnwise.speech.clip_store import ClipStore
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.study_file import read_study

ROOT = Path(__file__).resolve().parents[1]
RECIPE = re.compile(r"`src/turnwise/([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The files of the recipes, importable as top-level modules the way a user's own package would be."""
    found = dict(RECIPE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    for place, text in found.items():
        assert (Path(turnwise.__file__).parent / place).parent.is_dir()
        (tmp_path / Path(place).name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return {Path(place).stem: text for place, text in found.items()}


def test_there_are_five(recipes: dict[str, str]) -> None:
    assert sorted(recipes) == ["brevity", "parrot", "politeness", "relay", "two_lines"]


def test_the_judge_decides_its_examples(recipes: dict[str, str], tmp_path: Path) -> None:
    judge: Judge = JUDGES.build("brevity:judge")
    sitting = judge.open(Bench(ClipStore(tmp_path)))
    for exchange, verdicts in judge.examples:
        assert sitting.decide(exchange) == verdicts


def test_those_that_need_no_server_make_a_study(recipes: dict[str, str], tmp_path: Path) -> None:
    study = read_study(
        {
            "name": "recipes",
            "corpus": {"format": "two_lines:corpus"},
            "user": {"engine": "stub"},
            "transcriber": "stub",
            "judges": ["brevity:judge"],
            "arms": {"parrot": {"agent": "parrot:agent", "context": {"user": "written"}}},
        },
        "recipes",
    )
    assert carry_out(study, tmp_path / "run", workers=0).complete
    (conversation,) = load_results(tmp_path / "run").conversations
    assert conversation.rounds[0].reply is not None
    assert conversation.rounds[0].reply.text == "Hello! what day is it"
    assert conversation.rounds[0].outcomes == {"brevity": Score(5.0)}


def test_a_judge_of_ones_own_joins_ours(recipes: dict[str, str], tmp_path: Path) -> None:
    study = small_study(tmp_path, judges=["repetition", "brevity:judge"])
    study = msgspec.structs.replace(study, corpus=msgspec.structs.replace(study.corpus, ids=("call-000",)))
    carry_out(study, tmp_path / "run", workers=0)
    for conversation in load_results(tmp_path / "run").conversations:
        assert all(isinstance(answered.outcomes["brevity"], Score) for answered in conversation.rounds)


def test_those_that_ask_servers_make_a_study(recipes: dict[str, str], tmp_path: Path) -> None:
    def scored(request: Request) -> str:
        return json.dumps({"politeness": {"reason": "so", "score": 70 + request.said.count("you are welcome")}})

    with (
        scripted(Told(body={"text": "Not now."}), Told(body={"text": "you are welcome"})) as relay,
        chatting("vllm", scored) as chat,
    ):
        arms = {"relay": {"agent": "relay:agent", "options": {"endpoint": "mine"}, "context": {"user": "written"}}}
        judges = [{"name": "politeness:judge", "options": {"model": "m", "endpoint": "house"}}]
        endpoints = {"mine": {"url": relay.url}, "house": msgspec.to_builtins(chat.endpoint())}
        study = small_study(tmp_path, 1, 2, arms=arms, judges=judges, endpoints=endpoints)
        assert carry_out(study, tmp_path / "run", workers=0).complete
    (conversation,) = load_results(tmp_path / "run").conversations
    assert [answered.outcomes["politeness"] for answered in conversation.rounds] == [Score(70.0, "so"), Score(71.0, "so")]
    first, second = (seen.json for seen in relay.seen)
    assert first["text"] == conversation.rounds[0].user.text and first["past"] == []
    assert second["past"] == [{"speaker": "user", "text": first["text"]}, {"speaker": "agent", "text": "Not now."}]
    assert {request.body["model"] for request in chat.requests} == {"m"}


def test_a_recipe_says_what_went_wrong(recipes: dict[str, str], tmp_path: Path) -> None:
    with scripted(Told(body={"words": "?"})) as relay:
        arms = {"relay": {"agent": "relay:agent", "options": {"endpoint": "mine"}, "context": {"user": "written"}}}
        study = small_study(tmp_path, 1, 1, arms=arms, endpoints={"mine": {"url": relay.url}})
        assert not carry_out(study, tmp_path / "run", workers=0).complete
    (conversation,) = load_results(tmp_path / "run").conversations
    assert conversation.rounds[0].fault == Fault("broken-answer", "the server gave no text")
