"""Engines that speak and engines that hear, and what they are given.

Building an engine costs nothing; `open` may load weights; `close` may be called twice. An engine runs in one process and
one thread at a time: concurrency is the study's business. An engine that waits for a server declares `place = "driver"` and has
`reach` instead of `open`; it is then used by many at once on one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from turnwise.endpoints.remote import Remote
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


class Said(msgspec.Struct, frozen=True):
    """An earlier utterance of the same voice."""

    text: str
    sound: Sound


class Utterance(msgspec.Struct, frozen=True):
    """What is to be spoken, and for a voice that keeps its own thread what it has spoken before."""

    text: str
    seed: int
    before: tuple[Said, ...] = ()
    dialogue: str = ""  # id and place in the dialogue of a user's turn, for voices that declare `by_turn`
    position: int = -1


class Speaking(Protocol):
    """An opened synthesizer."""

    def speak(self, text: str, *, seed: int) -> Sound: ...

    def close(self) -> None: ...


@runtime_checkable
class SpeakingMany(Protocol):
    """An opened synthesizer that speaks several utterances at once, or goes on from what it has spoken before."""

    batch: int  # utterances it takes at a time

    def speak_many(self, utterances: Sequence[Utterance]) -> Sequence[Sound]: ...

    def close(self) -> None: ...


class RemoteSpeaking(Protocol):
    """A synthesizer behind a server."""

    async def speak(self, utterance: Utterance) -> Sound: ...

    async def close(self) -> None: ...


class Synthesizer(Protocol):
    """A voice that can be opened.

    Further attributes, where it has them: `place`, and `remembers`, the number of its own earlier utterances of the dialogue it
    wants to be given with each new one, so that the voice does not drift. One whose sounds belong to turns, such as recordings,
    declares `by_turn`. Both kinds have `speak_many`.
    """

    def identity(self) -> Mapping[str, str]:
        """Versions of what shapes the sound: packages, data, weights."""
        ...

    def open(self) -> Speaking: ...


class RemoteSynthesizer(Protocol):
    """A voice behind a server: `place` is "driver"."""

    def identity(self) -> Mapping[str, str]: ...

    def reach(self, remote: Remote) -> RemoteSpeaking: ...


class Hearing(Protocol):
    """An opened recogniser."""

    def hear(self, sound: Sound, *, dialogue: str, seed: int) -> Heard:
        """`dialogue` is the id of the dialogue the sound belongs to, to be left out of any adapted model."""
        ...

    def close(self) -> None: ...


class Listening(msgspec.Struct, frozen=True):
    """What is to be heard."""

    sound: Sound
    dialogue: str
    seed: int


@runtime_checkable
class HearingMany(Protocol):
    """An opened recogniser that hears several sounds at once."""

    batch: int

    def hear_many(self, sounds: Sequence[Listening]) -> Sequence[Heard]: ...

    def close(self) -> None: ...


class RemoteHearing(Protocol):
    """A recogniser behind a server."""

    async def hear(self, listening: Listening) -> Heard: ...

    async def close(self) -> None: ...


class RemoteRecognizer(Protocol):
    """A recogniser behind a server: `place` is "driver"."""

    adapts: bool

    def identity(self) -> Mapping[str, str]: ...

    def reach(self, remote: Remote) -> RemoteHearing: ...


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


def speaking_key(
    identity: str, text: str, seed: int | None, before: Sequence[tuple[str, str]] = (), dialogue: str = "", position: int = -1
) -> str:
    """Name of one utterance of a voice, after earlier ones (text and clip) where it remembers, at its place where that counts.

    Without a seed of its own an utterance draws its seed from this name.
    """
    earlier = fingerprint(*(part for one in before for part in one)) if before else ""
    return fingerprint("speak", identity, text, seed, earlier, dialogue, position)


SYNTHESIZERS = Catalog("synthesizer", "turnwise.speech.engines", "turnwise.engines")
RECOGNIZERS = Catalog("recognizer", "turnwise.speech.engines", "turnwise.engines")
