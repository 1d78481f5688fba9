"""NISQA v2.0: overall quality, noise, coloration, breaks and loudness without a reference, 1 to 5.

Five opinions as listeners of telephone and conference speech gave them, each the better the higher: `mos` (overall), `noi`
(5: no noise), `col` (coloration, 5: none), `dis` (discontinuity, 5: no breaks) and `loud` (5: well set level). With the file
`nisqa_tts.tar` the one rating is `voice_naturalness`, how natural a synthetic voice sounds; which of them it is, the file
says. `nisqa_mos_only.tar` should give `mos` alone; it is built of the same parts and was never tried.

`weights` is the path of the file; without it `$TURNWISE_NISQA` is used, else `~/.torchmetrics/NISQA/nisqa.tar`, where the
package torchmetrics keeps it. The file comes from https://github.com/gabrielmittag/NISQA (folder `weights`); it is loaded as
data, so that nothing in it is executed. The code is ours and needs torch and numpy; its ratings are those of torchmetrics and
of the authors' code to 0.001 (tests).

A sound is heard at its own rate, as the authors' script does, up to 20 kHz (8 kHz for naturalness): a clip of 8 kHz has a
narrow band and is rated as such. A sound that lasts longer than the model takes at once (52 s, 60 s for naturalness) gets no
rating; the authors' script stops there too. The numbers are those of the model: nothing holds them within 1 to 5, and in loud
noise they fall to 0.9. About a hundredth of the sound's length on one core.

Trained on human speech after codecs, packet loss, noise, and real calls; how its five dimensions order synthetic voices is not
known. Knows nothing of the words. Beside `dnsmos`: docs/sound.md. A sound shorter than 0.3 s or without a sample above -60 dBFS
gets no rating.

Licence: the weights are CC BY-NC-SA 4.0 (not for commercial use); they are yours to fetch and do not come with this package.
torch is BSD-3.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.fingerprint import file_digest
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.quality.estimator import Estimate, Rater, Rating, Scale, objection, remarks
from turnwise.quality.mel_levels import mel_levels
from turnwise.quality.nisqa_model import Network, gives, load
from turnwise.speech.weights import memory_guard, versions

SOURCE = "https://github.com/gabrielmittag/NISQA/raw/master/weights/nisqa.tar"
USUAL = Path("~/.torchmetrics/NISQA/nisqa.tar")
ORDER = ("mos", "noi", "col", "dis", "loud", "voice_naturalness")


def estimator(weights: str | None = None) -> Nisqa:
    if weights is not None and not weights:
        raise InputError("nisqa: weights is empty, expected the path of nisqa.tar")
    return Nisqa(weights)


class Nisqa(msgspec.Struct, frozen=True):
    """The network of a file, not yet loaded."""

    place: ClassVar[Place] = "device"

    weights: str | None

    @property
    def scales(self) -> tuple[Scale, ...]:
        given = gives(self.file())
        return tuple(Scale(name, "MOS 1-5", "higher", 1.0, 5.0) for name in ORDER if name in given)

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), "weights": file_digest(self.file()), **versions("torch", "numpy")}

    def open(self) -> Rater:
        file = self.file()
        versions("torch")  # its absence is told as such
        return NisqaRater(load(file), self.scales)

    def file(self) -> Path:
        """The file of weights."""
        named = self.weights or os.environ.get("TURNWISE_NISQA")
        path = Path(named or USUAL).expanduser()
        if path.is_file():
            return path
        if named:
            raise InputError(f"nisqa: there is no file {named}", f"fetch it: curl -L -o {named} {SOURCE}")
        raise MissingDependency(f"the file {USUAL} (weights of NISQA)", f"curl -L --create-dirs -o {USUAL} {SOURCE}")


class NisqaRater:
    """The network loaded; one sound at a time."""

    def __init__(self, network: Network, scales: tuple[Scale, ...]) -> None:
        self._network: Network | None = network
        self._scales = scales

    def rate(self, sound: Sound) -> Estimate:
        if self._network is None:
            raise ValueError("the rater is closed")
        withheld = objection(sound)
        if withheld:
            return Estimate(withheld=withheld)
        levels = mel_levels(sound, self._network.design.heard)
        if levels.shape[1] > self._network.design.longest:
            longest = self._network.design.longest * self._network.design.ms_hop_length
            return Estimate(withheld=f"too long: {sound.seconds:.1f} s of sound, NISQA hears at most {longest:.1f} s at once")
        with memory_guard():
            found = self._network.opinions(levels)
        return Estimate(tuple(Rating(scale, found[scale.name]) for scale in self._scales), remarks(sound))

    def close(self) -> None:
        self._network = None
