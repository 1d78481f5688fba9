"""How well voice prints tell voices apart, and the fit of quality/voice_space.json.

    python benchmarks/voice_consistency.py            # error rates on voices that the space was not fitted to
    python benchmarks/voice_consistency.py --write    # fit the space anew first, and write it

Needs the embedded extra (eSpeak NG); flite voices are used where the program `flite` is present. Every voice speaks the same 15
sentences. The space is fitted to the FITTED voices; the errors are those of the HELD voices, whose print is made of 1 or 3
sentences and compared with every other sentence of every held voice. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.quality import voice_print as prints
from turnwise.speech.engine import SYNTHESIZERS
from turnwise.speech.perturbation import PERTURBATIONS

HELD = ("en-us+f2", "en-us+f5", "en-us+klatt2", "en-us+klatt4", "en-us+edward", "en-us+m3", "flite slt", "flite rms", "flite awb")
FITTED_VARIANTS = """
    f1 f3 f4 m1 m2 m4 m5 m6 m7 m8 klatt klatt3 klatt5 klatt6 steph steph2 steph3 Andy Annie Denis Diogo Jacky Lee
    Mario Michael Mike aunty grandma grandpa linda max michel quincy rob robert sandro shelby zac norbert pablo paul
    anika belinda benjamin boris caleb david ed iven john kaukovalta marcelo miguel mike2 travis victor
"""
FITTED = (*(f"en-us+{variant}" for variant in FITTED_VARIANTS.split()), "en-us", "gmw/en", "flite kal16")
SENTENCES = (
    "Hello, I am looking for a quiet place to eat tonight.",
    "Could you tell me the price of two tickets for Saturday?",
    "There is a small theatre near the river that opens at seven.",
    "My brother would rather listen to something calm while he cooks.",
    "That sounds lovely, please book a table for four people.",
    "We have an Italian restaurant and a Chinese one in the centre.",
    "The weather has been terrible since the beginning of the month.",
    "Yes, thank you, I would like to hear the second song again.",
    "How many rooms does the house have, and is there a garden?",
    "The bus leaves at half past nine from the main station.",
    "I can recommend a comedy that my friends enjoyed last week.",
    "What a day, I have not had a minute to sit down.",
    "It costs forty five dollars and includes breakfast.",
    "Sorry, I did not understand the name of the street.",
    "You could try the museum, it is free on Sundays.",
)
# What is done to the enrolled sentences, and to the compared one.
CONDITIONS = (
    ("clean", "clean"),
    ("telephone", "telephone"),
    ("noise 20 dB", "noise 20 dB"),
    ("clean", "telephone"),
    ("clean", "noise 20 dB"),
)
_OPTIONS = {"telephone": ("telephone", {}), "noise 20 dB": ("noise", {"snr": 20.0})}


def spoken(voice: str) -> list[Sound]:
    if voice.startswith("flite "):
        return [_flite(voice.removeprefix("flite "), sentence) for sentence in SENTENCES]
    speaking = SYNTHESIZERS.build("espeak", {"voice": voice}).open()
    try:
        return [speaking.speak(sentence, seed=1) for sentence in SENTENCES]
    finally:
        speaking.close()


def _flite(voice: str, text: str) -> Sound:
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        samples, rate = soundfile.read(path, dtype="float32")
    return Sound(samples, rate)


def voices(names: Sequence[str]) -> dict[str, list[Sound]]:
    made = {}
    for name in names:
        if name.startswith("flite ") and shutil.which("flite") is None:
            print(f"{name}: left out, the program flite is not installed")
            continue
        try:
            made[name] = spoken(name)
        except InputError as error:
            print(f"{name}: left out, {error}")
    return made


def print_rows(sounds: dict[str, list[Sound]], condition: str) -> dict[str, np.ndarray]:
    """Per voice one row of 13 numbers a sentence; a pitch that was not found is the voice's median."""
    rows = {}
    for voice, said in sounds.items():
        if condition != "clean":
            name, options = _OPTIONS[condition]
            change = PERTURBATIONS.build(name, options)
            said = [change.apply(sound, seed) for seed, sound in enumerate(said)]
        made = [prints.voice_print(sound) for sound in said]
        table = np.array([[*p.cepstra, np.log2(p.pitch) if p.pitch else np.nan] for p in made])
        table[np.isnan(table[:, -1]), -1] = np.nanmedian(table[:, -1])
        rows[voice] = table
    return rows


def differences(enrolled: dict[str, np.ndarray], compared: dict[str, np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Differences between the mean of `size` sentences of a voice and single other sentences: of the same voice, of others."""
    same, other = [], []
    for voice, rows in enrolled.items():
        for start in range(0, len(rows) - size + 1):
            mean = rows[start : start + size].mean(axis=0)
            rest = [i for i in range(len(rows)) if not start <= i < start + size]
            for name, said in compared.items():
                (same if name == voice else other).append(mean - said[rest])
    return np.concatenate(same), np.concatenate(other)


def equal_error_rate(same: np.ndarray, other: np.ndarray) -> float:
    """Share of errors at the distance where same voices are rejected as often as other voices are accepted."""
    at = np.sort(np.concatenate((same, other)))
    rejected = 1 - np.searchsorted(np.sort(same), at, side="right") / len(same)
    accepted = np.searchsorted(np.sort(other), at, side="right") / len(other)
    place = int(np.argmin(np.abs(rejected - accepted)))
    return float((rejected[place] + accepted[place]) / 2)


def far(whitening: np.ndarray, difference: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean((difference @ whitening.T) ** 2, axis=1))


def fit(sounds: dict[str, list[Sound]]) -> prints.VoiceSpace:
    """Whitening by the covariance of sentences within a voice; a logistic curve over log distance.

    The curve is fitted to clean prints of 1 and 3 sentences against clean and telephone sentences.
    """
    from sklearn.linear_model import LogisticRegression

    clean, line = print_rows(sounds, "clean"), print_rows(sounds, "telephone")
    within = sum(np.cov(rows, rowvar=False) for rows in clean.values()) / len(clean)
    whitening = np.linalg.cholesky(np.linalg.inv(within)).T
    same, other = [], []
    for compared in (clean, line):
        for size in (1, 3):
            s, o = differences(clean, compared, size)
            same.append(far(whitening, s))
            other.append(far(whitening, o))
    s, o = np.concatenate(same), np.concatenate(other)
    kind = np.repeat([1, 0], [len(s), len(o)])
    curve = LogisticRegression(class_weight="balanced", C=1e6).fit(np.log(np.append(s, o))[:, None], kind)
    slope = -float(curve.coef_[0, 0])
    table = tuple(tuple(round(float(v), 5) for v in row) for row in whitening)
    return prints.VoiceSpace(tuple(sounds), table, round(slope, 4), round(float(np.exp(curve.intercept_[0] / slope)), 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="fit the space anew and write it beside voice_print.py")
    if parser.parse_args().write:
        path = Path(prints.__file__).with_name("voice_space.json")
        path.write_bytes(msgspec.json.format(msgspec.json.encode(fit(voices(FITTED))), indent=0) + b"\n")
        prints.voice_space.cache_clear()
        print(f"written: {path}")
    held = voices(HELD)
    table = {name: print_rows(held, name) for name in ("clean", *_OPTIONS)}
    whitening = np.array(prints.voice_space().whitening)
    result: dict[str, object] = {"voices": list(held)}
    print(f"{'enrolled':12} {'compared':12} sentences  EER %   same voice below 50 %   other voice above 50 %")
    for enrolled, compared in CONDITIONS:
        for size in (1, 3):
            same, other = (far(whitening, d) for d in differences(table[enrolled], table[compared], size))
            error = equal_error_rate(same, other)
            middle = prints.voice_space().middle
            missed, accepted = float(np.mean(same > middle)), float(np.mean(other < middle))
            print(f"{enrolled:12} {compared:12} {size:9}  {100 * error:5.1f}   {100 * missed:20.1f}   {100 * accepted:21.1f}")
            rates = {"eer": error, "miss": missed, "false": accepted}
            result[f"{enrolled} > {compared}, {size}"] = {name: round(rate, 4) for name, rate in rates.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
