"""NISQA v2.0 as a listener: all five ratings by one model that was trained on listeners' own.

What it hears, its limits and its licence are those of the estimator `nisqa`: five opinions on 1 to 5 of sounds of up to 52 s,
which the model may leave by a tenth or two (loud noise falls to 0.9) and which are told as they are. A sound is heard at its own
rate, so that 8 kHz count as a narrow band. Its ratings lean on each other: noise lowers all five (docs/listening.md), as it did
in the listening tests. Where only one of them should move, `embedded` keeps them better apart.

Option: `weights`, the path of nisqa.tar (by default `$TURNWISE_NISQA`, else where torchmetrics keeps it). Needs torch (extra
`local`) and that file, which is CC BY-NC-SA 4.0: not for commercial use, and yours to fetch. Loads in about a second; one
hundredth of a sound's length on one core. The network is small: a folder is rated in several processes, each with its own, one
sound after the other, as several sounds in one pass take as long. `nisqa_tts.tar` gives none of the five and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.listening.listener import Listening
from turnwise.listening.ratings import DIMENSIONS, Ratings
from turnwise.listening.sound_check import objection, rated, remarks, unrated
from turnwise.quality.estimator import ESTIMATORS, Estimator, Rater

SOURCE = "NISQA v2.0"


def listener(weights: str | None = None) -> NisqaListener:
    return NisqaListener(ESTIMATORS.build("nisqa", _options(weights)), weights)


def _options(weights: str | None) -> dict[str, str]:
    return {} if weights is None else {"weights": weights}


class NisqaListener(msgspec.Struct, frozen=True):
    """The estimator, not yet opened."""

    place: ClassVar[Place] = "device"
    everywhere: ClassVar[bool] = True
    longest: ClassVar[float] = 52.0  # seconds, 1300 segments 40 ms apart

    estimator: Estimator
    weights: str | None

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), "estimator": ESTIMATORS.identity("nisqa", _options(self.weights))}

    def open(self) -> Listening:
        names = {scale.name for scale in self.estimator.scales}
        absent = [name for name in DIMENSIONS if name not in names]
        if absent:
            raise InputError(
                f"nisqa: the file of weights gives {', '.join(sorted(names))} and not {', '.join(absent)}", "give it nisqa.tar"
            )
        return NisqaListening(self.estimator.open())


class NisqaListening:
    """The estimator opened; one sound at a time."""

    batch = 1

    def __init__(self, rater: Rater) -> None:
        self._rater = rater

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        return [self._rate(sound) for sound in sounds]

    def close(self) -> None:
        self._rater.close()

    def _rate(self, sound: Sound) -> Ratings:
        reason = objection(sound)
        if reason:
            return unrated(reason)
        estimate = self._rater.rate(sound)
        if estimate.withheld:
            return unrated(estimate.withheld)
        values = {name: estimate.value(name) for name in DIMENSIONS}
        return rated(values, dict.fromkeys(DIMENSIONS, SOURCE), notes=remarks(sound))
