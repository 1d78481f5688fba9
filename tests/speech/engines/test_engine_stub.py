from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Material
from turnwise.speech.engines import stub

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip)


def hear(sound: Sound, seed: int = 0, **options: float) -> str:
    return stub.recognizer(**options).open(Material()).hear(sound, dialogue="d", seed=seed).text


def say(text: str, seed: int = 0, **options: float) -> Sound:
    return stub.synthesizer(**options).open().speak(text, seed=seed)  # type: ignore[arg-type]


@given(TEXTS)
def test_what_is_said_is_heard(text: str) -> None:
    assert hear(say(text)) == text


@settings(max_examples=30, deadline=None)
@given(TEXTS)
def test_words_survive_storage(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = ClipStore(tmp_path_factory.mktemp("clips"))
    assert hear(store.load(store.keep(say(text)))) == text


def test_sounds_stay_within_full_scale(tmp_path: Path) -> None:
    assert float(np.abs(say("~\u00ff\U0010ffff").samples).max()) < 1.0


@pytest.mark.parametrize(
    "sound",
    [
        Sound(np.zeros(0, dtype=np.float32), 8000),
        Sound(np.zeros(800, dtype=np.float32), 8000),
        Sound(stub.encode("hello").samples, 16000),
        Sound(stub.encode("hello").samples * np.float32(0.5), 8000),
        Sound(stub.encode("hello").samples[:-1], 8000),
        Sound(stub.encode("hello").samples[4:], 8000),
    ],
)
def test_other_sounds_are_not_understood(sound: Sound) -> None:
    with pytest.raises(EngineError) as caught:
        hear(sound)
    assert caught.value.cause == "not-understood"


def test_mistakes_are_drawn_from_the_seed() -> None:
    text = " ".join(f"word{number}" for number in range(2000))
    heard = hear(say(text), word_errors=0.3, seed=5)
    right = sum(word.startswith("word") for word in heard.split())
    assert abs(right / 2000 - 0.7) < 4 * (0.3 * 0.7 / 2000) ** 0.5
    assert 200 < heard.split().count("uh") < 400
    assert hear(say(text), word_errors=0.3, seed=5) == heard
    assert hear(say(text), word_errors=0.3, seed=6) != heard
    assert hear(say(text, word_errors=0.3, seed=5)) == heard


def test_all_words_wrong_and_none() -> None:
    assert "word" not in hear(say("word word"), word_errors=1.0)
    assert hear(say("two  blanks stay"), word_errors=0.0) == "two  blanks stay"


def test_voices_differ_in_their_sound_and_not_in_their_words() -> None:
    one, two = say("hello", voice=1), say("hello", voice=2)
    assert not np.array_equal(one.samples, two.samples)
    assert hear(one) == hear(two) == "hello"


@pytest.mark.parametrize("options", [{"word_errors": -0.1}, {"word_errors": 1.1}, {"voice": 8}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        stub.synthesizer(**options)  # type: ignore[arg-type]


def test_nothing_to_say() -> None:
    with pytest.raises(EngineError) as caught:
        say("  ")
    assert caught.value.cause == "empty-text"


def test_it_is_found_by_name_as_voice_and_as_ear() -> None:
    assert "stub" in SYNTHESIZERS.cards() and "stub" in RECOGNIZERS.cards()
    assert RECOGNIZERS.build("stub", {"word_errors": 0.2}).adapts is False
