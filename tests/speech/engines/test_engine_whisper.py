from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

import tiny_models
from tiny_models import tone
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.place import place_of
from turnwise.foundation.resampling import resample
from turnwise.speech.engine import RECOGNIZERS, Heard, HearingMany, Listening, Material
from turnwise.speech.engines import whisper
from turnwise.speech.engines.whisper import AGAIN, WhisperHearing

torch.set_num_threads(1)
ALL = (5.3, 31.0, 2.0, 29.9, 44.0)  # seconds: short and long, in no order


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[WhisperHearing]:
    """Keeps the likeliest text."""
    ears = open_ears(folder, fallback=[])
    yield ears
    ears.close()


@pytest.fixture(scope="module")
def wary(folder: Path) -> Iterator[WhisperHearing]:
    """Hears again what looks wrong, which random weights always do."""
    ears = open_ears(folder, fallback=[0.9])
    yield ears
    ears.close()


def open_ears(folder: Path, **options: Any) -> WhisperHearing:
    opened = whisper.recognizer(str(folder), device="cpu", **options).open(Material())
    assert isinstance(opened, WhisperHearing)
    return opened


def listening(*seconds: float, rate: int = 16000) -> list[Listening]:
    return [Listening(tone(length, rate, seed), "d", seed + 100) for seed, length in enumerate(seconds)]


def by_hand(folder: Path, sound: Sound, **settings: Any) -> str:
    """The same through the library alone."""
    reader = WhisperProcessor.from_pretrained(folder)
    network = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    long = sound.seconds > 30
    how = {"truncation": False, "padding": "longest"} if long else {}
    given = reader(sound.samples, sampling_rate=16000, return_tensors="pt", return_attention_mask=True, **how)
    with torch.no_grad():
        tokens = network.generate(**given, task="transcribe", **({"return_timestamps": True} if long else {}), **settings)
    text: str = reader.batch_decode(tokens, skip_special_tokens=True)[0]
    return text.strip()


# ---------------------------------------------------------------- what is heard


def test_it_hears_what_the_library_hears(folder: Path, plain: WhisperHearing) -> None:
    for sound in (tone(2), tone(7.7, seed=3), tone(33, seed=4)):
        heard = plain.hear(sound, dialogue="d", seed=1)
        assert heard == Heard(by_hand(folder, sound, language="en"))
        assert heard.text


def test_a_batch_hears_what_each_is_heard_alone(plain: WhisperHearing) -> None:
    sounds = listening(*ALL)
    together = plain.hear_many(sounds)
    assert together == [plain.hear(one.sound, dialogue="d", seed=one.seed) for one in sounds]
    assert len({heard.text for heard in together}) == len(ALL)
    assert plain.hear_many(sounds[::-1]) == together[::-1]


def test_a_batch_with_sampling_hears_what_each_is_heard_alone(wary: WhisperHearing) -> None:
    sounds = listening(31.0, 2.0, 5.3)
    together = wary.hear_many(sounds)
    assert [heard.note for heard in together] == [AGAIN] * 3
    assert together == [wary.hear(one.sound, dialogue="d", seed=one.seed) for one in sounds]


def test_other_rates_are_resampled(plain: WhisperHearing) -> None:
    sound = tone(3, 24000, 5)
    assert plain.hear(sound, dialogue="d", seed=1) == plain.hear(resample(sound, 16000), dialogue="d", seed=1)


def test_the_end_of_a_long_sound_is_heard(plain: WhisperHearing) -> None:
    begin, one, other = tone(35, seed=1).samples, tone(12, seed=2).samples, tone(12, seed=3).samples
    texts = {plain.hear(Sound(np.concatenate([begin, end]), 16000), dialogue="d", seed=1).text for end in (one, other)}
    assert len(texts) == 2


def test_one_sample_more_than_a_piece_is_long(plain: WhisperHearing, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = []
    for name in ("_short", "_long"):
        monkeypatch.setattr(plain, name, lambda sounds, name=name: ways.append(name) or [Heard(name)] * len(sounds))
    edge = np.zeros(30 * 16000 + 1, dtype=np.float32)
    plain.hear_many([Listening(Sound(edge[:-1], 16000), "d", 1), Listening(Sound(edge, 16000), "d", 1)])
    assert ways == ["_short", "_long"]


def test_coarse_numbers(folder: Path) -> None:
    ears = open_ears(folder, fallback=[], dtype="bfloat16")
    sounds = listening(2.0, 31.0)
    assert ears.hear_many(sounds) == [ears.hear(one.sound, dialogue="d", seed=1) for one in sounds]


def test_a_sound_without_samples(plain: WhisperHearing) -> None:
    with pytest.raises(EngineError) as caught:
        plain.hear(Sound(np.zeros(0, dtype=np.float32), 16000), dialogue="d", seed=1)
    assert caught.value.cause == "empty-audio"


# ---------------------------------------------------------------- fallback


def test_the_seed_of_a_second_hearing(wary: WhisperHearing) -> None:
    sound = tone(2, seed=8)
    first = wary.hear(sound, dialogue="d", seed=1)
    torch.manual_seed(99)
    assert wary.hear(sound, dialogue="d", seed=1) == first
    assert len({wary.hear(sound, dialogue="d", seed=seed).text for seed in range(1, 4)}) > 1


def test_what_looks_right_stays_the_likeliest(folder: Path, plain: WhisperHearing) -> None:
    trusting = open_ears(folder, least_certainty=-1e9, most_repetition=1e9)
    sounds = listening(2.0, 31.0)
    assert trusting.hear_many(sounds) == plain.hear_many(sounds)


@pytest.mark.parametrize(
    "limits", [{"least_certainty": 0.0, "most_repetition": 1e9}, {"least_certainty": -1e9, "most_repetition": 0.1}]
)
@pytest.mark.parametrize("seconds", [2.0, 31.0])
def test_each_limit_asks_for_a_second_hearing(folder: Path, limits: dict[str, float], seconds: float) -> None:
    ears = open_ears(folder, fallback=[0.2], **limits)
    assert ears.hear(tone(seconds), dialogue="d", seed=1).note == AGAIN


def test_a_piece_is_judged_by_its_own_tokens_up_to_its_end(wary: WhisperHearing) -> None:
    end = wary._network.generation_config.eos_token_id
    sure = torch.full((4, wary._network.config.vocab_size), -20.0)
    tokens = torch.tensor([7, 7, 8, 9, end, end, end])
    for step, token in enumerate((8, 9, end, end)):
        sure[step, token] = 20.0
    unsure = sure.clone()
    unsure[3] = 0.0  # after the end: not counted
    assert not wary._doubtful({"sequences": tokens[:6], "scores": list(unsure)})
    unsure[1] = 0.0
    assert wary._doubtful({"sequences": tokens[:6], "scores": list(unsure)})
    again = torch.full((300, wary._network.config.vocab_size), -20.0)
    again[:, 8] = 20.0
    assert wary._doubtful({"sequences": torch.full((300,), 8), "scores": list(again)})


def test_a_walk_that_stands_still_is_ended() -> None:
    walk = whisper._Walk()
    walk(torch.tensor([[0, 6000], [0, 4000]]))
    walk(torch.tensor([[3000, 6000], [4000, 4000]]))
    walk(torch.tensor([[5000, 6000], [4000, 4000]]))  # the second is done, which is no standing still
    with pytest.raises(EngineError) as caught:
        walk(torch.tensor([[5000, 6000], [4000, 4000]]))
    assert caught.value.cause == "no-progress"


# ---------------------------------------------------------------- languages


def test_languages_by_code_or_name(folder: Path, plain: WhisperHearing) -> None:
    sound = tone(6, seed=2)
    german = open_ears(folder, fallback=[], language="German").hear(sound, dialogue="d", seed=1)
    assert german.text == by_hand(folder, sound, language="de")
    assert german != plain.hear(sound, dialogue="d", seed=1)


def test_a_language_may_be_told_from_the_sound(folder: Path) -> None:
    ears = open_ears(folder, fallback=[], language="")
    sounds = listening(2.0, 5.3, 31.0)
    assert ears.hear_many(sounds) == [Heard(by_hand(folder, one.sound)) for one in sounds]


def test_a_language_it_does_not_know(folder: Path) -> None:
    with pytest.raises(InputError, match=r"does not know the language 'fr'.*it knows: de, en, es, zh"):
        open_ears(folder, language="fr")


def test_english_only_models(tmp_path: Path) -> None:
    folder = tiny_models.whisper(tmp_path / "en", multilingual=False)
    assert open_ears(folder, fallback=[]).hear(tone(2), dialogue="d", seed=1).text
    with pytest.raises(InputError, match="hears English only"):
        open_ears(folder, language="de")


# ---------------------------------------------------------------- options and identity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "whisper.cpp"}, "engine is 'whisper.cpp'"),
        ({"fallback": [0.4, 0.2]}, "rising temperatures"),
        ({"fallback": [0.0]}, "rising temperatures"),
        ({"batch": 0}, "batch is 0"),
        ({"device": "tpu"}, "device is 'tpu'"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RECOGNIZERS.build("whisper", {"model": "org/m", **options})


def test_a_model_must_be_named() -> None:
    with pytest.raises(InputError, match="needs the option 'model'"):
        RECOGNIZERS.build("whisper", {})


def test_identity_names_engine_weights_numbers_and_versions(folder: Path) -> None:
    named = whisper.recognizer(str(folder), device="cpu").identity()
    assert named["engine"] == "transformers"
    assert named["numbers"] == "float32 on cpu"
    assert named.keys() >= {"shared", "weights", "torch", "transformers", "tokenizers", "soxr"}


def test_it_has_its_place_and_hears_many(folder: Path, plain: WhisperHearing) -> None:
    built = RECOGNIZERS.build("whisper", {"model": str(folder), "batch": 3})
    assert place_of(built) == "device"
    assert built.adapts is False
    assert isinstance(plain, HearingMany)
    assert open_ears(folder, batch=3).batch == 3


def test_a_missing_model_is_a_sentence_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    built = whisper.recognizer("openai/whisper-tiny")
    for do in (built.identity, lambda: built.open(Material())):
        with pytest.raises(InputError, match="hf download openai/whisper-tiny"):
            do()


def test_a_missing_weight_is_never_random(folder: Path, tmp_path: Path) -> None:
    broken = tiny_models.without_weight(folder, tmp_path / "broken", "model.encoder.conv1.weight")
    with pytest.raises(InputError, match=r"lacks 1 of the weights.*model.encoder.conv1.weight"):
        open_ears(broken)


# ---------------------------------------------------------------- faster-whisper

FASTER = """
import types
made, asked, seeds = [], [], []
class WhisperModel:
    supported_languages = ["en", "de"]
    def __init__(self, model_size_or_path, **options):
        made.append((model_size_or_path, options))
    def transcribe(self, samples, **options):
        asked.append((len(samples), options))
        unsure = len(samples) == 16000
        piece = lambda text: types.SimpleNamespace(
            text=text, compression_ratio=1.0, avg_logprob=-2.0 if unsure else -0.1, temperature=0.0)
        return iter([piece(" Hello"), piece(f" number {len(made)}. ")]), None
def available_models(): return ["tiny", "large-v3"]
def download_model(size, *, local_files_only):
    from huggingface_hub.errors import LocalEntryNotFoundError
    if size != "tiny" or not local_files_only: raise LocalEntryNotFoundError("absent")
    return folder
"""


@pytest.fixture
def faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stand-in for the package, with a converted folder."""
    place = tmp_path / "site"
    for package, text in (
        ("faster_whisper", FASTER),
        ("ctranslate2", "seeds = []\ndef set_random_seed(seed): seeds.append(seed)\n"),
    ):
        (place / package).mkdir(parents=True)
        (place / package / "__init__.py").write_text(text)
        about = place / f"{package}-9.9.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(place))
    for name in ("faster_whisper", "ctranslate2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    converted = tmp_path / "converted"
    converted.mkdir()
    (converted / "model.bin").write_bytes(b"weights")
    (converted / "config.json").write_text("{}")
    import faster_whisper  # type: ignore[import-not-found]

    faster_whisper.folder = str(converted)
    yield faster_whisper
    for name in ("faster_whisper", "ctranslate2"):
        sys.modules.pop(name, None)


def test_a_converted_folder_goes_to_faster_whisper(faster: Any) -> None:
    built = whisper.recognizer(faster.folder, device="cuda:1", dtype="float16")
    named = built.identity()
    assert (named["engine"], named["faster-whisper"], named["ctranslate2"]) == ("faster-whisper", "9.9", "9.9")
    ears = built.open(Material())
    assert faster.made == [(faster.folder, {"device": "cuda", "device_index": 1, "compute_type": "float16"})]
    assert ears.hear(tone(2, 24000), dialogue="d", seed=5) == Heard("Hello number 1.")
    samples, options = faster.asked[0]
    assert samples == 32000
    assert options == {
        "language": "en",
        "task": "transcribe",
        "beam_size": 1,
        "temperature": [0.0],
        "compression_ratio_threshold": 2.4,
        "log_prob_threshold": -1.0,
        "no_speech_threshold": None,
        "condition_on_previous_text": False,
        "vad_filter": False,
    }


def test_it_hears_again_with_a_model_of_its_own_seed(faster: Any) -> None:
    import ctranslate2  # type: ignore[import-not-found]

    ears = whisper.recognizer(faster.folder, device="cpu", fallback=[0.5]).open(Material())
    assert isinstance(ears, HearingMany)
    assert ears.hear_many([Listening(tone(1), "d", 2**40 + 3)]) == [Heard("Hello number 2.", AGAIN)]
    assert ctranslate2.seeds == [3 + 2**40 % 2**32]
    assert [options["temperature"] for _, options in faster.asked] == [[0.0], [0.0, 0.5]]
    keeping = whisper.recognizer(faster.folder, device="cpu", fallback=[]).open(Material())
    assert keeping.hear(tone(1), dialogue="d", seed=1) == Heard("Hello number 3.")


def test_faster_whisper_knows_its_languages_and_sizes(faster: Any) -> None:
    with pytest.raises(InputError, match="does not know the language 'fr'"):
        whisper.recognizer(faster.folder, device="cpu", language="fr").open(Material())
    with pytest.raises(InputError, match="has no size 'huge'"):
        whisper.recognizer("huge", device="cpu").identity()
    with pytest.raises(InputError, match=r"not in the Hugging Face cache.*download_model\('large-v3'\)"):
        whisper.recognizer("large-v3", device="cpu").identity()
    whisper.recognizer("tiny", device="cpu").open(Material())
    assert faster.made[-1][0] == faster.folder


def test_the_engine_may_be_named(faster: Any, folder: Path) -> None:
    assert whisper.recognizer(str(folder), engine="faster-whisper").settled()[0] == "faster-whisper"
    assert whisper.recognizer(str(folder)).settled()[0] == "transformers"
    assert whisper.recognizer(faster.folder, engine="transformers").settled()[0] == "transformers"


def test_a_converted_hub_id_goes_to_faster_whisper(faster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub" / "models--Systran--faster-whisper-tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("c0ffee")
    (place / "snapshots").mkdir()
    Path(faster.folder).rename(place / "snapshots" / "c0ffee")
    engine, found = whisper.recognizer("Systran/faster-whisper-tiny").settled()
    assert (engine, found.revision) == ("faster-whisper", "c0ffee")


def test_without_the_package_a_size_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install faster-whisper"):
        whisper.recognizer("large-v3").identity()


def test_the_real_faster_whisper_hears_a_converted_model(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    converters = pytest.importorskip("ctranslate2.converters")
    converters.TransformersConverter(str(folder), copy_files=["tokenizer.json"]).convert(str(tmp_path / "converted"))
    ears = whisper.recognizer(str(tmp_path / "converted"), device="cpu").open(Material())
    sound = tone(23, seed=1)
    first = ears.hear(sound, dialogue="d", seed=5)
    assert first.note == AGAIN
    assert ears.hear(sound, dialogue="d", seed=5) == first
    assert len({ears.hear(sound, dialogue="d", seed=seed).text for seed in range(4)}) > 1
