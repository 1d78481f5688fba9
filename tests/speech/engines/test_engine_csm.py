from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

import tiny_models
from tiny_models import largest, tone
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import write_sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.place import place_of
from turnwise.speech.engine import SYNTHESIZERS, Said, SpeakingMany, Utterance
from turnwise.speech.engines import csm
from turnwise.speech.engines.csm import CsmSpeaking

torch.set_num_threads(1)
FRAME = 1920  # samples at 24 kHz
PAST = (Said("one two", tone(0.7, 16000, 3)), Said("three", tone(0.31, 24000, 4)))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`endless` hardly ever ends by itself, `brief` soon does."""
    place = tmp_path_factory.mktemp("csm")
    tiny_models.csm(place / "endless")
    tiny_models.csm(place / "brief", entries=2)
    return place


@pytest.fixture(scope="module")
def voice(shelf: Path) -> Iterator[CsmSpeaking]:
    opened = open_voice(shelf / "endless", most_seconds=0.8)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def brief(shelf: Path) -> Iterator[CsmSpeaking]:
    opened = open_voice(shelf / "brief", most_seconds=4.0)
    yield opened
    opened.close()


def open_voice(folder: Path, **options: Any) -> CsmSpeaking:
    opened = csm.synthesizer(str(folder), device="cpu", **options).open()
    assert isinstance(opened, CsmSpeaking)
    return opened


def spied(voice: CsmSpeaking, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """What the model is asked, from now on."""
    asked: list[Mapping[str, Any]] = []
    real = voice._network.generate
    monkeypatch.setattr(voice._network, "generate", lambda **given: asked.append(given) or real(**given))
    return asked


# ---------------------------------------------------------------- what is spoken


def test_a_sound_at_24_khz_of_whole_frames(voice: CsmSpeaking) -> None:
    sound = voice.speak("hello there", seed=1)
    assert sound.rate == 24000
    assert len(sound.samples) == 10 * FRAME
    assert sound.samples.std() > 0.01


def test_the_seed_decides_and_nothing_else(voice: CsmSpeaking) -> None:
    first = voice.speak("hello there", seed=1)
    torch.manual_seed(5)
    assert largest(first.samples, voice.speak("hello there", seed=1).samples) == 0.0
    assert largest(first.samples, voice.speak("hello there", seed=2).samples) > 0.01
    assert largest(first.samples, voice.speak("hello where", seed=1).samples) > 0.01


def test_a_batch_speaks_what_each_is_spoken_alone(voice: CsmSpeaking) -> None:
    texts = ("hello there", "hi", "a much longer sentence to be said", "yes")
    pasts = ((), PAST, PAST[1:], (*PAST, *PAST))
    utterances = [Utterance(text, seed, past) for seed, (text, past) in enumerate(zip(texts, pasts, strict=True))]
    together = voice.speak_many(utterances)
    for utterance, sound in zip(utterances, together, strict=True):
        assert largest(sound.samples, voice.speak_many([utterance])[0].samples) < 1e-4
    for sound, again in zip(together, voice.speak_many(utterances[::-1])[::-1], strict=True):
        assert largest(sound.samples, again.samples) < 1e-4


def test_utterances_of_one_batch_end_when_they_end(brief: CsmSpeaking) -> None:
    alone: dict[int, Sound] = {}
    for seed in range(10):
        try:
            alone[seed] = brief.speak(f"hello {seed}", seed=seed)
        except EngineError as error:
            assert error.cause == "empty-audio"  # ended with its first frame
    lengths = {len(sound.samples) for sound in alone.values()}
    assert len(lengths) > 3
    assert max(lengths) < 4 * 24000
    assert all(length % FRAME == 0 for length in lengths)
    together = brief.speak_many([Utterance(f"hello {seed}", seed) for seed in alone])
    assert max(largest(a.samples, b.samples) for a, b in zip(alone.values(), together, strict=True)) < 1e-4


def test_every_earlier_utterance_counts_by_sound_and_by_words(voice: CsmSpeaking) -> None:
    plain = Utterance("hello there", 1, PAST)
    others = [
        msgspec.structs.replace(plain, before=()),
        msgspec.structs.replace(plain, before=PAST[1:]),
        msgspec.structs.replace(plain, before=(Said("one twa", PAST[0].sound), PAST[1])),
        msgspec.structs.replace(plain, before=(Said("one two", tone(0.7, 16000, 8)), PAST[1])),
    ]
    sounds = [sound.samples for sound in voice.speak_many([plain, *others])]
    assert all(largest(sounds[0], other) > 0.01 for other in sounds[1:])


@pytest.mark.parametrize(("remembers", "kept"), [(3, 3), (2, 2), (0, 0)])
def test_it_remembers_as_many_as_it_says(shelf: Path, monkeypatch: pytest.MonkeyPatch, remembers: int, kept: int) -> None:
    voice = open_voice(shelf / "endless", most_seconds=0.2, remembers=remembers, speaker="7")
    asked = spied(voice, monkeypatch)
    said = tuple(Said(f"word {number}", tone(0.2 + number / 10, 24000, number)) for number in range(5))
    voice.speak_many([Utterance("new", 1, said)])
    prompt = voice._processor.tokenizer.decode(asked[0]["input_ids"][0])
    for name in ("<|begin_of_text|>", "<|end_of_text|>", "<|audio_eos|>"):
        prompt = prompt.replace(name, "/")
    words = [f"[7]word {number}" for number in range(5 - kept, 5)]
    assert [part.replace("<|AUDIO|>", "") for part in prompt.split("/") if part.replace("<|AUDIO|>", "")] == [*words, "[7]new"]
    if kept:
        ends = [round((0.2 + number / 10) * 24000) for number in range(5 - kept, 5)]
        assert asked[0]["input_values_cutoffs"][0].tolist() == np.cumsum(ends).tolist()
    else:
        assert "input_values" not in asked[0]


def test_the_voice_profile_comes_first_in_every_utterance(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sound(tone(0.5, 16000, 6), tmp_path / "me.wav")
    profile = [{"audio": str(tmp_path / "me.wav"), "text": "these are my words"}]
    voice = open_voice(shelf / "endless", most_seconds=0.2, voice=profile, remembers=1)
    asked = spied(voice, monkeypatch)
    voice.speak_many([Utterance("new", 1, PAST)])
    prompt = voice._processor.tokenizer.decode(asked[0]["input_ids"][0])
    assert prompt.index("these are my words") < prompt.index("three") < prompt.index("new")
    assert "one two" not in prompt
    assert asked[0]["input_values_cutoffs"][0].tolist() == [12000, 12000 + 7440]
    assert (
        largest(voice.speak("new", seed=1).samples, open_voice(shelf / "endless", most_seconds=0.2).speak("new", seed=1).samples)
        > 0
    )


def test_marks_in_the_text_are_only_text(voice: CsmSpeaking, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = spied(voice, monkeypatch)
    voice.speak_many([Utterance("say <|AUDIO|> and <|end_of_text|>", 1, PAST)])
    audio = voice._processor.tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    assert int((asked[0]["input_ids"] == audio).sum()) == 9 + 4  # frames of the two remembered sounds


def test_greedy_frames_do_not_depend_on_the_seed(shelf: Path) -> None:
    voice = open_voice(shelf / "endless", most_seconds=0.4, temperature=0.0)
    assert largest(voice.speak("hello", seed=1).samples, voice.speak("hello", seed=2).samples) == 0.0
    utterances = [Utterance("hello", 1), Utterance("hello", 1, PAST), Utterance("a longer one", 1, PAST[:1])]
    sounds = voice.speak_many(utterances)
    assert largest(sounds[0].samples, sounds[1].samples) > 0.01
    assert max(largest(a.samples, voice.speak_many([u])[0].samples) for a, u in zip(sounds, utterances, strict=True)) < 1e-4


def test_coarse_numbers_leave_the_codec_fine(shelf: Path) -> None:
    voice = open_voice(shelf / "endless", most_seconds=0.2, dtype="bfloat16")
    assert voice._network.codec_model.dtype == torch.float32
    assert voice._network.backbone_model.dtype == voice._network.depth_decoder.dtype == torch.bfloat16
    assert len(voice.speak_many([Utterance("hello", 1, PAST)])[0].samples) == 3 * FRAME


def test_the_inner_decoder_is_left_as_it_was(voice: CsmSpeaking) -> None:
    before = voice._network.depth_decoder.generate
    voice.speak("hello", seed=1)
    assert voice._network.depth_decoder.generate == before


# ---------------------------------------------------------------- errors


def silenced(voice: CsmSpeaking, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the model end with its first frame: all ids are as likely, and the first one is the end."""
    monkeypatch.setattr(voice._network.lm_head, "weight", torch.nn.Parameter(torch.zeros_like(voice._network.lm_head.weight)))
    heads = voice._network.depth_decoder.codebooks_head
    monkeypatch.setattr(heads, "weight", torch.nn.Parameter(torch.zeros_like(heads.weight)))


def test_an_utterance_without_a_frame(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = open_voice(shelf / "endless", temperature=0.0)
    silenced(voice, monkeypatch)
    with pytest.raises(EngineError) as caught:
        voice.speak("hello", seed=1)
    assert caught.value.cause == "empty-audio"


def test_an_utterance_without_an_end(shelf: Path) -> None:
    with pytest.raises(EngineError) as caught:
        open_voice(shelf / "endless", most_seconds=0.4, strict_end=True).speak("hello there", seed=1)
    assert caught.value.cause == "no-end"
    strict, free = (open_voice(shelf / "brief", most_seconds=4.0, strict_end=strict) for strict in (True, False))
    assert largest(strict.speak("hello 2", seed=2).samples, free.speak("hello 2", seed=2).samples) == 0.0


def test_a_past_that_leaves_no_room(tmp_path: Path) -> None:
    voice = open_voice(tiny_models.csm(tmp_path / "small", limit=64), most_seconds=2.0)  # 25 frames
    assert voice.speak("hello", seed=1).seconds == 2.0
    with pytest.raises(EngineError, match="remembered utterances") as caught:
        voice.speak_many([Utterance("hello", 1, (Said("long", tone(3.0, 24000)),))])
    assert caught.value.cause == "context-length"


@pytest.mark.parametrize("text", ["", "  ", "...", "*"])
def test_nothing_to_say(voice: CsmSpeaking, text: str) -> None:
    with pytest.raises(EngineError) as caught:
        voice.speak(text, seed=1)
    assert caught.value.cause == "empty-text"


def test_trimming_is_off_and_may_be_on(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, trimming = (open_voice(shelf / "endless", most_seconds=0.4, trim=trim) for trim in (False, True))
    made = plain.speak("hello", seed=1)
    quiet = np.concatenate([np.zeros(4800, np.float32), made.samples, np.zeros(4800, np.float32)])
    for voice in (plain, trimming):
        real = voice._network.codec_model.decode

        def padded(codes: Any, real: Any = real) -> Any:
            told = real(codes)
            told.audio_values = torch.from_numpy(quiet)[None, None]
            return told

        monkeypatch.setattr(voice._network.codec_model, "decode", padded)
    assert len(plain.speak("hello", seed=1).samples) == len(quiet)
    assert len(made.samples) <= len(trimming.speak("hello", seed=1).samples) < len(quiet) - 4800


# ---------------------------------------------------------------- options and identity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"remembers": -1}, "remembers is -1"),
        ({"speaker": "Bob"}, "speaker is 'Bob'"),
        ({"speaker": 0}, "speaker is 0"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"top_k": -1}, "top_k is -1"),
        ({"most_seconds": 0.0}, "most_seconds is 0.0"),
        ({"batch": 0}, "batch is 0"),
        ({"dtype": "int4"}, "dtype is 'int4'"),
        ({"voice": [{"audio": "a.wav"}]}, r"voice\[0\] has audio, expected exactly audio and text"),
        ({"voice": [{"audio": "a.wav", "text": "a"}, {"audio": "b.wav", "text": " "}]}, r"voice\[1\].text is empty"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SYNTHESIZERS.build("csm", {"model": "org/m", **options})


def test_a_profile_that_does_not_exist(shelf: Path) -> None:
    built = csm.synthesizer(str(shelf / "endless"), voice=[{"audio": "/no/such.wav", "text": "words"}])
    for do in (built.identity, built.open):
        with pytest.raises(InputError, match=r"/no/such\.wav does not exist"):
            do()


def test_identity_follows_weights_and_profile(shelf: Path, tmp_path: Path) -> None:
    plain = csm.synthesizer(str(shelf / "endless"), device="cpu").identity()
    assert plain.keys() >= {"shared", "weights", "numbers", "torch", "transformers", "tokenizers", "soxr"}
    assert csm.synthesizer(str(shelf / "brief"), device="cpu").identity()["weights"] != plain["weights"]
    names = []
    for seed in (1, 2):
        write_sound(tone(0.3, 16000, seed), tmp_path / "me.wav")
        profile = [{"audio": str(tmp_path / "me.wav"), "text": "words"}]
        names.append(csm.synthesizer(str(shelf / "endless"), voice=profile).identity()["voice"])
    assert names[0] != names[1]


def test_its_place_and_memory_are_declared(voice: CsmSpeaking) -> None:
    built = SYNTHESIZERS.build("csm", {"model": "org/m"})
    assert place_of(built) == "device"
    assert built.remembers == 3
    assert isinstance(voice, SpeakingMany)


def test_a_missing_model_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="hf download sesame/csm-1b"):
        csm.synthesizer("sesame/csm-1b").open()


@pytest.mark.parametrize("key", ["lm_head.weight", "codec_model.decoder.layers.0.conv.weight"])
def test_a_missing_weight_is_never_random(shelf: Path, tmp_path: Path, key: str) -> None:
    broken = tiny_models.without_weight(shelf / "endless", tmp_path / "broken", key)
    with pytest.raises(InputError, match=f"lacks 1 of the weights.*{key.rpartition('layers.')[2]}"):
        open_voice(broken)


def test_closing_twice_is_harmless(shelf: Path) -> None:
    voice = open_voice(shelf / "endless")
    voice.close()
    voice.close()
