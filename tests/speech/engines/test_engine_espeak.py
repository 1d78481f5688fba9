from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.speech.engine import SYNTHESIZERS
from turnwise.speech.engines import espeak

pytest.importorskip("espeakng_loader")

TEXT = "I am looking for a quiet Italian restaurant near the river, for four people on Friday."
PRINT = f"""
import hashlib
from turnwise.speech.engines.espeak import synthesizer
speaking = synthesizer("en-us+klatt5").open()
speaking.speak("Something else first.", seed=3)
print(hashlib.sha256(speaking.speak({TEXT!r}, seed=0).samples.tobytes()).hexdigest())
"""


def spoken(text: str = TEXT, **options: object) -> str:
    speaking = SYNTHESIZERS.build("espeak", options).open()
    try:
        return hashlib.sha256(speaking.speak(text, seed=0).samples.tobytes()).hexdigest()
    finally:
        speaking.close()


def test_it_speaks() -> None:
    sound = espeak.synthesizer().open().speak(TEXT, seed=0)
    assert sound.rate == 22050
    assert 3.0 < sound.seconds < 8.0
    assert 0.02 < float(np.sqrt(np.mean(sound.samples**2))) < 0.5


@pytest.mark.parametrize("voice", ["en-us+f2", "en-us+f5", "en-us+klatt2", "en-us+edward", "en-us+whisper"])
def test_the_same_text_gives_the_same_bytes_whatever_was_said_before(voice: str) -> None:
    speaking = espeak.synthesizer(voice).open()
    first = speaking.speak(TEXT, seed=0).samples
    for number in range(3):
        speaking.speak(f"Another sentence, number {number}!", seed=number)
        assert np.array_equal(speaking.speak(TEXT, seed=number).samples, first)


def test_the_time_of_day_makes_no_difference() -> None:
    # The library seeds its noise with the second it is started in.
    first = spoken(voice="en-us+f2")
    time.sleep(1.1)
    assert spoken(voice="en-us+f2") == first


def test_the_same_bytes_in_another_process() -> None:
    other = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == spoken(voice="en-us+klatt5")


def test_threads_wait_for_each_other() -> None:
    wanted = spoken()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: spoken(), range(24))) == [wanted] * 24


def test_voice_rate_and_pitch_change_the_sound() -> None:
    assert len({spoken(), spoken(voice="en-us+f5"), spoken(rate=200), spoken(pitch=70)}) == 4
    slow, fast = (espeak.synthesizer(rate=rate).open().speak(TEXT, seed=0).seconds for rate in (120, 240))
    assert slow > 1.5 * fast


@pytest.mark.parametrize(
    ("voice", "near"), [("en-us+f22", "f2"), ("en-us+klat2", "klatt2"), ("en-gb", "gmw/en"), ("xx", "near it")]
)
def test_an_unknown_voice_is_refused_with_near_ones(voice: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        espeak.synthesizer(voice).open()
    assert near in str(caught.value)


@pytest.mark.parametrize("options", [{"rate": 10}, {"rate": 900}, {"pitch": -1}, {"pitch": 101}])
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected"):
        espeak.synthesizer(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "   ", "...", "\0\x01", "\u200b"])
def test_nothing_to_say_is_an_error_of_the_item(text: str) -> None:
    with pytest.raises(EngineError) as caught:
        espeak.synthesizer().open().speak(text, seed=0)
    assert caught.value.cause == "empty-text"


def test_text_is_only_text() -> None:
    plain = spoken("twenty men said hello")
    assert spoken("twenty\0 men \x01said\thello\n") == plain
    marked = espeak.synthesizer().open().speak('<break time="60s"/>hello', seed=0)
    assert marked.seconds < 10  # read out, not obeyed
    assert spoken("\x0120v hello") == spoken("20v hello")  # an embedded command without its control character is text
    assert espeak.synthesizer().open().speak("a\ud800b " * 50, seed=0).seconds > 1


def test_a_long_data_path_is_reached_through_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import espeakng_loader

    wanted = spoken()
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    shutil.copytree(espeakng_loader.get_data_path(), deep / "espeak-ng-data")
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    speaking = espeak.synthesizer().open()
    assert hashlib.sha256(speaking.speak(TEXT, seed=0).samples.tobytes()).hexdigest() == wanted
    folder = Path(speaking._folder.name)  # type: ignore[attr-defined]
    assert folder.exists()
    speaking.close()
    speaking.close()
    assert not folder.exists() and (deep / "espeak-ng-data").exists()


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingDependency, match=r"turnwise\[embedded\]"):
        espeak.synthesizer().open()


def test_identity_names_the_package() -> None:
    assert set(espeak.synthesizer().identity()) == {"espeakng-loader", "code"}
    assert SYNTHESIZERS.identity("espeak", {"rate": 150}) != SYNTHESIZERS.identity("espeak", {"rate": 160})


def test_the_card_names_the_licence() -> None:
    assert "GPL-3.0" in SYNTHESIZERS.card("espeak").text
