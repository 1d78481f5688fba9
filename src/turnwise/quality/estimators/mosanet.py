"""MOSA-Net+: predicted quality, 0 to 5, and predicted intelligibility, 0 to 1, as listeners of Mandarin gave them.

The instrument behind the columns "quality" and "intelligibility" of the published context-trap table. `quality` is the network's
output times 5 and so runs from 0 to 5, although the table calls it 1 to 5. `predicted_intelligibility` is the share of
characters that listeners would have understood, as the network foretells it; it is not called `intelligibility` because the judge
of that name counts the words a recogniser did understand, and one study may have both. Trained on Taiwan Mandarin sentences in
noise, before and after enhancement (TMHINT-QI): English, and the clean synthetic speech of an agent, are foreign to it.

`checkpoint` is the path of the published file `MOSA_Net+/Checkpoint/ckpt_mosa_net_plus` of
https://github.com/dhimasryan/MOSA-Net-Cross-Domain (else `$TURNWISE_MOSANET`); `whisper` is a folder with Whisper large-v3, or
its name in the Hugging Face cache; `device` is "auto", "cpu" or "cuda". Nothing is downloaded. Every sound is brought to 16 kHz.
The encoder takes 2.5 GB and hears 30 s, padded with silence: of a longer sound the rest goes into the other two views only, and
the estimate says so. A sound shorter than 0.3 s or without a sample above -60 dBFS gets no rating.

What is certain and what is not: the network is written anew from its published description; with random weights its outputs are
those of the reference class to 0.000001, and so are the 76 names and shapes of its weights. The published checkpoint itself was
never at hand: one that lacks a name, has one too many or another shape is refused. Two things the names cannot show, and a user
who compares with published figures should rate one file with the authors' script too: that the frames at both ends are padded
with zeros (librosa 0.10.1, which their environment names; versions before 0.10 mirror), and that the states come from large-v3,
for which an encoder of 128 mel bands is asked for (large-v3-turbo passes, and would be wrong).

Needs the extra `local` (torch, transformers). Licence: MOSA-Net+ is MIT, Whisper large-v3 Apache-2.0.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from turnwise.foundation import resampling
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.fingerprint import file_digest
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.quality import mosanet_model
from turnwise.quality.estimator import Estimate, Rater, Rating, Scale, objection, remarks
from turnwise.speech import weights
from turnwise.speech.weights import Placement, find_weights, memory_guard, placement, versions

WHISPER = "openai/whisper-large-v3"
BANDS = 128  # mel bands of large-v3; every earlier Whisper has 80
HEARD = 30.0  # seconds, the window of the encoder
FULL = 5.0  # quality of an output of 1

_SOURCE = "the file MOSA_Net+/Checkpoint/ckpt_mosa_net_plus of https://github.com/dhimasryan/MOSA-Net-Cross-Domain"
_SCALES = (
    Scale("quality", "MOS 0-5", "higher", 0.0, FULL),
    Scale("predicted_intelligibility", "share understood, predicted", "higher", 0.0, 1.0),
)


def estimator(checkpoint: str | None = None, whisper: str = WHISPER, device: str = "auto") -> MosaNet:
    if checkpoint is not None and not checkpoint:
        raise InputError("mosanet: checkpoint is empty, expected the path of ckpt_mosa_net_plus")
    # The reference computes in full precision; less would be another instrument.
    return MosaNet(checkpoint, whisper, placement("mosanet", device, "float32"))


class MosaNet(msgspec.Struct, frozen=True):
    """The network of a checkpoint behind an encoder, not yet loaded."""

    place: ClassVar[Place] = "device"

    checkpoint: str | None
    whisper: str
    placement: Placement

    @property
    def scales(self) -> tuple[Scale, ...]:
        return _SCALES

    def identity(self) -> Mapping[str, str]:
        return {
            "shared": lineage(__file__),
            "checkpoint": file_digest(self.file()),
            **{f"whisper {part}": value for part, value in find_weights(self.whisper).identity().items()},
            **self.placement.identity(),
            **versions("torch", "transformers", "numpy", "soxr"),
        }

    def open(self) -> Rater:
        file, found = self.file(), find_weights(self.whisper)
        versions("torch", "transformers")  # their absence is told as such
        from transformers import WhisperFeatureExtractor, WhisperModel

        network = weights.load(WhisperModel, found, self.placement)
        bands = network.config.num_mel_bins
        if bands != BANDS:
            raise InputError(f"mosanet: {self.whisper} hears {bands} mel bands, expected {BANDS}", f"give {WHISPER}")
        try:
            ears = WhisperFeatureExtractor.from_pretrained(found.folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(f"mosanet: {self.whisper} has no preprocessor_config.json that can be read") from error
        with memory_guard():
            heads = mosanet_model.load(file, network.config.d_model, self.placement.on())
        return MosaNetRater(heads, network.get_encoder(), ears, self.placement.on())

    def file(self) -> Path:
        """The checkpoint."""
        named = self.checkpoint or os.environ.get("TURNWISE_MOSANET")
        if not named:
            raise MissingDependency("the checkpoint of MOSA-Net+", f"TURNWISE_MOSANET=PATH, where PATH is {_SOURCE}")
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"mosanet: there is no file {named}", f"expected {_SOURCE}")
        return path


class MosaNetRater:
    """Encoder and network loaded; one sound at a time."""

    def __init__(self, heads: mosanet_model.Network, encoder: Any, ears: Any, device: str) -> None:
        self._heads: mosanet_model.Network | None = heads
        self._encoder = encoder
        self._ears = ears
        self._device = device

    def rate(self, sound: Sound) -> Estimate:
        import torch

        if self._heads is None:
            raise ValueError("the rater is closed")
        withheld = objection(sound)
        if withheld:
            return Estimate(withheld=withheld)
        samples = np.ascontiguousarray(resampling.resample(sound, mosanet_model.RATE).samples)
        with memory_guard(), torch.inference_mode():
            heard = self._ears(samples, sampling_rate=mosanet_model.RATE, return_tensors="pt").input_features
            states = self._encoder(heard.to(self._device)).last_hidden_state[0]
            quality, intelligibility = self._heads.opinions(samples, states)
        notes = remarks(sound)
        if sound.seconds > HEARD:
            notes += (f"long: the encoder heard the first {HEARD:.0f} of {sound.seconds:.0f} s",)
        values = (FULL * quality, intelligibility)
        return Estimate(tuple(Rating(scale, value) for scale, value in zip(_SCALES, values, strict=True)), notes)

    def close(self) -> None:
        self._heads = self._encoder = None
