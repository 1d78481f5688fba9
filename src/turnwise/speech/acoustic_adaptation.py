"""Fitting the acoustic model of PocketSphinx to voices it was not made for.

The model knows people; formant synthesizers sound different enough to double its errors. Here its Gaussian means are moved
towards the voices that will be heard, by maximum a posteriori adaptation (Gauvain and Lee, 1994):

    mean' = (tau * mean + sum of gamma * x) / (tau + sum of gamma)

where gamma is the share of frame x that a Gaussian explains, and `tau` the number of frames a Gaussian's old mean is worth.
Frames are assigned to the model's states by a forced alignment of known text, twice, the second time with the means of the
first.

What is said for the adaptation is drawn from the commonest words of general English, in random order: no sentence of any
corpus, so that nothing that is measured later was heard before. Variances, weights and transitions stay as they are.

    python -m turnwise.speech.acoustic_adaptation --voices en-us+f5 en-us+edward --out ears.npz
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.speech.engine import SYNTHESIZERS
from turnwise.speech.sphinx import FITTED_FLOOR, LOG_BASE, decode, general_words, listen, make_decoder, model_folder, prepare

Numbers = NDArray[np.float64]

STREAMS, DENSITIES, SIZE = 3, 128, 13  # of the model: cepstra and their first and second differences, Gaussians, coefficients
VARIANCE_FLOOR = 1e-4  # the decoder's own
TAU = 5.0  # frames
_MAGIC = b"\x44\x33\x22\x11"


@dataclass(frozen=True, eq=False)
class AcousticModel:
    """The parts of a phonetically tied model that an alignment is scored with."""

    phones: tuple[str, ...]  # each has its own Gaussians
    means: Numbers  # phone, stream, density, coefficient
    variances: Numbers
    weights: Numbers  # stream, density, state; natural logarithm


@dataclass(frozen=True, eq=False)
class Statistics:
    """What some aligned speech says about each Gaussian."""

    frames: Numbers  # phone, stream, density: sum of gamma
    sums: Numbers  # phone, stream, density, coefficient: sum of gamma * x


@dataclass(frozen=True)
class Stretch:
    """Frames that the alignment gives to one state."""

    phone: str
    state: int
    start: int
    frames: int


def read_model(folder: Path) -> AcousticModel:
    """The model in a folder of PocketSphinx."""
    means, variances = read_gaussians(folder / "means"), read_gaussians(folder / "variances")
    return AcousticModel(
        _phones(folder / "mdef", len(means)), means, np.maximum(variances, VARIANCE_FLOOR), _weights(folder / "sendump")
    )


def read_gaussians(path: Path) -> Numbers:
    """A file of means or variances: a text header, its shape, 32-bit numbers."""
    data = path.read_bytes()
    start = data.find(b"endhdr\n") + len(b"endhdr\n")
    shape = np.frombuffer(data[start + 4 : start + 16], "<i4")
    if data[start : start + 4] != _MAGIC or tuple(shape[1:]) != (STREAMS, DENSITIES):
        raise InputError(f"{path} is not a file of {STREAMS} streams of {DENSITIES} Gaussians")
    first = start + 16 + 4 * STREAMS + 4
    count = int(np.prod(shape)) * SIZE
    return np.frombuffer(data[first : first + 4 * count], "<f4").reshape(*shape, SIZE).astype(np.float64)


def gaussians_bytes(values: NDArray[np.floating[Any]]) -> bytes:
    """The same file's bytes, without a checksum."""
    shape = [*values.shape[:3], *[SIZE] * STREAMS, values.size]
    return b"s3\nversion 1.0\n endhdr\n" + _MAGIC + np.array(shape, "<i4").tobytes() + values.astype("<f4").tobytes()


def features(cepstra: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The three streams of an utterance as the decoder has them: cepstra less their mean, differences over 4 and 6 frames."""
    centred = cepstra - cepstra[cepstra[:, 0] >= 0].mean(axis=0)
    edge = np.concatenate([np.repeat(centred[:1], 3, 0), centred, np.repeat(centred[-1:], 3, 0)])
    count = len(centred)
    at = {shift: edge[3 + shift : 3 + shift + count] for shift in range(-3, 4)}
    return centred, at[2] - at[-2], (at[3] - at[-1]) - (at[1] - at[-3])


def gather(model: AcousticModel, utterances: Iterable[tuple[Numbers, Sequence[Stretch]]]) -> Statistics:
    """Add up what aligned utterances (cepstra and stretches) say about each Gaussian."""
    place = {phone: number for number, phone in enumerate(model.phones)}
    frames, sums = np.zeros(model.means.shape[:3]), np.zeros(model.means.shape)
    constant = np.log(2 * np.pi * model.variances).sum(axis=-1)
    for cepstra, stretches in utterances:
        streams = features(cepstra)
        for stretch in stretches:
            phone = place[stretch.phone]
            for stream, values in enumerate(streams):
                x = values[stretch.start : stretch.start + stretch.frames]
                away = (x[:, None] - model.means[phone, stream]) ** 2 / model.variances[phone, stream]
                fit = -0.5 * (away.sum(axis=-1) + constant[phone, stream]) + model.weights[stream, :, stretch.state]
                share = np.exp(fit - fit.max(axis=1, keepdims=True))
                share /= share.sum(axis=1, keepdims=True)
                frames[phone, stream] += share.sum(axis=0)
                sums[phone, stream] += share.T @ x
    return Statistics(frames, sums)


def moved(means: Numbers, found: Statistics, tau: float = TAU) -> Numbers:
    """The means moved towards what was found, each as far as its frames carry it."""
    return np.asarray((tau * means + found.sums) / (tau + found.frames[..., None]))


def adapt(spoken: Sequence[tuple[str, Sound]], rounds: int = 2) -> Numbers:
    """Means for these voices; `spoken` holds words of the dictionary, parted by blanks, and their sound."""
    model = read_model(model_folder() / "en-us")
    means = model.means
    with tempfile.TemporaryDirectory(prefix="turnwise-ears-") as place:
        for _ in range(rounds):
            current = Path(place) / "means"
            current.write_bytes(gaussians_bytes(means))
            now = AcousticModel(model.phones, means, model.variances, model.weights)
            means = moved(model.means, gather(now, _align(spoken, current, Path(place))))
    return means


def word_salad(words: Sequence[str], count: int, length: int, seed: int) -> Iterator[str]:
    """`count` groups of `length` words in random order; each word is used once before any is used again."""
    draw = random.Random(seed)
    bag: list[str] = []
    for _ in range(count):
        while len(bag) < length:
            bag += draw.sample(list(words), len(words))
        yield " ".join(bag.pop() for _ in range(length))


def _align(spoken: Sequence[tuple[str, Sound]], means: Path, place: Path) -> Iterator[tuple[Numbers, list[Stretch]]]:
    """Cepstra and state alignment of each utterance; one that cannot be aligned is left out."""
    logs = Path(tempfile.mkdtemp(dir=place))
    decoder = make_decoder(lm=None, mean=str(means), mfclogdir=str(logs), bestpath=False)
    for words, sound in spoken:
        pcm = prepare(sound, FITTED_FLOOR)
        decoder.set_align_text(words)
        if not decode(decoder, pcm):
            continue
        decoder.set_alignment()
        listen(decoder, pcm)  # an alignment search has no hypothesis; asking for one ends the process
        written = sorted(logs.iterdir())
        cepstra = _cepstra(written[0])
        for path in written:
            path.unlink()
        states = (state for word in decoder.get_alignment() for phone in word for state in _states(phone))
        yield cepstra, list(states)


def _states(phone: Any) -> Iterator[Stretch]:
    for state in phone:
        yield Stretch(phone.name, int(state.name), state.start, state.duration)


def _cepstra(path: Path) -> Numbers:
    data = path.read_bytes()  # big-endian: a count, then 13 numbers a frame
    return np.frombuffer(data[4:], ">f4").reshape(-1, SIZE).astype(np.float64)


def _phones(path: Path, count: int) -> tuple[str, ...]:
    data = path.read_bytes()
    start = data.find(b"+NSN+\0")  # the first of the names, which are in alphabetical order, each ended by a zero
    names = data[start:].split(b"\0", count)[:count]
    return tuple(name.decode("ascii") for name in names)


def _weights(path: Path) -> Numbers:
    data = path.read_bytes()
    start = 0
    while length := int.from_bytes(data[start : start + 4], "little"):
        start += 4 + length
    densities, states = (int(n) for n in np.frombuffer(data[start + 4 : start + 12], "<i4"))
    codes = np.frombuffer(data[start + 12 :], np.uint8).reshape(STREAMS, densities, states)
    return np.asarray(codes.astype(np.float64) * (-1024 * np.log(LOG_BASE)))  # logarithms to base 1.0001, in steps of 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="fit the acoustic model of PocketSphinx to voices of eSpeak NG")
    parser.add_argument("--voices", nargs="+", required=True)
    parser.add_argument("--rate", type=int, default=165, help="words per minute")
    parser.add_argument("--sentences", type=int, default=250, help="groups of eight words, for each voice")
    parser.add_argument("--words", type=int, default=5000, help="how many of the commonest words are used")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    words = [word for word in general_words(chosen.words) if word.isalpha()]
    spoken = []
    for number, voice in enumerate(chosen.voices):
        speaking = SYNTHESIZERS.build("espeak", {"voice": voice, "rate": chosen.rate}).open()
        for said in word_salad(words, chosen.sentences, 8, seed=number):
            spoken.append((said, speaking.speak(said, seed=0)))
        speaking.close()
    original = read_gaussians(model_folder() / "en-us" / "means")
    change = (adapt(spoken) - original).astype(np.float16)
    np.savez_compressed(chosen.out, change=change, voices=np.array(chosen.voices), rate=np.array(chosen.rate))


if __name__ == "__main__":
    main()
