from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.speech.engine import RECOGNIZERS, Hearing, Material, Passage
from turnwise.speech.engines import pocketsphinx as engine
from turnwise.speech.engines.pocketsphinx import build_model, fold_of, recognizer
from turnwise.speech.word_errors import total, word_errors

pytest.importorskip("pocketsphinx")

SENTENCES = (
    "I would like to book a table for four people on Friday evening.",
    "My sister loves the old town.",
    "What time does the train to Chicago leave?",
)
# Words that general English does not expect in this order.
ODD = "seven copper whistles applaud the gentle radiator"


def say(text: str, voice: str = "en-us+f5") -> Sound:
    pytest.importorskip("espeakng_loader")
    from turnwise.speech.engines import espeak

    return espeak.synthesizer(voice).open().speak(text, seed=0)


def heard(hearing: Hearing, sound: Sound, dialogue: str = "d") -> str:
    return hearing.hear(sound, dialogue=dialogue, seed=0).text


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def ears() -> Iterator[Hearing]:
    hearing = recognizer(ears="espeak").open(Material())
    yield hearing
    hearing.close()


@pytest.fixture(scope="module")
def sounds() -> list[Sound]:
    return [say(sentence) for sentence in SENTENCES]


def test_it_hears_the_voices_it_was_fitted_to(ears: Hearing, sounds: list[Sound]) -> None:
    errors = total(word_errors(said, heard(ears, sound)) for said, sound in zip(SENTENCES, sounds, strict=True))
    assert errors.rate is not None and errors.rate < 0.15
    man = say(SENTENCES[0], "en-us+edward")
    assert (word_errors(SENTENCES[0], heard(ears, man)).rate or 0.0) < 0.25


def test_fitted_ears_make_fewer_errors_on_these_voices(ears: Hearing, sounds: list[Sound]) -> None:
    people = recognizer(ears="people").open(Material())
    plain = total(word_errors(said, heard(people, sound)) for said, sound in zip(SENTENCES, sounds, strict=True))
    fitted = total(word_errors(said, heard(ears, sound)) for said, sound in zip(SENTENCES, sounds, strict=True))
    assert fitted.errors < plain.errors


def test_the_same_sound_gives_the_same_text_whatever_was_heard_before(ears: Hearing, sounds: list[Sound]) -> None:
    first = [heard(ears, sound) for sound in sounds]
    loud = Sound(np.random.default_rng(0).standard_normal(16000).astype(np.float32), 16000)
    heard(ears, loud)
    assert [heard(ears, sound) for sound in reversed(sounds)] == first[::-1]
    fresh = recognizer(ears="espeak").open(Material())
    assert [heard(fresh, sound) for sound in sounds] == first


@pytest.mark.parametrize("options", [{"fast": True}, {"words": 5000}])
def test_faster_ways_to_listen_still_understand(sounds: list[Sound], options: dict[str, int]) -> None:
    hearing = RECOGNIZERS.build("pocketsphinx", {"ears": "espeak", **options}).open(Material())
    assert (word_errors(SENTENCES[0], heard(hearing, sounds[0])).rate or 0.0) < 0.25


def test_words_outside_the_vocabulary_are_not_heard(ears: Hearing) -> None:
    said = "the pelican ate a sandwich"
    few = recognizer(ears="espeak", words=5000).open(Material())
    assert "pelican" in heard(ears, say(said)) and "pelican" not in heard(few, say(said))


def test_level_makes_no_difference(ears: Hearing, sounds: list[Sound]) -> None:
    soft = Sound(sounds[0].samples * np.float32(0.01), sounds[0].rate)
    assert heard(ears, soft) == heard(ears, sounds[0])


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.05, 0.3, 2.0])
def test_silence_and_crumbs_give_no_words(ears: Hearing, seconds: float) -> None:
    assert heard(ears, Sound(np.zeros(round(seconds * 16000), dtype=np.float32), 16000)) == ""


def test_crumbs_of_noise_do_not_crash(ears: Hearing) -> None:
    draw = np.random.default_rng(1)
    for length in (1, 2, 100, 1600, 1601, 3000):
        heard(ears, Sound(draw.standard_normal(length).astype(np.float32), 16000))


def test_broken_samples_are_an_error_of_the_item(ears: Hearing) -> None:
    with pytest.raises(EngineError) as caught:
        heard(ears, Sound(np.array([0.1, np.nan] * 4000, dtype=np.float32), 16000))
    assert caught.value.cause == "broken-audio"


def material(*passages: tuple[str, str]) -> Material:
    return Material(tuple(Passage(dialogue, text) for dialogue, text in passages))


def other_fold(dialogue: str, folds: int = 4) -> str:
    return next(name for name in (f"other-{n}" for n in range(100)) if fold_of(name, folds) != fold_of(dialogue, folds))


def test_the_heard_dialogue_is_left_out_and_others_are_not() -> None:
    own = build_model(material(("mine", ODD)), fold_of("mine", 4), 4)
    others = build_model(material((other_fold("mine"), ODD)), fold_of("mine", 4), 4)
    phrase = build_model(material(("", ODD)), fold_of("mine", 4), 4)
    assert "copper whistles applaud" not in own
    assert "copper whistles applaud" in others and "copper whistles applaud" in phrase


def test_material_helps_unless_it_is_the_heard_dialogue_s_own() -> None:
    sound = say(ODD)
    rates = {}
    for name, source in {"own": "mine", "other": other_fold("mine")}.items():
        hearing = recognizer(adapt="corpus", ears="espeak").open(material(("", "good morning"), (source, ODD)))
        found = hearing.hear(sound, dialogue="mine", seed=0)
        rates[name] = word_errors(ODD, found.text).rate or 0.0
        assert found.note.startswith("language model of the corpus, this dialogue left out (fold")
    assert rates["other"] < rates["own"]
    assert rates["other"] < 0.2


def test_one_decoder_serves_all_folds() -> None:
    many = material(*((f"dialogue {n}", SENTENCES[n % 3]) for n in range(12)))
    hearing = recognizer(adapt="corpus", ears="espeak", folds=2).open(many)
    sound, names = say(SENTENCES[1]), [f"dialogue {n}" for n in range(12)]
    left, right = (next(name for name in names if fold_of(name, 2) == fold) for fold in (0, 1))
    first, second, again = (hearing.hear(sound, dialogue=name, seed=0) for name in (left, right, left))
    assert first == again and first.note != second.note


def test_words_that_cannot_be_pronounced_are_named() -> None:
    odd = material(("a", "We met Zzyzxqua at the brewery of Qrxlt."))
    found = recognizer(adapt="corpus").open(odd).hear(Sound(np.zeros(1600, dtype=np.float32), 16000), dialogue="b", seed=0)
    assert found.note.endswith("no pronunciation: qrxlt, zzyzxqua")


def test_without_material_the_general_model_is_used_and_said() -> None:
    found = recognizer(adapt="corpus").open(Material()).hear(Sound(np.zeros(1600, dtype=np.float32), 16000), dialogue="b", seed=0)
    assert found.note == "general language model, 72544 words (no material was given)"


def test_models_are_shared_through_the_cache(cache: Path) -> None:
    one = material(("a", SENTENCES[0]), ("b", SENTENCES[1]))
    hearing = recognizer(adapt="corpus").open(one)
    nothing = Sound(np.zeros(1600, dtype=np.float32), 16000)
    heard(hearing, nothing, "a")
    (model,) = (cache / "turnwise" / "speech").glob("*.arpa")
    before = model.stat().st_mtime_ns
    heard(recognizer(adapt="corpus").open(one), nothing, "a")
    assert model.stat().st_mtime_ns == before
    heard(recognizer(adapt="corpus").open(material(("a", SENTENCES[2]))), nothing, "a")
    assert len(list(model.parent.glob("*.arpa"))) == 2


def test_a_home_that_cannot_be_written_to_is_no_hindrance(cache: Path) -> None:
    cache.write_text("a file in the way")
    assert heard(recognizer(adapt="corpus", ears="espeak").open(material(("", SENTENCES[0]))), say(SENTENCES[0])) != ""


def test_folds_depend_on_the_id_alone() -> None:
    assert [fold_of(f"demo-00{n}", 4) for n in range(1, 7)] == [fold_of(f"demo-00{n}", 4) for n in range(1, 7)]
    counts = np.bincount([fold_of(f"dialogue {n}", 4) for n in range(4000)])
    assert len(counts) == 4 and counts.min() > 900


@pytest.mark.parametrize("options", [{"adapt": "all"}, {"ears": "cats"}, {"folds": 1}, {"words": 10}])
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        recognizer(**options)  # type: ignore[arg-type]


def test_adapts_only_when_asked_to() -> None:
    assert recognizer().adapts is False and recognizer(adapt="corpus").adapts is True


def test_identity_covers_package_code_and_ears() -> None:
    everybody = {"pocketsphinx", "soxr", "numpy", "code"}
    assert set(recognizer().identity()) == everybody
    assert set(recognizer(ears="espeak").identity()) == everybody | {"ears"}
    names = {RECOGNIZERS.identity("pocketsphinx", {"ears": ears}) for ears in engine.EARS}
    assert len(names) == 2


def test_files_made_for_it_are_named_by_its_own_code_too(monkeypatch: pytest.MonkeyPatch) -> None:
    before = engine._code()
    real = engine.source_digest
    monkeypatch.setattr(engine, "source_digest", lambda path: "changed" if path == Path(engine.__file__) else real(path))
    assert engine._code() != before


def test_closing_twice_is_harmless_and_hearing_after_it_is_not() -> None:
    hearing = recognizer().open(Material())
    hearing.close()
    hearing.close()
    with pytest.raises(ValueError, match="closed"):
        heard(hearing, say("hello"))


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MissingDependency, match=r"turnwise\[embedded\]"):
        recognizer().open(Material())


def test_it_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    heard(recognizer(adapt="corpus").open(material(("a", SENTENCES[0]))), say("hello there"))
    out, err = capfd.readouterr()
    assert out == "" and err == ""


def test_a_person_is_understood_by_the_model_as_it_comes() -> None:
    path = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "speech" / "jfk.flac"
    if not path.is_file():
        pytest.skip("no recordings beside the repository")
    said = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
    found = word_errors(said, heard(recognizer(ears="people").open(Material()), read_sound(path)))
    assert found.rate is not None and found.rate < 0.5
