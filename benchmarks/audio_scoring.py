"""Seconds to rate a short turn: ours, the package `speechmos` as shipped, and the bare models on prepared input.

    python benchmarks/audio_scoring.py [--turns 8] [--json]

Turns are 2 to 6 s of synthetic speech (eSpeak NG where it is installed, else shaped noise) at 16 kHz. Ours rates one window of
9.01 s per turn on one thread; the package rates every window of the repeated sound and takes as many threads as onnxruntime gives
it; the bare models are one call of each with what we would hand them. The three take turns, sound by sound, so that other work on
the machine meets all of them; the ratios are those of the totals. With `--json` only the last line is printed: a JSON object,
`ratio_to_package` (aim 3 or more) and `ratio_to_raw_model` (aim 0.9 or more), above 1 where ours is the faster.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # numpy's part of ours; onnxruntime does not read it

import numpy as np

from turnwise.foundation.audio import Samples, Sound
from turnwise.foundation.errors import MissingDependency
from turnwise.foundation.resampling import resample
from turnwise.quality.estimators import dnsmos

TEXTS = (
    "What kind of food would you like?",
    "I can book a table for two near the harbor.",
    "Your flight leaves on Monday morning at half past nine, and the seat is by the window.",
    "Certainly.  Which part of town do you prefer, and for how many people?",
    "There are three hotels in the centre, and the cheapest of them costs eighty dollars a night, with breakfast included.",
    "Have you ever been to the old theatre on the river?  They play a comedy this week.",
    "The film starts at eight.",
    "You asked me for a quiet place with a garden, and I have found two of them for you.",
)
SHIPPED = {"mos": "p808_mos", "ovrl": "ovrl_mos", "sig": "sig_mos", "bak": "bak_mos"}
HOW = "to compare with the package as shipped: pip install librosa requests tqdm pandas"


def turns(count: int) -> tuple[str, list[Samples]]:
    try:
        from turnwise.speech.engine import SYNTHESIZERS

        speaking = SYNTHESIZERS.build("espeak").open()
    except MissingDependency:
        random = np.random.default_rng(1)
        return "shaped noise", [_noise(random, 2.0 + i % 5) for i in range(count)]
    try:
        sounds = [speaking.speak(TEXTS[i % len(TEXTS)] + " Yes." * (i // len(TEXTS)), seed=1) for i in range(count)]
    finally:
        speaking.close()
    return "espeak", [resample(sound, dnsmos.RATE).samples for sound in sounds]


def _noise(random: np.random.Generator, seconds: float) -> Samples:
    count = int(seconds * dnsmos.RATE)
    rough = np.cumsum(random.normal(size=count))
    rough -= np.convolve(rough, np.ones(81) / 81, mode="same")
    syllables = np.abs(np.sin(2 * np.pi * 2 * np.arange(count) / dnsmos.RATE))
    return (0.3 * rough / np.abs(rough).max() * syllables).astype(np.float32)


def package() -> Callable[[Samples], dict[str, float]] | None:
    try:
        import speechmos.dnsmos as shipped
    except ImportError:
        return None
    return lambda samples: {ours: float(value) for ours, value in _named(shipped.run(samples, dnsmos.RATE)).items()}


def _named(rated: dict[str, Any]) -> dict[str, Any]:
    return {ours: rated[theirs] for ours, theirs in SHIPPED.items()}


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, wall seconds, processor seconds."""
    wall, busy = time.perf_counter(), time.process_time()
    made = call()
    return made, time.perf_counter() - wall, time.process_time() - busy


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    options = parser.parse_args()
    say: Callable[[str], None] = (lambda line: None) if options.json else print
    kind, sounds = turns(options.turns)
    rater = dnsmos.estimator().open()
    quick = dnsmos.estimator(ratings="mos").open()
    overall, parts = (dnsmos.session(path, 1) for path in dnsmos.model_files())
    shipped = package()
    if shipped is None:
        say(HOW)

    def raw(window: Samples, mel: np.ndarray) -> None:
        overall.run(None, {"input_1": mel})
        parts.run(None, {"input_1": window})

    seconds: dict[str, list[tuple[float, float]]] = {"ours": [], "mos only": [], "raw model": [], "package": []}
    gaps: dict[str, list[float]] = {name: [] for name in SHIPPED}
    for number, samples in enumerate((sounds[0], *sounds)):  # the first round warms up and is not counted
        window = dnsmos.windows(samples, "one")[0]
        mel = dnsmos.mel_levels(window[:-160])[np.newaxis]
        sound = Sound(samples, dnsmos.RATE)
        rounds: dict[str, Callable[[], Any]] = {
            "ours": lambda sound=sound: rater.rate(sound),
            "raw model": lambda window=window, mel=mel: raw(window[np.newaxis], mel),
            "mos only": lambda sound=sound: quick.rate(sound),
        }
        if shipped is not None:
            rounds["package"] = lambda samples=samples: shipped(samples)
        # Every other turn in the other order: whoever goes first finds the caches cold.
        results = {}
        for name in list(rounds) if number % 2 else list(reversed(rounds)):
            results[name], wall, busy = timed(rounds[name])
            if number:
                seconds[name].append((wall, busy))
        if number and shipped is not None:
            for name, value in results["package"].items():
                gaps[name].append(results["ours"].value(name) - value)

    length = sum(map(len, sounds)) / dnsmos.RATE
    result: dict[str, Any] = {"sound": kind, "turns": len(sounds), "seconds_of_sound": round(length, 1)}
    for name, pairs in seconds.items():
        if pairs:
            wall, busy = np.median(np.array(pairs), axis=0)
            result[name.replace(" ", "_") + "_seconds_per_turn"] = round(float(wall), 4)
            say(f"{name:10} {wall:.3f} s per turn, {busy:.3f} s of processor")
    result["ratio_to_raw_model"] = ratio(seconds["raw model"], seconds["ours"], 0)
    result["ratio_to_raw_model_processor"] = ratio(seconds["raw model"], seconds["ours"], 1)
    result["ratio_to_package"] = ratio(seconds["package"], seconds["ours"], 0) if shipped is not None else None
    if shipped is not None:
        result["ratio_to_package_processor"] = ratio(seconds["package"], seconds["ours"], 1)
        result["difference"] = {
            name: {"mean": round(float(np.mean(gap)), 4), "largest": round(float(np.max(np.abs(gap))), 4)}
            for name, gap in gaps.items()
        }
    else:
        result["package"] = HOW
    print(json.dumps(result))


def ratio(theirs: list[tuple[float, float]], ours: list[tuple[float, float]], clock: int) -> float:
    """Total of theirs over total of ours: `clock` 0 is wall, 1 is processor seconds."""
    return round(sum(pair[clock] for pair in theirs) / sum(pair[clock] for pair in ours), 3)


if __name__ == "__main__":
    main()
