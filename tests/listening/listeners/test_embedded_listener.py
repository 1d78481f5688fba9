"""The default listener: each rating falls with its own damage and hardly with the others', on every voice there is."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from damaged_speech import clipped, gained, lost, lowpassed, made_voice, noisy, repeated, voices
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import MissingDependency
from turnwise.foundation.lineage import lineage
from turnwise.foundation.resampling import resample
from turnwise.listening.listener import LISTENERS, Listening
from turnwise.listening.listeners import embedded
from turnwise.listening.ratings import ASPECTS, DIMENSIONS, Dimension, Ratings
from turnwise.quality.estimator import ESTIMATORS

pytest.importorskip("onnxruntime")
pytest.importorskip("speechmos")

VOICES = [sound for name, sound in voices() if name != "made"] or [made_voice()]
NAMES = [name for name, _ in voices() if name != "made"] or ["made"]

Change = Callable[[Sound], Sound]
# From mild to heavy, by the rating that it is damage to.
DAMAGE: list[tuple[str, Dimension, list[Change]]] = [
    ("white noise", "noi", [lambda s, snr=snr: noisy(s, snr) for snr in (40, 30, 20, 10)]),
    ("pink noise", "noi", [lambda s, snr=snr: noisy(s, snr, "pink") for snr in (40, 25, 10)]),
    ("low pass", "col", [lambda s, edge=edge: lowpassed(s, edge) for edge in (5000, 3400, 2000)]),
    ("high pass", "col", [lambda s, edge=edge: lowpassed(s, edge, "high") for edge in (400, 800, 1200)]),
    ("clipping", "col", [lambda s, share=share: clipped(s, share) for share in (0.05, 0.1, 0.2)]),
    ("silent gaps", "dis", [lambda s, share=share: lost(s, share) for share in (0.05, 0.15, 0.3)]),
    ("repetitions", "dis", [lambda s, share=share: repeated(s, share) for share in (0.05, 0.15, 0.3)]),
    ("softer", "loud", [lambda s, gain=gain: gained(s, gain) for gain in (-9, -18, -30)]),
]


@pytest.fixture(scope="module")
def opened() -> Listening:
    return LISTENERS.build("embedded").open()  # type: ignore[no-any-return]


def rate(opened: Listening, sound: Sound) -> Ratings:
    (ratings,) = opened.rate_many([sound])
    return ratings


def values(opened: Listening, sound: Sound) -> dict[Dimension, float]:
    ratings = rate(opened, sound)
    found = {name: ratings.value(name) for name in DIMENSIONS}
    assert all(value is not None and 1 <= value <= 5 for value in found.values())
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("voice", VOICES, ids=NAMES)
@pytest.mark.parametrize(("name", "own", "steps"), DAMAGE, ids=[name for name, _, _ in DAMAGE])
def test_a_rating_falls_with_its_own_damage_and_the_others_stay(
    opened: Listening, voice: Sound, name: str, own: Dimension, steps: list[Change]
) -> None:
    rated = [values(opened, voice), *(values(opened, step(voice)) for step in steps)]
    falling = [each[own] for each in rated]
    assert falling == sorted(falling, reverse=True) and len(set(falling)) == len(falling), falling
    drop = rated[0][own] - rated[-1][own]
    assert drop > 0.9
    for other in ASPECTS:
        if other != own and not (other == "noi" and rated[-1]["noi"] > rated[0]["noi"]):  # a filter takes noise away as well
            assert abs(rated[-1][other] - rated[0][other]) < drop / 2, other
    assert rated[-1]["mos"] < rated[0]["mos"] - 0.3


def coded(sound: Sound) -> Sound:
    """Through Opus at 20 kbit/s."""
    buffer = io.BytesIO()
    soundfile.write(buffer, resample(sound, 16000).samples, 16000, format="OGG", subtype="OPUS", compression_level=0.95)
    buffer.seek(0)
    samples, rate = soundfile.read(buffer, dtype="float32")
    return Sound(samples, rate)


def test_packets_repeated_before_a_codec_are_heard_by_the_model(opened: Listening) -> None:
    """No exact repetition is left for the rule."""
    voice = VOICES[-1]
    hidden, whole = rate(opened, coded(repeated(voice, 0.3))), rate(opened, coded(voice))
    assert " 0.0 % repeated" in hidden.sources["dis"]
    assert hidden.dis is not None and whole.dis is not None
    assert hidden.dis < whole.dis - 0.5


def test_every_rating_says_what_it_was_computed_from(opened: Listening) -> None:
    sources = rate(opened, gained(made_voice(), -6)).sources
    assert set(sources) == set(DIMENSIONS)
    assert sources["loud"] == "ITU-R BS.1770 (-30.0 LUFS)"
    assert sources["noi"].startswith("signal rule (noise ")
    assert sources["col"].startswith("signal rule (voice from ") and sources["col"].endswith(" clipped)")
    assert sources["dis"].startswith("signal rules and PLCMOS (0.0 % of the speech lost in 0 gaps, ")
    assert sources["mos"].startswith("DNSMOS P.808 and the four ratings beside it (P.808 ")


def test_white_noise_alone_is_very_noisy(opened: Listening) -> None:
    """The published placeholder gives it the best coloration, and says nothing against it otherwise."""
    noise = Sound((0.05 * np.random.default_rng(0).standard_normal(64000)).astype(np.float32), 16000)
    assert values(opened, noise)["noi"] < 2.0
    assert values(opened, noise)["mos"] < 2.0


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (Sound(np.zeros(16000, np.float32), 16000), "silent: every sample is zero"),
        (Sound(made_voice().samples[:3000], 16000), "too short: 0.19 s"),
        (Sound(np.full(16000, np.nan, np.float32), 16000), "broken: 16000 of 16000 samples"),
        (Sound(made_voice().samples, 500), "wrong rate: 500 samples per second"),
    ],
)
def test_what_cannot_be_rated_has_no_rating(opened: Listening, sound: Sound, reason: str) -> None:
    ratings = rate(opened, sound)
    assert set(ratings.missing) == set(DIMENSIONS)
    assert all(said.startswith(reason) for said in ratings.missing.values())


def test_a_third_of_a_second_has_no_loudness_and_so_no_mos(opened: Listening) -> None:
    ratings = rate(opened, Sound(made_voice().samples[:5600], 16000))
    assert set(ratings.missing) == {"loud", "mos"}
    assert ratings.missing["mos"] == "it is made of loud among others, which is missing"
    assert ratings.noi is not None
    assert ratings.notes == ("short: 0.35 s, ratings of less than 1 s vary much",)


@pytest.mark.parametrize("rate_", [8000, 11025, 12345, 48000])
def test_any_rate_is_heard(opened: Listening, rate_: int) -> None:
    wide = values(opened, VOICES[0])
    other = values(opened, resample(VOICES[0], rate_))
    assert other["noi"] == pytest.approx(wide["noi"], abs=0.6)
    assert other["loud"] == pytest.approx(wide["loud"], abs=0.1)
    if rate_ == 8000:
        assert other["col"] < wide["col"] - 0.5
    elif rate_ > 2 * 8000:
        assert other["col"] == pytest.approx(wide["col"], abs=0.1)


@pytest.mark.parametrize("offset", [0.1, -0.3])
def test_an_offset_is_told_and_changes_little(opened: Listening, offset: float) -> None:
    voice = VOICES[0]
    shifted = rate(opened, Sound((voice.samples + np.float32(offset)), voice.rate))
    assert f"DC offset: {offset:+.4f} of full scale" in [note[:35] for note in shifted.notes] or any(
        note.startswith("DC offset") for note in shifted.notes
    )
    for name, value in values(opened, voice).items():
        if name in ("noi", "dis", "loud"):
            assert shifted.value(name) == pytest.approx(value, abs=0.5), name


def test_the_same_sound_is_rated_the_same(opened: Listening) -> None:
    again = LISTENERS.build("embedded").open()
    assert rate(opened, VOICES[0]) == rate(again, VOICES[0])
    again.close()
    again.close()


def test_its_identity_holds_the_models_and_the_code() -> None:
    identity = embedded.listener().identity()
    assert identity["shared"] == lineage(embedded.__file__)
    assert identity["dnsmos"] == ESTIMATORS.identity("dnsmos", {"ratings": "mos"})
    assert identity["plcmos"] == ESTIMATORS.identity("plcmos", {"listeners": 3})
    assert {"numpy", "pyloudnorm", "soxr"} <= identity.keys()


def test_an_absent_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=r'onnxruntime is not installed.*pip install "turnwise\[embedded\]"'):
        embedded.listener().open()


def test_building_loads_nothing_heavy() -> None:
    code = (
        "import sys; from turnwise.listening.listener import LISTENERS; LISTENERS.build('embedded');"
        "print([m for m in ('onnxruntime', 'torch', 'scipy', 'pyloudnorm', 'soxr') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
