"""Sounds with known damage, for the study of what the five ratings see: clean speech, and each kind of damage in steps.

`sources("fitted", folder)` gave the constants of `listening/rating_curves.py` (`listening_calibration.py`),
`sources("studied", folder)` the figures of docs/listening.md (`listening_degradations.py`). No voice, no sentence and no draw of
noise or of lost packets is in both; one reader is, with other words. Every source is set to -24 LUFS first, so that a level is
damage and no accident.

Damage is seeded by the number of the source, so that every step of a kind has the same noise and the same lost packets.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from voice_consistency import SENTENCES, _flite

from turnwise.foundation.audio import Sound
from turnwise.foundation.resampling import resample
from turnwise.listening.ratings import Dimension
from turnwise.listening.sound_check import read
from turnwise.speech.engine import SYNTHESIZERS
from turnwise.speech.level import active_power, loudness
from turnwise.speech.perturbation import PERTURBATIONS

Change = Callable[[Sound, int], Sound]
NOMINAL = -24.0  # LUFS
STUDIED = ("en-us+f2", "en-us+klatt2", "flite rms", "flite awb")
FITTED = ("flite slt", "flite kal16")
CROWD = ("en-us+f1", "en-us+m1", "en-us+m2", "en-us+m4", "en-us+f3", "en-us+m7")  # who talks in the babble
STUDIED_SENTENCES, FITTED_SENTENCES, CROWD_SENTENCES = SENTENCES[0:3], SENTENCES[3:6], SENTENCES[9:15]
# Recordings of the shared folder, one after the other, and the seconds taken. The reader of the book is in both parts, with
# other words: there is no second recording as clean as that, and constants fitted to none of its kind misjudge all of it.
STUDIED_RECORDINGS = (
    (("libri_1088-134315-0000.wav",), 8.0, 16.0),
    (("libri_1088-134315-0000_reverberant.wav",), 8.0, 16.0),
    (("jfk.flac",), 0.0, 5.5),
    (("jfk.flac",), 5.5, 11.0),
)
FITTED_RECORDINGS = (
    (("libri_1088-134315-0000.wav",), 0.0, 8.0),
    (("tau2_check_order_12345.wav", "tau2_help_me.wav", "tau2_order_status.wav", "tau2_hello.wav"), 0.0, 9.0),
)


class Source(NamedTuple):
    """A clean sound."""

    name: str
    sound: Sound
    human: bool


class Kind(NamedTuple):
    """One kind of damage in steps from mild to heavy."""

    name: str
    dimension: Dimension  # the one that it is damage to
    unit: str  # of the steps
    steps: tuple[tuple[float, Change], ...]


def spoken(voice: str, sentences: tuple[str, ...]) -> list[Sound]:
    if voice.startswith("flite "):
        return [_flite(voice.removeprefix("flite "), sentence) for sentence in sentences]
    speaking = SYNTHESIZERS.build("espeak", {"voice": voice}).open()
    try:
        return [speaking.speak(sentence, seed=1) for sentence in sentences]
    finally:
        speaking.close()


def sources(which: str, folder: Path | None) -> list[Source]:
    """Synthesised speech, and recordings where there is a folder of them."""
    voices, texts, recordings = (
        (STUDIED, STUDIED_SENTENCES, STUDIED_RECORDINGS) if which == "studied" else (FITTED, FITTED_SENTENCES, FITTED_RECORDINGS)
    )
    made = []
    for names, start, end in recordings if folder is not None else ():
        assert folder is not None
        whole = joined([read(folder / name).sound for name in names])
        piece = whole.samples[int(start * whole.rate) : int(end * whole.rate)]
        made.append(
            Source(f"{names[0].partition('.')[0]} from {start:g} s", Sound(np.ascontiguousarray(piece), whole.rate), True)
        )
    made += [Source(voice, joined(spoken(voice, texts)), False) for voice in voices]
    return [source._replace(sound=at_level(source.sound, NOMINAL)) for source in made]


def joined(sounds: list[Sound]) -> Sound:
    return Sound(np.concatenate([sound.samples for sound in sounds]), sounds[0].rate)


def at_level(sound: Sound, wanted: float) -> Sound:
    """The sound at a loudness in LUFS."""
    measured = loudness(sound)
    assert measured is not None
    return Sound((sound.samples * 10 ** ((wanted - measured) / 20)).astype(np.float32), sound.rate)


# ---------------------------------------------------------------- damage


@cache
def crowd(rate: int) -> np.ndarray:
    """Ten seconds and more of six voices that talk at the same time."""
    rows = []
    for voice in CROWD:
        said = [at_level(sound, NOMINAL) for sound in spoken(voice, CROWD_SENTENCES)]
        rows.append(np.concatenate([resample(sound, rate).samples for sound in said]))
    length = min(map(len, rows))
    return np.sum([row[:length] for row in rows], axis=0).astype(np.float64)


def noisy(sound: Sound, seed: int, kind: str, snr: float) -> Sound:
    length = len(sound.samples)
    if kind == "talkers":
        noise = np.roll(crowd(sound.rate), -seed * 4001)
        noise = np.resize(noise, length)
    else:
        noise = np.random.default_rng(seed).standard_normal(length)
        if kind == "pink":
            spectrum = np.fft.rfft(noise)
            spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
            spectrum[0] = 0
            noise = np.fft.irfft(spectrum, length)
    noise = noise * np.sqrt(active_power(sound) / 10 ** (snr / 10) / np.mean(noise**2))
    mixed = sound.samples + noise
    return Sound((mixed * min(1.0, 0.999 / np.abs(mixed).max())).astype(np.float32), sound.rate)


def filtered(sound: Sound, seed: int, side: str, edge: float) -> Sound:
    """A linear-phase filter, 20 ms long, that lets pass what lies on one side of an edge in Hz; as loud as before."""
    if edge >= sound.rate / 2:
        return sound
    half = int(0.010 * sound.rate)
    place = np.arange(-half, half + 1)
    low = 2 * edge / sound.rate * np.sinc(2 * edge / sound.rate * place) * np.blackman(2 * half + 1)
    low /= low.sum()
    pulse = low if side == "low" else (place == 0) - low
    return at_level(Sound(np.convolve(sound.samples.astype(np.float64), pulse, "same").astype(np.float32), sound.rate), NOMINAL)


def clipped(sound: Sound, seed: int, share: float) -> Sound:
    """The loudest `share` of the samples that are not silent held at one level, as loud as before."""
    size = np.abs(sound.samples)
    limit = float(np.quantile(size[size > 0.01 * size.max()], 1 - share))
    return at_level(Sound(np.clip(sound.samples, -limit, limit), sound.rate), NOMINAL)


def coded(sound: Sound, seed: int, form: str, subtype: str, rate: int, level: float | None = None) -> Sound:
    """Through a codec of soundfile at a rate, and back; as loud as before."""
    import soundfile

    there = resample(sound, rate)
    buffer = io.BytesIO()
    more = {} if level is None else {"compression_level": level}
    if form == "MP3":
        more["bitrate_mode"] = "CONSTANT"
    soundfile.write(buffer, there.samples, rate, format=form, subtype=subtype, **more)
    buffer.seek(0)
    samples, found = soundfile.read(buffer, dtype="float32")
    back = resample(Sound(np.ascontiguousarray(samples), found), sound.rate).samples
    padded = np.zeros(len(sound.samples), np.float32)
    padded[: min(len(back), len(padded))] = back[: len(padded)]
    return at_level(Sound(padded, sound.rate), NOMINAL)


def leveled(sound: Sound, seed: int, wanted: float) -> Sound:
    return at_level(sound, wanted)


def lossy(sound: Sound, seed: int, loss: float, fill: str, snr: float | None = None) -> Sound:
    change = PERTURBATIONS.build("packet_loss", {"loss": loss, "fill": fill})
    gone = change.apply(sound, seed)
    if snr is None:
        return gone
    # The noise is that of the room where it is heard: gaps are not free of it.
    return Sound((gone.samples + noisy(sound, seed, "white", snr).samples - sound.samples).astype(np.float32), sound.rate)


def concealed(sound: Sound, seed: int, loss: float) -> Sound:
    """Packets repeated, and the whole coded once more at 20 kbit/s: nothing in it is an exact repetition."""
    return coded(lossy(sound, seed, loss, "repeat"), seed, "OGG", "OPUS", 16000, 0.95)


def _kind(
    name: str, dimension: Dimension, unit: str, steps: tuple[float, ...], change: Callable[..., Sound], key: str, **more: object
) -> Kind:
    return Kind(name, dimension, unit, tuple((step, partial(change, **{key: step}, **more)) for step in steps))


SNRS = (40.0, 30.0, 25.0, 20.0, 15.0, 10.0, 5.0, 0.0)
LOSSES = (0.02, 0.05, 0.1, 0.2, 0.3)


def _mp3(level: float) -> Change:
    return partial(coded, form="MP3", subtype="MPEG_LAYER_III", rate=16000, level=level)


def _opus(level: float) -> Change:
    return partial(coded, form="OGG", subtype="OPUS", rate=16000, level=level)


def _telephone(code: str) -> Change:
    return partial(coded, form="WAV", subtype=code, rate=8000)


KINDS: tuple[Kind, ...] = (
    *(_kind(f"{name} noise", "noi", "dB SNR", SNRS, noisy, "snr", kind=name) for name in ("white", "pink", "talkers")),
    _kind("low pass", "col", "Hz", (7000.0, 5000.0, 4000.0, 3400.0, 2500.0, 1800.0), filtered, "edge", side="low"),
    _kind("high pass", "col", "Hz", (200.0, 300.0, 500.0, 800.0, 1200.0), filtered, "edge", side="high"),
    _kind("clipping", "col", "share of samples", (0.02, 0.05, 0.1, 0.2, 0.4), clipped, "share"),
    Kind("mp3", "col", "kbit/s", tuple((rate, _mp3(level)) for rate, level in ((57, 0.7), (24, 0.9), (16, 0.95), (8, 0.99)))),
    Kind("opus", "col", "kbit/s", tuple((rate, _opus(level)) for rate, level in ((44, 0.85), (20, 0.95), (12, 0.98), (7, 1.0)))),
    Kind(
        "telephone codecs",
        "col",
        "mu-law, ADPCM, GSM",
        tuple((n, _telephone(code)) for n, code in enumerate(("ULAW", "IMA_ADPCM", "GSM610"), 1)),
    ),
    _kind("packets lost, silence", "dis", "share", LOSSES, lossy, "loss", fill="zero"),
    _kind("packets lost, repeated", "dis", "share", LOSSES, lossy, "loss", fill="repeat"),
    _kind("packets repeated, then Opus", "dis", "share", (0.0, *LOSSES), concealed, "loss"),
    _kind("packets lost in 20 dB noise", "dis", "share", (0.0, *LOSSES), lossy, "loss", fill="zero", snr=20.0),
    _kind("softer", "loud", "LUFS", (-30.0, -36.0, -42.0, -48.0, -54.0), leveled, "wanted"),
    _kind("louder", "loud", "LUFS", (-20.0, -16.0, -12.0), leveled, "wanted"),
)
