"""Engines that speak and engines that hear, and what they are given.

Building an engine costs nothing; `open` may load weights; `close` may be called twice. An engine runs in one process and
one thread at a time: concurrency is the study's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.fingerprint import fingerprint


class Passage(msgspec.Struct, frozen=True):
    """A sentence of the domain and the dialogue it belongs to ("" when to none)."""

    dialogue: str
    text: str


class Material(msgspec.Struct, frozen=True):
    """Text of the domain, for engines that adapt to it; each heard dialogue is left out of its own model."""

    passages: tuple[Passage, ...] = ()
    digest: str = ""  # fingerprint of the passages


class Heard(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a recogniser understood."""

    text: str
    note: str = ""  # e.g. "language model of the corpus, this dialogue left out"


class Speaking(Protocol):
    """An opened synthesizer."""

    def speak(self, text: str, *, seed: int) -> Sound: ...

    def close(self) -> None: ...


class Synthesizer(Protocol):
    """A voice that can be opened."""

    def identity(self) -> Mapping[str, str]:
        """Versions of what shapes the sound: packages, data, weights."""
        ...

    def open(self) -> Speaking: ...


class Hearing(Protocol):
    """An opened recogniser."""

    def hear(self, sound: Sound, *, dialogue: str, seed: int) -> Heard:
        """`dialogue` is the id of the dialogue the sound belongs to, to be left out of any adapted model."""
        ...

    def close(self) -> None: ...


class Recognizer(Protocol):
    """A recogniser that can be opened.

    A further attribute `remark`, where it has one, is what a reader of its results must know; it goes into the report's notes.
    """

    adapts: bool  # whether `material` changes what it hears

    def identity(self) -> Mapping[str, str]: ...

    def open(self, material: Material) -> Hearing: ...


def hearing_key(identity: str, adapts: bool, material: str, dialogue: str, clip: str) -> str:
    """Name of one hearing of a clip; whoever hears it through the same ears shares the result.

    Only a recogniser that adapts hears a clip differently in another dialogue or with other material. The seed of a hearing is
    drawn from this name.
    """
    return fingerprint("hear", identity, material if adapts else "", dialogue if adapts else "", clip)


SYNTHESIZERS = Catalog("synthesizer", "turnwise.speech.engines", "turnwise.engines")
RECOGNIZERS = Catalog("recognizer", "turnwise.speech.engines", "turnwise.engines")
