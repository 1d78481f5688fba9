"""A voice print: what a few seconds of speech say of who speaks, as numbers that can be compared.

The print is the mean of twelve cepstral coefficients of the telephone band over the louder frames, and the median pitch. Both are
narrow-band by design, so that a telephone line does not turn one speaker into two; by the same design a change of bandwidth,
or of anything outside 300 to 3400 Hz, is not seen. Words matter a little, so a comparison wants a second or more of speech.

Two prints are as far apart as their difference is large beside the differences that other words make in one voice; the
covariance of those, and the logistic curve from distance to likeness, are in voice_space.json. They were fitted to synthetic
voices by `python benchmarks/voice_consistency.py --write`, which also measures the errors on voices it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation import resampling
from turnwise.foundation.audio import Samples, Sound
from turnwise.foundation.errors import EngineError, MissingDependency
from turnwise.foundation.fingerprint import file_digest, source_digest
from turnwise.quality.estimator import FAINTEST, code_of

INSTALL = 'pip install "turnwise[embedded]"'

RATE = 16000  # samples per second of the analysis
LOW, HIGH = 300.0, 3400.0  # Hz, what a telephone passes
_BANDS = 23
_CEPSTRA = 12  # without the zeroth, which is level
_LOUD = 15.0  # dB below the 95th percentile of frame energy: voiced speech, and 20 dB noise stays out
_LEAST = 30  # frames of 10 ms that must be loud

_PITCH_LOW, _PITCH_HIGH = 60.0, 400.0  # Hz
_FRAME, _STEP = 640, 160  # samples, 40 and 10 ms: two and a half periods of the lowest pitch
_VOICED = 0.5  # least height of the normalised autocorrelation peak
_NEAR_BEST = 0.9  # of the highest peak: the shortest lag as high as that wins, against octaves down


class VoicePrint(msgspec.Struct, frozen=True):
    """Who spoke, in numbers; or why it cannot be said."""

    cepstra: tuple[float, ...] = ()  # means over loud frames, coefficients 1 to 12
    pitch: float | None = None  # Hz, median over voiced frames; None where no frame is voiced
    seconds: float = 0.0  # of loud frames
    withheld: str = ""


class VoiceSpace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How differences of prints are measured: fitted once, kept beside this file."""

    voices: tuple[str, ...]  # it was fitted to
    whitening: tuple[tuple[float, ...], ...]  # 13 x 13: twelve cepstra, then log2 of the pitch in Hz
    slope: float  # of the logistic curve, per unit of the natural logarithm of distance
    middle: float  # the distance at which the same and another voice are equally likely


_SPACE = Path(__file__).with_name("voice_space.json")


def identity() -> Mapping[str, str]:
    """Versions of everything that shapes a print or a comparison."""
    try:
        fbank = version("kaldi-native-fbank")
    except PackageNotFoundError:
        raise MissingDependency("kaldi-native-fbank", INSTALL) from None
    return {
        "kaldi-native-fbank": fbank,
        "soxr": version("soxr"),
        "voice print": source_digest(Path(__file__)),
        "voice space": file_digest(_SPACE),
        "code": code_of(resampling),
    }


@cache
def voice_space() -> VoiceSpace:
    return msgspec.json.decode(_SPACE.read_bytes(), type=VoiceSpace)


def distance(one: VoicePrint, other: VoicePrint) -> float:
    """Root mean square of the whitened difference: about 1.4 for two sentences in one voice.

    A pitch that either print lacks is not compared.
    """
    return float(np.sqrt(np.mean((np.array(voice_space().whitening) @ _difference(one, other)) ** 2)))


def likeness(apart: float) -> float:
    """0 to 100 from a distance: the percentage of cases with this distance that are one voice, of as many pairs of each kind."""
    space = voice_space()
    return 100.0 / (1.0 + float((apart / space.middle) ** space.slope))


def merged(prints: Sequence[VoicePrint]) -> VoicePrint:
    """One print of several sounds of a voice, each weighed by its seconds of speech."""
    weights = np.array([p.seconds for p in prints])
    cepstra = np.average([p.cepstra for p in prints], axis=0, weights=weights)
    pitched = [(p.pitch, p.seconds) for p in prints if p.pitch is not None]
    pitch = None
    if pitched:
        pitch = float(2.0 ** np.average([np.log2(hertz) for hertz, _ in pitched], weights=[seconds for _, seconds in pitched]))
    return VoicePrint(tuple(float(v) for v in cepstra), pitch, float(weights.sum()))


def _difference(one: VoicePrint, other: VoicePrint) -> NDArray[np.float64]:
    for given in (one, other):
        if given.withheld:
            raise ValueError(f"a print that was withheld cannot be compared: {given.withheld}")
    pitch = 0.0 if one.pitch is None or other.pitch is None else float(np.log2(one.pitch / other.pitch))
    return np.append(np.array(one.cepstra) - np.array(other.cepstra), pitch)


def voice_print(sound: Sound) -> VoicePrint:
    """The print of one sound, withheld where less than 0.3 s of it is loud enough."""
    samples = _prepared(sound)
    if len(samples) < _FRAME:
        return VoicePrint(withheld=f"too short: {sound.seconds:.2f} s of sound")
    if np.abs(samples).max() < FAINTEST:
        return VoicePrint(withheld="silent")
    cepstra = _cepstra(samples)
    level = _frame_levels(samples, len(cepstra))
    loud = level > np.percentile(level, 95) - _LOUD
    if loud.sum() < _LEAST:
        return VoicePrint(withheld=f"too little speech: {loud.sum() / 100:.2f} s of it loud")
    tracked = pitch_track(samples)[: len(loud)]
    voiced = tracked[loud[: len(tracked)] & (tracked > 0)]
    pitch = float(np.median(voiced)) if len(voiced) else None
    return VoicePrint(tuple(float(v) for v in cepstra[loud].mean(axis=0)), pitch, float(loud.sum()) / 100)


def pitch_track(samples: Samples) -> NDArray[np.float64]:
    """Pitch in Hz every 10 ms of sound at 16 kHz, 0 where unvoiced: the autocorrelation of a Hann window's frame over that of
    the window itself, its first high peak refined by a parabola."""
    if len(samples) < _FRAME:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_STEP]
    window = np.hanning(_FRAME + 2)[1:-1].astype(np.float32)
    longest = int(RATE / _PITCH_LOW) + 2
    shape = _autocorrelation(window[np.newaxis], longest)
    own = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window, longest)
    with np.errstate(invalid="ignore", divide="ignore"):
        height = np.where(own[:, :1] > 0, own / own[:, :1], 0.0) / (shape / shape[:, :1])
    height[:, : int(RATE / _PITCH_HIGH)] = 0.0
    inner = height[:, 1:-1]
    peaks = np.where((inner > height[:, :-2]) & (inner >= height[:, 2:]), inner, 0.0)
    best = peaks.max(axis=1)
    lag = np.argmax(peaks >= _NEAR_BEST * best[:, None], axis=1) + 1
    rows = np.arange(len(height))
    left, middle, right = height[rows, lag - 1], height[rows, lag], height[rows, lag + 1]
    bend = left - 2 * middle + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    return np.where(best >= _VOICED, RATE / (lag + shift), 0.0)


def _autocorrelation(frames: NDArray[np.float32], lags: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(frames, 1024, axis=1)  # at least frame + longest lag, so that nothing wraps around
    return np.fft.irfft(spectrum.real**2 + spectrum.imag**2, 1024, axis=1)[:, :lags].astype(np.float64)


def _prepared(sound: Sound) -> Samples:
    if not np.isfinite(sound.samples).all():
        raise EngineError("broken-audio", "the sound has samples that are not finite numbers")
    return resampling.resample(sound, RATE).samples


def _cepstra(samples: Samples) -> NDArray[np.float64]:
    try:
        import kaldi_native_fbank
    except ImportError:
        raise MissingDependency("kaldi-native-fbank", INSTALL) from None
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = _BANDS
    options.mel_opts.low_freq = LOW
    options.mel_opts.high_freq = HIGH
    options.num_ceps = _CEPSTRA + 1
    options.use_energy = False
    computer = kaldi_native_fbank.OnlineMfcc(options)
    computer.accept_waveform(RATE, (samples * 32768.0).tolist())
    computer.input_finished()
    return np.array([computer.get_frame(i) for i in range(computer.num_frames_ready)], np.float64)[:, 1:]


def _frame_levels(samples: Samples, count: int) -> NDArray[np.float64]:
    """dB of the same 25 ms frames, every 10 ms, as the cepstra."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160][:count]
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
    return levels
