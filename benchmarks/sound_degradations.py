"""What the ratings of `dnsmos` see of known damage: mean change from the clean sound, for synthetic speech.

    python benchmarks/sound_degradations.py [--sentences 4]

Every sentence is spoken by each voice, damaged, and rated; the table holds mean changes over voices and sentences, and
`seen`: the share of sentences whose rating fell by more than 0.1. Needs the embedded extra; flite voices join where the
program is present. Printed as Markdown; the last line is a JSON object.

    python benchmarks/sound_degradations.py --nisqa nisqa.tar --speech FOLDER

compares `dnsmos` with NISQA on the recordings of a folder (wav, flac), each as it is and after every damage: how both change, and
how well they agree over all sounds (LCC: Pearson, SRCC: Spearman, MSE, difference of the means) and within a recording (SRCC,
mean over the recordings). Needs torch and the weights of NISQA.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import pearsonr, spearmanr
from voice_consistency import voices

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.quality.estimator import ESTIMATORS
from turnwise.speech.perturbation import PERTURBATIONS

VOICES = ("en-us+f2", "en-us+klatt2", "en-us+edward", "flite slt", "flite rms")
NAMES = ("mos", "ovrl", "sig", "bak")
FIVE = ("mos", "noi", "col", "dis", "loud")
# A rating of dnsmos and the one of NISQA that comes nearest to it in what it asks.
PAIRS = (("mos", "mos"), ("ovrl", "mos"), ("bak", "noi"), ("sig", "col"), ("sig", "dis"))


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
    parser.add_argument("--nisqa", type=Path, help="nisqa.tar: compare with NISQA instead")
    parser.add_argument("--speech", type=Path, help="folder of recordings for the comparison")
    given = parser.parse_args()
    if (given.nisqa is None) != (given.speech is None):
        parser.error("--nisqa and --speech belong together")
    print(json.dumps(on_voices(given.sentences) if given.nisqa is None else on_recordings(given.speech, given.nisqa)))


def rater_of(name: str, names: tuple[str, ...], **options: object) -> Callable[[Sound], list[float]]:
    rater = ESTIMATORS.build(name, options).open()

    def rated(sound: Sound) -> list[float]:
        estimate = rater.rate(sound)
        return [estimate.value(each) for each in names]

    return rated


def on_voices(sentences: int) -> dict[str, object]:
    sounds = {name: said[:sentences] for name, said in voices(VOICES).items()}
    rated = rater_of("dnsmos", NAMES)
    clean = {voice: np.array([rated(sound) for sound in said]) for voice, said in sounds.items()}
    level = np.concatenate(list(clean.values()))
    print("| | " + " | ".join(NAMES) + " | seen by mos | by ovrl | by sig | by bak |\n|---|" + "---|" * 8)
    print("| clean | " + " | ".join(f"{value:.2f}" for value in level.mean(axis=0)) + " | | | | |")
    result: dict[str, object] = {
        "voices": list(sounds),
        "clean": dict(zip(NAMES, level.mean(axis=0).round(3).tolist(), strict=True)),
    }
    for name, damage in DAMAGE.items():
        damaged = [rated(damage(sound, seed)) for said in sounds.values() for seed, sound in enumerate(said)]
        change = np.array(damaged) - level
        means, seen = change.mean(axis=0), (change < -0.1).mean(axis=0)
        cells = [*(f"{value:+.2f}" for value in means), *(f"{100 * share:.0f} %" for share in seen)]
        print(f"| {name} | " + " | ".join(cells) + " |")
        result[name] = dict(zip(NAMES, means.round(3).tolist(), strict=True))
    for voice, values in clean.items():
        print(f"| clean, {voice} | " + " | ".join(f"{value:.2f}" for value in values.mean(axis=0)) + " | | | | |")
    return result


def on_recordings(folder: Path, weights: Path) -> dict[str, object]:
    recordings = [read_sound(path) for path in sorted(folder.iterdir()) if path.suffix in (".wav", ".flac")]
    ours, theirs = rater_of("dnsmos", NAMES), rater_of("nisqa", FIVE, weights=str(weights))
    conditions: dict[str, Callable[[Sound, int], Sound]] = {"as it is": lambda sound, seed: sound, **DAMAGE}
    damaged = [[damage(sound, seed) for seed, sound in enumerate(recordings)] for damage in conditions.values()]
    # By condition, recording and rating.
    mine, other = (np.array([[rated(sound) for sound in row] for row in damaged]) for rated in (ours, theirs))
    print("| | " + " | ".join((*NAMES, *(f"NISQA {name}" for name in FIVE))) + " |\n|---|" + "---|" * 9)
    both = np.concatenate((mine, other), axis=2)
    for number, name in enumerate(conditions):
        means = (both[number] - both[0] * (number > 0)).mean(axis=0)
        print(f"| {name} | " + " | ".join(f"{value:{'+' if number else ''}.2f}" for value in means) + " |")
    print(
        "\n| dnsmos | NISQA | LCC | SRCC | MSE | difference of means | SRCC within a recording |\n|---|---|---|---|---|---|---|"
    )
    result: dict[str, object] = {"recordings": len(recordings), "sounds": both[..., 0].size}
    for a, b in PAIRS:
        x, y = mine[..., NAMES.index(a)], other[..., FIVE.index(b)]
        within = np.mean([spearmanr(x[:, n], y[:, n]).statistic for n in range(len(recordings))])
        lcc, srcc = pearsonr(x.ravel(), y.ravel()).statistic, spearmanr(x.ravel(), y.ravel()).statistic
        found = [float(value) for value in (lcc, srcc, np.mean((x - y) ** 2), x.mean() - y.mean(), within)]
        print(f"| `{a}` | `{b}` | " + " | ".join(f"{value:.2f}" for value in found) + " |")
        result[f"{a} and {b}"] = [round(value, 3) for value in found]
    return result


if __name__ == "__main__":
    main()
