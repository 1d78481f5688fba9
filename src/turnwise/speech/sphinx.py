"""The PocketSphinx decoder: how it is built, and how a sound is made ready for it.

It was made for people in rooms. Synthetic speech has pauses of digital zeros, whose cepstra spoil the mean that is subtracted
from all frames; so every sound is brought to one level and laid over soft noise, the same noise every time. Ears fitted to
eSpeak are fitted and used with noise 40 dB below the speech (errors of the unfitted model on eSpeak f2: 56.6 % of the words
without noise, 49.6 % with it); for people it is 80 dB below, since more makes a poor recording worse (32 % became 77 %).
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, MissingDependency
from turnwise.foundation.resampling import resample
from turnwise.speech.level import active_power

INSTALL = 'pip install "turnwise[embedded]"'
RATE = 16000  # samples per second
SHORTEST = 0.1  # seconds; no word is shorter
LEVEL = 0.1  # root mean square of the speech after scaling: -20 dBFS
FLOOR, FITTED_FLOOR = -80.0, -40.0  # dB of the added noise against the speech: for people, for fitted ears
EDGE = 0.15  # seconds of noise before and after
LOG_BASE = 1.0001  # of the numbers the package gives for probabilities


def prepare(sound: Sound, floor: float = FLOOR) -> bytes:
    """16-bit samples at 16 kHz as the decoder wants them; empty when there is nothing to hear."""
    if not np.isfinite(sound.samples).all():
        raise EngineError("broken-audio", "the sound has samples that are not finite numbers")
    power = active_power(sound)
    if sound.seconds < SHORTEST or power == 0.0:
        return b""
    samples = resample(sound, RATE).samples.astype(np.float64) * (LEVEL / power**0.5)
    edge = np.zeros(round(EDGE * RATE))
    padded = np.concatenate([edge, samples, edge])
    padded += LEVEL * 10 ** (floor / 20) * _noise(len(padded))
    padded /= max(1.0, np.abs(padded).max() / 0.99)
    return bytes(np.rint(padded * 32767).astype("<i2").data)


def decode(decoder: Any, pcm: bytes) -> str:
    """The words in one utterance; what the decoder heard before makes no difference."""
    if not pcm:
        return ""
    listen(decoder, pcm)
    found = decoder.hyp()
    return str(found.hypstr).strip() if found else ""


def listen(decoder: Any, pcm: bytes) -> None:
    """Let the decoder's active search run over one utterance."""
    try:
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
    except RuntimeError as error:
        raise EngineError("decode", f"PocketSphinx failed: {error}") from error


def make_decoder(**options: Any) -> Any:
    """A decoder with the settings that served best; it writes no log."""
    sphinx = _package()
    # cmn=batch: the mean of the whole utterance, so that nothing is carried over. No second pass over the flat lexicon: it took
    # a third of the time and made synthetic speech worse.
    return sphinx.Decoder(**{"cmn": "batch", "fwdflat": False, "loglevel": "FATAL", **options})


def model_folder() -> Path:
    """Where the package keeps its English model."""
    return Path(_package().get_model_path()) / "en-us"


@cache
def pronounced() -> frozenset[str]:
    """Every word in the package's dictionary."""
    return frozenset(_word(line) for line in _pronunciations())


def dictionary(words: Container[str]) -> str:
    """The part of the package's dictionary with these words, as text: a smaller one is searched faster."""
    return "".join(f"{line}\n" for line in _pronunciations() if _word(line) in words)


def general_words(count: int) -> dict[str, float]:
    """The commonest words of general English with their probabilities, in falling order."""
    sphinx = _package()
    decoder = make_decoder(lm=None)
    model = sphinx.NGramModel(decoder.config, decoder.logmath, str(model_folder() / "en-us.lm.bin"))
    logs = {word: model.prob([word]) for word in sorted(pronounced())}
    known = {word: LOG_BASE**log for word, log in logs.items() if log > -(10**8)}  # less means: not in the model
    return dict(sorted(known.items(), key=lambda entry: (-entry[1], entry[0]))[:count])


def _pronunciations() -> list[str]:
    lines = (model_folder() / "cmudict-en-us.dict").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip()]


def _word(line: str) -> str:
    return line.split(maxsplit=1)[0].partition("(")[0]  # second pronunciations are written word(2)


def _noise(length: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).standard_normal(length)


def _package() -> Any:
    try:
        import pocketsphinx
    except ImportError:
        raise MissingDependency("pocketsphinx", INSTALL) from None
    return pocketsphinx
