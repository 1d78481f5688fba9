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
from turnwise.foundation.fingerprint import file_digest, fingerprint, seed_of
from turnwise.listening.ratings import DIMENSIONS, Ratings
from turnwise.listening.sound_questions import SOUNDS, Kind
from turnwise.training.growing_file import read_lines

Split = Literal["train", "validation"]
LOWEST, HIGHEST = 1.0, 5.0


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
        for one in self.ratings:
            for dimension in DIMENSIONS:
                value = one.value(dimension)
                if value is not None and not LOWEST <= value <= HIGHEST:
                    raise ValueError(f"{self.id}: {dimension} is {value:g}, expected a rating of 1 to 5")


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


def begun_elsewhere(path: Path) -> None:
    """InputError where a file of examples would take the place of a file of something else."""
    if path.suffix != ".jsonl":
        raise InputError(f"data.examples: {path} is to be written as JSON lines", "give it a name that ends in .jsonl")
    try:
        if path.exists():
            with path.open("rb") as file:
                first = file.readline()
            if first.strip():
                msgspec.json.decode(first, type=Example)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is there and no file of examples: {error}", "give data.examples another name") from error


def copies_apart(examples: Iterable[Example], what: str) -> None:
    """InputError where one side holds a copy of a file of the other under another name. Only files of equal size are read."""
    sides: dict[Split, dict[int, set[str]]] = {"train": {}, "validation": {}}
    for example in examples:
        for sound in example.sounds:
            sides[example.split].setdefault(Path(sound).stat().st_size, set()).add(sound)
    for size in sorted(sides["train"].keys() & sides["validation"].keys()):
        trained = {file_digest(Path(sound)): sound for sound in sorted(sides["train"][size])}
        for sound in sorted(sides["validation"][size]):
            if (other := trained.get(file_digest(Path(sound)))) is not None:
                raise InputError(
                    f"{what}: {sound}, held out, is the same file as {other}, trained on",
                    "a validation on what was trained shows nothing: split by recording",
                )


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
