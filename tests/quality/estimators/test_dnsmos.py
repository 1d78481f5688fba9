"""The runner of our own against the package as shipped (golden figures), its windows, its features and its refusals."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.quality.estimator import ESTIMATORS, Rater
from turnwise.quality.estimators import dnsmos

NAMES = ("mos", "ovrl", "sig", "bak")
GENERATOR = Path(__file__).with_name("generate_dnsmos_golden.py")


def made() -> Any:
    spec = importlib.util.spec_from_file_location("generate_dnsmos_golden", GENERATOR)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sounds() -> dict[str, np.ndarray]:
    return made().sounds()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GENERATOR.with_name("dnsmos_golden.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def rater() -> Rater:
    pytest.importorskip("onnxruntime")
    return dnsmos.estimator().open()


@pytest.mark.parametrize(
    ("name", "which"),
    [("short", "first window"), ("short-noisy", "first window"), ("one-window", "shipped"), ("two-windows", "shipped")],
)
def test_ratings_are_those_of_the_package(rater: Rater, sounds: Any, golden: Any, name: str, which: str) -> None:
    estimate = rater.rate(Sound(sounds[name], 16000))
    assert {n: estimate.value(n) for n in NAMES} == pytest.approx(golden[name][which], abs=1e-3)


def test_all_windows_of_a_repeated_sound_are_those_of_the_package(sounds: Any, golden: Any) -> None:
    pytest.importorskip("onnxruntime")
    estimate = dnsmos.estimator(windows="all").open().rate(Sound(sounds["short"], 16000))
    assert {n: estimate.value(n) for n in NAMES} == pytest.approx(golden["short"]["shipped"], abs=1e-3)
    # The two ways differ, so a mistaken choice would show.
    assert abs(golden["short"]["shipped"]["bak"] - golden["short"]["first window"]["bak"]) > 0.01


def test_mel_levels_are_those_of_librosa(sounds: Any, golden: Any) -> None:
    mel = dnsmos.mel_levels(sounds["one-window"][:-160])
    assert list(mel.shape) == golden["mel"]["shape"]
    assert mel.ravel()[::997] == pytest.approx(golden["mel"]["every 997th"], abs=2e-5)


def test_mel_levels_do_not_depend_on_level(sounds: Any) -> None:
    loud = sounds["one-window"][:-160]
    assert np.abs(dnsmos.mel_levels(loud) - dnsmos.mel_levels(loud / 2)).max() < 1e-3
    assert dnsmos.mel_levels(loud).max() == 1.0


@pytest.mark.parametrize(
    ("seconds", "one", "every"),
    [(0.5, 1, 7), (3.0, 1, 3), (5.0, 1, 1), (9.01, 1, 1), (9.5, 1, 1), (10.99, 1, 1), (11.0, 2, 2), (15.0, 6, 6), (30.0, 21, 21)],
)
def test_windows_are_full_and_start_at_full_seconds(seconds: float, one: int, every: int) -> None:
    samples = np.arange(round(seconds * 16000), dtype=np.float32)
    for which, count in (("one", one), ("all", every)):
        found = dnsmos.windows(samples, which)
        assert len(found) == count
        assert all(len(window) == dnsmos.WINDOW for window in found), "the published arithmetic drops windows 7 to 23"
        assert [int(window[0]) % len(samples) for window in found] == [i * 16000 % len(samples) for i in range(count)]


def test_a_short_sound_is_repeated_without_a_gap() -> None:
    window = dnsmos.windows(np.arange(48000, dtype=np.float32), "one")[0]
    assert (window == np.resize(np.arange(48000), dnsmos.WINDOW)).all()


def test_noise_lowers_what_it_should(rater: Rater, sounds: Any, golden: Any) -> None:
    clean, before = sounds["short"], golden["short"]["first window"]
    random = np.random.default_rng(1)
    noisy = Sound((clean + 0.03 * random.standard_normal(len(clean))).astype(np.float32), 16000)
    after = rater.rate(noisy)
    assert after.value("bak") < before["bak"] - 1
    assert after.value("mos") < before["mos"] - 0.2


def test_the_overall_rating_alone_is_the_same_number(sounds: Any, golden: Any) -> None:
    pytest.importorskip("onnxruntime")
    alone = dnsmos.estimator(ratings="mos").open().rate(Sound(sounds["short"], 16000))
    assert [rating.scale.name for rating in alone.ratings] == ["mos"]
    assert alone.value("mos") == pytest.approx(golden["short"]["first window"]["mos"], abs=1e-3)


def test_another_rate_is_brought_to_the_models_rate(sounds: Any) -> None:
    from turnwise.foundation.resampling import resample

    there = resample(Sound(sounds["short"], 16000), 22050)
    back = dnsmos.at_model_rate(there)
    assert len(back) == pytest.approx(len(sounds["short"]), abs=2)
    assert np.abs(back[: len(sounds["short"])] - sounds["short"][: len(back)]).mean() < 2e-3
    assert np.abs(dnsmos.at_model_rate(Sound(np.full(16000, 1.5, np.float32), 16000))).max() == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [({"windows": "two"}, "windows is 'two'"), ({"ratings": "sig"}, "ratings is 'sig'"), ({"threads": 0}, "threads is 0")],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ESTIMATORS.build("dnsmos", options)


def test_options_and_models_change_the_identity() -> None:
    pytest.importorskip("onnxruntime")
    assert ESTIMATORS.identity("dnsmos") != ESTIMATORS.identity("dnsmos", {"ratings": "mos"})
    identity = dnsmos.estimator().identity()
    assert identity["P.808 model"].startswith("b2:") and identity["P.808 model"] != identity["P.835 model"]


@pytest.mark.parametrize("package", ["speechmos", "onnxruntime"])
def test_an_absent_package_is_a_sentence(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if package == "speechmos":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=rf'{package} is not installed.*pip install "turnwise\[embedded\]"'):
        dnsmos.estimator().open()


def test_importing_and_building_load_nothing_heavy() -> None:
    code = (
        "import sys; from turnwise.quality.estimator import ESTIMATORS; ESTIMATORS.build('dnsmos');"
        "print([m for m in ('onnxruntime', 'speechmos', 'scipy', 'librosa', 'soxr') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
