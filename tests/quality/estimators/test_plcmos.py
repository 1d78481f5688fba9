"""The runner of our own against the package as shipped, its listeners that stay the same, and its refusals."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damaged_speech import lost, made_voice, repeated, voices
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.resampling import resample
from turnwise.quality.estimator import ESTIMATORS, Rater
from turnwise.quality.estimators import plcmos

pytest.importorskip("onnxruntime")
pytest.importorskip("speechmos")


@pytest.fixture(scope="module")
def rater() -> Rater:
    return ESTIMATORS.build("plcmos", {"listeners": 5}).open()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def shipped() -> Any:
    """The module of the wheel, without the package around it, which needs more."""
    file = plcmos.model_file().parents[1] / "plcmos.py"
    spec = importlib.util.spec_from_file_location("shipped_plcmos", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_levels_are_those_of_the_package(shipped: Any) -> None:
    model = shipped.PLCMOS(embed_rounds=1)
    for _, voice in voices():
        samples = resample(voice, 16000).samples[:40001]
        gone = samples.copy()
        gone[8000:9000] = 0.0
        for given in (samples, gone, np.zeros(8000, np.float32)):
            assert np.array_equal(plcmos.levels_of(given), np.float32(model.stft_transform(given)))


def test_the_rating_is_that_of_the_package_within_its_own_spread(shipped: Any) -> None:
    voice = made_voice()
    np.random.seed(0)
    theirs = shipped.PLCMOS(embed_rounds=40).get_mos(voice.samples)
    assert ESTIMATORS.build("plcmos", {"listeners": 40}).open().rate(voice).value("plcmos") == pytest.approx(theirs, abs=0.06)


def test_a_sound_rated_twice_is_rated_the_same(rater: Rater) -> None:
    first = rater.rate(made_voice())
    again = ESTIMATORS.build("plcmos", {"listeners": 5}).open().rate(made_voice())
    assert first == again
    assert first.ratings[0].scale == plcmos.estimator().scales[0]


def test_lost_packets_are_heard_whatever_fills_the_gap(rater: Rater) -> None:
    for name, voice in voices():
        if name == "made":  # it is no voice to the model
            continue
        clean = rater.rate(voice).value("plcmos")
        assert rater.rate(lost(voice, 0.2)).value("plcmos") < clean - 1.0, name
        assert rater.rate(repeated(voice, 0.2)).value("plcmos") < clean - 0.7, name


def test_another_rate_is_brought_to_the_models(rater: Rater) -> None:
    plain = rater.rate(made_voice()).value("plcmos")
    assert rater.rate(resample(made_voice(), 48000)).value("plcmos") == pytest.approx(plain, abs=0.2)


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (Sound(np.zeros(16000, np.float32), 16000), "silent: every sample is zero"),
        (Sound(np.full(1600, 0.1, np.float32), 16000), "too short: 0.10 s"),
        (Sound(np.tile(made_voice().samples, 11), 16000), "too long: 66.0 s of sound, at most 60 s"),
    ],
)
def test_what_is_withheld_is_said(rater: Rater, sound: Sound, said: str) -> None:
    estimate = rater.rate(sound)
    assert not estimate.ratings
    assert estimate.withheld.startswith(said)


def test_a_closed_rater_is_closed() -> None:
    opened = plcmos.estimator(listeners=1).open()
    opened.close()
    opened.close()
    with pytest.raises(ValueError, match="closed"):
        opened.rate(made_voice())


@pytest.mark.parametrize("listeners", [0, 101])
def test_wrong_options_are_refused(listeners: int) -> None:
    with pytest.raises(InputError, match=f"plcmos: listeners is {listeners}, expected 1 to 100"):
        ESTIMATORS.build("plcmos", {"listeners": listeners})


def test_the_model_is_part_of_the_identity() -> None:
    identity = plcmos.estimator().identity()
    assert identity["model"].startswith("b2:")
    assert {"speechmos", "onnxruntime", "soxr", "numpy", "code"} <= identity.keys()
    assert ESTIMATORS.identity("plcmos") != ESTIMATORS.identity("plcmos", {"listeners": 3})


@pytest.mark.parametrize("package", ["speechmos", "onnxruntime"])
def test_an_absent_package_is_a_sentence(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if package == "speechmos":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=rf'{package} is not installed.*pip install "turnwise\[embedded\]"'):
        plcmos.estimator().open()


def test_a_wheel_without_the_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    with pytest.raises(InputError, match=r"plcmos_v2\.onnx is missing"):
        plcmos.model_file()


def test_building_loads_nothing_heavy() -> None:
    code = (
        "import sys; from turnwise.quality.estimator import ESTIMATORS; ESTIMATORS.build('plcmos');"
        "print([m for m in ('onnxruntime', 'speechmos', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
