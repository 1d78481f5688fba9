"""MiMo-Audio's library, played by a stand-in of the same form, is asked in another process and gets what the view shows."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnwise.agents.agent import AGENTS, Past, Surroundings, View
from turnwise.agents.foreign_python import ForeignPython
from turnwise.agents.roster.mimo import Mimo, MimoSession, agent
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material

# The library's form: where it is imported from, its class, the functions and their arguments, and that it prints while it works.
LIBRARY = """
import json, os, sys, wave
import torch

class Sampler:
    def __init__(self, temperature):
        self.do_sample, self.temperature, self.top_p = True, temperature, 0.95

class MimoAudio:
    def __init__(self, model_path, mimo_audio_tokenizer_path, device=None):
        print("loading", model_path)
        if "broken" in model_path:
            raise ValueError("these are no weights of mine")
        self.log = os.path.join(os.getcwd(), "log.jsonl")
        self.samplers = {"spoken_dialogue": Sampler(0.6), "text_chat": Sampler(0.4)}
        self.note(opened=[model_path, mimo_audio_tokenizer_path, device])

    def note(self, **said):
        with open(self.log, "a") as file:
            file.write(json.dumps(said) + "\\n")

    def get_task_sampler(self, task):
        return {"global": self.samplers[task], "local": Sampler(0.9)}

    def settings(self, task):
        sampler = self.get_task_sampler(task)
        return {"seed": torch.seeded, "temperature": sampler["global"].temperature, "sampled": sampler["global"].do_sample,
                "sound temperature": sampler["local"].temperature}

    def spoken_dialogue_sft_multiturn(self, message_list, output_audio_path=None, system_prompt=None, prompt_speech=None):
        said = []
        for m in message_list:
            said.append(dict(m, content=m["content"] if isinstance(m["content"], dict) else {"audio": m["content"]}))
        for m in said:
            with wave.open(m["content"]["audio"]) as file:
                m["content"]["audio"] = [file.getframerate(), file.getnframes()]
        self.note(spoke=said, system=system_prompt, voice=prompt_speech, **self.settings("spoken_dialogue"))
        text, level = self.act(system_prompt or "", len(message_list))
        with wave.open(output_audio_path, "wb") as file:
            file.setnchannels(1); file.setsampwidth(2); file.setframerate(24000)
            file.writeframes(level.to_bytes(2, "little") * 12000)
        return text

    def text_dialogue_sft_multiturn(self, message_list, thinking=False):
        self.note(wrote=message_list, **self.settings("text_chat"))
        return self.act(message_list[0]["content"], len(message_list))[0]

    def act(self, told, turns):
        print("Text channel:\\t", "what it thinks")
        if "die" in told: print("CUDA error: device-side assert", file=sys.stderr); os._exit(3)
        if "killed" in told: os.kill(os.getpid(), 9)
        if "sleep" in told: import time; time.sleep(30)
        if "garbage" in told: os.write(int(os.environ["ANSWERS"]), b"Segmentation fault\\n")
        if "memory" in told: raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if "assert" in told: assert False, "speech tokens out of range"
        if "mute" in told: return "I have words.", 0
        if "silent" in told: return "", 0
        if "wordless" in told: return " ", 100
        if "marks" in told: return "<|sostm|>I can be your Assistant: call (312) 555-0100 <|eot|><b>|</b><|im_end|>", 100
        return f"reply {turns}", 100 + turns
"""
TORCH = """
seeded = None
class OutOfMemoryError(RuntimeError): pass
class cuda:
    @staticmethod
    def empty_cache(): print("cache emptied")
def manual_seed(seed):
    global seeded
    seeded = seed
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "MiMo-Audio"
    (folder / "src" / "mimo_audio").mkdir(parents=True)
    (folder / "src" / "mimo_audio" / "mimo_audio.py").write_text(LIBRARY)
    (folder / "torch.py").write_text(TORCH)
    for name in ("model", "tokenizer", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"name": name}))
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


def buzz(samples: int, rate: int = 16000) -> Sound:
    return Sound((np.arange(samples) % 100 / 200).astype(np.float32), rate)


def built(clone: Path, **options: Any) -> Mimo:
    usual = {"python": sys.executable, "clone": str(clone), **{n: str(clone.parent / n) for n in ("model", "tokenizer")}}
    return agent(**{**usual, **options})


@contextmanager
def opened(clone: Path, clips: ClipStore, **options: Any) -> Iterator[MimoSession]:
    session = built(clone, **options).open(Surroundings(clips, Material()))
    try:
        yield session
    finally:
        session.close()


def log(clone: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (clone / "log.jsonl").read_text().splitlines()]


def asked(clip: Clip | None, *past: Past, instructions: str = "Be brief.", text: str | None = None) -> View:
    return View("d", 1, instructions, past, text, clip)


@pytest.fixture
def user(clips: ClipStore) -> Clip:
    return clips.keep(buzz(8000))


def test_turns_with_sound_in_the_past(clone: Path, clips: ClipStore, user: Clip) -> None:
    other = clips.keep(buzz(4000))
    with opened(clone, clips, device="cuda:1") as session:
        first = session.answer(asked(user), seed=2**62 + 5)
        assert first.clip is not None
        assert (first.text, first.clip.rate, first.clip.seconds, first.notes) == ("reply 1", 24000, 0.5, ())
        assert first.timings.first_audio is not None and first.timings.think is None and first.timings.speak is None
        past = (Past("user", "hello", user), Past("agent", first.text, first.clip))
        second = session.answer(asked(other, *past), seed=6)
        assert second.text == "reply 3"
        assert second.clip != first.clip
        assert second.notes == ("words of past user turns left out, as this model takes their sound only: 1",)
    opening, one, two = log(clone)
    where = [str((clone.parent / name).resolve()) for name in ("model", "tokenizer")]
    assert opening == {"opened": [*where, "cuda:1"]}
    assert one["spoke"] == [{"role": "user", "content": {"audio": [16000, 8000]}}]
    assert two["spoke"] == [
        {"role": "user", "content": {"audio": [16000, 8000]}},
        {"role": "assistant", "content": {"text": "reply 1", "audio": [24000, 12000]}},
        {"role": "user", "content": {"audio": [16000, 4000]}},
    ]
    assert [turn["system"] for turn in (one, two)] == ["Be brief.", "Be brief."]
    assert [turn["seed"] for turn in (one, two)] == [2**62 + 5, 6]
    assert [one[name] for name in ("temperature", "sampled", "sound temperature", "voice")] == [0.6, True, 0.9, None]


def test_the_clips_samples_reach_the_library(clone: Path, clips: ClipStore, user: Clip) -> None:
    from turnwise.foundation.audio_files import read_sound

    with opened(clone, clips) as session:
        path = Path(session._file(user))
        assert np.array_equal(read_sound(path).samples, clips.load(user).samples)
        kept = path.stat().st_mtime_ns
        assert session._file(user) == str(path)
        assert path.stat().st_mtime_ns == kept
    assert not path.exists()  # the folder goes with the session


def test_a_voice_and_a_temperature(clone: Path, clips: ClipStore, user: Clip, tmp_path: Path) -> None:
    from turnwise.foundation.audio_files import write_sound

    write_sound(buzz(1000), tmp_path / "voice.wav")
    with opened(clone, clips, voice=str(tmp_path / "voice.wav"), temperature=0.7) as session:
        session.answer(asked(user, instructions=""), seed=1)
    (turn,) = log(clone)[1:]
    assert (turn["voice"], turn["system"]) == (str((tmp_path / "voice.wav").resolve()), None)
    assert [turn[name] for name in ("temperature", "sampled", "sound temperature")] == [0.7, True, 0.9]
    with opened(clone, clips, aloud=False, temperature=0) as session:
        session.answer(asked(None, text="hi"), seed=1)
    assert [log(clone)[-1][name] for name in ("temperature", "sampled")] == [0.4, False]
    with pytest.raises(InputError, match=r"the voice .*none\.wav does not exist"):
        built(clone, voice=str(tmp_path / "none.wav")).open(Surroundings(clips, Material()))


def test_text_mode(clone: Path, clips: ClipStore, user: Clip) -> None:
    assert built(clone).speaks
    assert not built(clone, aloud=False).speaks
    with opened(clone, clips, aloud=False) as session:
        past = (Past("agent", "welcome"), Past("user", "hello"), Past("agent", "hm"))
        reply = session.answer(asked(None, *past, text="and now?"), seed=3)
        assert (reply.text, reply.clip, reply.notes) == ("reply 4", None, ())
        assert reply.timings.think is not None and reply.timings.first_audio is None
        for view in (asked(user), asked(None, Past("user", None, user), text="hi")):
            with pytest.raises(EngineError) as caught:
                session.answer(view, seed=1)
            assert caught.value.cause in ("no-input", "unsupported-history")
    (turn,) = log(clone)[1:]
    assert turn["wrote"] == [
        {"role": "assistant", "content": "welcome"},
        {"role": "user", "content": "Be brief.\n\nhello"},
        {"role": "assistant", "content": "hm"},
        {"role": "user", "content": "and now?"},
    ]


def test_what_the_library_cannot_take(clone: Path, clips: ClipStore, user: Clip) -> None:
    heard = (Past("user", None, user), Past("agent", "hm", user))
    with opened(clone, clips) as session:
        for view, complaint in (
            (asked(user, Past("agent", "welcome"), *heard), "a past turn of the agent has no sound"),
            (asked(user, Past("user", "hello")), "a past turn of the user has no sound"),
            (asked(user, *heard, Past("user", None, user), Past("agent", None, user)), "a past turn of the agent has no words"),
            (asked(user, Past("agent", "hm", user)), "the library drops the instructions"),
        ):
            with pytest.raises(EngineError, match=complaint) as caught:
                session.answer(view, seed=1)
            assert caught.value.cause == "unsupported-history"
        with pytest.raises(EngineError) as caught:
            session.answer(asked(None, text="hi"), seed=1)
        assert caught.value.cause == "no-input"
    assert len(log(clone)) == 1  # nothing was sent
    with opened(clone, clips, unspoken="leave-out") as session:
        view = asked(user, Past("agent", "welcome"), *heard, Past("user", "no sound"), Past("agent", None, user))
        notes = session.answer(view, seed=1).notes
        assert notes == ("past turns left out, as this model takes none without both sound and words: 3",)
        assert session.answer(asked(user, Past("agent", "hm", user), instructions=""), seed=1).notes == ()
    assert [message["role"] for message in log(clone)[-2]["spoke"]] == ["user", "assistant", "user"]


def test_words_and_silence(clone: Path, clips: ClipStore, user: Clip) -> None:
    with opened(clone, clips) as session:
        said = session.answer(asked(user, instructions="marks"), seed=1)
        assert said.text == "I can be your Assistant: call (312) 555-0100 <b>|</b>"
        silent = session.answer(asked(user, instructions="silent"), seed=1)
        assert (silent.text, silent.clip) == ("", None)
        wordless = session.answer(asked(user, instructions="wordless"), seed=1)
        assert wordless.text == "" and wordless.clip is not None
        with pytest.raises(EngineError, match=r"no sound came for 'I have words\.'") as caught:
            session.answer(asked(user, instructions="mute"), seed=1)
        assert caught.value.cause == "empty-audio"


def test_errors_of_the_library_leave_it_running(clone: Path, clips: ClipStore, user: Clip) -> None:
    with opened(clone, clips) as session:
        for told, cause, complaint in (
            ("memory", "out-of-memory", r"Tried to allocate 2\.00 GiB"),
            ("assert", "model", "AssertionError: speech tokens out of range"),
        ):
            with pytest.raises(EngineError, match=complaint) as caught:
                session.answer(asked(user, instructions=told), seed=1)
            assert caught.value.cause == cause
        assert session.answer(asked(user), seed=1).text == "reply 1"
    assert [next(iter(said)) for said in log(clone)] == ["opened", "spoke", "spoke", "spoke"]


def test_a_process_that_breaks_is_started_anew(
    clone: Path, clips: ClipStore, user: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWERS", "3")  # where the worker's own answers go: the first free place after the three streams
    with opened(clone, clips, patience=1.5) as session:
        for told, cause, complaint in (
            ("die", "worker-died", "ended with exit status 3: CUDA error: device-side assert"),
            ("killed", "worker-died", "was killed by SIGKILL"),
            ("garbage", "broken-answer", "answered 'Segmentation fault'"),
            ("sleep", "timeout", r"gave no answer within 1\.5 s"),
        ):
            began = time.monotonic()
            with pytest.raises(EngineError, match=complaint) as caught:
                session.answer(asked(user, instructions=told), seed=1)
            assert caught.value.cause == cause
            assert time.monotonic() - began < 15
            assert session._child is not None and not session._child.running
            assert session.answer(asked(user), seed=1).text == "reply 1"
    assert [next(iter(said)) for said in log(clone)].count("opened") == 5


def test_what_cannot_be_opened(clone: Path, clips: ClipStore, tmp_path: Path) -> None:
    around = Surroundings(clips, Material())
    with pytest.raises(InputError, match=r"the library .* does not open: ValueError: these are no weights of mine"):
        built(clone, model=str(tmp_path / "broken")).open(around)
    with pytest.raises(InputError, match="is no clone of MiMo-Audio"):
        replace(built(clone), clone=str(tmp_path / "model")).open(around)
    with pytest.raises(InputError, match="neither a folder nor in the Hugging Face cache"):
        built(clone, tokenizer="nobody/nothing-of-the-kind").open(around)
    with pytest.raises(InputError, match="cannot be started"):
        built(clone, python=str(tmp_path / "no-python")).open(around)
    (clone / "torch.py").unlink()
    (clone / "src" / "mimo_audio" / "mimo_audio.py").write_text("import flash_attn_that_is_absent\n")
    with pytest.raises(InputError, match="No module named 'flash_attn_that_is_absent'"):
        built(clone).open(around)


def test_identity_and_options(clone: Path, tmp_path: Path) -> None:
    plain = built(clone)
    assert (plain.place, plain.models) == ("device", (str(clone.parent / "model"),))
    identity = plain.identity()
    assert {"shared", "clone", "model", "tokenizer", "its python", "its torch", "its transformers"} <= identity.keys()
    assert identity["its python"] == ".".join(map(str, sys.version_info[:3]))
    (clone / "src" / "mimo_audio" / "mimo_audio.py").write_text(LIBRARY + "# changed\n")
    changed = built(clone).identity()
    assert {name for name in identity if identity[name] != changed[name]} == {"clone"}
    options = {
        "python": sys.executable,
        "clone": str(clone),
        "model": str(tmp_path / "model"),
        "tokenizer": str(tmp_path / "tokenizer"),
    }
    assert AGENTS.identity("mimo", options) != AGENTS.identity("mimo", {**options, "temperature": 0.5})
    with pytest.raises(InputError, match="does not work as a Python interpreter"):
        built(clone, python="/no/python").identity()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"python": ""}, "python is empty"),
        ({"tokenizer": ""}, "tokenizer is empty"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"unspoken": "guess"}, "unspoken is 'guess'"),
        ({"patience": 0}, "patience is 0"),
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"aloud": False, "voice": "a.wav"}, "a text has no voice"),
    ],
)
def test_wrong_options(clone: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        built(clone, **options)


def test_the_process_ends_with_its_input(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfor line in sys.stdin: print(line, end='', flush=True)\nopen('ended', 'w').close()\n")
    child = ForeignPython([sys.executable, str(script)], tmp_path)
    assert child.ask({"do": "echo"}, 10) == {"id": 1, "do": "echo"}
    assert child.ask({"do": "again"}, 10) == {"id": 2, "do": "again"}
    child.close()
    child.close()
    assert (tmp_path / "ended").exists()


def test_our_interpreters_settings_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "here")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    script = tmp_path / "script.py"
    script.write_text("import json, os\nprint(json.dumps({'id': 1, **os.environ}), flush=True)\ninput(); input()\n")
    child = ForeignPython([sys.executable, str(script)], tmp_path)
    told = child.ask({}, 10)
    child.close()
    assert told["CUDA_VISIBLE_DEVICES"] == "1"
    assert "PYTHONPATH" not in told
