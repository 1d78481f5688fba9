"""What the ratings of `dnsmos` see of known damage: mean change from the clean sound, for synthetic speech.

    python benchmarks/sound_degradations.py [--sentences 4]

Every sentence is spoken by each voice, damaged, and rated; the table holds mean changes over voices and sentences, and
`seen`: the share of sentences whose rating fell by more than 0.1. Needs the embedded extra; flite voices join where the
program is present. Printed as Markdown; the last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
from voice_consistency import voices

from turnwise.foundation.audio import Sound
from turnwise.quality.estimator import ESTIMATORS
from turnwise.speech.perturbation import PERTURBATIONS

VOICES = ("en-us+f2", "en-us+klatt2", "en-us+edward", "flite slt", "flite rms")
NAMES = ("mos", "ovrl", "sig", "bak")


def gain(decibels: float) -> Callable[[Sound, int], Sound]:
    return lambda sound, seed: Sound((sound.samples * 10 ** (decibels / 20)).astype(np.float32), sound.rate)


def clipping(share: float) -> Callable[[Sound, int], Sound]:
    """The louder `share` of the samples that are not silent held at one level."""

    def apply(sound: Sound, seed: int) -> Sound:
        size = np.abs(sound.samples)
        limit = float(np.quantile(size[size > 0.01 * size.max()], 1 - share))
        return Sound(np.clip(sound.samples, -limit, limit), sound.rate)

    return apply


def perturbed(name: str, **options: object) -> Callable[[Sound, int], Sound]:
    return PERTURBATIONS.build(name, options).apply  # type: ignore[no-any-return]


DAMAGE: dict[str, Callable[[Sound, int], Sound]] = {
    "white noise 20 dB": perturbed("noise", snr=20.0),
    "white noise 10 dB": perturbed("noise", snr=10.0),
    "white noise 0 dB": perturbed("noise", snr=0.0),
    "babble-like noise 10 dB": perturbed("noise", snr=10.0, kind="babble"),
    "telephone (300-3400 Hz, mu-law)": perturbed("telephone"),
    "packet loss 5 %": perturbed("packet_loss", loss=0.05),
    "packet loss 20 %": perturbed("packet_loss", loss=0.2),
    "packet loss 20 %, repeated": perturbed("packet_loss", loss=0.2, fill="repeat"),
    "clipping of 20 %": clipping(0.2),
    "20 dB softer": gain(-20.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sentences", type=int, default=4)
    sounds = {name: said[: parser.parse_args().sentences] for name, said in voices(VOICES).items()}
    rater = ESTIMATORS.build("dnsmos").open()

    def rated(sound: Sound) -> list[float]:
        estimate = rater.rate(sound)
        return [estimate.value(name) for name in NAMES]

    clean = {voice: np.array([rated(sound) for sound in said]) for voice, said in sounds.items()}
    level = np.concatenate(list(clean.values()))
    print("| | " + " | ".join(NAMES) + " | seen by mos | by ovrl | by sig | by bak |\n|---|" + "---|" * 8)
    print("| clean | " + " | ".join(f"{value:.2f}" for value in level.mean(axis=0)) + " | | | | |")
    result = {"voices": list(sounds), "clean": dict(zip(NAMES, level.mean(axis=0).round(3).tolist(), strict=True))}
    for name, damage in DAMAGE.items():
        damaged = [rated(damage(sound, seed)) for said in sounds.values() for seed, sound in enumerate(said)]
        change = np.array(damaged) - level
        means, seen = change.mean(axis=0), (change < -0.1).mean(axis=0)
        cells = [*(f"{value:+.2f}" for value in means), *(f"{100 * share:.0f} %" for share in seen)]
        print(f"| {name} | " + " | ".join(cells) + " |")
        result[name] = dict(zip(NAMES, means.round(3).tolist(), strict=True))
    for voice, values in clean.items():
        print(f"| clean, {voice} | " + " | ".join(f"{value:.2f}" for value in values.mean(axis=0)) + " | | | | |")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
