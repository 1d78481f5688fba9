"""Asks MiMo-Audio's own library, in the interpreter that has it: started by the agent `mimo`, it answers JSON lines.

This file runs outside of Turnwise and imports nothing of it: the standard library, and what the clone of MiMo-Audio brings. One
line on standard input is a request, one line on standard output is its answer with the same `id`; what the library prints goes to
standard error. It ends when its input does.

    {"id": 1, "do": "open", "clone": "...", "model": "...", "tokenizer": "...", "device": "cuda:0" or null}
    {"id": 2, "do": "speak", "seed": 7, "temperature": null, "system": "...", "voice": "", "to": "out.wav",
     "messages": [{"role": "user", "content": "a.wav"}, {"role": "assistant", "content": {"text": "...", "audio": "b.wav"}}, ...]}
    {"id": 3, "do": "write", "seed": 7, "temperature": null, "messages": [{"role": "user", "content": "words"}, ...]}

Answers are `{"id": 2, "text": "..."}`, or `{"id": 2, "error": {"cause": "out-of-memory", "message": "..."}}`; the causes are
`open`, `out-of-memory` and `model`. Called with `--versions` it prints what is installed, and ends.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import signal
import sys
from typing import Any

PACKAGES = ("torch", "torchaudio", "transformers", "flash-attn")
# What a library may raise while it works; anything else ends this program, and its last words say what it was.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def main() -> None:
    if sys.argv[1:] == ["--versions"]:
        print(json.dumps(_versions()))
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this program ends it
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    model: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request["id"]}
        try:
            if request["do"] == "open":
                model = _open(request)
            else:
                answer["text"] = _speak(model, request) if request["do"] == "speak" else _write(model, request)
        except (MemoryError, *_BROKEN) as error:
            answer["error"] = _told(error, request["do"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _open(request: dict[str, Any]) -> Any:
    sys.path[0] = request["clone"]  # in the place of this file's folder, whose modules are nothing to the library
    from src.mimo_audio.mimo_audio import MimoAudio  # type: ignore[import-not-found]

    return MimoAudio(request["model"], request["tokenizer"], **({"device": request["device"]} if request["device"] else {}))


def _speak(model: Any, request: dict[str, Any]) -> str:
    _prepare(model, "spoken_dialogue", request)
    text: str = model.spoken_dialogue_sft_multiturn(
        request["messages"],
        output_audio_path=request["to"],
        system_prompt=request["system"] or None,
        prompt_speech=request["voice"] or None,
    )
    return text


def _write(model: Any, request: dict[str, Any]) -> str:
    _prepare(model, "text_chat", request)
    text: str = model.text_dialogue_sft_multiturn(request["messages"])
    return text


def _prepare(model: Any, task: str, request: dict[str, Any]) -> None:
    """Seeds, and for the text the temperature that was asked for; that of the sound is left as the library has it."""
    import torch

    random.seed(request["seed"])
    torch.manual_seed(request["seed"])
    if request["temperature"] is not None:
        sampler = model.get_task_sampler(task)["global"]
        sampler.do_sample = request["temperature"] > 0
        if sampler.do_sample:
            sampler.temperature = request["temperature"]


def _told(error: BaseException, did: str) -> dict[str, str]:
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error):
        import torch

        torch.cuda.empty_cache()
        return {"cause": "out-of-memory", "message": message}
    return {"cause": "open" if did == "open" else "model", "message": message}


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


if __name__ == "__main__":
    main()
