"""The model's own answers, which ALLD holds against the expert's: each training and held-out item answered once before the stage.

Every process answers its share and writes a file of its own (`own.<process>.jsonl`); all read all. What is there is not
answered again, whichever process did it. An answer that ran into the limit of tokens is kept as it is, without an end: a model
that does not come to an end is to learn not to. One that equals the expert's teaches nothing and is left out by `pairs`, and so
is one without a single token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.listening.sound_model import SoundModel
from turnwise.listening.sound_questions import SOUNDS, Kind
from turnwise.training.example_file import Example
from turnwise.training.rank_files import RankFiles


class Own(msgspec.Struct, frozen=True, omit_defaults=True):
    """One own answer."""

    id: str  # of the example
    answer: str
    whole: bool = True


def own_answers(
    folder: Path,
    examples: Sequence[Example],
    model: SoundModel,
    questions: Mapping[Kind, str],
    batch: int,
    *,
    seed: int,
    accelerator: Any,
    watch: Callable[[int], None],
) -> Mapping[str, Own]:
    """An own answer for every example, by its id."""
    files = RankFiles(folder, "own", Own, lambda own: own.id, accelerator)
    batches: list[Sequence[Example]] = []
    for kind in SOUNDS:
        alike = [example for example in examples if example.kind == kind]
        batches += [alike[first : first + batch] for first in range(0, len(alike), batch)]
    mine = files.share(batches, lambda example: example.id)
    if mine:
        answering = model.open(questions)
        try:
            done = 0
            for part in mine:
                sounds = [[read_sound(Path(sound)) for sound in example.sounds] for example in part]
                seeds = [seed_of("own", seed, example.id) for example in part]
                answers = answering.write_many(part[0].kind, sounds, seeds)
                files.add(*(Own(e.id, a.text, a.whole) for e, a in zip(part, answers, strict=True)))
                done += len(part)
                watch(done)
        finally:
            answering.close()
    return files.all()


def pairs(examples: Sequence[Example], own: Mapping[str, Own]) -> tuple[Example, ...]:
    """The examples whose own answer is one, and another than the expert's."""
    kept = tuple(example for example in examples if _teaches(own[example.id], example))
    if examples and not kept:
        raise InputError("the model's own answers are the expert's, or empty, every one: there is nothing for alld to learn")
    return kept


def _teaches(own: Own, example: Example) -> bool:
    # An answer that equals the expert's but did not end is another one: it lacks the end. Without text and end it has no tokens.
    return (own.answer != example.answer.strip() or not own.whole) and (bool(own.answer) or own.whole)
