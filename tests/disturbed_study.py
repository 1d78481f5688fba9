"""A study that asks servers for everything, what those servers answer, and whom each of their requests was for.

Every user turn names its call and round, every reply the model that gave it, and every answer is drawn from what was asked, so a
reply or a score that went astray would show.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars

from servers.chaos import MUTE_MODEL, Asked, Chaos, Deed, Proxy, disturbed
from servers.chat_server import Given, Request, chatting
from servers.misfortunes import HEARING, JUDGE, SPEECH
from servers.speech_server import speech_server
from small_study import SAID, raw_study, write_corpus
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.endpoints.calls import Call
from turnwise.foundation.fingerprint import canonical, digest, seed_of
from turnwise.judges.bench.failures import FAILURES
from turnwise.statistics.table import tidy
from turnwise.study.experiment import load_results
from turnwise.study.ledger import Ledger
from turnwise.study.study import Study
from turnwise.study.study_file import read_study

ARMS = {"hosted": "hosted", "chain": "mind", "text": "text", "mute": MUTE_MODEL}  # and the models that answer
JUDGES = {"a/dialogue_quality": ("a/naturalness", "a/consistency"), "failures": tuple(FAILURES)}
KEY_NAME, KEY = "CHAOS_ACCESS", "Zq7-very-private-value-9x"  # of a variable whose name does not say that it holds a key
_CALL = r"[Cc]all (\d+) round (\d+)"
_SAYS = re.compile(rf"\b(\w+) says on {_CALL}")


@dataclass(frozen=True)
class Place:
    """Whom a request was for."""

    arm: str
    call: int
    round: int
    purpose: str  # "reply", or the title of a judge


def talks(count: int, rounds: int) -> list[Dialogue]:
    made = []
    for call in range(count):
        turns: list[Turn] = []
        for round in range(1, rounds + 1):
            turns.append(Turn("user", f"Call {call} round {round}: {SAID[round % len(SAID)]}", phase="task"))
            turns.append(Turn("agent", f"I note it for call {call}.", phase="task"))
        made.append(Dialogue(f"call-{call:03d}", tuple(turns), intent=("FindAttraction", "FindEvents")[call % 2]))
    return made


@dataclass(frozen=True)
class World:
    """The servers, and the misfortunes before them."""

    chaos: Chaos
    proxy: Proxy

    @property
    def refused(self) -> list[str]:
        """What the honest servers would not take."""
        return [wrong for server in self.proxy.servers.values() for wrong in server.refused]

    def study(self, folder: Path, count: int, rounds: int, **changes: Any) -> Study:
        """`changes` of the endpoints, and `arms`, those that are wanted."""
        wanted = changes.pop("arms", tuple(ARMS))
        settings = {"key": KEY_NAME, "idle": 0.8, "timeout": 5.0, "connections": 32, **changes}
        endpoints = {name: self.proxy.endpoint(name, **settings) for name in self.proxy.servers}
        chat = {"endpoint": "agents"}
        chain = {
            "recognizer": "openai_transcription",
            "recognizer_options": {"endpoint": "speech", "model": "ears"},
            "mind": "chat",
            "mind_options": {**chat, "model": ARMS["chain"]},
            "synthesizer": "openai_speech",
            "synthesizer_options": {"endpoint": "speech", "model": "voice", "voice": "v"},
        }
        arms: dict[str, Any] = {
            "hosted": {"agent": "hosted", "options": {**chat, "model": ARMS["hosted"], "voice": "v"}},
            "chain": {"agent": "cascade", "options": chain},
            "text": {"agent": "chat", "options": {**chat, "model": ARMS["text"]}, "context": {"user": "written"}},
            "mute": {"agent": "hosted", "options": {**chat, "model": ARMS["mute"]}},
        }
        judge = {"endpoint": "judges", "model": "judge"}
        raw = raw_study(
            write_corpus(folder, talks(count, rounds)),
            arms={name: arms[name] for name in wanted},
            judges=[
                {"name": "dialogue_quality", "label": "a", "repeats": 2, "options": judge},
                {"name": "failures", "options": judge},
            ],
            endpoints={name: msgspec.to_builtins(endpoint) for name, endpoint in endpoints.items()},
        )
        return read_study(raw, "disturbed")


@contextmanager
def world(**chaos: Any) -> Iterator[World]:
    """All servers, with nothing amiss before it is asked for."""
    made = Chaos(**chaos)
    with (
        chatting("vllm-omni", _reply) as agents,
        chatting("openai", _verdict) as judges,
        speech_server() as speech,
        disturbed(made, agents=agents, judges=judges, speech=speech) as proxy,
    ):
        yield World(made, proxy)


def place_of(asked: Asked) -> Place:
    """Whom a request was for."""
    if asked.sort == JUDGE:
        model, call, round = _SAYS.findall(asked.words)[-1]
        title = "failures" if '"generic_response"' in asked.body["messages"][0]["content"] else "a/dialogue_quality"
        return Place(_arm(model), int(call), int(round), title)
    found = re.findall(_CALL, asked.words)
    call, round = found[-1]
    arm = "chain" if asked.sort in (HEARING, SPEECH) else _arm(asked.body["model"])
    return Place(arm, int(call), int(round), "reply")


def _arm(model: str) -> str:
    return next(arm for arm, its in ARMS.items() if its == model)


# ---------------------------------------------------------------- what the honest servers answer


def _reply(request: Request) -> Given:
    model = request.body["model"]
    if model == MUTE_MODEL:
        return Given("")
    call, round = re.findall(_CALL, request.said)[-1]
    drawn = digest(canonical(request.body).encode())[-8:]
    return Given(f"{model} says on call {call} round {round}: take number {drawn} of {len(request.turns)}.")


def _verdict(request: Request) -> str:
    """Drawn from the question and its seed; the same when the question is put again."""
    system, question = request.turns[0][1], request.turns[1][1]
    draw = seed_of(system, question, request.body["seed"])
    if '"generic_response"' not in system:
        names = ("naturalness", "consistency")
        return json.dumps({name: {"reason": f"{name} {draw}", "score": (draw >> 7 * n) % 101} for n, name in enumerate(names)})
    severities = {key: max(0, (draw >> 7 * n) % 128 - 60) for n, (key, _) in enumerate(FAILURES.values())}
    given: dict[str, Any] = {
        key: {"present": severity > 0, "severity": severity, "reason": f"{key} {draw}"} for key, severity in severities.items()
    }
    worst = max(severities, key=lambda key: severities[key])
    some = severities[worst] > 0
    given["overall_assessment"] = {
        "has_failure": some,
        "primary_failure": worst if some else "none",
        "explanation": f"drawn {draw}",
    }
    return json.dumps(given)


# ---------------------------------------------------------------- what became of it


def table_of(out: Path) -> polars.DataFrame:
    return tidy(load_results(out))


def calls(out: Path) -> list[Call]:
    with Ledger(out / "ledger.sqlite", write=False) as ledger:
        return [call for _, _, call in ledger.calls()]


def failed_attempts(calls: Iterable[Call]) -> Counter[str]:
    """By cause; each call's last attempt too, where it failed."""
    return Counter(cause for call in calls for cause in (*call.failures, *([call.failed] if call.failed else ())))


def attempts(deeds: Iterable[Deed]) -> Counter[str]:
    """The failed attempts that these misfortunes should have made, by cause."""
    return Counter(deed.misfortune.attempt for deed in deeds if deed.misfortune.attempt)


def files_with_the_key(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
