"""DNSMOS: overall quality, signal, background and noise suppression ratings without a reference, 1 to 5.

Four ratings of wide-band speech as listeners of noise-suppression contests gave them: `mos` (the P.808 model, overall
quality), and `ovrl`, `sig`, `bak` (the P.835 model: overall, the speech itself, the background). The models are
Microsoft's, taken from the wheel `speechmos`; the runner is ours and needs neither librosa nor the rest of that package.

The models hear windows of 9.01 s at 16 kHz. A shorter turn is repeated until it fills one window, as the published script
does; then `windows="one"` (default) rates that window alone, `windows="all"` also rates the further windows of the repeated
sound, as the script does, which costs up to nine times as much and moves a rating by a few hundredths. A longer turn is
rated in windows one second apart and the ratings are averaged; the shipped script loses the windows that start at 7 to 23 s
to rounding, this one does not. `ratings="mos"` leaves out the P.835 model, which is about 95 % of the work. `threads` are
those of one model call.

What it can hear: noise (`bak`, `mos`), packets lost by the fifth (`sig`, `ovrl`), a telephone band and clipping (`mos` only).
What it cannot: 5 % of packets lost pass almost unseen, `sig` rises with a little noise, level counts little and on the wrong
scales. It was trained on noisy human speech: clean synthetic voices rate 2.3 to 3.3 `ovrl` and differ by voice, so compare
within a voice. Nothing here says whether the words were right. Measured figures: docs/sound.md. A sound shorter than 0.3 s
or without a sample above -60 dBFS gets no rating.

Licence: code and models of `speechmos` are MIT; onnxruntime is MIT.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import lru_cache
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

RATE = 16000  # samples per second the models were trained on
WINDOW = 144160  # samples, 9.01 s: the fixed input of the P.835 model
_HOP = RATE  # samples between windows of a long turn
_TAIL = 160  # samples at the end of a window that the P.808 model is not given
_FFT = 321  # points; frames overlap by half, 10 ms apart
_STEP = 160
_BANDS = 120
_DYNAMIC = 80.0  # dB below the loudest cell at which the mel spectrogram is cut off
_POWER_FLOOR = 1e-10

# Published mapping of the P.835 model's raw outputs to opinion scores: quadratic, highest power first.
_SIG = (-0.08397278, 1.22083953, 0.0052439)
_BAK = (-0.13166888, 1.60915514, -0.39604546)
_OVRL = (-0.06766283, 1.11546468, 0.04602535)

_SCALES = tuple(Scale(name, "MOS 1-5", "higher", 1.0, 5.0) for name in ("mos", "ovrl", "sig", "bak"))


def estimator(windows: str = "one", ratings: str = "all", threads: int = 1) -> Dnsmos:
    if windows not in ("one", "all"):
        raise InputError(f"dnsmos: windows is {windows!r}, expected 'one' or 'all'")
    if ratings not in ("all", "mos"):
        raise InputError(f"dnsmos: ratings is {ratings!r}, expected 'all' or 'mos'")
    if threads < 1:
        raise InputError(f"dnsmos: threads is {threads}, expected at least 1")
    return Dnsmos(windows, ratings, threads)


class Dnsmos(msgspec.Struct, frozen=True):
    """The two models of `speechmos`, not yet loaded."""

    windows: str  # "one" or "all"
    ratings: str  # "all" or "mos"
    threads: int

    @property
    def scales(self) -> tuple[Scale, ...]:
        return _SCALES if self.ratings == "all" else _SCALES[:1]

    def identity(self) -> Mapping[str, str]:
        overall, parts = model_files()
        try:
            return {
                "speechmos": version("speechmos"),
                "onnxruntime": version("onnxruntime"),
                "soxr": version("soxr"),
                "code": code_of(resampling),
                "P.808 model": file_digest(overall),
                "P.835 model": file_digest(parts),
            }
        except PackageNotFoundError as error:
            raise MissingDependency(error.name or "onnxruntime", INSTALL) from None

    def open(self) -> Rater:
        overall, parts = model_files()
        wanted = self.ratings == "all"
        return DnsmosRater(self, session(overall, self.threads), session(parts, self.threads) if wanted else None)


class DnsmosRater:
    """Both models loaded; one sound at a time."""

    def __init__(self, made: Dnsmos, overall: Any, parts: Any | None) -> None:
        self._made = made
        self._overall = overall
        self._parts = parts

    def rate(self, sound: Sound) -> Estimate:
        withheld = objection(sound)
        if withheld:
            return Estimate(withheld=withheld)
        pieces = windows(at_model_rate(sound), self._made.windows)
        # One call per window: a batch takes as long as its windows one by one and holds 75 MB more for each.
        columns = np.array([self._window(piece) for piece in pieces], np.float64)
        means = columns.mean(axis=0)
        rated = tuple(Rating(scale, float(value)) for scale, value in zip(self._made.scales, means, strict=True))
        return Estimate(rated, remarks(sound))

    def close(self) -> None:
        self._overall = self._parts = None

    def _window(self, piece: Samples) -> tuple[float, ...]:
        mos = float(self._overall.run(None, {"input_1": mel_levels(piece[:-_TAIL])[np.newaxis]})[0][0, 0])
        if self._parts is None:
            return (mos,)
        sig, bak, ovrl = self._parts.run(None, {"input_1": piece[np.newaxis]})[0][0].astype(np.float64)
        return mos, float(np.polyval(_OVRL, ovrl)), float(np.polyval(_SIG, sig)), float(np.polyval(_BAK, bak))


def model_files() -> tuple[Path, Path]:
    """The P.808 and the P.835 model inside the installed wheel, found without importing it."""
    found = importlib.util.find_spec("speechmos")
    if found is None or not found.submodule_search_locations:
        raise MissingDependency("speechmos", INSTALL)
    folder = Path(found.submodule_search_locations[0]) / "dnsmos_models"
    files = folder / "model_v8.onnx", folder / "sig_bak_ovr.onnx"
    for file in files:
        if not file.is_file():
            raise InputError(f"{file} is missing", f"install the package again: {INSTALL}")
    return files


def at_model_rate(sound: Sound) -> Samples:
    """The samples at 16 kHz, within full scale."""
    return np.clip(resampling.resample(sound, RATE).samples, -1.0, 1.0)


def windows(samples: Samples, which: str) -> list[Samples]:
    """The windows to be rated.

    The published script doubles a short sound until it is long enough and takes a window at every full second that leaves
    9.01 s, counted in full seconds; the count is kept, the starts are whole samples.
    """
    whole = samples
    while len(whole) < WINDOW:
        whole = np.concatenate((whole, whole))
    if which == "one" and len(samples) <= WINDOW:
        return [whole[:WINDOW]]
    count = max(len(whole) // RATE - 10, 0) + 1
    return [whole[start : start + WINDOW] for start in range(0, count * _HOP, _HOP)]


def mel_levels(samples: Samples) -> NDArray[np.float32]:
    """Levels of 120 mel bands every 10 ms, in units of 40 dB around -40 dB below the loudest cell: shape (frames, 120)."""
    padded = np.pad(samples, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_STEP]
    window, bands = _tables()
    spectrum = np.fft.rfft(frames * window, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ bands
    levels = 10.0 * np.log10(np.maximum(power, _POWER_FLOOR))
    levels -= levels.max()
    scaled: NDArray[np.float32] = ((np.maximum(levels, -_DYNAMIC) + 40.0) / 40.0).astype(np.float32)
    return scaled


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The Hann window, and the triangles of the mel bands, each of unit area in Hz: shape (161, 120)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
    edges = _hertz(np.linspace(_mel(0.0), _mel(RATE / 2), _BANDS + 2))
    bins = np.arange(_FFT // 2 + 1) * (RATE / _FFT)
    rising = (bins[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - bins[:, None]) / np.diff(edges)[None, 1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return window.astype(np.float32), triangles.astype(np.float32)


# Slaney's mel scale: linear to 1 kHz, 200/3 Hz a step, then 27 steps for a factor of 6.4.
_BREAK = 1000.0
_LINEAR = 200.0 / 3
_LOG = float(np.log(6.4) / 27)


def _mel(hertz: float) -> float:
    if hertz < _BREAK:
        return hertz / _LINEAR
    return float(_BREAK / _LINEAR + np.log(hertz / _BREAK) / _LOG)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    high = mel >= _BREAK / _LINEAR
    return np.where(high, _BREAK * np.exp(_LOG * (np.where(high, mel, 0.0) - _BREAK / _LINEAR)), mel * _LINEAR)


def session(path: Path, threads: int) -> Any:
    """A model loaded for calls from one thread that may use `threads` of its own."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependency("onnxruntime", INSTALL) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
