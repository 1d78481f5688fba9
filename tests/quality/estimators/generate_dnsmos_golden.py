"""Ratings by the package `speechmos` as shipped, for the sounds below: writes dnsmos_golden.json beside this file.

Needs what the shipped package imports, which the project does not depend on:
    python3 -m venv golden && golden/bin/pip install speechmos==0.0.1.1 librosa onnxruntime requests tqdm pandas scipy
    golden/bin/python tests/quality/estimators/generate_dnsmos_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

RATE = 16000
WINDOW = 144160
GOLDEN = Path(__file__).with_name("dnsmos_golden.json")


def vowels(seconds: float, seed: int, noise: float = 0.0) -> np.ndarray:
    """A buzz at a moving pitch through moving resonances, in syllables: speech enough for the models."""
    from scipy.signal import lfilter

    random = np.random.RandomState(seed)
    count = int(seconds * RATE)
    pitch = 120 + 25 * np.sin(2 * np.pi * np.arange(count) / RATE / 1.7)
    buzz = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0) + 0.01 * random.standard_normal(count)
    out = np.zeros(count)
    length = RATE // 5
    for start in range(0, count, length):
        piece = buzz[start : start + length]
        for hertz in (random.uniform(300, 800), random.uniform(1000, 2200), random.uniform(2400, 3200)):
            radius = np.exp(-np.pi * 90 / RATE)
            piece = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], piece)
        out[start : start + length] = piece * np.hanning(len(piece)) * (random.uniform() > 0.15)
    out *= 0.3 / np.abs(out).max()
    return np.clip(out + noise * random.standard_normal(count), -1, 1).astype(np.float32)


def sounds() -> dict[str, np.ndarray]:
    """By name; the lengths are those at which the published script counts its windows differently."""
    return {
        "short": vowels(3.0, 1),
        "short-noisy": vowels(5.5, 2, noise=0.02),
        "one-window": vowels(9.01, 3),
        "two-windows": vowels(11.2, 4, noise=0.005),
    }


def main() -> None:
    import librosa
    import onnxruntime
    import speechmos.dnsmos

    golden: dict[str, object] = {"librosa": librosa.__version__, "onnxruntime": onnxruntime.__version__}
    for name, samples in sounds().items():
        whole = samples
        while len(whole) < WINDOW:
            whole = np.concatenate((whole, whole))
        shipped = speechmos.dnsmos.run(samples, RATE)
        first = speechmos.dnsmos.run(whole[:WINDOW], RATE)
        golden[name] = {"shipped": _plain(shipped), "first window": _plain(first)}
    mel = speechmos.dnsmos.dnsmos.audio_melspec(audio=sounds()["one-window"][:-160])
    golden["mel"] = {"shape": list(mel.shape), "every 997th": [round(float(v), 5) for v in mel.ravel()[::997]]}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


def _plain(rated: dict[str, float]) -> dict[str, float]:
    names = {"mos": "p808_mos", "ovrl": "ovrl_mos", "sig": "sig_mos", "bak": "bak_mos"}
    return {ours: round(float(rated[theirs]), 6) for ours, theirs in names.items()}


if __name__ == "__main__":
    main()
