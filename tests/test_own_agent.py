"""What docs/own_agent.md shows runs as it stands there."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from small_study import small_study
from turnwise.agents.agent import AGENTS, Around, Past, Reply, Surroundings, View
from turnwise.agents.roster.command import Answer, Request, Shown, Told
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material
from turnwise.study.experiment import carry_out, load_results

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "own_agent.md").read_text(encoding="utf-8")
TONE = Sound((np.arange(800, dtype=np.float32) - 400) / 1024, 8000)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def arms() -> list[dict[str, Any]]:
    return [tomllib.loads(block)["arms"]["mine"] for block in blocks("toml")]


def tables() -> list[set[str]]:
    """The first column of each table."""
    found = re.findall(r"^\| (?:field|cause) \|.*?\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [set(re.findall(r"`([\w-]+)`", " ".join(row.split("|")[1] for row in table.splitlines()))) for table in found]


def ask(clips: ClipStore, options: dict[str, Any], view: View, **endpoints: Endpoint) -> Reply:
    async def turn() -> Reply:
        remote = Remote(endpoints, patience=0.01)
        session = AGENTS.build("command", options).reach(Around(clips, remote, None))  # type: ignore[arg-type]
        try:
            reply: Reply = await session.answer(view, seed=1)
            return reply
        finally:
            await session.close()
            await remote.close()

    return asyncio.run(turn())


def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert blocks("python")[0] == (ROOT / "examples" / "echo_agent.py").read_text(encoding="utf-8")
    assert len([line for line in blocks("python")[0].splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert arms()[0]["agent"] == "command"
    clips = ClipStore(tmp_path)
    clip = clips.keep(TONE)
    reply = ask(clips, arms()[0]["options"], View("d", 1, "", (), "hello", clip))
    assert (reply.text, reply.clip) == ("You said: hello", clip)


def test_the_program_in_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    reads = {**arms()[0], "options": {**arms()[0]["options"], "speaks": False}, "context": {"user": "written"}}
    study = small_study(tmp_path, 2, arms={"mine": arms()[0], "reads": reads})
    assert carry_out(study, tmp_path / "run", workers=0).complete
    for conversation in load_results(tmp_path / "run").conversations:
        for answered in conversation.rounds:
            assert answered.fault is None
            assert answered.reply is not None
            if conversation.arm == "mine":
                assert answered.reply.clip == answered.user_clip
                assert answered.transcript == answered.user.text
            else:
                assert answered.reply.text == f"You said: {answered.user.text}"


def test_the_request_that_is_shown_is_one() -> None:
    (shown,) = blocks("json")
    asked = msgspec.json.decode(shown, type=Request)
    assert asked.past == (Shown("user", "Hello.", None), Shown("agent", "Welcome!", None))
    assert json.loads(shown) == json.loads(msgspec.json.encode(asked))


def test_the_tables_name_every_field_and_cause() -> None:
    given, answered, causes = tables()
    assert given == set(Request.__struct_fields__)
    assert answered == set(Answer.__struct_fields__)
    assert set(Told.__struct_fields__) <= set(re.findall(r"`(\w+)`", PAGE.partition("| `timings` |")[2].partition("\n")[0]))
    source = (ROOT / "src/turnwise/agents/roster/command.py").read_text() + (ROOT / "src/turnwise/agents/program.py").read_text()
    assert causes == set(re.findall(r'EngineError\(\s*"([\w-]+)"', source)) - {"empty-audio"}


def test_every_option_is_on_the_page() -> None:
    import inspect

    for name in inspect.signature(AGENTS.factory("command")).parameters:
        assert re.search(rf"\b{name}\b", PAGE), name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def test_the_server(tmp_path: Path) -> None:
    code = blocks("python")[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    port = free_port()
    assert code.count("9000") == arms()[1]["options"]["url"].count("9000") == 1
    (tmp_path / "server.py").write_text(code.replace("9000", str(port)))
    running = subprocess.Popen([sys.executable, "server.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            assert running.poll() is None
            time.sleep(0.05)
        clips = ClipStore(tmp_path)
        clip = clips.keep(TONE)
        view = View("d", 2, "", (Past("user", None, clip), Past("agent", "Yes?")), None, clip)
        reply = ask(clips, {"url": arms()[1]["options"]["url"].replace("9000", str(port))}, view)
        assert (reply.text, reply.clip) == ("You said: something I cannot read", clip)

        declared = tomllib.loads(blocks("toml")[2])["endpoints"]["mine"]
        mine = msgspec.convert({**declared, "url": f"http://localhost:{port}", "key": ""}, Endpoint)
        assert ask(clips, arms()[2]["options"], view, mine=mine).text == reply.text
    finally:
        running.terminate()
        running.communicate(timeout=20)


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_agents.py").write_text(blocks("python")[2])
    monkeypatch.syspath_prepend(tmp_path)
    arm = arms()[3]
    built = AGENTS.build(arm["agent"], arm["options"])
    session = built.open(Surroundings(ClipStore(tmp_path), Material()))
    reply = session.answer(View("d", 2, "", (Past("user", "Hello."),), "two tickets please", None), seed=1)
    assert reply.text == "You wrote 3 words, and 1 turns before them."
    assert AGENTS.identity(arm["agent"], arm["options"]) != AGENTS.identity(arm["agent"], {})
    assert [len(blocks(kind)) for kind in ("python", "toml", "json")] == [3, 4, 1]
