"""A trained Qwen2-Audio that listens: describes the quality of a sound, or compares two, by hearing alone.

What `turnwise train describer` makes (docs/training.md), by supervised fine-tuning on descriptions of rated speech and by ALLD,
the preference objective whose reference reads the ratings. It is given the sound and never sees a rating; those of the caller
are not looked at. What it writes is its own opinion: `listening/faithfulness.py` checks it against ratings where there are some.

Options: `model`, the folder of a trained describer, or any whole Qwen2-Audio (a hub id with `revision`); `base`, the place of the
model under an adapter when it is not where training found it; `temperature` (0: the likeliest words) and `top_p` (1.0);
`most_tokens` (256), beyond which an answer is a fault; `batch` (4 sounds at a time); `device`, `dtype`.

Limits: sounds of up to 30 s, which is what Qwen2-Audio hears. Needs `pip install "turnwise[train]"` for an adapter, else
`turnwise[local]`, and the weights. Qwen2-Audio is Apache-2.0; ratings of the NISQA corpus have terms of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.listening.ratings import Ratings
from turnwise.listening.sound_model import Answering, SoundModel, sound_model
from turnwise.speech.weights import placement


def describer(
    model: str,
    revision: str = "main",
    base: str = "",
    temperature: float = 0.0,
    top_p: float = 1.0,
    most_tokens: int = 256,
    batch: int = 4,
    device: str = "auto",
    dtype: str = "auto",
) -> TrainedDescriber:
    if batch < 1:
        raise InputError(f"trained: batch is {batch}, expected at least 1")
    where = placement("trained", device, dtype)
    return TrainedDescriber(sound_model("trained", model, revision, base, temperature, top_p, most_tokens, where), batch)


class TrainedDescriber(msgspec.Struct, frozen=True):
    """The describer with its options settled."""

    model: SoundModel
    batch: int
    listens: bool = True

    @property
    def place(self) -> Place:
        return "device"

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), **self.model.identity()}

    def open(self) -> TrainedDescribing:
        return TrainedDescribing(self.model.open(), self.batch)


class TrainedDescribing:
    """The describer with its weights loaded."""

    def __init__(self, answering: Answering, batch: int) -> None:
        self.batch = batch
        self._answering = answering

    def describe(self, ratings: Ratings | None, sound: Sound | None, *, seed: int) -> str:
        (told,) = self.describe_many([ratings], [sound], seeds=[seed])
        if isinstance(told, EngineError):
            raise told
        return told

    def describe_many(
        self, ratings: Sequence[Ratings | None], sounds: Sequence[Sound | None], *, seeds: Sequence[int]
    ) -> list[str | EngineError]:
        asked = [[sound] for sound in sounds if sound is not None]
        if len(asked) < len(sounds):
            raise EngineError("no-sound", "a describer that listens was given no sound")
        answers = self._answering.write_many("caption", asked, seeds)
        return [answer.text if answer.whole else self._answering.cut_short() for answer in answers]

    def compare(self, first: Ratings | None, second: Ratings | None, sounds: tuple[Sound, Sound] | None, *, seed: int) -> str:
        if sounds is None:
            raise EngineError("no-sound", "a describer that listens was given no sounds")
        return self._answering.answer_many("comparison", [sounds], [seed])[0]

    def close(self) -> None:
        self._answering.close()
