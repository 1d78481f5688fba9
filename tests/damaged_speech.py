"""Speech for tests of what listens, and damage to it: a voice made of numbers, a real synthesizer where there is one, recordings.

for voice in voices(): ...      # (name, sound), at -24 LUFS; the made one is always there
noisy(sound, 10), lowpassed(sound, 3400), clipped(sound, 0.2), lost(sound, 0.1), repeated(sound, 0.1), gained(sound, -20)
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import MissingDependency
from turnwise.speech.engine import SYNTHESIZERS
from turnwise.speech.level import active_power, loudness
from turnwise.speech.perturbation import PERTURBATIONS

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
SPEECH = SHARED / "speech"
TEXT = "There is a small theatre near the river that opens at seven. Sorry, I did not understand the name of the street."
NOMINAL = -24.0  # LUFS


@cache
def made_voice(seconds: float = 6.0, rate: int = 16000) -> Sound:
    """Syllables of a gliding voice with formants, each fifth one a hiss, with soft edges; then a pause after each sixth."""
    draw = np.random.default_rng(7)
    samples = np.zeros(int(seconds * rate))
    length = int(0.24 * rate)
    edge = np.sin(np.linspace(0, np.pi / 2, length // 4)) ** 2
    envelope = np.concatenate((edge, np.ones(length - 2 * len(edge)), edge[::-1]))
    time = np.arange(length) / rate
    for number, start in enumerate(range(0, len(samples) - length, int(0.26 * rate))):
        if number % 7 == 6:
            continue
        if number % 5 == 3:
            hiss = np.fft.rfft(draw.standard_normal(length))
            hiss[np.fft.rfftfreq(length, 1 / rate) < 2500] = 0
            syllable = 0.04 * np.fft.irfft(hiss, length)
        else:
            pitch = 120 + 25 * np.sin(number) + 30 * time  # Hz
            phase = 2 * np.pi * np.cumsum(pitch) / rate
            first, second = 500 + 200 * np.sin(1.7 * number), 1500 + 400 * np.cos(2.3 * number)  # Hz
            syllable = np.zeros(length)
            for harmonic in range(1, int(0.47 * rate / 175)):
                at = harmonic * 130.0
                size = 1 / (1 + ((at - first) / 150) ** 2) + 0.4 / (1 + ((at - second) / 200) ** 2) + 0.003
                syllable += size * np.sin(harmonic * phase + harmonic**2)
            syllable *= 0.12
        samples[start : start + length] += envelope * syllable
    return at_level(Sound(samples.astype(np.float32), rate), NOMINAL)


@cache
def synthesised() -> Sound | None:
    """A sentence by flite or else eSpeak NG; None where neither is there."""
    for name in ("flite", "espeak"):
        try:
            speaking = SYNTHESIZERS.build(name).open()
            sound = speaking.speak(TEXT, seed=1)
        except MissingDependency:
            continue
        speaking.close()
        return at_level(sound, NOMINAL)
    return None


@cache
def recorded() -> Sound | None:
    """Eight seconds of read speech; None where the shared folder is not there."""
    path = SPEECH / "libri_1088-134315-0000.wav"
    if not path.is_file():
        return None
    whole = read_sound(path)
    return at_level(Sound(np.ascontiguousarray(whole.samples[: 8 * whole.rate]), whole.rate), NOMINAL)


def voices() -> list[tuple[str, Sound]]:
    named = [("made", made_voice()), ("synthesised", synthesised()), ("recorded", recorded())]
    return [(name, sound) for name, sound in named if sound is not None]


# ---------------------------------------------------------------- damage


def at_level(sound: Sound, wanted: float) -> Sound:
    measured = loudness(sound)
    assert measured is not None
    return gained(sound, wanted - measured)


def gained(sound: Sound, decibels: float) -> Sound:
    return Sound((sound.samples * 10 ** (decibels / 20)).astype(np.float32), sound.rate)


def noisy(sound: Sound, snr: float, kind: str = "white", seed: int = 3) -> Sound:
    """White, pink or shaped as speech, the ratio taken over the active frames; nothing is scaled to fit."""
    noise = np.random.default_rng(seed).standard_normal(len(sound.samples))
    if kind == "pink":
        spectrum = np.fft.rfft(noise)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        noise = np.fft.irfft(spectrum, len(noise))
    noise *= np.sqrt(active_power(sound) / 10 ** (snr / 10) / np.mean(noise**2))
    return Sound((sound.samples + noise).astype(np.float32), sound.rate)


def lowpassed(sound: Sound, edge: float, side: str = "low") -> Sound:
    """Without what lies above an edge in Hz (side "high": below it), as loud as before."""
    spectrum = np.fft.rfft(sound.samples.astype(np.float64))
    frequency = np.fft.rfftfreq(len(sound.samples), 1 / sound.rate)
    spectrum[frequency > edge if side == "low" else frequency < edge] *= 1e-4
    return at_level(Sound(np.fft.irfft(spectrum, len(sound.samples)).astype(np.float32), sound.rate), NOMINAL)


def clipped(sound: Sound, share: float) -> Sound:
    """The loudest share of the samples that are not silent held at one level, as loud as before."""
    size = np.abs(sound.samples)
    limit = float(np.quantile(size[size > 0.01 * size.max()], 1 - share))
    return at_level(Sound(np.clip(sound.samples, -limit, limit), sound.rate), NOMINAL)


def lost(sound: Sound, share: float, fill: str = "zero", seed: int = 3) -> Sound:
    changed: Sound = PERTURBATIONS.build("packet_loss", {"loss": share, "fill": fill}).apply(sound, seed)
    return changed


def repeated(sound: Sound, share: float, seed: int = 3) -> Sound:
    return lost(sound, share, "repeat", seed)
