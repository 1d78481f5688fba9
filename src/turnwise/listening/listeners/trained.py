"""A trained Qwen2-Audio as a listener: the ratings are the numbers that it writes in its description.

The model is that of the describer `trained`. It is asked for a description, and what that states is read by the rule of
`listening/rating_reading.py`: the overall rating, and any of the other four where a number is said of it. A text without a
rating, or with two that differ, gives none, with the reason; nothing stands in for it.

Options: `model`, the folder of a trained describer, or any whole Qwen2-Audio (a hub id with `revision`); `base`, the place of
the model under an adapter when it is not where training found it; `most_tokens` (256); `batch` (4 sounds at a time); `device`,
`dtype`.

Limits: sounds of up to 30 s. A number in a text has one decimal, so ratings come in steps of 0.1. Needs `pip install
"turnwise[train]"` for an adapter, else `turnwise[local]`, and the weights. Qwen2-Audio is Apache-2.0; ratings of the NISQA
corpus have terms of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.listening.rating_reading import read_rating, stated
from turnwise.listening.ratings import ASPECTS, Dimension, Ratings
from turnwise.listening.sound_check import objection, remarks, unrated
from turnwise.listening.sound_model import LONGEST, Answer, Answering, SoundModel, sound_model
from turnwise.speech.weights import placement

SOURCE = "trained describer"


def listener(
    model: str,
    revision: str = "main",
    base: str = "",
    most_tokens: int = 256,
    batch: int = 4,
    device: str = "auto",
    dtype: str = "auto",
) -> TrainedListener:
    if batch < 1:
        raise InputError(f"trained: batch is {batch}, expected at least 1")
    where = placement("trained", device, dtype)
    return TrainedListener(sound_model("trained", model, revision, base, 0.0, 1.0, most_tokens, where), batch)


class TrainedListener(msgspec.Struct, frozen=True):
    """The listener with its options settled."""

    place: ClassVar[Place] = "device"
    longest: ClassVar[float] = LONGEST

    model: SoundModel
    batch: int

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), **self.model.identity()}

    def open(self) -> TrainedListening:
        return TrainedListening(self.model.open(), self.batch)


class TrainedListening:
    """The listener with its weights loaded."""

    def __init__(self, answering: Answering, batch: int) -> None:
        self.batch = batch
        self._answering = answering

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        objections = [objection(sound) for sound in sounds]
        heard = [[sound] for sound, reason in zip(sounds, objections, strict=True) if not reason]
        answers = iter(self._answering.write_many("caption", heard, [0] * len(heard)) if heard else [])
        return [
            unrated(reason) if reason else as_ratings(next(answers), remarks(sound))
            for sound, reason in zip(sounds, objections, strict=True)
        ]

    def close(self) -> None:
        self._answering.close()


def as_ratings(answer: Answer, notes: tuple[str, ...] = ()) -> Ratings:
    """What a description states, as ratings; one without an end states nothing."""
    text = answer.text
    if not answer.whole:
        return unrated(f"the description ran into the limit of tokens: {text[:80]!r}", notes)
    values: dict[Dimension, float] = {}
    missing: dict[Dimension, str] = {}
    read = read_rating(text)
    if read.value is None:
        missing["mos"] = f"{read.reason} in {text[:80]!r}"
    else:
        values["mos"] = read.value
    numbers = stated(text)
    for aspect in ASPECTS:
        said = {number.value for number in numbers if number.of == aspect}
        if len(said) == 1:
            values[aspect] = said.pop()
        else:
            missing[aspect] = "ambiguous" if said else "the description states no number for it"
    return Ratings(
        mos=values.get("mos"),
        noi=values.get("noi"),
        col=values.get("col"),
        dis=values.get("dis"),
        loud=values.get("loud"),
        sources=dict.fromkeys(values, SOURCE),
        missing=missing,
        notes=notes,
    )
