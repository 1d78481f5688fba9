"""PLCMOS v2: how well lost packets were concealed, without a reference, 1 to 5.

One rating, `plcmos`, as listeners of a packet-loss concealment contest gave them. It falls with packets lost, whether the gaps
are silent, repeat what came before, or lie in noise; but also with noise, clipping and a narrow band, which are not its subject:
use it where the sound is otherwise clean, or beside the rules of the listener `embedded` (docs/listening.md has the figures). The
model is Microsoft's, taken from the wheel `speechmos`; the runner is ours.

The model rates as one of many listeners, who is given as 64 random numbers; the mean over listeners is the rating. The shipped
script draws new listeners for every sound, so that a sound rated twice differs by about 0.02; here they are drawn once and are
the same for every sound and in every process. Option: `listeners`, how many (1 to 100, by default 15 as in the script; 5 take a
third of the time). Heard at 16 kHz, up to 60 s. A sound shorter than 0.3 s or without a sample above -60 dBFS gets no rating.

Needs the extra `embedded`. Licence: code and models of `speechmos` are MIT; onnxruntime is MIT.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation import resampling
from turnwise.foundation.audio import Samples, Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.fingerprint import file_digest
from turnwise.quality.estimator import Estimate, Rater, Rating, Scale, code_of, objection, remarks

INSTALL = 'pip install "turnwise[embedded]"'
RATE = 16000  # samples per second the model was trained on
LONGEST = 60.0  # seconds; the memory of a run grows with the length
_POINTS = 512  # of the Fourier transform; frames overlap by half
_STEP = 256
_EMBEDDING = 64  # numbers that stand for a listener
_SEED = 20231  # of the listeners; any would do, and this one stays
_SILENT = -80.0  # dB, of a sound that is zero throughout
_BELOW = 120.0  # dB below the softest cell that is not zero, where cells that are zero are put

_SCALE = Scale("plcmos", "MOS 1-5", "higher", 1.0, 5.0)


def estimator(listeners: int = 15) -> Plcmos:
    if not 1 <= listeners <= 100:
        raise InputError(f"plcmos: listeners is {listeners}, expected 1 to 100")
    return Plcmos(listeners)


class Plcmos(msgspec.Struct, frozen=True):
    """The model of `speechmos`, not yet loaded."""

    listeners: int

    @property
    def scales(self) -> tuple[Scale, ...]:
        return (_SCALE,)

    def identity(self) -> Mapping[str, str]:
        file = model_file()
        try:
            packages = {name: version(name) for name in ("speechmos", "onnxruntime", "soxr", "numpy")}
        except PackageNotFoundError as error:
            raise MissingDependency(error.name or "onnxruntime", INSTALL) from None
        return {**packages, "code": code_of(resampling), "model": file_digest(file)}

    def open(self) -> Rater:
        return PlcmosRater(_session(model_file()), self.listeners)


class PlcmosRater:
    """The model loaded; one sound at a time."""

    def __init__(self, session: Any, listeners: int) -> None:
        self._session: Any | None = session
        draw = np.random.default_rng(_SEED)
        self._listeners = draw.standard_normal((100, _EMBEDDING)).astype(np.float32)[:listeners, np.newaxis]

    def rate(self, sound: Sound) -> Estimate:
        if self._session is None:
            raise ValueError("the rater is closed")
        withheld = objection(sound)
        if not withheld and sound.seconds > LONGEST:
            withheld = f"too long: {sound.seconds:.1f} s of sound, at most {LONGEST:.0f} s are heard at once"
        if withheld:
            return Estimate(withheld=withheld)
        levels = levels_of(np.clip(resampling.resample(sound, RATE).samples, -1.0, 1.0))[np.newaxis, np.newaxis]
        given = [
            float(np.ravel(self._session.run(None, {"degraded_audio": levels, "rater_embed": who})[0])[0])
            for who in self._listeners
        ]
        return Estimate((Rating(_SCALE, float(np.mean(given))),), remarks(sound))

    def close(self) -> None:
        self._session = None


def levels_of(samples: Samples) -> NDArray[np.float32]:
    """Natural logarithms of the power in 257 bins every 16 ms, divided by 20: shape (frames, 257).

    The first frame ends with the first half step, the last begins before the end of the sound, as in the published script.
    """
    before = _POINTS - _STEP
    count = -(-(len(samples) + before) // _STEP)
    padded = np.zeros((count - 1) * _STEP + _POINTS)
    padded[before : before + len(samples)] = samples
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(_POINTS) / _POINTS)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _POINTS)[::_STEP]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    heard = power > 0
    if not heard.any():
        return np.full(power.shape, _SILENT / 10 * np.log(10) / 20, np.float32)
    floor = np.log(power[heard].min()) - _BELOW / 10 * np.log(10)
    levels = np.full(power.shape, floor)
    levels[heard] = np.log(power[heard])
    return (levels / 20).astype(np.float32)


def model_file() -> Path:
    """The model inside the installed wheel, found without importing it."""
    found = importlib.util.find_spec("speechmos")
    if found is None or not found.submodule_search_locations:
        raise MissingDependency("speechmos", INSTALL)
    file = Path(found.submodule_search_locations[0]) / "plcmos_models" / "plcmos_v2.onnx"
    if not file.is_file():
        raise InputError(f"{file} is missing", f"install the package again: {INSTALL}")
    return file


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependency("onnxruntime", INSTALL) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
