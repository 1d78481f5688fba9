"""User audio that exists already is found by dialogue and position, and a gap stays a gap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.engine import SYNTHESIZERS, SpeakingMany, Utterance


def tone(path: Path, level: float = 0.5, rate: int = 8000, seconds: float = 0.1, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.full((round(rate * seconds), channels), level, dtype=np.float32)
    soundfile.write(path, samples, rate, subtype="PCM_16")


def play(folder: Path, dialogue: str = "merge_0001", position: int = 0, **options: Any) -> Sound:
    opened = SYNTHESIZERS.build("recordings", {"folder": str(folder), **options}).open()
    assert isinstance(opened, SpeakingMany)
    (sound,) = opened.speak_many([Utterance("words", 1, dialogue=dialogue, position=position)])
    opened.close()
    return sound


def cause(folder: Path, dialogue: str = "merge_0001", position: int = 0, **options: Any) -> tuple[str, str]:
    with pytest.raises(EngineError) as caught:
        play(folder, dialogue, position, **options)
    return caught.value.cause, caught.value.message


def test_a_turn_is_found_by_its_position_even_or_odd(tmp_path: Path) -> None:
    for position in (0, 1, 12):
        tone(tmp_path / f"merge_0001_turn{position:02d}.wav", level=position / 16)
    for position in (0, 1, 12):
        sound = play(tmp_path, position=position)
        assert (sound.rate, len(sound.samples)) == (8000, 800)
        assert np.allclose(sound.samples, position / 16)


def test_a_missing_turn_is_named_and_nothing_takes_its_place(tmp_path: Path) -> None:
    for position in (0, 4):
        tone(tmp_path / f"merge_0001_turn{position:02d}.wav", level=position / 16)
    assert cause(tmp_path, position=2) == ("missing-recording", f"{tmp_path} holds no sound file merge_0001_turn02")
    assert np.allclose(play(tmp_path, position=4).samples, 4 / 16)


def test_ids_never_become_paths(tmp_path: Path) -> None:
    tone(tmp_path / "secret_turn00.wav")
    (tmp_path / "r").mkdir()
    assert cause(tmp_path / "r", dialogue="../secret")[0] == "missing-recording"


def test_words_that_are_no_turn_are_refused(tmp_path: Path) -> None:
    (opened,) = [SYNTHESIZERS.build("recordings", {"folder": str(tmp_path)}).open()]
    with pytest.raises(EngineError, match="which is no turn of a dialogue"):
        opened.speak_many([Utterance("a reply", 1)])


@pytest.mark.parametrize("ending", [".flac", ".ogg", ".WAV"])
def test_any_format_the_package_reads(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"merge_0001_turn00{ending}"
    soundfile.write(path, np.zeros(1600, dtype=np.float32), 16000)
    assert play(tmp_path).rate == 16000
    assert play(tmp_path).seconds == 0.1


def test_two_files_for_one_turn_are_refused(tmp_path: Path) -> None:
    tone(tmp_path / "merge_0001_turn00.wav")
    tone(tmp_path / "merge_0001_turn00.flac")
    assert cause(tmp_path) == (
        "ambiguous-recording",
        f"{tmp_path} holds merge_0001_turn00.flac and merge_0001_turn00.wav for one turn",
    )


def test_a_file_that_is_no_sound_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "merge_0001_turn00.wav").write_bytes(b"RIFF")
    tone(tmp_path / "merge_0001_turn02.wav")
    assert cause(tmp_path)[0] == "broken-recording"
    assert len(play(tmp_path, position=2).samples) == 800


def test_several_channels_become_one(tmp_path: Path) -> None:
    tone(tmp_path / "merge_0001_turn00.wav", channels=2)
    assert play(tmp_path).samples.shape == (800,)


def test_another_pattern(tmp_path: Path) -> None:
    tone(tmp_path / "merge_0001" / "user-3.wav", level=0.25)
    assert np.allclose(play(tmp_path, position=3, pattern="{dialogue}/user-{position}").samples, 0.25)


@pytest.mark.parametrize(
    "pattern", ["turn{position}", "{dialogue}", "{dialogue}{position}{round}", "{dialogue}{position:zz}", "{"]
)
def test_a_pattern_that_cannot_tell_turns_apart_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="pattern"):
        SYNTHESIZERS.build("recordings", {"folder": "x", "pattern": pattern})


def test_trimming_takes_off_what_is_softer_than_the_loudest_part(tmp_path: Path) -> None:
    rate = 8000
    loud, soft = np.full(rate // 2, 0.5), np.full(rate, 0.5 * 10 ** (-35 / 20))  # 35 dB below
    soundfile.write(tmp_path / "merge_0001_turn00.wav", np.concatenate([soft, loud, soft]), rate, subtype="PCM_16")
    assert play(tmp_path).seconds == 2.5
    assert play(tmp_path, trim=40.0).seconds == 2.5
    assert play(tmp_path, trim=30.0).seconds == pytest.approx(0.5 + 2 * 0.05)
    tone(tmp_path / "merge_0002_turn00.wav", level=0.0)
    assert cause(tmp_path, "merge_0002", trim=30.0)[0] == "empty-audio"
    with pytest.raises(InputError, match="trim is -1"):
        SYNTHESIZERS.build("recordings", {"folder": "x", "trim": -1.0})


def test_it_declares_that_its_sounds_belong_to_turns_and_is_named_by_them(tmp_path: Path) -> None:
    tone(tmp_path / "merge_0001_turn00.wav")
    options = {"folder": str(tmp_path)}
    assert SYNTHESIZERS.build("recordings", options).by_turn is True
    before = SYNTHESIZERS.identity("recordings", options)
    assert SYNTHESIZERS.identity("recordings", options) == before
    tone(tmp_path / "merge_0001_turn00.wav", level=0.1)
    assert SYNTHESIZERS.identity("recordings", options) != before
    with pytest.raises(InputError, match="nowhere is not a folder"):
        SYNTHESIZERS.identity("recordings", {"folder": str(tmp_path / "nowhere")})
