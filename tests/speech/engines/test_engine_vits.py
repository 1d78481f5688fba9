from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from tiny_models import largest
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.place import place_of
from turnwise.speech.engine import SYNTHESIZERS, SpeakingMany
from turnwise.speech.engines import vits
from turnwise.speech.engines.vits import VitsSpeaking

torch.set_num_threads(1)
# The older of the supported transformers say this when their VITS is imported.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
TEXT = "hello there, it is a fine day"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("vits")
    tiny_models.vits(place / "one")
    tiny_models.vits(place / "three", speakers=3)
    return place


@pytest.fixture(scope="module")
def voice(shelf: Path) -> Iterator[VitsSpeaking]:
    opened = open_voice(shelf / "one")
    yield opened
    opened.close()


def open_voice(folder: Path, **options: Any) -> VitsSpeaking:
    opened = vits.synthesizer(str(folder), device="cpu", **options).open()
    assert isinstance(opened, VitsSpeaking)
    return opened


def test_it_says_what_the_library_says(shelf: Path, voice: VitsSpeaking) -> None:
    from transformers import VitsModel, VitsTokenizer

    reader, network = VitsTokenizer.from_pretrained(shelf / "one"), VitsModel.from_pretrained(shelf / "one").eval()
    torch.manual_seed(7)
    with torch.no_grad():
        wave = network(**reader(TEXT, return_tensors="pt")).waveform[0].numpy()
    sound = voice.speak(TEXT, seed=7)
    assert sound.rate == 16000
    assert largest(sound.samples, wave) == 0.0


def test_the_seed_decides_and_nothing_else(voice: VitsSpeaking) -> None:
    first = voice.speak(TEXT, seed=1)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert largest(first.samples, voice.speak(TEXT, seed=1).samples) == 0.0
    assert torch.equal(torch.get_rng_state(), before)
    assert largest(first.samples, voice.speak(TEXT, seed=2).samples) > 0.001


def test_settings_reach_the_network(shelf: Path) -> None:
    flat = open_voice(shelf / "one", noise_scale=0.0, noise_scale_duration=0.0)
    assert largest(flat.speak(TEXT, seed=1).samples, flat.speak(TEXT, seed=2).samples) == 0.0
    slow = open_voice(shelf / "one", noise_scale_duration=0.0, speaking_rate=0.25).speak(TEXT, seed=1)
    assert slow.seconds > 2 * flat.speak(TEXT, seed=1).seconds


def test_speakers_differ(shelf: Path) -> None:
    waves = [open_voice(shelf / "three", speaker=number).speak(TEXT, seed=1).samples for number in range(3)]
    assert largest(waves[0], waves[1]) > 0.0
    assert largest(waves[1], waves[2]) > 0.0
    with pytest.raises(InputError, match="speaker is 3, expected 0 to 2"):
        open_voice(shelf / "three", speaker=3)
    with pytest.raises(InputError, match="speaker is 1, expected 0 to 0"):
        open_voice(shelf / "one", speaker=1)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It is $25, or 40%.", "It is twenty five dollars, or forty percent."),
        ("at 6:30! & so", "at six thirty! and so"),
        ("Café, naïve", "Cafe, naive"),
        ("plain words stay", "plain words stay"),
        ("two\nlines\there", "two lines here"),
    ],
)
def test_what_a_voice_of_letters_reads(voice: VitsSpeaking, text: str, read: str) -> None:
    assert voice._readable(text) == read


@pytest.mark.parametrize(("text", "lost"), [("привет", "в е и п р т"), ("a ½ cup", "½"), ("漢字", "字 漢")])
def test_what_it_cannot_say_is_not_left_out(voice: VitsSpeaking, text: str, lost: str) -> None:
    with pytest.raises(EngineError, match=f"no sound for {lost} in") as caught:
        voice.speak(text, seed=1)
    assert caught.value.cause == "unspeakable"


def test_numbers_are_only_worded_where_asked(shelf: Path) -> None:
    with pytest.raises(EngineError, match="no sound for 2 5 in"):
        open_voice(shelf / "one", numbers=False).speak("it is 25", seed=1)


@pytest.mark.parametrize("text", ["", "  ", "...!"])
def test_nothing_to_say(voice: VitsSpeaking, text: str) -> None:
    with pytest.raises(EngineError) as caught:
        voice.speak(text, seed=1)
    assert caught.value.cause == "empty-text"


def test_older_files_name_some_weights_otherwise(shelf: Path, tmp_path: Path, voice: VitsSpeaking) -> None:
    tiny_models.vits(tmp_path / "older")
    path = tmp_path / "older" / "model.safetensors"
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    weights = load_file(path)
    for new, old in names.items():
        weights = {key.replace(new, old): value for key, value in weights.items()}
    assert any(key.endswith("weight_g") for key in weights)
    save_file(weights, path, metadata={"format": "pt"})
    assert largest(open_voice(tmp_path / "older").speak(TEXT, seed=1).samples, voice.speak(TEXT, seed=1).samples) == 0.0


@pytest.mark.parametrize(("key", "package"), [("phonemize", "phonemizer"), ("is_uroman", "uroman")])
def test_voices_that_need_more(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, package: str) -> None:
    tiny_models.vits(tmp_path / "more")
    path = tmp_path / "more" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: True}))
    monkeypatch.setattr(vits.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=f"{package} is not installed"):
        open_voice(tmp_path / "more")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speaker": -1}, "speaker is -1"),
        ({"speaking_rate": 0.0}, "speaking_rate is 0.0"),
        ({"noise_scale": -1.0}, "noise_scale is -1.0"),
        ({"noise_scale_duration": 11.0}, "noise_scale_duration is 11.0"),
        ({"device": "x"}, "device is 'x'"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SYNTHESIZERS.build("vits", {"model": "org/m", **options})


def test_identity_and_place(shelf: Path, voice: VitsSpeaking) -> None:
    built = SYNTHESIZERS.build("vits", {"model": str(shelf / "one"), "device": "cpu"})
    assert place_of(built) == "device"
    assert built.identity()["numbers"] == "float32 on cpu"
    assert built.identity().keys() >= {"shared", "weights", "torch", "transformers"}
    assert not isinstance(voice, SpeakingMany)  # its draws would depend on the batch


def test_a_missing_model_or_weight(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="hf download facebook/mms-tts-eng"):
        vits.synthesizer("facebook/mms-tts-eng").identity()
    broken = tiny_models.without_weight(shelf / "one", tmp_path / "broken", "decoder.conv_pre.weight")
    with pytest.raises(InputError, match=r"lacks 1 of the weights.*decoder\.conv_pre\.weight"):
        open_voice(broken)
