"""Training items as JSON lines: what a model is shown, what it is to answer, and on which side of the line it stands.

An item is a caption of one sound or a comparison of two, with the ratings its answer was made from. Which items are for training
and which are held out is decided by the origin of their sounds (the clean recording they were made from), with a seed: all that
was made from one recording is on one side. `held_apart` refuses items that are not: a validation that has heard the training's
recordings measures memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import fingerprint, seed_of
from turnwise.listening.ratings import Ratings
from turnwise.listening.sound_questions import SOUNDS, Kind
from turnwise.training.growing_file import read_lines

Split = Literal["train", "validation"]


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One item; sounds, origins and ratings go together one by one."""

    id: str
    kind: Kind
    split: Split
    sounds: tuple[str, ...]  # paths; relative ones start at the folder of the file
    origins: tuple[str, ...]
    ratings: tuple[Ratings, ...]
    question: str
    answer: str
    variant: str = ""  # of the sampling that the answer was written with
    writer: str = ""  # fingerprint of the describer that wrote it

    def __post_init__(self) -> None:
        expected = SOUNDS[self.kind]
        if not len(self.sounds) == len(self.origins) == len(self.ratings) == expected:
            raise ValueError(f"{self.id}: a {self.kind} has {expected} sounds, origins and ratings")
        if not self.answer.strip():
            raise ValueError(f"{self.id}: the answer is empty")


def read_examples(path: Path) -> tuple[Example, ...]:
    """The items of a file, with paths as they can be opened; ids are there once, and the two sides are apart."""
    folder = path.resolve().parent
    seen: set[str] = set()
    found = []
    for example in read_lines(path, Example):
        if example.id in seen:
            raise InputError(f"{path}: the id {example.id!r} is there twice")
        seen.add(example.id)
        found.append(msgspec.structs.replace(example, sounds=tuple(str(folder / sound) for sound in example.sounds)))
    held_apart(found, str(path))
    return tuple(found)


def of_split(examples: Iterable[Example], split: Split) -> tuple[Example, ...]:
    return tuple(example for example in examples if example.split == split)


class Sided(Protocol):
    """What stands on one side, with its sounds and what they were made from."""

    @property
    def split(self) -> Split: ...
    @property
    def sounds(self) -> tuple[str, ...]: ...
    @property
    def origins(self) -> tuple[str, ...]: ...


def held_apart(examples: Iterable[Sided], what: str) -> None:
    """InputError where a sound, or what it was made from, is both trained on and held out."""
    sides: dict[Split, set[tuple[str, str]]] = {"train": set(), "validation": set()}
    for example in examples:
        sides[example.split] |= {("sound", sound) for sound in example.sounds}
        sides[example.split] |= {("recording", origin) for origin in example.origins}
    common = sorted(sides["train"] & sides["validation"])
    if common:
        kind, name = common[0]
        raise InputError(
            f"{what}: {len(common)} sounds or recordings are both trained on and held out, among them the {kind} {name}",
            "a validation on what was trained shows nothing: split by recording",
        )


def split_of(origin: str, *, share: float, seed: int) -> Split:
    """The side of everything made from one recording: held out with the probability `share`.

    It depends on the name and the seed alone, so that a corpus may grow and no recording changes sides.
    """
    return "validation" if seed_of("split", seed, origin) / 2.0**63 < share else "train"


def data_digest(examples: Sequence[Example]) -> str:
    """Name of what a training sees; where the files lie does not count, their names do."""
    encode = msgspec.json.Encoder(order="deterministic").encode
    lines = []
    for example in examples:
        names = tuple(Path(sound).name for sound in example.sounds)
        lines.append(encode(msgspec.structs.replace(example, sounds=names)).decode())
    return fingerprint(*lines)
