"""Voice consistency: examples, real synthetic voices where they are installed, and what has nothing to be compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from turnwise.dialogues.dialogue import Turn
from turnwise.foundation.audio import Sound
from turnwise.judges.judge import JUDGES, Bench, Exchange, Spoken
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.quality import voice_print as prints
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import SYNTHESIZERS

pytest.importorskip("kaldi_native_fbank")
SENTENCES = (
    "The concert starts at eight in the old town hall.",
    "Would you rather have a window seat or one by the aisle?",
    "I am afraid that hotel is full for the whole weekend.",
)


def exchange(*clips: Clip | None) -> Exchange:
    rounds = tuple(Spoken(n, Turn("user", "Hi."), None, None, "Hi.", "Hi.", clip) for n, clip in enumerate(clips, start=1))
    return Exchange("d", "", (), rounds)


def decide(store: ClipStore, *clips: Clip | None) -> Verdict:
    return JUDGES.build("voice_consistency").open(Bench(store)).decide(exchange(*clips))["voice_consistency"]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipStore, dict[str, list[Clip]]]:
    """Three sentences in each of four voices that the voice space was not fitted to."""
    pytest.importorskip("espeakng_loader")
    store = ClipStore(tmp_path_factory.mktemp("clips"))
    clips: dict[str, list[Clip]] = {}
    for voice in ("en-us+f2", "en-us+klatt2", "en-us+edward", "en-us+f5"):
        speaking = SYNTHESIZERS.build("espeak", {"voice": voice}).open()
        clips[voice] = [store.keep(speaking.speak(text, seed=1)) for text in SENTENCES]
        speaking.close()
    return store, clips


def test_its_examples(tmp_path: Path) -> None:
    judge = JUDGES.build("voice_consistency")
    store = ClipStore(tmp_path)
    for sound in judge.sounds():
        store.keep(sound)
    sitting = judge.open(Bench(store))
    for given, expected in judge.examples:
        assert sitting.decide(given) == expected


def test_one_voice_stays_and_another_is_noticed(spoken: tuple[ClipStore, dict[str, list[Clip]]]) -> None:
    store, clips = spoken
    assert not set(clips) & set(prints.voice_space().voices)
    same, other = [], []
    for voice, said in clips.items():
        same.append(decide(store, *said))
        other += [decide(store, *said[:2], clips[another][2]) for another in clips if another != voice]
    kept = [verdict.value for verdict in same if isinstance(verdict, Score)]
    changed = [verdict.value for verdict in other if isinstance(verdict, Score)]
    assert len(kept) == 4 and len(changed) == 12
    assert min(kept) > 80 and np.median(changed) < 5 and max(changed) < min(kept)


def test_a_turn_is_compared_with_the_past_only(spoken: tuple[ClipStore, dict[str, list[Clip]]]) -> None:
    store, clips = spoken
    woman, man = clips["en-us+f2"], clips["en-us+klatt2"]
    back = decide(store, man[0], man[1], woman[0])
    assert isinstance(back, Score) and back.value < 20 and "Hz after" in back.reason
    assert decide(store, woman[0]) == Abstention("no earlier turn")


def test_turns_without_audio_are_passed_over(spoken: tuple[ClipStore, dict[str, list[Clip]]]) -> None:
    store, clips = spoken
    said = clips["en-us+f2"]
    assert decide(store, said[0], None) == Abstention("no audio")
    assert decide(store, None, said[0]) == Abstention("no earlier turn")
    assert decide(store, said[0], None, said[1]) == decide(store, said[0], said[1])


def test_a_clip_too_short_for_a_print_is_no_evidence(spoken: tuple[ClipStore, dict[str, list[Clip]]]) -> None:
    store, clips = spoken
    said = clips["en-us+f2"]
    blip = store.keep(Sound(np.full(2000, 0.2, np.float32), 16000))
    assert isinstance(decide(store, said[0], blip), Abstention)
    assert decide(store, blip, said[0]) == Abstention("no earlier turn with enough speech")
    assert decide(store, blip, said[0], said[1]) == decide(store, said[0], said[1])


def test_a_print_is_made_once_per_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from turnwise.judges.bench import voice_consistency as module

    made = []
    monkeypatch.setattr(module, "voice_print", lambda sound: made.append(1) or prints.voice_print(sound))
    judge = module.judge()
    store = ClipStore(tmp_path)
    low, high, _ = (store.keep(sound) for sound in judge.sounds())
    for clips in ((low, high), (low, high, low), (low, low, high, high)):
        judge.open(Bench(store)).decide(exchange(*clips))
    assert len(made) == 2
