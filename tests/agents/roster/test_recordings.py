"""A recorded run is looked up round by round; what is missing, shifted or written over is said and never filled in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from turnwise.agents.agent import AGENTS, Reply, Surroundings, View
from turnwise.agents.roster.recordings import UNHEARD, UNKNOWN
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material

CONFIG = "agent_omni_7b-Ethan_fixed_eval"
USER = ("i like the old museum", "two tickets for friday please", "is there a train back at night")


def written(*users: str, id: str = "merge_0001") -> Dialogue:
    return Dialogue(id, tuple(turn for said in users for turn in (Turn("user", said), Turn("agent", "Of course."))))


def record(
    folder: Path,
    replies: Sequence[str | None],
    *,
    id: str = "0001",
    users: Sequence[str] = USER,
    first: int = 0,
    sounds: Sequence[int] | None = None,
    named: Sequence[int] | None = None,
    **told: Any,
) -> Path:
    """One dialogue as AudioConv writes it: `replies` of the rounds (None: no agent item), `sounds` the numbers of the files."""
    place = folder / CONFIG / id
    place.mkdir(parents=True)
    for number in range(first, first + len(replies)) if sounds is None else sounds:
        level = np.full(800, (number + 1) / 32, dtype=np.float32)
        soundfile.write(place / f"agent_audio_round_{number:03d}.wav", level, 8000, subtype="PCM_16")
    history: list[dict[str, Any]] = []
    for number, reply in enumerate(replies):
        history.append({"role": "user", "content": users[number], "audio_path": f"/u/merge_{id}_turn{2 * number:02d}.wav"})
        if reply is not None:
            own = named[number] if named else number + first
            there = (place / f"agent_audio_round_{own:03d}.wav").exists() or bool(named)
            path = f"out/{CONFIG}/{id}/agent_audio_round_{own:03d}.wav" if there else None
            history.append({"role": "agent", "content": reply, "audio_path": path})
    answered = sum(reply is not None for reply in replies)
    whole = {
        "dialogue_id": id,
        "agent_type": "qwen_omni_7b",
        "agent_config": {},
        "total_rounds": answered,
        "salesbot_context": {},
    }
    (place / "transcript.json").write_text(json.dumps({**whole, "dialogue_history": history, **told}))
    return place


def ask(folder: Path, round: int, dialogue: str = "merge_0001", corpus: Sequence[Dialogue] = (), **options: Any) -> Reply:
    built = AGENTS.build("recordings", {"folder": str(folder), "config": CONFIG, **options})
    session = built.open(Surroundings(ClipStore(folder / "clips"), Material(), tuple(corpus)))
    reply: Reply = session.answer(View(dialogue, round, "Be kind.", (), None, None), seed=1)
    session.close()
    return reply


def level(folder: Path, reply: Reply) -> float:
    """Number of the file that was played."""
    assert reply.clip is not None
    return float(ClipStore(folder / "clips").load(reply.clip).samples[0]) * 32 - 1


def refused(folder: Path, round: int, dialogue: str = "merge_0001", **rest: Any) -> tuple[str, str]:
    with pytest.raises(EngineError) as caught:
        ask(folder, round, dialogue, **rest)
    return caught.value.cause, caught.value.message


def test_rounds_of_a_study_are_the_files_from_zero(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", "Booked.", "At ten."])
    for round, text in enumerate(("Sure.", "Booked.", "At ten."), 1):
        reply = ask(tmp_path, round)
        assert (reply.text, level(tmp_path, reply), reply.notes) == (text, round - 1, (UNKNOWN,))
        assert reply.clip is not None
        assert (reply.clip.rate, reply.clip.seconds) == (8000, 0.1)
        assert reply.heard is None
        assert reply.timings.first_audio is None


def test_files_may_count_from_one(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", "Booked."], first=1)
    reply = ask(tmp_path, 1)
    assert (reply.text, level(tmp_path, reply)) == ("Sure.", 1)


def test_a_lost_first_file_does_not_shift_the_others(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", "Booked."], sounds=(1,))
    record(tmp_path, ["Sure.", "Booked."], id="0002")  # here the files show that the count begins at 0
    assert refused(tmp_path, 1)[0] == "missing-recording"
    assert level(tmp_path, ask(tmp_path, 2)) == 1


def test_where_the_files_do_not_show_it_the_first_number_can_be_said(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", "Booked."], sounds=(1,), named=(0, 1))
    assert refused(tmp_path, 1)[0] == "overwritten-recording"  # taken for a count from 1, which the transcript denies
    assert refused(tmp_path, 1, first=0)[0] == "missing-recording"
    assert level(tmp_path, ask(tmp_path, 2, first=0)) == 1
    with pytest.raises(InputError, match="first is 2"):
        AGENTS.build("recordings", {"folder": "x", "first": 2})


@pytest.mark.parametrize("name", ["merge_0001", "0001", "1", "merge_1"])
def test_the_id_may_have_its_prefix_on_one_side_only(tmp_path: Path, name: str) -> None:
    record(tmp_path, ["Sure."], id=name)
    for dialogue in ("merge_0001", "0001"):
        assert ask(tmp_path, 1, dialogue).text == "Sure."
    assert refused(tmp_path, 1, "merge_0010") == (
        "missing-recording",
        f"{tmp_path / CONFIG} holds no folder for the dialogue merge_0010",
    )


def test_two_folders_for_one_dialogue_are_refused_unless_one_has_its_very_name(tmp_path: Path) -> None:
    record(tmp_path, ["One."], id="0001")
    record(tmp_path, ["Two."], id="1")
    assert ask(tmp_path, 1, "0001").text == "One."
    assert refused(tmp_path, 1)[0] == "ambiguous-recording"


def test_words_alone_where_nothing_was_ever_spoken(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", " "], sounds=())
    assert AGENTS.build("recordings", {"folder": str(tmp_path), "config": CONFIG}).speaks is False
    assert ask(tmp_path, 1) == Reply("Sure.", notes=(UNKNOWN,))
    assert ask(tmp_path, 2) == Reply("", notes=(UNKNOWN,))  # silence


def test_words_without_their_sound_are_missing_where_others_spoke(tmp_path: Path) -> None:
    place = record(tmp_path, ["Sure.", "Booked.", ""], sounds=(0,))
    assert AGENTS.build("recordings", {"folder": str(tmp_path), "config": CONFIG}).speaks is True
    assert refused(tmp_path, 2) == ("missing-recording", f"{place} holds no agent_audio_round_001")
    assert ask(tmp_path, 1).notes == (UNKNOWN, "rounds without recorded sound: 2, 3")
    silence = ask(tmp_path, 3)
    assert (silence.text, silence.clip) == ("", None)


def test_a_round_that_was_not_recorded(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", None])
    assert refused(tmp_path, 2)[1] == "0001: transcript.json holds no reply to round 2"
    assert refused(tmp_path, 3)[1] == "0001: transcript.json ends with round 2, before round 3"


def test_sounds_beyond_the_transcript_are_of_another_run(tmp_path: Path) -> None:
    record(tmp_path, ["Sure."], sounds=(0, 1, 2))
    assert ask(tmp_path, 1).notes == (UNKNOWN, "sounds of another run, beyond the last round of transcript.json: 2")
    message = "0001: transcript.json ends with round 1, before round 2, though agent_audio_round_001.wav is there, of another run"
    assert refused(tmp_path, 2) == ("missing-recording", message)


def test_a_run_that_was_cut_has_sound_and_no_words(tmp_path: Path) -> None:
    place = record(tmp_path, ["Sure.", "Booked.", "At ten."], sounds=(0, 2))
    (place / "transcript.json").unlink()
    reply = ask(tmp_path, 3)
    assert (reply.text, level(tmp_path, reply)) == ("", 2)
    cut = "no transcript.json: the recorded run ended before its last round, and its words are unknown"
    assert reply.notes == (UNKNOWN, cut, "rounds without recorded sound: 2")
    assert refused(tmp_path, 2)[0] == refused(tmp_path, 4)[0] == "missing-recording"


def test_a_resumed_run_that_wrote_over_its_sounds_is_refused_where_it_did(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", "Booked.", "At ten."], sounds=(0, 1), named=(0, 1, 0))
    assert refused(tmp_path, 1) == ("overwritten-recording", "0001: transcript.json names sound 000 for rounds 1 and 3")
    assert refused(tmp_path, 3)[1].startswith(
        "0001: transcript.json names sound 000 for round 3, whose own is 002; a resumed run"
    )
    assert ask(tmp_path, 2).text == "Booked."


def test_a_total_that_differs_and_stray_agent_turns_are_noted(tmp_path: Path) -> None:
    place = record(tmp_path, ["Sure.", "Booked."], total_rounds=5)
    assert ask(tmp_path, 1).notes == (UNKNOWN, "transcript.json says 5 rounds and holds 2")
    told = json.loads((place / "transcript.json").read_text())
    told["total_rounds"] = 2
    told["dialogue_history"].insert(0, {"role": "agent", "content": "Welcome!"})
    (place / "transcript.json").write_text(json.dumps(told))
    reply = ask(tmp_path, 1)
    assert reply.text == "Sure."
    assert reply.notes == (UNKNOWN, "agent turns in transcript.json that answer no user turn, passed over: 1")


def test_a_shift_shows_in_what_the_recorded_user_said(tmp_path: Path) -> None:
    """The second user turn failed to be spoken, and the third took its place."""
    record(tmp_path, ["Sure.", "At ten."], users=(USER[0], "is there a train back tonight"))
    assert ask(tmp_path, 1, corpus=[written(*USER)]).notes == (UNKNOWN,)
    shift = "0001: in recorded round 2 the user says the words of user turn 3: 'is there a train back tonight'"
    assert refused(tmp_path, 2, corpus=[written(USER[0], USER[1], "is there a train back at night")])[0] == "shifted-recording"
    assert refused(tmp_path, 2, corpus=[written(*USER)])[1] == shift
    assert ask(tmp_path, 2, corpus=[written(*USER, id="merge_0007")]).text == "At ten."  # nothing to compare with


def test_misheard_words_are_no_shift_and_strange_ones_are_noted(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", "Booked.", "At ten."], users=("i like the gold museum", "", "thank you for watching"))
    dialogue = written(*USER)
    assert ask(tmp_path, 1, corpus=[dialogue]).notes == (UNKNOWN,)
    assert ask(tmp_path, 2, corpus=[dialogue]).notes == (UNKNOWN,)
    note = "the recorded user's words differ from those of the turn: 'thank you for watching'"
    assert ask(tmp_path, 3, corpus=[dialogue]).notes == (UNKNOWN, note)


def test_what_a_modular_agent_heard_is_kept(tmp_path: Path) -> None:
    record(tmp_path, ["Sure.", "Booked."], users=("i like the gold museum", UNHEARD), agent_type="sesame")
    assert ask(tmp_path, 1).heard == "i like the gold museum"
    assert ask(tmp_path, 2).heard is None


def test_an_error_in_place_of_a_reply_is_no_reply(tmp_path: Path) -> None:
    record(tmp_path, ["error: rate limit reached", "There was an error: sorry."])
    assert refused(tmp_path, 1)[0] == "recorded-failure"
    assert ask(tmp_path, 2).text == "There was an error: sorry."


def test_what_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    place = record(tmp_path, ["Sure.", "Booked."])
    (place / "agent_audio_round_000.wav").write_bytes(b"RIFF")
    assert refused(tmp_path, 1)[0] == "broken-recording"
    assert ask(tmp_path, 2).text == "Booked."
    (place / "transcript.json").write_text('{"dialogue_history": [{"role": "seller"}]}')
    assert refused(tmp_path, 2)[0] == "broken-recording"
    assert "seller" in refused(tmp_path, 2)[1]


def test_a_transcript_of_another_dialogue_is_refused(tmp_path: Path) -> None:
    record(tmp_path, ["Sure."], dialogue_id="0002")
    assert refused(tmp_path, 1)[1].endswith("is of the dialogue 0002, not of 0001")


def test_two_sounds_for_one_round_are_refused(tmp_path: Path) -> None:
    place = record(tmp_path, ["Sure."])
    soundfile.write(place / "agent_audio_round_000.flac", np.zeros(80, dtype=np.float32), 8000)
    assert refused(tmp_path, 1)[0] == "ambiguous-recording"


def test_a_folder_that_holds_no_dialogue_says_what_it_holds(tmp_path: Path) -> None:
    record(tmp_path, ["Sure."])
    with pytest.raises(InputError, match=f"its configs: {CONFIG}"):
        ask(tmp_path, 1, config="")
    with pytest.raises(InputError, match="is not a folder"):
        ask(tmp_path, 1, config="agent_gpt")
    (tmp_path / "empty" / CONFIG).mkdir(parents=True)
    with pytest.raises(InputError, match=r"expected <dialogue id>/transcript.json in it"):
        ask(tmp_path / "empty", 1)


def test_the_run_is_named_by_its_sounds_and_words(tmp_path: Path) -> None:
    place = record(tmp_path, ["Sure.", "Booked."])
    built = AGENTS.build("recordings", {"folder": str(tmp_path), "config": CONFIG})
    assert (built.models, built.reads_corpus) == ((), True)

    def identity() -> str:
        return AGENTS.identity("recordings", {"folder": str(tmp_path), "config": CONFIG})

    known = [identity()]
    assert identity() == known[0]
    (place / "transcript.json").write_text((place / "transcript.json").read_text().replace("Sure.", "Fine."))
    known.append(identity())
    soundfile.write(place / "agent_audio_round_001.wav", np.full(800, 0.9, np.float32), 8000, subtype="PCM_16")
    known.append(identity())
    (place / "agent_audio_round_001.wav").unlink()
    known.append(identity())
    assert len(set(known)) == 4
