"""VITS: small voices of many languages that speak fast on a CPU (MMS-TTS and others, through transformers).

`facebook/mms-tts-eng` is one of more than a thousand voices of Meta's MMS, one per language; 16 kHz. Intonation and the lengths
of sounds are drawn from the utterance's seed: the same text and seed give the same sound.

Options: `model` is a folder or a hub id, with `revision`. `speaker` is the number of a voice, for models that have several (0).
`speaking_rate`, `noise_scale` and `noise_scale_duration` are the model's own where they are not given; smaller noise is flatter
speech. `numbers` (on) says numbers, money, percent and `&` in English words, which models of letters need; turn it off for other
languages. `device`.

Limits: a voice of letters knows no other signs. A letter with an accent that it does not know is said without the accent; any
other letter or digit that it does not know is an error "unspeakable", as it would be left out in silence. Punctuation is left
out by most of these voices. Always computes in float32. No past, no emotion.

Needs `pip install "turnwise[local]"` and the weights: `hf download facebook/mms-tts-eng`. Voices that read phonemes need
`pip install phonemizer` (GPL-3) and the program espeak-ng; those of other scripts may need `pip install uroman`. Licence of the
MMS weights: CC-BY-NC 4.0 (not for commerce).
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.foundation.plain_text import plain_text
from turnwise.speech.engine import Speaking
from turnwise.speech.spoken_words import spoken_words
from turnwise.speech.weights import Placement, at_work, find_weights, free_memory, load, load_reader, placement, seeded, versions

_ENDS = ".,;:!?"
_SIGNS = "$€£%&"


def synthesizer(
    model: str,
    revision: str = "main",
    speaker: int = 0,
    speaking_rate: float | None = None,
    noise_scale: float | None = None,
    noise_scale_duration: float | None = None,
    numbers: bool = True,
    device: str = "auto",
) -> Vits:
    if speaker < 0:
        raise InputError(f"vits: speaker is {speaker}, expected at least 0")
    if speaking_rate is not None and not 0.1 <= speaking_rate <= 10.0:
        raise InputError(f"vits: speaking_rate is {speaking_rate}, expected 0.1 to 10")
    for name, noise in (("noise_scale", noise_scale), ("noise_scale_duration", noise_scale_duration)):
        if noise is not None and not 0.0 <= noise <= 10.0:
            raise InputError(f"vits: {name} is {noise}, expected 0 to 10")
    settings = {"speaking_rate": speaking_rate, "noise_scale": noise_scale, "noise_scale_duration": noise_scale_duration}
    given = {name: value for name, value in settings.items() if value is not None}
    return Vits(model, revision, speaker, given, numbers, placement("vits", device, "float32"))


class Vits(msgspec.Struct, frozen=True):
    """The voice with its options settled."""

    model: str
    revision: str
    speaker: int
    settings: dict[str, float]  # of the network, where they are not its own
    numbers: bool
    placement: Placement

    @property
    def place(self) -> Place:
        return "device"

    def identity(self) -> Mapping[str, str]:
        return {
            "shared": lineage(__file__),
            **find_weights(self.model, self.revision).identity(),
            **self.placement.identity(),
            **versions("torch", "transformers"),
        }

    def open(self) -> Speaking:
        return VitsSpeaking(self)


class VitsSpeaking:
    """The voice with its weights loaded."""

    def __init__(self, vits: Vits) -> None:
        versions("torch", "transformers")
        from transformers import VitsModel, VitsTokenizer

        found = find_weights(vits.model, vits.revision)
        self._vits = vits
        self._reader: Any = load_reader(VitsTokenizer, found)
        for needed, package, how in (
            (self._reader.phonemize, "phonemizer", "pip install phonemizer, and the program: apt install espeak-ng"),
            (self._reader.is_uroman, "uroman", "pip install uroman"),
        ):
            if needed and importlib.util.find_spec(package) is None:
                raise MissingDependency(package, how)
        self._network = load(VitsModel, found, vits.placement)
        voices = self._network.config.num_speakers
        if vits.speaker >= max(1, voices):
            raise InputError(f"vits: speaker is {vits.speaker}, expected 0 to {max(1, voices) - 1} for {vits.model}")
        for name, value in vits.settings.items():
            setattr(self._network, name, value)

    def speak(self, text: str, *, seed: int) -> Sound:
        given = self._reader(self._readable(text), return_tensors="pt").to(self._network.device)
        with at_work(), seeded(seed):
            told = self._network(**given, speaker_id=self._vits.speaker if self._network.config.num_speakers > 1 else None)
        wave = told.waveform[0, : int(told.sequence_lengths[0])].float().cpu().numpy()
        if not len(wave):
            raise EngineError("empty-audio", f"no sound came of {text[:60]!r}")
        return Sound(np.ascontiguousarray(wave, dtype=np.float32), int(self._network.config.sampling_rate))

    def close(self) -> None:
        self._network = self._reader = None
        free_memory()

    def _readable(self, text: str) -> str:
        """The text in signs the voice knows; what it would leave out of the words is an error."""
        plain = plain_text(text)
        if self._vits.numbers:
            plain = " ".join(_worded(word) for word in plain.split())
        if not (self._reader.phonemize or self._reader.is_uroman):
            known = self._reader.get_vocab()
            plain = "".join(letter if {letter, letter.lower()} & known.keys() else _bare(letter) for letter in plain)
            lost = sorted({letter for letter in plain if letter.isalnum() and not {letter, letter.lower()} & known.keys()})
            if lost:
                raise EngineError("unspeakable", f"the voice has no sound for {' '.join(lost[:8])} in {text[:60]!r}")
        read, _ = self._reader.prepare_for_tokenization(plain)
        if not any(letter.isalnum() for letter in read):
            raise EngineError("empty-text", f"there is nothing to say in {text[:40]!r}")
        return plain


def _worded(word: str) -> str:
    """A word without digits and signs of money, percent or `and`; what ends a clause stays."""
    if not any(letter.isdigit() or letter in _SIGNS for letter in word):
        return word
    body = word.rstrip(_ENDS)
    return " ".join(spoken_words(body)) + word[len(body) :]


def _bare(letter: str) -> str:
    """A letter without its accents; anything else as it is."""
    if not letter.isalpha():
        return letter
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
