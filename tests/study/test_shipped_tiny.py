"""The Context Trap with its models in this process, from end to end: tiny random checkpoints under the real names in a hub cache.

Of the printed study are changed: the corpus (one dialogue of two rounds), the servers' addresses, the lengths of answers and the
patience of Whisper, and the encoder of MOSA-Net+, which is one of its own because the tiny Whisper has another width than the
large one. MiMo-Audio's library is the stand-in of its form that the agent's own tests use.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
for _module in ("onnxruntime", "kaldi_native_fbank"):
    pytest.importorskip(_module, reason='pip install "turnwise[embedded]"')

import tiny_models  # noqa: E402
import tiny_omni  # noqa: E402
from agents.roster.test_mimo import LIBRARY, TORCH  # noqa: E402
from made_hub import made_hub  # noqa: E402
from study.test_shipped import raw, world  # noqa: E402
from turnwise.cli.paper import paper_command  # noqa: E402
from turnwise.judges.verdict import Fault, Score  # noqa: E402
from turnwise.quality import mosanet_model  # noqa: E402
from turnwise.study.experiment import carry_out, load_results  # noqa: E402
from turnwise.study.study_file import read_study  # noqa: E402

STATES = 16  # width of the tiny encoder
DIALOGUE = {
    "id": "merge_0001",
    "intent": {"type": "LookupMusic", "description": "look for a song to hear"},
    "transition_sentence": {"utterance": "User: Can you find a cello album?", "position": 2},
    "chitchat_context": ["User: My neighbour plays the cello.", "Agent: How lovely."],
    "dialog": [
        "User: My neighbour plays the cello.",
        "Agent: How lovely.",
        "User: Can you find a cello album?",
        "Agent: I found a calm one. Shall I play it?",
    ],
}


def encoder(folder: Path) -> Path:
    """A Whisper of 128 bands that only MOSA-Net+ listens through."""
    small = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    marks = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    widths = {"d_model": STATES, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    config = transformers.WhisperConfig(vocab_size=64, num_mel_bins=128, **widths, **small, **marks)
    transformers.WhisperForConditionalGeneration(config).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=128).save_pretrained(folder)
    return folder


def ratings(path: Path) -> None:
    """Random weights under the names of the published checkpoint of MOSA-Net+."""
    draw = torch.Generator().manual_seed(4)
    held = {}
    for name, shape in mosanet_model.shapes(STATES).items():
        held[name] = torch.rand(shape, generator=draw) / max(1.0, float(np.sqrt(np.prod(shape[1:])))) + 0.01
    held["sinc.low_hz_"] = torch.linspace(0, 7000, 257)[:, None]
    held["sinc.band_hz_"] = torch.full((257, 1), 30.0)
    torch.save(held, path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    made = {
        "openai/whisper-large-v2": tiny_models.whisper,
        "openai/whisper-large-v3": partial(tiny_models.whisper, seed=1),
        "sesame/csm-1b": tiny_models.csm,
        "Qwen/Qwen2.5-Omni-3B": tiny_omni.qwen25_omni,
        "Qwen/Qwen2.5-Omni-7B": partial(tiny_omni.qwen25_omni, seed=1),
    }
    home = made_hub(tmp_path / "home", monkeypatch, made)
    ratings(home / "ckpt_mosa_net_plus")
    encoder(home / "encoder")
    shutil.rmtree(home / "MiMo-Audio" / "src")
    (home / "MiMo-Audio" / "src" / "mimo_audio").mkdir(parents=True)
    (home / "MiMo-Audio" / "src" / "mimo_audio" / "mimo_audio.py").write_text(LIBRARY)
    (home / "MiMo-Audio" / "torch.py").write_text(TORCH)
    yield home
    torch.set_num_threads(before)


def shortened(study: dict[str, Any], home: Path) -> dict[str, Any]:
    """Tiny models do not know when to stop, and find all they hear uncertain."""
    (home / "corpus.json").write_text(json.dumps([DIALOGUE]))
    study["corpus"] |= {"path": str(home / "corpus.json"), "n": 1}
    study["transcriber"]["options"]["fallback"] = []
    study["user"]["options"]["most_seconds"] = 0.8
    for judge in study["judges"]:
        if judge["name"] == "sound_quality":
            judge["options"]["estimator_options"]["whisper"] = str(home / "encoder")
    for arm in study["arms"].values():
        options = arm.get("options", {})
        for said in (options, options.get("mind_options", {})):
            said |= {"most_tokens": 6} if said.get("model", "").startswith("Qwen/") else {}
        if arm.get("agent") == "omni":
            options["most_speech_tokens"] = 24
        if options.get("synthesizer") == "csm":
            options["recognizer_options"]["fallback"] = []
            options["synthesizer_options"]["most_seconds"] = 0.8
    return study


def test_all_eight_rows_are_played_judged_and_printed_as_the_paper_does(home: Path, tmp_path: Path) -> None:
    declared = shortened(raw("context_trap"), home)
    with world(declared):
        done = carry_out(read_study(declared, "trap"), tmp_path / "run", workers=0)
    results = load_results(tmp_path / "run")
    turns = [(conversation.arm, answered) for conversation in results.conversations for answered in conversation.rounds]
    assert len(turns) == 16
    assert not [(arm, answered.fault) for arm, answered in turns if answered.fault is not None]
    assert not [(arm, o) for arm, answered in turns for o in answered.outcomes.values() if isinstance(o, Fault)]
    assert done.complete
    for arm, answered in turns:
        assert answered.reply is not None
        if arm == "GPT-4o-m (T)":
            assert answered.reply.clip is None
            continue
        assert answered.reply.clip is not None
        assert isinstance(answered.outcomes["quality"], Score)
        assert isinstance(answered.outcomes["predicted_intelligibility"], Score)
        assert (answered.reply.heard is not None) == arm.endswith("(M)")
    notes = {arm: answered.reply.notes for arm, answered in turns if answered.reply is not None and answered.number == 2}
    assert any("the model's own sentence" in note for note in notes["Omni-3B (E2E)"])
    assert any("words of past user turns left out" in note for note in notes["MiMo (E2E)"])

    printed = CliRunner().invoke(paper_command, [str(tmp_path / "run"), "--beside"])
    assert printed.exit_code == 0, printed.output
    for model in ("MiMo", "Omni-3B", "Omni-7B"):
        for kind in ("E2E", "M"):
            assert f"published: {model} ({kind})" in printed.output
