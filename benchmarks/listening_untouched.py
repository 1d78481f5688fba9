"""Sounds that nothing was fitted to, tuned on or chosen by: other voices, other sentences, and other kinds of damage.

`sources(folder)` and `kinds(folder)` are what `sources` and `KINDS` are in listening_material.py, for
`listening_degradations.py --untouched`. They were written down before anything was rated with them, and rated once, when the
rules and the constants were as they are; whoever changes the rules with an eye on them can no longer call them untouched.

New are every kind of damage and every draw of it; of the sources the reverberant recording's first half, the Festival voices (the
program `festival` with `ked_diphone` and `cmu_us_slt_arctic_hts`, left out where it is not there), the sentences of flite `rms`,
and the eSpeak NG voices. The other recordings are known: there are no more people in the shared folder. AAC, AMR and G.726 need
PyAV and are left out where it is absent.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import subprocess
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from listening_material import NOMINAL, Kind, Source, _kind, at_level, coded, filtered, joined, leveled, lossy, noisy, spoken
from numpy.typing import NDArray
from voice_consistency import SENTENCES

from turnwise.foundation.audio import Sound
from turnwise.foundation.resampling import resample
from turnwise.listening.sound_check import read
from turnwise.speech.level import active_power
from turnwise.speech.perturbation import PERTURBATIONS

RECORDINGS = (
    ("libri_1088-134315-0000_reverberant.wav", 0.0, 8.0),
    ("libri_1088-134315-0000.wav", 4.0, 12.0),
    ("jfk.flac", 2.75, 8.25),
)
FESTIVAL = ("ked_diphone", "cmu_us_slt_arctic_hts")
FORMANT = ("en-us+edward", "en-us+paul", "en-us+quincy", "gmw/en")
SAID = SENTENCES[6:9]
TALKERS = ("libri_1088-134315-0000.wav", "jfk.flac", "tau2_check_order_12345.wav", "tau2_order_status.wav")
PACKET = 0.020  # seconds


def sources(folder: Path | None) -> list[Source]:
    made = []
    for name, start, end in RECORDINGS if folder is not None else ():
        assert folder is not None
        whole = read(folder / name).sound
        piece = np.ascontiguousarray(whole.samples[int(start * whole.rate) : int(end * whole.rate)])
        made.append(Source(f"{name.partition('.')[0]} from {start:g} s", Sound(piece, whole.rate), True))
    if shutil.which("festival"):
        made += [Source(f"festival {voice}", joined([_festival(voice, text) for text in SAID]), False) for voice in FESTIVAL]
    made.append(Source("flite rms, other words", joined(spoken("flite rms", SAID)), False))
    made += [Source(f"espeak {voice}", joined(spoken(voice, SENTENCES[12:15])), False) for voice in FORMANT]
    return [source._replace(sound=at_level(source.sound, NOMINAL)) for source in made]


def _festival(voice: str, text: str) -> Sound:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "said.wav"
        said = f'(begin (voice_{voice}) (utt.save.wave (utt.synth (Utterance Text "{text}")) "{out}" (quote riff)))'
        subprocess.run(["festival", "-b", said], check=True, timeout=60, capture_output=True)
        return read(out).sound


# ---------------------------------------------------------------- noise


def mixed(sound: Sound, noise: NDArray[np.float64], snr: float) -> Sound:
    noise = noise * np.sqrt(active_power(sound) / 10 ** (snr / 10) / np.mean(noise**2))
    both = sound.samples + noise
    return Sound((both * min(1.0, 0.999 / np.abs(both).max())).astype(np.float32), sound.rate)


def hum(sound: Sound, seed: int, snr: float) -> Sound:
    """50 Hz and its harmonics up to 1 kHz, falling off with their number."""
    time = np.arange(len(sound.samples)) / sound.rate
    draw = np.random.default_rng(seed)
    waves = [np.sin(2 * np.pi * (50 * k * time + draw.random())) / k for k in range(1, 21)]
    return mixed(sound, np.sum(waves, axis=0), snr)


def rumble(sound: Sound, seed: int, snr: float) -> Sound:
    """Noise that falls off by 6 dB an octave from 20 Hz on."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(len(sound.samples)))
    hertz = np.fft.rfftfreq(len(sound.samples), 1 / sound.rate)
    return mixed(sound, np.fft.irfft(spectrum / np.maximum(hertz, 20.0), len(sound.samples)), snr)


def bursts(sound: Sound, seed: int, snr: float) -> Sound:
    """0.15 s of white noise every 0.8 s; the ratio is that within a burst."""
    draw = np.random.default_rng(seed)
    time = (np.arange(len(sound.samples)) / sound.rate + draw.random()) % 0.8
    sounding = time < 0.15
    noise = draw.standard_normal(len(sound.samples)) * sounding
    return mixed(sound, noise, snr - 10 * np.log10(sounding.mean()))


@cache
def _talking(folder: Path, rate: int) -> NDArray[np.float64]:
    rows = [resample(at_level(read(folder / name).sound, NOMINAL), rate).samples.astype(np.float64) for name in TALKERS]
    length = 16 * rate
    return np.sum([np.roll(np.resize(row, length), k * 7 * rate // 2) for k, row in enumerate((*rows, *rows))], axis=0)


def talking(sound: Sound, seed: int, snr: float, folder: Path) -> Sound:
    """People of the recordings talking, eight at a time."""
    noise = np.roll(_talking(folder, sound.rate), -seed * 5003)
    return mixed(sound, np.resize(noise, len(sound.samples)), snr)


def quantised(sound: Sound, seed: int, bits: float) -> Sound:
    step = 2.0 ** (1 - bits)
    return Sound((np.round(sound.samples / step) * step).astype(np.float32), sound.rate)


# ---------------------------------------------------------------- coloration


def in_a_room(sound: Sound, seed: int, seconds: float) -> Sound:
    """A direct sound and a tail 6 dB below it that falls by 60 dB in so many seconds."""
    draw = np.random.default_rng(seed)
    time = np.arange(int(1.2 * seconds * sound.rate)) / sound.rate
    tail = draw.standard_normal(len(time)) * 10 ** (-3 * time / seconds) * (time > 0.003)
    tail *= np.sqrt(10**-0.6 / np.sum(tail**2))
    tail[0] = 1.0
    size = len(sound.samples) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(sound.samples, size) * np.fft.rfft(tail, size), size)[: len(sound.samples)]
    return at_level(Sound(wet.astype(np.float32), sound.rate), NOMINAL)


BANDS = ((200.0, 5000.0), (300.0, 3400.0), (450.0, 2500.0), (700.0, 1900.0))  # Hz


def band_passed(sound: Sound, seed: int, number: float) -> Sound:
    low, high = BANDS[int(number) - 1]
    return filtered(filtered(sound, seed, "high", low), seed, "low", high)


def saturated(sound: Sound, seed: int, drive: float) -> Sound:
    """Through an amplifier that bends, `drive` dB beyond where it begins to."""
    scale = 10 ** (drive / 20) / float(np.abs(sound.samples).max())
    return at_level(Sound(np.tanh(sound.samples * scale).astype(np.float32), sound.rate), NOMINAL)


def by_pyav(sound: Sound, seed: int, kilobits: float, codec: str, form: str, rate: int) -> Sound:
    """Through a codec of FFmpeg and back, as loud as before; half a second of silence at the end makes up for its delay."""
    import av

    whole = np.concatenate((resample(sound, rate).samples, np.zeros(rate // 2, np.float32)))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.layout, stream.bit_rate = "mono", round(kilobits * 1000)
        frame = av.AudioFrame.from_ndarray(whole[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = rate
        for piece in (frame, None):
            container.mux(stream.encode(piece))
    buffer.seek(0)
    with av.open(buffer, "r", format=form) as container:
        change = av.AudioResampler(format="fltp", layout="mono", rate=rate)
        rows = [part.to_ndarray()[0] for whole_frame in container.decode(audio=0) for part in change.resample(whole_frame)]
    again = resample(Sound(np.ascontiguousarray(np.concatenate(rows), dtype=np.float32), rate), sound.rate)
    return at_level(again, NOMINAL)


# ---------------------------------------------------------------- discontinuity


def _gone(sound: Sound, seed: int, loss: float, burst: float) -> NDArray[np.bool_]:
    change: Any = PERTURBATIONS.build("packet_loss", {"loss": loss, "burst": burst})
    return np.asarray(change.lost(-(-len(sound.samples) // round(PACKET * sound.rate)), seed), bool)


def in_bursts(sound: Sound, seed: int, loss: float) -> Sound:
    """Silence in the place of five packets at a time."""
    changed: Sound = PERTURBATIONS.build("packet_loss", {"loss": loss, "burst": 5.0}).apply(sound, seed)
    return changed


def hissing(sound: Sound, seed: int, loss: float) -> Sound:
    """In the place of lost packets noise with the spectrum of the packet before, 20 dB softer with each after the first."""
    size = round(PACKET * sound.rate)
    draw = np.random.default_rng(seed)
    samples, since = sound.samples.copy(), 0
    for number, lost in enumerate(_gone(sound, seed, loss, 2.0)):
        since = since + 1 if lost else 0
        start = (number - since) * size
        here = samples[number * size : (number + 1) * size]
        if since and start >= 0:
            spectrum = np.abs(np.fft.rfft(sound.samples[start : start + size]))
            made = np.fft.irfft(spectrum * np.exp(2j * np.pi * draw.random(len(spectrum))), size) * 0.1 ** (since - 1)
            here[:] = made[: len(here)]
    return Sound(samples, sound.rate)


def skipping(sound: Sound, seed: int, loss: float) -> Sound:
    """Packets left out and nothing in their place: what comes after begins at once."""
    size = round(PACKET * sound.rate)
    kept = [sound.samples[n * size : (n + 1) * size] for n, lost in enumerate(_gone(sound, seed, loss, 2.0)) if not lost]
    return Sound(np.concatenate(kept), sound.rate)


def kinds(folder: Path | None) -> tuple[Kind, ...]:
    snrs = (40.0, 30.0, 20.0, 10.0, 0.0)
    made = [
        _kind("hum of 50 Hz", "noi", "dB SNR", snrs, hum, "snr"),
        _kind("rumble", "noi", "dB SNR", snrs, rumble, "snr"),
        _kind("bursts of noise", "noi", "dB SNR", (30.0, 20.0, 10.0, 0.0), bursts, "snr"),
        _kind("few bits", "noi", "bits", (10.0, 9.0, 8.0, 7.0, 6.0), quantised, "bits"),
        _kind("a room", "col", "s", (0.2, 0.4, 0.8, 1.6), in_a_room, "seconds"),
        _kind("band pass", "col", "200-5000, 300-3400, 450-2500, 700-1900 Hz", (1.0, 2.0, 3.0, 4.0), band_passed, "number"),
        _kind("saturation", "col", "dB", (6.0, 12.0, 18.0, 24.0), saturated, "drive"),
        Kind(
            "Vorbis",
            "col",
            "quality",
            tuple(
                (quality, partial(coded, form="OGG", subtype="VORBIS", rate=16000, level=1 - quality))
                for quality in (0.8, 0.4, 0.1, 0.0)
            ),
        ),
        _kind("bursts of lost packets", "dis", "share", (0.03, 0.08, 0.15, 0.25), in_bursts, "loss"),
        _kind("lost packets, noise instead", "dis", "share", (0.03, 0.08, 0.15, 0.25), hissing, "loss"),
        _kind("lost packets, left out", "dis", "share", (0.03, 0.08, 0.15, 0.25), skipping, "loss"),
        _kind("lost packets in 15 dB pink noise", "dis", "share", (0.0, 0.03, 0.08, 0.15, 0.25), _in_pink, "loss"),
        _kind("softer", "loud", "LUFS", (-27.0, -33.0, -39.0, -45.0, -51.0), leveled, "wanted"),
        _kind("louder", "loud", "LUFS", (-21.0, -18.0, -14.0, -10.0), leveled, "wanted"),
    ]
    if folder is not None:
        made.insert(2, _kind("people talking", "noi", "dB SNR", snrs, talking, "snr", folder=folder))
    if importlib.util.find_spec("av") is not None:
        at = next(number for number, kind in enumerate(made) if kind.name == "Vorbis") + 1
        aac = {"codec": "aac", "form": "adts", "rate": 16000}
        amr = {"codec": "libopencore_amrnb", "form": "amr", "rate": 8000}
        made[at:at] = [
            _kind("AAC", "col", "kbit/s", (48.0, 24.0, 16.0, 10.0), by_pyav, "kilobits", **aac),
            _kind("AMR", "col", "kbit/s", (12.2, 7.4, 5.9, 4.75), by_pyav, "kilobits", **amr),
            _kind("G.726", "col", "kbit/s", (40.0, 32.0, 24.0, 16.0), by_pyav, "kilobits", codec="g726", form="wav", rate=8000),
        ]
    return tuple(made)


def _in_pink(sound: Sound, seed: int, loss: float) -> Sound:
    gone = lossy(sound, seed + 50, loss, "zero") if loss else sound
    noise = noisy(sound, seed + 50, "pink", 15.0).samples - sound.samples
    return Sound((gone.samples + noise).astype(np.float32), sound.rate)
