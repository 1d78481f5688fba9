"""The doctor on the real command line: what a study needs is found or missed, and servers are asked once each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from needed_options import least_weights
from servers.chat_server import Given, Request, chatting
from servers.speech_server import speech_server
from small_study import dialogues, write_corpus
from turnwise.study.readiness import fits

KEY = "SOMEBODYS_KEY"
SECRET = "sesame-open-4711"
STUDY = """
name = "clinic"
corpus = {{ format = "jsonl", path = "corpus.jsonl" }}
transcriber = {{ name = "openai_transcription", options = {{ endpoint = "speech", model = "ears" }} }}
user = {{ engine = "openai_speech", options = {{ endpoint = "speech", model = "mouth", voice = "coral" }} }}

[endpoints.house]
url = "{chat}/v1"
key = "SOMEBODYS_KEY"

[endpoints.speech]
url = "{speech}/v1"

[[judges]]
name = "dialogue_quality"
options = {{ endpoint = "house", model = "judge" }}

[[judges]]
name = "same_voice"
options = {{ endpoint = "house", model = "judge" }}

[arms.chain]
agent = "cascade"
[arms.chain.options]
recognizer = "openai_transcription"
recognizer_options = {{ endpoint = "speech", model = "ears" }}
mind = "chat"
mind_options = {{ endpoint = "house", model = "mind" }}
synthesizer = "stub"

[arms."end to end"]
agent = "hosted"
options = {{ endpoint = "house", model = "omni", voice = "alloy" }}

[arms.text]
agent = "chat"
options = {{ endpoint = "house", model = "mind" }}
context = {{ user = "written" }}
"""


def answering(request: Request) -> str | Given:
    system = request.turns[0][1]
    if "Answer with one JSON object" not in system:
        return "Yes."
    keys = ("naturalness", "consistency") if '"naturalness"' in system else ("voice_consistency",)
    return json.dumps({key: {"reason": "so", "score": 50} for key in keys})


def doctor(folder: Path, *words: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code and lines; the keys and caches of whoever runs the tests are out of sight."""
    clean = {name: value for name, value in os.environ.items() if not re.search("KEY|TURNWISE|^HF_|_PROXY", name.upper())}
    given = {**clean, "HF_HUB_CACHE": str(folder / "hub"), "HOME": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, "-m", "turnwise", "doctor", *words], cwd=folder, env=given, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, (done.stdout + done.stderr).splitlines()


def write(folder: Path, text: str) -> str:
    write_corpus(folder, dialogues(2, 3))
    (folder / "study.toml").write_text(text)
    return "study.toml"


def test_a_study_that_can_run_and_servers_that_answer(tmp_path: Path) -> None:
    with chatting("openai", answering, key=SECRET) as chat, speech_server() as speech:
        study = write(tmp_path, STUDY.format(chat=chat.url, speech=speech.url))
        code, lines = doctor(tmp_path, study, **{KEY: SECRET})
        assert code == 0, lines
        assert lines[1:-1] == [
            "ok corpus corpus.jsonl: 2 of 2 dialogues, 6 rounds",
            "ok synthesizer openai_speech (mouth) for the user",
            "ok recognizer openai_transcription (ears) for the transcriber, chain",
            "ok agent chat (mind) for chain, text",
            "ok synthesizer stub for chain",
            "ok agent hosted (omni) for end to end",
            "ok judge dialogue_quality (judge)",
            "ok judge same_voice (judge)",
            f"ok endpoint speech at {speech.url}/v1, without a key",
            f"ok endpoint house at {chat.url}/v1, {KEY} is set",
        ]
        assert lines[-1] == "study.toml can run: turnwise run study.toml"
        assert not chat.requests and not speech.spoken and not speech.heard

        code, more = doctor(tmp_path, study, "--ask", **{KEY: SECRET})
        assert code == 0, more
        answers = [re.sub(r"\d+\.\d s$", "t", line) for line in more[len(lines) - 1 : -1]]
        assert answers == [
            "ok endpoint speech, mouth, asked by synthesizer openai_speech: an answer in t",
            "ok endpoint speech, ears, asked by recognizer openai_transcription: an answer in t",
            "ok endpoint house, mind, asked by agent chat: an answer in t",
            "ok endpoint house, omni, asked by agent hosted: an answer in t",
            "ok endpoint house, judge, asked by judge dialogue_quality: an answer in t",
            "ok endpoint house, judge, asked by judge same_voice: an answer in t",
        ]
        assert [request.body["model"] for request in chat.requests] == ["mind", "omni", "judge", "judge"]
        assert [len(speech.spoken), len(speech.heard)] == [1, 1]
        mind, omni, *_ = chat.requests
        assert mind.turns == [("system", "text: Answer in one word."), ("user", "text: Hello.")]
        assert omni.turns[1][0] == "user" and omni.turns[1][1].startswith("sound: ")
        assert omni.body["audio"]["voice"] == "alloy"


def test_each_thing_that_fails_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    def moody(request: Request) -> str | Given:
        if request.body["model"] == "omni":
            return Given("I only write.", sound=False)
        return "Nothing of the kind." if request.body["model"] == "judge" else "Yes."

    with chatting("openai", moody, key="another") as chat:
        study = write(tmp_path, STUDY.format(chat=chat.url, speech="http://127.0.0.1:1"))
        code, lines = doctor(tmp_path, study, "--ask", **{KEY: SECRET})
        assert code == 1
        told = "\n".join(lines)
        assert told.count(f"refuses the key in {KEY} (401") == 4
        assert "-- endpoint speech, mouth, asked by synthesizer openai_speech: endpoint speech: audio/speech" in told
        assert lines[-1] == "study.toml cannot run here yet: 6 of the questions failed"
        chat.key = ""
        code, lines = doctor(tmp_path, study, "--ask", **{KEY: SECRET})
        told = "\n".join(lines)
        assert "ok endpoint house, mind, asked by agent chat" in told
        assert re.search(r"-- endpoint house, omni, asked by agent hosted: .*sound", told)
        assert "-- endpoint house, judge, asked by judge dialogue_quality: parse: " in told
        assert lines[-1] == "study.toml cannot run here yet: 5 of the questions failed"


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    text = STUDY.format(chat="http://127.0.0.1:1", speech="http://127.0.0.1:1").replace("corpus.jsonl", "nowhere.jsonl")
    text = text.replace('synthesizer = "stub"', 'synthesizer = "csm"\nsynthesizer_options = { model = "sesame/csm-1b" }')
    text += '\n[[judges]]\nname = "sound_quality"\noptions = { estimator = "nisqa" }\n[bar]\nmos = 3.0\n'
    text += '[arms.audioconv]\nagent = "recordings"\noptions = { folder = "audioconv" }\n'
    pytest.importorskip("torch")
    code, lines = doctor(tmp_path, write(tmp_path, text), "--ask")
    assert code == 1
    wrong = [line for line in lines if line.startswith("-- ")]
    assert [line.partition(": ")[0] for line in wrong] == [
        "-- corpus nowhere.jsonl",
        "-- synthesizer csm (sesame/csm-1b) for chain",
        "-- agent recordings for audioconv",
        "-- judge sound_quality (nisqa)",
        "-- endpoint house at http://127.0.0.1:1/v1",
        "-- endpoint speech, mouth, asked by synthesizer openai_speech",
        "-- endpoint speech, ears, asked by recognizer openai_transcription",
    ]
    assert f"{KEY} is not set" in wrong[4]
    remedies = "\n".join(lines)
    for remedy in ("hf download sesame/csm-1b", "NISQA/raw/master/weights/nisqa.tar", f"export {KEY}=...", "torch sees no GPU"):
        assert remedy in remedies, remedy
    assert lines[-1] == "study.toml cannot run here yet: 5 missing, 2 of the questions failed"

    # The weights come: that point is mended, the others stay.
    least_weights(tmp_path / "hub" / "models--sesame--csm-1b" / "snapshots" / "main")
    code, lines = doctor(tmp_path, "study.toml")
    assert code == 1
    assert "ok synthesizer csm (sesame/csm-1b) for chain" in lines
    assert lines[-1] == "study.toml cannot run here yet: 4 missing"


def test_the_program_of_an_own_agent_is_looked_for(tmp_path: Path) -> None:
    text = """
name = "own"
transcriber = "stub"
judges = ["repetition"]
corpus = { format = "jsonl", path = "corpus.jsonl" }
user = { engine = "stub" }
[arms.own]
agent = "command"
options = { command = ["PROGRAM", "my_agent.py"], working_directory = "FOLDER" }
[arms.chain]
agent = "cascade"
[arms.chain.options]
recognizer = "stub"
synthesizer = "stub"
mind = "command"
mind_options = { command = ["no-such-mind"], speaks = false }
"""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mine").write_text("#!/bin/sh\nexit 1\n")
    for program, folder, told in (
        ("no-such-program", ".", "the program 'no-such-program' is not found along PATH"),
        ("bin/none", str(tmp_path), f"the program {tmp_path}/bin/none is not there"),
        ("bin/mine", str(tmp_path), f"the program {tmp_path}/bin/mine is not executable"),
        ("bin/mine", str(tmp_path / "gone"), f"{tmp_path}/gone is not a folder"),
    ):
        code, lines = doctor(tmp_path, write(tmp_path, text.replace("PROGRAM", program).replace("FOLDER", folder)))
        assert code == 1, lines
        assert f"-- agent command for own: {told}" in lines
        assert "-- agent command for chain: the program 'no-such-mind' is not found along PATH" in lines
        assert lines[-1] == "study.toml cannot run here yet: 2 missing"
    (tmp_path / "bin" / "mine").chmod(0o755)
    text = text.replace("PROGRAM", "bin/mine").replace("FOLDER", str(tmp_path)).replace("no-such-mind", sys.executable)
    code, lines = doctor(tmp_path, write(tmp_path, text))
    assert (code, lines[-1]) == (0, "study.toml can run: turnwise run study.toml")


def test_mistakes_in_the_study_are_errors_as_everywhere(tmp_path: Path) -> None:
    good = STUDY.format(chat="http://127.0.0.1:1", speech="http://127.0.0.1:1")
    for text, told in (
        (good.replace('mind = "chat"', 'mind = "chta"'), "did you mean 'chat'?"),
        (good.replace("[arms.text]", "[arms.text"), "not TOML"),
        (good.replace('name = "same_voice"', 'name = "dialogue_quality"'), "is named twice"),
        ("name = 3\n", "str"),
    ):
        code, lines = doctor(tmp_path, write(tmp_path, text), **{KEY: SECRET})
        assert code == 2, lines
        assert told in "\n".join(lines)
    code, lines = doctor(tmp_path, "absent.toml")
    assert (code, lines) == (2, ["turnwise: absent.toml cannot be read: No such file or directory"])
    code, lines = doctor(tmp_path, "--ask")
    assert code == 2 and "name its file" in lines[-1]


def test_of_the_machine_without_a_study(tmp_path: Path) -> None:
    _, lines = doctor(tmp_path)
    told = "\n".join(lines)
    for part in ("torch", "transformers", "safetensors", "accelerate", "faster_whisper", "bitsandbytes"):
        assert re.search(rf"^(ok|--) .*: {part}\b", told, re.MULTILINE), part
    assert "-- sound quality: mosanet: " in told  # its checkpoint is nowhere here
    assert "OPENAI_API_KEY is not set" in told


def test_versions_of_transformers() -> None:
    assert [fits(v) for v in ("5.12.9", "5.13.0", "5.23.0", "5.99.0.dev0", "6.0.0", "4.57.6")] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_server_of_another_dialect_is_asked_in_its_own_way(tmp_path: Path) -> None:
    with chatting("gemini", answering) as chat:
        text = STUDY.format(chat=chat.url, speech="http://127.0.0.1:1").replace('/v1"\nkey', '/v1beta"\ndialect = "gemini"\nkey')
        text = text.replace(', voice = "alloy"', ", aloud = false")
        _, lines = doctor(tmp_path, write(tmp_path, text), "--ask", **{KEY: SECRET})
    assert "\n".join(lines).count("ok endpoint house, ") == 4, lines
    assert {request.path.partition("models/")[2].partition(":")[0] for request in chat.requests} == {"mind", "omni", "judge"}
    assert not chat.refused
