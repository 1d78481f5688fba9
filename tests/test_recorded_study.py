"""A finished AudioConv run, its user audio and its replies, is judged as a study like any other; what it lacks stays missing."""

from __future__ import annotations

import json
from pathlib import Path

import soundfile

from small_study import dialogues, small_study
from turnwise.agents.roster.recordings import UNKNOWN
from turnwise.judges.verdict import Fault
from turnwise.speech.engines.stub import encode
from turnwise.study.experiment import carry_out, load_results

CONFIG = "agent_omni_7b-Ethan_fixed_eval"


def write(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = encode(text)
    soundfile.write(path, sound.samples, sound.rate, subtype="PCM_16")


def test_a_recorded_run_is_a_study(tmp_path: Path) -> None:
    lost_user, lost_reply = ("call-001", 4), ("call-002", 3)
    for dialogue in dialogues(3):
        history = []
        for round in dialogue.rounds():
            if (dialogue.id, round.position) != lost_user:
                write(round.user.text, tmp_path / "user" / f"{dialogue.id}_turn{round.position:02d}.wav")
            name = f"agent_audio_round_{round.number - 1:03d}.wav"
            if (dialogue.id, round.number) != lost_reply:
                write(f"Reply {round.number} of {dialogue.id}.", tmp_path / "out" / CONFIG / dialogue.id / name)
            history.append({"role": "user", "content": round.user.text, "audio_path": None})
            history.append({"role": "agent", "content": f"Reply {round.number}", "audio_path": f"x/{name}"})
        told = {"dialogue_id": dialogue.id, "agent_type": "qwen_omni_7b", "total_rounds": 4, "dialogue_history": history}
        (tmp_path / "out" / CONFIG / dialogue.id / "transcript.json").write_text(json.dumps(told))

    study = small_study(
        tmp_path,
        user={"engine": "recordings", "options": {"folder": str(tmp_path / "user")}},
        arms={"paper": {"agent": "recordings", "options": {"folder": str(tmp_path / "out"), "config": CONFIG}}},
        on_fault="skip",
    )
    carry_out(study, tmp_path / "run", workers=0)
    for conversation in load_results(tmp_path / "run").conversations:
        name = conversation.dialogue.id
        for answered, round in zip(conversation.rounds, conversation.dialogue.rounds(), strict=True):
            if (name, round.position) == lost_user:
                assert isinstance(answered.fault, Fault)
                assert (answered.fault.cause, answered.user_clip) == ("user-audio", None)
                assert "holds no sound file call-001_turn04" in answered.fault.detail
                continue
            assert answered.user_heard == round.user.text
            if (name, round.number) == lost_reply:
                assert answered.fault is not None
                assert answered.fault.cause == "missing-recording"
                continue
            assert answered.reply is not None
            assert answered.reply.text == f"Reply {round.number}"
            assert answered.reply.notes[0] == UNKNOWN
            assert answered.transcript == f"Reply {round.number} of {name}."
