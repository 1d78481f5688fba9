"""The studies that come along: whole, alike in what they ask, and carried out in miniature against servers of our own.

In a miniature two dialogues of the stand-in corpus take the place of the 500; the servers' addresses are those of the fakes;
CSM, Whisper and MOSA-Net+ are stood in for by `stub` and `dnsmos`. Everything else is as it is printed.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from local_server import served
from made_hub import made_hub
from servers.chat_server import ChatServer, Request, chatting
from servers.speech_server import SpeechServer
from turnwise.agents.agent import AGENTS
from turnwise.cli.list import list_command
from turnwise.foundation.errors import InputError
from turnwise.foundation.place import place_of
from turnwise.judges.verdict import Abstention, Score
from turnwise.statistics.paper import model_pairs, paper
from turnwise.statistics.published_table import published
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.plan import Plan, make_plan
from turnwise.study.rehearsal import forecast
from turnwise.study.shipped import shipped_studies, shipped_study
from turnwise.study.study import Study
from turnwise.study.study_file import load_study, read_study

for _module in ("torch", "transformers", "onnxruntime", "kaldi_native_fbank"):  # their versions are part of what a study is
    pytest.importorskip(_module, reason='pip install "turnwise[local,embedded]"')

CORPUS = Path(__file__).resolve().parents[1] / "fixtures" / "corpora" / "msgd_thirteen.json"
TRAPS = ("context_trap", "context_trap_server", "context_trap_api")
STAND_INS = {"csm": "stub", "whisper": "stub"}  # options of theirs fall away


def raw(name: str) -> dict[str, Any]:
    """A shipped study as plain values, on the stand-in corpus."""
    read = tomllib.loads(shipped_study(name))
    read["corpus"] |= {"path": str(CORPUS), "n": 3}
    return read


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return made_hub(tmp_path / "home", monkeypatch)


# ------------------------------------------------------------------------------------------------------------ as printed


def test_listed_and_printed_by_the_command() -> None:
    listed = CliRunner().invoke(list_command, ["studies"]).output
    assert [line.split()[0] for line in listed.splitlines()[1:]] == list(shipped_studies()) == sorted((*TRAPS, "demo"))
    assert "The Context Trap with nothing but keys" in listed
    printed = CliRunner().invoke(list_command, ["studies", "context-trap-api"])
    assert printed.output == shipped_study("context_trap_api")
    with pytest.raises(InputError, match="no study that comes with turnwise is called 'context_trp'") as caught:
        shipped_study("context_trp")
    assert caught.value.hint == "did you mean 'context_trap'?"


def test_each_is_read_from_a_file_as_it_is_printed(home: Path, tmp_path: Path) -> None:
    for name in shipped_studies():
        (tmp_path / "study.toml").write_text(shipped_study(name), encoding="utf-8")
        assert load_study(tmp_path / "study.toml").arms
        assert max(map(len, shipped_study(name).splitlines())) <= 130


def test_the_rows_are_those_of_the_paper(home: Path) -> None:
    rows = {row for key in ("1", "2", "5n", "5c") for table in published(key) for row in table.rows}
    for name in ("context_trap", "context_trap_server"):
        arms = [arm.name for arm in read_study(raw(name), name).arms]
        assert set(arms) == rows
        assert list(model_pairs(tuple(arms))) == ["MiMo", "Omni-3B", "Omni-7B"]
    assert {arm.name for arm in read_study(raw("context_trap_api"), "api").arms} & rows == {"GPT-4o-m (M)", "GPT-4o-m (T)"}


def test_one_question_wherever_the_models_run(home: Path) -> None:
    studies = [read_study(raw(name), name) for name in TRAPS]
    for study in studies:
        assert (study.seed, study.corpus.by, study.corpus.format) == (1, "intent", "msgd")
        assert len({arm.instructions for arm in study.arms}) == 1
        assert study.arms[0].instructions.startswith("You are a friendly sales assistant on the phone. ")
        assert {arm.context.past for arm in study.arms} == {"all"}  # nobody is made to forget
        assert {arm.context.replies for arm in study.arms} == {"own"}
        differing = {arm.name for arm in study.arms if arm.context.form != "user-audio" or arm.context.user != "audio"}
        assert differing <= {"MiMo (E2E)", "GPT-4o-m (T)"}
        assert [judge for judge in study.judges if judge.name != "sound_quality"] == [
            judge for judge in studies[0].judges if judge.name != "sound_quality"
        ]
        chains = [arm for arm in study.arms if arm.agent == "cascade"]
        minds = ("mind", "mind_options")
        assert len({json.dumps({k: v for k, v in arm.options.items() if k not in minds}) for arm in chains}) == 1
        assert {arm.base for arm in chains} == {"", "GPT-4o-m (M)"}
        for arm in study.arms:
            for options in (arm.options, arm.options.get("mind_options", {})):
                assert options.get("temperature", 0.7) == 0.7


@pytest.mark.parametrize("name", TRAPS)
def test_every_part_is_built_and_named(name: str, home: Path, tmp_path: Path) -> None:
    plan = make_plan(read_study(raw(name), name), tmp_path)
    assert len(plan.dialogues) == 3
    speaking = [arm.name for arm in plan.study.arms if plan.arms[arm.name].speaks]
    assert speaking == [arm.name for arm in plan.study.arms if arm.name != "GPT-4o-m (T)"]
    assert len({found.identity for found in plan.arms.values()}) == len(plan.arms)
    places = {arm.name: place_of(AGENTS.build(arm.agent, arm.options)) for arm in plan.study.arms}
    loaded = {arm for arm, place in places.items() if place == "device"}
    assert loaded == ({"MiMo (E2E)", "Omni-3B (E2E)", "Omni-7B (E2E)"} if name == "context_trap" else set())
    assert plan.arms["GPT-4o-m (M)"].remembers == (0 if name == "context_trap_api" else 3)


def test_without_weights_the_missing_ones_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("TURNWISE_MOSANET", raising=False)
    with pytest.raises(Exception, match=r"the checkpoint of MOSA-Net\+ is not installed"):
        read_study(raw("context_trap"), "trap")


# ---------------------------------------------------------------------------------------------------------- in miniature


def verdict(asked: str) -> str:
    """What a judge's model answers to a question of this kind."""
    if '"generic_response"' in asked:
        kinds = ("generic_response", "topic_switching", "repetition", "misunderstanding", "lack_of_memory")
        found: dict[str, Any] = {kind: {"present": False, "severity": 0, "reason": "no"} for kind in kinds}
        found["overall_assessment"] = {"has_failure": False, "primary_failure": "none", "explanation": "fine"}
        return json.dumps(found)
    keys = [key for key in ("naturalness", "consistency", "voice_consistency") if f'"{key}"' in asked]
    assert keys
    return json.dumps({key: {"reason": "so", "score": 80} for key in keys})


_NUMBERS = itertools.count(1)


def answering(request: Request) -> str:
    """No two replies are alike: a run speaks and hears equal ones once."""
    system = request.turns[0][1]
    return verdict(system) if "Answer with one JSON object" in system else f"This is reply {next(_NUMBERS)}."


@dataclass
class World:
    """Every server of a study, and what each was asked by model."""

    chats: dict[str, ChatServer]
    speech: SpeechServer

    def calls(self) -> Counter[tuple[str, str]]:
        asked: Counter[tuple[str, str]] = Counter()
        for name, chat in self.chats.items():
            for request in chat.requests:
                path = request.path.partition("models/")[2].partition(":")[0]
                asked[name, request.body.get("model") or path] += 1
        asked.update(("openai", one.body["model"]) for one in self.speech.spoken)
        asked.update(("openai", one.fields["model"]) for one in self.speech.heard)
        return asked


@contextmanager
def world(study: dict[str, Any]) -> Iterator[World]:
    """Fakes for every endpoint of the study, which is pointed at them; OpenAI's speak and hear, too."""
    made = World({}, SpeechServer())
    endpoints = study["endpoints"]
    with _chats(endpoints, made.chats):
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/audio/speech", made.speech._speak)
        app.router.add_post("/v1/audio/transcriptions", made.speech._hear)
        app.router.add_post("/{path:.*}", made.chats["openai"]._handle)
        with served(app) as openai:
            made.chats["openai"].url = openai.url
            for name, chat in made.chats.items():
                base = "/v1beta" if chat.dialect == "gemini" else "/v1"
                endpoints[name] |= {"url": chat.url + base, "dialect": chat.dialect, "key": "", "retries": 0}
            yield made


@contextmanager
def _chats(endpoints: dict[str, Any], into: dict[str, ChatServer]) -> Iterator[None]:
    if len(into) == len(endpoints):
        yield
        return
    name = list(endpoints)[len(into)]
    with chatting(endpoints[name].get("dialect", "gemini" if name == "gemini" else "openai"), answering) as chat:
        into[name] = chat
        with _chats(endpoints, into):
            yield


def miniature(name: str) -> dict[str, Any]:
    """The study with its heavy parts stood in for, of one dialogue that the user opens and one that the agent does."""
    study = raw(name)
    study["corpus"] = {"format": "msgd", "path": str(CORPUS), "ids": ["merge_0001", "merge_0003"]}
    for place, kind in ((study["user"], "engine"), (study["transcriber"], "name")):
        if place[kind] in STAND_INS:
            place[kind], place["options"] = STAND_INS[place[kind]], {}
    for arm in study["arms"].values():
        for part in ("recognizer", "synthesizer"):
            if arm.get("options", {}).get(part) in STAND_INS:
                arm["options"] |= {part: STAND_INS[arm["options"][part]], f"{part}_options": {}}
    for judge in study["judges"]:
        if judge["name"] == "sound_quality":
            judge["options"] = {"estimator": "dnsmos", "detail": False}
    return study


def counted(plan: Plan) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for one in forecast(plan, (), ()):
        found[one.endpoint, one.model] += one.calls
    return found


@pytest.mark.parametrize("name", ["context_trap_server", "context_trap_api"])
def test_a_miniature_is_carried_out_and_the_dry_run_foretold_it(name: str, tmp_path: Path) -> None:
    declared = miniature(name)
    with world(declared) as servers:
        study: Study = read_study(declared, name)
        foretold = counted(make_plan(study, tmp_path))
        assert not servers.calls()
        done = carry_out(study, tmp_path / "run", workers=0)
        assert done.complete, done
        assert servers.calls() == foretold
        assert all(not chat.refused for chat in servers.chats.values())
        assert not servers.speech.refused
    results = load_results(tmp_path / "run")
    for conversation in results.conversations:
        for answered in conversation.rounds:
            assert answered.reply is not None and answered.reply.text
            for criterion in ("naturalness", "consistency", "gpt/consistency", "memory", "rules/consistency"):
                assert isinstance(answered.outcomes[criterion], Score)
            same = answered.outcomes["same_voice"]
            assert isinstance(same, Abstention if answered.number == 1 or conversation.arm == "GPT-4o-m (T)" else Score)
    found = paper(results)[1]
    assert found.naturalness and found.consistency and found.failures and found.quality and found.voice
    pairs = {"context_trap_server": ["MiMo", "Omni-3B", "Omni-7B"], "context_trap_api": ["Qwen-Omni"]}
    assert list(found.pairs) == pairs[name]
    _check_what_was_shown(servers, study)


def _check_what_was_shown(servers: World, study: Study) -> None:
    """Every arm's last question of the dialogue that the agent opens: all of it, in the form that was declared."""
    opening = ("assistant", "text: Hello! How has your week been?")
    for arm in study.arms:
        options = arm.options.get("mind_options", arm.options)
        asked = [
            request.turns
            for request in servers.chats[options["endpoint"]].requests
            if request.body.get("model") == options["model"]
            and request.turns[0][1] == f"text: {arm.instructions}"
            and opening in request.turns
            and request.aloud == (arm.agent == "hosted")
        ]
        turns = max(asked, key=len)
        roles = [role for role, *_ in turns]
        assert roles == ["system", "assistant"] + ["user", "assistant"] * 3 + ["user"], arm.name
        kinds = {(role, *(part.partition(":")[0] for part in parts)) for role, *parts in turns[2:-1]}
        if arm.name == "MiMo (E2E)":
            assert kinds == {("user", "sound", "text"), ("assistant", "sound", "text")}
        elif arm.agent == "hosted":
            assert kinds == {("user", "sound"), ("assistant", "text")}
        else:
            assert kinds == {("user", "text"), ("assistant", "text")}
