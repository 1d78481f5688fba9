"""Speaks with Parler-TTS in an interpreter of its own; run by `speech/engines/parler.py`, never imported.

Parler-TTS needs versions of its packages that the rest cannot live with, so this file uses nothing of ours, and runs on Python
3.9. One JSON object per line: the settings come as the first argument; `{"ready": true, "rate": 44100}` is written once the
weights are loaded; each request `{"id": 1, "text": "...", "description": "...", "seed": 5}` is answered by
`{"id": 1, "rate": 44100, "samples": "<base64 of little-endian float32>"}` or
`{"id": 1, "error": "out-of-memory", "message": "..."}`. What cannot be mended by another request is
`{"fatal": "...", "message": "..."}` and the end. It ends when its input does.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any


def main() -> int:
    # Whatever libraries print goes to standard error; the answers have the real output for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    settings = json.loads(sys.argv[1])
    try:
        import torch
        from parler_tts import ParlerTTSForConditionalGeneration  # type: ignore[import-not-found]
        from transformers import AutoTokenizer
    except ImportError as error:
        say(fatal="missing-package", message=str(error))
        return 1
    device = settings["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = settings["dtype"]
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    try:
        network = ParlerTTSForConditionalGeneration.from_pretrained(
            settings["model"], torch_dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True
        ).to(device)
        network.eval()
        words = AutoTokenizer.from_pretrained(settings["model"], local_files_only=True)
        describing = AutoTokenizer.from_pretrained(settings["describing"], local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        say(fatal="weights", message=str(error).strip()[:500])
        return 1
    rate = int(network.config.sampling_rate)
    say(ready=True, rate=rate, numbers=dtype + " on " + device.partition(":")[0])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with torch.inference_mode():
                torch.manual_seed(request["seed"])
                text = words(request["text"], return_tensors="pt").to(device)
                voice = describing(request["description"], return_tensors="pt").to(device)
                wave = network.generate(
                    input_ids=voice.input_ids,
                    attention_mask=voice.attention_mask,
                    prompt_input_ids=text.input_ids,
                    prompt_attention_mask=text.attention_mask,
                    do_sample=True,
                    temperature=settings["temperature"],
                )
                samples = wave.float().cpu().numpy().reshape(-1).astype("<f4")
        except MemoryError as error:
            say(id=request["id"], error="out-of-memory", message=str(error)[:300])
        except (RuntimeError, ValueError, IndexError) as error:
            full = "out of memory" in str(error) or "not enough memory" in str(error)
            say(id=request["id"], error="out-of-memory" if full else "synthesis", message=str(error).strip()[:300])
        else:
            say(id=request["id"], rate=rate, samples=base64.b64encode(samples.tobytes()).decode("ascii"))
    return 0


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file holds nothing to be imported
    sys.exit(main())
