"""NISQA on real speech, where its weights are: figures of torchmetrics and of the authors' code; and what it asks of its user.

The figures were computed by torchmetrics 1.9.0 (nisqa.tar) and by the package nisqa 2.0.post2 (nisqa_tts.tar), which mixes
channels as we do; torchmetrics itself is asked where it is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import place_of
from turnwise.quality.estimator import ESTIMATORS, Rater
from turnwise.quality.estimators import nisqa

torch = pytest.importorskip("torch")

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
WEIGHTS, VOICE_WEIGHTS = SHARED / "nisqa" / "nisqa.tar", SHARED / "nisqa" / "nisqa_tts.tar"
SPEECH = SHARED / "speech"
NAMES = ("mos", "noi", "col", "dis", "loud")
# In the order of NAMES. torchmetrics gives coloration after discontinuity.
FIVE = {
    "libri_1088-134315-0000.wav": (4.1625, 4.0724, 3.8923, 4.3992, 4.2616),
    "libri_1088-134315-0000_reverberant.wav": (3.9119, 3.6583, 3.8670, 4.3824, 4.1138),
    "tau2_check_order_12345.wav": (3.1022, 3.7707, 2.5344, 4.2489, 3.1386),
    "tau2_hello.wav": (2.2412, 3.0329, 1.7978, 4.4568, 2.3741),
    "tau2_help_me.wav": (2.9022, 3.5787, 2.5391, 3.9675, 3.0272),
    "tau2_order_status.wav": (3.0928, 3.5008, 2.0780, 4.2717, 3.2491),
}
NATURAL = {
    "jfk.flac": 2.33596,
    "libri_1088-134315-0000.wav": 3.70401,
    "libri_1088-134315-0000_reverberant.wav": 2.88366,
    "tau2_check_order_12345.wav": 3.70559,
    "tau2_hello.wav": 2.97451,
    "tau2_help_me.wav": 3.00901,
    "tau2_order_status.wav": 2.79899,
}

needs_weights = pytest.mark.skipif(not WEIGHTS.is_file() or not SPEECH.is_dir(), reason="no weights of NISQA here")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def rater() -> Rater:
    return ESTIMATORS.build("nisqa", {"weights": str(WEIGHTS)}).open()  # type: ignore[no-any-return]


def rated(rater: Rater, sound: Sound) -> tuple[float, ...]:
    estimate = rater.rate(sound)
    assert tuple(rating.scale.name for rating in estimate.ratings) == NAMES
    return tuple(rating.value for rating in estimate.ratings)


@needs_weights
@pytest.mark.parametrize("name", FIVE)
def test_ratings_of_real_speech_are_those_of_torchmetrics(rater: Rater, name: str) -> None:
    assert rated(rater, read_sound(SPEECH / name)) == pytest.approx(FIVE[name], abs=1e-3)


@needs_weights
def test_ratings_are_those_that_were_measured_before(rater: Rater) -> None:
    """A noisy recording of two channels, damage, and a level 40 dB lower; two decimals, noise of another draw."""
    jfk = rated(rater, read_sound(SPEECH / "jfk.flac"))
    assert jfk == pytest.approx((2.39, 1.73, 2.40, 3.20, 3.35), abs=0.006)
    clean = read_sound(SPEECH / "libri_1088-134315-0000.wav")
    noise = np.random.default_rng(0).standard_normal(len(clean.samples))
    noise *= np.sqrt(np.mean(clean.samples.astype(np.float64) ** 2) / np.mean(noise**2))
    for decibels, mos, noi in ((20, 1.64, 1.85), (10, 1.04, 1.57), (0, 0.89, 1.50)):
        damaged = Sound((clean.samples + noise / 10 ** (decibels / 20)).astype(np.float32), clean.rate)
        assert rated(rater, damaged)[:2] == pytest.approx((mos, noi), abs=0.06)
    soft = rated(rater, Sound(clean.samples / np.float32(100), clean.rate))
    assert (soft[0], soft[4]) == pytest.approx((1.08, 1.15), abs=0.006)


@needs_weights
@pytest.mark.parametrize("name", NATURAL)
def test_naturalness_is_that_of_the_authors_code(name: str) -> None:
    built = ESTIMATORS.build("nisqa", {"weights": str(VOICE_WEIGHTS)})
    assert [scale.name for scale in built.scales] == ["voice_naturalness"]
    assert built.open().rate(read_sound(SPEECH / name)).value("voice_naturalness") == pytest.approx(NATURAL[name], abs=1e-3)


@needs_weights
@pytest.mark.filterwarnings("ignore")
def test_torchmetrics_itself_says_the_same(rater: Rater, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("librosa", "requests"):
        pytest.importorskip(package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quality = pytest.importorskip("torchmetrics.functional.audio.nisqa")
    (tmp_path / ".torchmetrics" / "NISQA").mkdir(parents=True)
    shutil.copy(WEIGHTS, tmp_path / ".torchmetrics" / "NISQA" / "nisqa.tar")
    monkeypatch.setenv("HOME", str(tmp_path))
    sounds = [read_sound(SPEECH / name) for name in ("jfk.flac", "libri_1088-134315-0000.wav", "tau2_hello.wav")]
    sounds.append(Sound(sounds[1].samples[:60000:2], 8000))  # a narrow band
    sounds.append(Sound(np.random.default_rng(3).uniform(-0.1, 0.1, 48000).astype(np.float32), 48000))
    for sound in sounds:
        given = quality.non_intrusive_speech_quality_assessment(torch.from_numpy(sound.samples), sound.rate)
        mos, noi, dis, col, loud = given.tolist()
        assert rated(rater, sound) == pytest.approx((mos, noi, col, dis, loud), abs=1e-3)


@needs_weights
def test_what_cannot_be_rated_is_withheld(rater: Rater) -> None:
    assert rater.rate(Sound(np.zeros(16000, np.float32), 16000)).withheld == "silent: every sample is zero"
    assert rater.rate(Sound(np.full(1600, 0.1, np.float32), 16000)).withheld.startswith("too short")
    buzz = np.tile(np.linspace(-0.2, 0.2, 80, dtype=np.float32), 8000 * 53 // 80)
    long = rater.rate(Sound(buzz, 8000))
    assert long.ratings == () and long.withheld == "too long: 53.0 s of sound, NISQA hears at most 52.1 s at once"
    longest = rater.rate(Sound(buzz[: 8000 * 521 // 10], 8000))
    assert len(longest.ratings) == 5, "the longest that is heard at once is heard"


@needs_weights
def test_what_it_says_of_itself() -> None:
    built = ESTIMATORS.build("nisqa", {"weights": str(WEIGHTS)})
    assert [(s.name, s.unit, s.better, s.low, s.high) for s in built.scales] == [
        (n, "MOS 1-5", "higher", 1.0, 5.0) for n in NAMES
    ]
    assert place_of(built) == "device"
    identity = built.identity()
    assert identity["shared"] == lineage(nisqa.__file__) and {"torch", "numpy", "weights"} <= identity.keys()
    other = ESTIMATORS.build("nisqa", {"weights": str(VOICE_WEIGHTS)}).identity()
    assert {key for key in identity if identity[key] != other[key]} == {"weights"}


@needs_weights
def test_a_closed_rater_rates_no_more() -> None:
    opened = ESTIMATORS.build("nisqa", {"weights": str(WEIGHTS)}).open()
    opened.close()
    opened.close()
    with pytest.raises(ValueError, match="closed"):
        opened.rate(Sound(np.full(16000, 0.1, np.float32), 16000))


def test_the_file_is_the_one_named_then_that_of_the_environment_then_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TURNWISE_NISQA", raising=False)
    usual = tmp_path / ".torchmetrics" / "NISQA" / "nisqa.tar"
    with pytest.raises(MissingDependency, match=r"weights of NISQA.*curl -L --create-dirs -o ~/.torchmetrics/NISQA/nisqa.tar"):
        nisqa.estimator().file()
    for file in (usual, tmp_path / "environment", tmp_path / "named"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"weights")
    assert nisqa.estimator().file() == usual
    monkeypatch.setenv("TURNWISE_NISQA", str(tmp_path / "environment"))
    assert nisqa.estimator().file() == tmp_path / "environment"
    assert nisqa.estimator(weights="~/named").file() == tmp_path / "named"
    with pytest.raises(InputError, match=r"nisqa: there is no file /nowhere/nisqa.tar \(fetch it: curl"):
        nisqa.estimator(weights="/nowhere/nisqa.tar").file()
    with pytest.raises(InputError, match="weights is empty"):
        nisqa.estimator(weights="")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nisqa.tar").write_text("hello")
    built = nisqa.estimator(weights=str(tmp_path / "nisqa.tar"))
    with pytest.raises(InputError, match="is not a file of NISQA weights"):
        _ = built.scales
    with pytest.raises(InputError, match="is not a file of NISQA weights"):
        built.open()


def test_building_imports_no_torch() -> None:
    code = (
        "import sys; from turnwise.quality.estimator import ESTIMATORS; ESTIMATORS.build('nisqa'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
