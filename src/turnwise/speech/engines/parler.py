"""Parler-TTS: a voice that is described in words, spoken by an interpreter of its own.

"A woman speaks slowly and warmly, very close to the microphone, with hardly any noise": the description decides on voice, pace
and sound. Parler-TTS needs other versions of transformers than the rest, so it lives in an environment that you make and name; a
worker script of ours runs there and speaks one utterance at a time. The worker starts when the first utterance is spoken and is
started anew when it has died.

Options: `python` is that environment's interpreter, `model` a folder or a hub id ("parler-tts/parler-tts-mini-v1") with
`revision`, `description` the voice in words, at most 1000 characters. `description_model` names the files of the description's
tokenizer where the model has two (the multilingual ones: "google/flan-t5-large"). `temperature` (1.0), `device`, `dtype`.
`patience` (600) is how many seconds an utterance may take, loading included.

Sound is drawn from the utterance's seed: the same text and seed give the same sound on the same machine. The model's own limit
of length (about 30 s) applies. Whether a named speaker of the model keeps one voice is the model's doing; a description without
a name may give another voice each time. An utterance that takes too long is an error "timeout", a worker that dies
"worker-died", one that answers with anything but the protocol "broken-answer".

Needs its own environment: `python3.11 -m venv /venvs/parler && /venvs/parler/bin/pip install parler-tts`, and the weights:
`hf download parler-tts/parler-tts-mini-v1`. Licence of package and weights: Apache-2.0.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import source_digest
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.foundation.plain_text import plain_text
from turnwise.foundation.secrets import without_secrets
from turnwise.speech.engine import Speaking
from turnwise.speech.weights import Placement, find_weights, placement

WORKER = Path(__file__).parents[1] / "workers" / "parler_worker.py"
_PACKAGES = ("parler-tts", "torch", "transformers")
_MOST = 1000  # characters of a description
_TOLD = 12  # lines of the worker's standard error that are kept for its death


def synthesizer(
    python: str,
    model: str,
    description: str,
    revision: str = "main",
    description_model: str = "",
    temperature: float = 1.0,
    device: str = "auto",
    dtype: str = "auto",
    patience: float = 600.0,
) -> Parler:
    if not description.strip() or len(description) > _MOST:
        raise InputError(f"parler: description has {len(description)} characters, expected a voice in words, at most {_MOST}")
    if not 0.0 < temperature <= 10.0:
        raise InputError(f"parler: temperature is {temperature}, expected above 0, at most 10")
    if patience <= 0:
        raise InputError(f"parler: patience is {patience}, expected seconds above 0")
    place = placement("parler", device, dtype)
    return Parler(python, model, description, revision, description_model, temperature, place, patience)


class Parler(msgspec.Struct, frozen=True):
    """The voice with its options settled."""

    python: str
    model: str
    description: str
    revision: str
    description_model: str
    temperature: float
    placement: Placement
    patience: float

    @property
    def place(self) -> Place:
        return "device"

    def identity(self) -> Mapping[str, str]:
        describing = find_weights(self.description_model).identity()["weights"] if self.description_model else ""
        return {
            "shared": lineage(__file__),
            "worker": source_digest(WORKER),
            **find_weights(self.model, self.revision).identity(),
            **({"describing": describing} if describing else {}),
            "numbers": f"{self.placement.dtype} on {self.placement.device.partition(':')[0]}",
            **_versions(self.interpreter()),
        }

    def open(self) -> Speaking:
        return ParlerSpeaking(self)

    def interpreter(self) -> str:
        path = Path(self.python).expanduser()
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise InputError(f"parler: python is {self.python}, which is no program", "such as '/venvs/parler/bin/python'")
        return str(path)


class ParlerSpeaking:
    """The voice at work; its worker lives from the first utterance to `close`."""

    def __init__(self, parler: Parler) -> None:
        self._parler = parler
        folder = str(find_weights(parler.model, parler.revision).folder)
        describing = str(find_weights(parler.description_model).folder) if parler.description_model else folder
        settings = {
            "model": folder,
            "describing": describing,
            "temperature": parler.temperature,
            "device": parler.placement.device,
            "dtype": parler.placement.dtype,
        }
        self._command = [parler.interpreter(), str(WORKER), json.dumps(settings)]
        self._worker: _Worker | None = None
        self._asked = 0

    def speak(self, text: str, *, seed: int) -> Sound:
        plain = plain_text(text)
        if not any(letter.isalnum() for letter in plain):
            raise EngineError("empty-text", f"there is nothing to say in {text[:40]!r}")
        until = time.monotonic() + self._parler.patience
        try:
            if self._worker is None:
                self._worker = _Worker(self._command)
                self._ready(self._worker.answer(until))
            self._asked += 1
            request = {"id": self._asked, "text": plain, "description": self._parler.description, "seed": seed % 2**63}
            self._worker.ask(request)
            answer = self._worker.answer(until)
            return self._sound(answer, plain)
        except _Lost as error:
            self.close()
            raise EngineError(error.cause, error.message) from None

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _ready(self, answer: Mapping[str, Any]) -> None:
        if answer.get("ready") is True:
            return
        self.close()
        message = without_secrets(str(answer.get("message", "")))
        if answer.get("fatal") == "missing-package":
            pip = Path(self._parler.python).with_name("pip")
            raise MissingDependency(f"a package of parler's environment ({message})", f"{pip} install parler-tts")
        if answer.get("fatal") == "weights":
            raise InputError(f"{self._parler.model} cannot be loaded by Parler-TTS: {message}")
        raise EngineError("broken-answer", f"the Parler worker did not say that it is ready: {str(answer)[:200]}")

    def _sound(self, answer: Mapping[str, Any], text: str) -> Sound:
        if answer.get("id") != self._asked:
            raise _Lost("broken-answer", f"the Parler worker answered another request: {str(answer)[:200]}")
        if "error" in answer:
            raise EngineError(str(answer["error"])[:40], without_secrets(str(answer.get("message", "")))[:300])
        try:
            samples = np.frombuffer(base64.b64decode(answer["samples"], validate=True), dtype="<f4").astype(np.float32)
            rate = int(answer["rate"])
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise _Lost("broken-answer", f"the Parler worker's answer holds no sound: {type(error).__name__}: {error}") from None
        if not len(samples):
            raise EngineError("empty-audio", f"no sound came of {text[:60]!r}")
        if not np.isfinite(samples).all():
            raise EngineError("broken-audio", f"the sound of {text[:60]!r} has samples that are not numbers")
        return Sound(samples, rate)


class _Lost(Exception):
    """The worker can no longer be trusted or reached."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause, self.message = cause, message


class _Worker:
    """The process, and threads that read from it so that nobody waits for ever."""

    def __init__(self, command: list[str]) -> None:
        offline = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=offline, text=True, encoding="utf-8")
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._told: deque[str] = deque(maxlen=_TOLD)
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read_answers, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def ask(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self._death() from None

    def answer(self, until: float) -> dict[str, Any]:
        """The next answer, or the reason why there is none by that time (of time.monotonic())."""
        try:
            line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise _Lost("timeout", "the Parler worker took longer than `patience`") from None
        if line is None:
            raise self._death()
        try:
            answer = json.loads(line)
        except ValueError:
            raise _Lost("broken-answer", f"the Parler worker wrote {line[:100]!r}") from None
        if not isinstance(answer, dict):
            raise _Lost("broken-answer", f"the Parler worker wrote {line[:100]!r}")
        return answer

    def close(self) -> None:
        """End it at once; it holds nothing that must be saved."""
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was still to be written has no reader any more
                    continue

    def _death(self) -> _Lost:
        status = self._process.wait()
        self._threads[1].join()
        said = without_secrets(" | ".join(self._told))[-400:]
        return _Lost("worker-died", f"the Parler worker ended with status {status}: {said or 'it said nothing'}")

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._lines.put(line)
        except ValueError:  # bytes that are no text
            self._lines.put("\N{REPLACEMENT CHARACTER}")
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        try:
            for line in self._process.stderr:
                self._told.append(line.strip())
        except ValueError:
            self._told.append("(what it said is no text)")


@functools.cache
def _versions(python: str) -> dict[str, str]:
    """Versions of the packages in that interpreter's environment."""
    code = "import importlib.metadata as m, json, sys\nprint(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    try:
        done = subprocess.run([python, "-c", code, *_PACKAGES], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"parler: {python} does not run as a Python interpreter: {error}") from None
    if done.returncode:
        said = without_secrets(done.stderr.strip().rpartition("\n")[2])[:200]
        raise MissingDependency(
            f"a package of parler's environment ({said})", f"{Path(python).with_name('pip')} install parler-tts"
        )
    found: dict[str, str] = json.loads(done.stdout)
    return found
