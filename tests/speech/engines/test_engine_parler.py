from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.place import place_of
from turnwise.speech.engine import SYNTHESIZERS
from turnwise.speech.engines import parler
from turnwise.speech.engines.parler import ParlerSpeaking

# What stands in for the packages of Parler's own environment. The sound tells what arrived: the lengths of text and description,
# the seed, the temperature.
PARLER = """
import json, os, sys
import numpy as np
import torch
class Wave:
    def __init__(self, values): self.values = values
    def float(self): return self
    def cpu(self): return self
    def numpy(self): return np.array([self.values], dtype=np.float64)
class Network:
    class config: sampling_rate = 44100
    def to(self, device): self.device = device; return self
    def eval(self): return self
    def generate(self, *, input_ids, attention_mask, prompt_input_ids, prompt_attention_mask, do_sample, temperature):
        print("noise of a library")
        os.write(1, b"and more of it, past Python\\n")
        said = prompt_input_ids
        if said == "die": print("the last words", file=sys.stderr, flush=True); os._exit(7)
        if said == "sleep": import time; time.sleep(60)
        if said == "full": raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
        if said == "wrong": raise ValueError("the shapes differ for sk-verysecretverysecret")
        if said == "nothing": return Wave([])
        if said == "infinite": return Wave([float("inf")])
        assert do_sample and attention_mask == "mask of " + input_ids and prompt_attention_mask == "mask of " + said
        return Wave([len(said) / 1000, len(input_ids) / 1000, torch.seed_set / 1000, temperature / 10])
class ParlerTTSForConditionalGeneration:
    @classmethod
    def from_pretrained(cls, folder, *, torch_dtype, use_safetensors, local_files_only):
        assert use_safetensors and local_files_only and os.environ["HF_HUB_OFFLINE"] == "1"
        if os.path.exists(os.path.join(folder, "broken.json")): raise OSError("no safetensors here")
        with open(os.path.join(folder, "loaded.log"), "a") as log: log.write(torch_dtype + "\\n")
        return Network()
"""
TRANSFORMERS = """
import types
class AutoTokenizer:
    def __init__(self, folder): self.folder = folder
    @classmethod
    def from_pretrained(cls, folder, *, local_files_only): return cls(folder)
    def __call__(self, text, return_tensors):
        self.text = text
        return self
    def to(self, device): return types.SimpleNamespace(input_ids=self.text, attention_mask="mask of " + self.text)
"""
TORCH = """
import contextlib
seed_set = None
float32, bfloat16 = "float32", "bfloat16"
class cuda:
    @staticmethod
    def is_available(): return False
def inference_mode(): return contextlib.nullcontext()
def manual_seed(seed):
    global seed_set
    seed_set = seed
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with stand-ins, and a folder that holds a model."""
    site = tmp_path / "site"
    for name, text in (("parler_tts", PARLER), ("transformers", TRANSFORMERS), ("torch", TORCH)):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(text)
    for name, version in (("parler_tts", "0.2.3"), ("transformers", "4.46.1"), ("torch", "2.13.0")):
        about = site / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    parler._versions.cache_clear()
    return model


@pytest.fixture
def voice(place: Path) -> Iterator[ParlerSpeaking]:
    opened = open_voice(place)
    yield opened
    opened.close()


def open_voice(model: Path, **options: Any) -> ParlerSpeaking:
    opened = build(model, **options).open()
    assert isinstance(opened, ParlerSpeaking)
    return opened


def build(model: Path, **options: Any) -> parler.Parler:
    options = {"python": sys.executable, "model": str(model), "description": "a calm voice", "patience": 60.0, **options}
    built = SYNTHESIZERS.build("parler", options)
    assert isinstance(built, parler.Parler)
    return built


def fault(voice: ParlerSpeaking, text: str) -> EngineError:
    with pytest.raises(EngineError) as caught:
        voice.speak(text, seed=5)
    return caught.value


def starts(model: Path) -> list[str]:
    return (model / "loaded.log").read_text().split()


# ---------------------------------------------------------------- the protocol over a real process


def test_text_description_seed_and_settings_arrive(place: Path, voice: ParlerSpeaking) -> None:
    sound = voice.speak("hello there", seed=2**62 + 9)
    assert sound.rate == 44100
    expected = [11 / 1000, len("a calm voice") / 1000, (2**62 + 9) / 1000, 0.1]
    assert sound.samples.tolist() == np.array(expected, dtype=np.float32).tolist()
    assert voice.speak("hello\x07  you", seed=1).samples[0] == np.float32(len("hello you") / 1000)
    assert starts(place) == ["float32"]  # one process for both


def test_the_description_may_have_its_own_tokenizer(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "describing"
    other.mkdir()
    (other / "tokenizer.json").write_text("{}")
    voice = open_voice(place, description_model=str(other), temperature=0.5, dtype="bfloat16")
    try:
        settings = json.loads(voice._command[-1])
        assert settings["describing"] == str(other)
        assert voice.speak("hello", seed=1).samples[3] == np.float32(0.05)
        assert starts(place) == ["bfloat16"]
    finally:
        voice.close()


def test_a_worker_that_dies_is_an_error_and_the_next_utterance_starts_another(place: Path, voice: ParlerSpeaking) -> None:
    assert voice.speak("hello", seed=1).rate == 44100
    died = fault(voice, "die")
    assert died.cause == "worker-died"
    assert "status 7" in died.message
    assert "the last words" in died.message
    assert voice.speak("hello", seed=1).rate == 44100
    assert starts(place) == ["float32"] * 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [("full", "out-of-memory"), ("wrong", "synthesis"), ("nothing", "empty-audio"), ("infinite", "broken-audio")],
)
def test_what_fails_for_one_utterance_leaves_the_worker(place: Path, voice: ParlerSpeaking, text: str, cause: str) -> None:
    failed = fault(voice, text)
    assert failed.cause == cause
    assert "verysecret" not in failed.message
    assert voice.speak("hello", seed=1).rate == 44100
    assert starts(place) == ["float32"]


def test_a_worker_that_takes_too_long_is_ended(place: Path) -> None:
    voice = open_voice(place, patience=3.0)
    voice.speak("hello", seed=1)
    assert voice._worker is not None
    process = voice._worker._process
    began = time.monotonic()
    assert fault(voice, "sleep").cause == "timeout"
    assert time.monotonic() - began < 20
    assert process.poll() is not None
    voice.close()


def test_closing_ends_the_process_and_twice_is_harmless(place: Path) -> None:
    voice = open_voice(place)
    voice.speak("hello", seed=1)
    assert voice._worker is not None
    process = voice._worker._process
    voice.close()
    voice.close()
    assert process.poll() is not None


@pytest.mark.parametrize("text", ["", " ", "--", "\x00"])
def test_nothing_to_say_starts_nothing(place: Path, voice: ParlerSpeaking, text: str) -> None:
    assert fault(voice, text).cause == "empty-text"
    assert voice._worker is None


# ---------------------------------------------------------------- workers that do not keep to it

READY = 'print(\'{"ready": true, "rate": 8000}\', flush=True)\n'


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("print('hello, I am ready')", "broken-answer"),
        ("print('[1, 2]')", "broken-answer"),
        ('print(\'{"ready": "perhaps"}\')', "broken-answer"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n')", "broken-answer"),
        ("pass", "worker-died"),
        ("raise SystemExit(3)", "worker-died"),
        (READY, "worker-died"),
        (READY + "input(); print('{\"id\": 99}')", "broken-answer"),
        (READY + "input(); print('{\"id\": 1}')", "broken-answer"),
        (READY + 'input(); print(\'{"id": 1, "rate": 8000, "samples": "%%%"}\')', "broken-answer"),
        (READY + 'input(); print(\'{"id": 1, "rate": 8000, "samples": "AAA="}\')', "broken-answer"),
        (READY + 'input(); print(\'{"id": 1, "rate": "fast", "samples": "AAAAAA=="}\')', "broken-answer"),
        (READY + "import os; os.close(0); import time; time.sleep(60)", "timeout"),
    ],
)
def test_garbage_is_an_error(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, cause: str) -> None:
    (tmp_path / "worker.py").write_text(script + "\n")
    monkeypatch.setattr(parler, "WORKER", tmp_path / "worker.py")
    voice = open_voice(place, patience=2.0 if cause == "timeout" else 60.0)
    # A closed input may break the request before the time is over.
    assert fault(voice, "hello").cause in ({"timeout", "worker-died"} if cause == "timeout" else {cause})
    assert voice._worker is None


def test_an_environment_without_parler(place: Path, tmp_path: Path) -> None:
    (tmp_path / "site" / "parler_tts" / "__init__.py").write_text("raise ImportError('No module named dac')\n")
    with pytest.raises(MissingDependency, match=r"No module named dac.*pip install parler-tts"):
        open_voice(place).speak("hello", seed=1)


def test_weights_that_cannot_be_loaded(place: Path) -> None:
    (place / "broken.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded by Parler-TTS: no safetensors here"):
        open_voice(place).speak("hello", seed=1)


# ---------------------------------------------------------------- options and identity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"description": " "}, "expected a voice in words"),
        ({"description": "x" * 1001}, "has 1001 characters"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"patience": 0.0}, "patience is 0.0"),
        ({"device": "x"}, "device is 'x'"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(tmp_path, **options)


def test_identity_names_worker_weights_and_the_versions_over_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build(place, device="cpu")
    named = built.identity()
    assert (named["parler-tts"], named["transformers"], named["torch"]) == ("0.2.3", "4.46.1", "2.13.0")
    assert named["numbers"] == "auto on cpu"
    assert place_of(built) == "device"
    (place / "config.json").write_text('{"other": 1}')
    assert built.identity()["weights"] != named["weights"]
    monkeypatch.setattr(parler, "WORKER", Path(__file__))
    assert built.identity()["worker"] != named["worker"]


def test_an_interpreter_that_is_none(place: Path, tmp_path: Path) -> None:
    for python in (str(tmp_path / "python"), str(tmp_path)):
        with pytest.raises(InputError, match="which is no program"):
            build(place, python=python).identity()
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    os.chmod(tmp_path / "python", 0o755)
    with pytest.raises(MissingDependency, match="pip install parler-tts"):
        build(place, python=str(tmp_path / "python")).identity()


def test_a_missing_model_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="hf download parler-tts/parler-tts-mini-v1"):
        SYNTHESIZERS.build(
            "parler", {"python": sys.executable, "model": "parler-tts/parler-tts-mini-v1", "description": "a voice"}
        ).open()
