"""Seconds of sound that `turnwise listen` rates in a second, against the bare models in a loop, and against other packages.

    python benchmarks/listening_throughput.py [--nisqa nisqa.tar] [--files 200] [--jobs 1] [--hours 0] [--json]

A folder of turns of 2 to 4 s is made (eSpeak NG where it is installed, else shaped noise; FLAC, 16 kHz). The command rates the
first 20 of them and all, as a user would start it; what the others take more is its speed, without start and loading. Between
the two run, over the first 20:

- `listener`: the same listener in a loop over the same files, which reads and rates and does nothing else;
- `models`: the models alone on input that is ready (P.808 and three listeners of PLCMOS; the network of NISQA);
- a peer: the package `speechmos` as shipped (DNSMOS and PLCMOS), torchmetrics' NISQA.

Every one has one thread and, but for the command with `--jobs`, one process. Ratios are of seconds per second of sound, above 1
where the command is the faster; those of processor time bear other work on the machine, those of the clock do not. The memory is
the most that one process of the command ever held. `--hours` adds the memory of one long recording (two channels, 48 kHz) under a
listener that does nothing, so that it measures the reading, the windows and the search for speech.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import MissingDependency
from turnwise.listening.ratings import Ratings

FEW = 20  # files
RATE = 16000
LONG_RATE = 48000
TEXTS = (
    "What kind of food would you like?",
    "I can book a table for two near the harbor.",
    "There are three hotels in the centre.",
    "The film starts at eight, on the river.",
)


# ---------------------------------------------------------------- what is heard


def make_folder(folder: Path, count: int) -> str:
    """Turns of 2 to 4 s; no two are the same."""
    draw = np.random.default_rng(1)
    kind, voices = _voices(draw)
    for number in range(count):
        length = int((2.0 + 2.0 * draw.random()) * RATE)
        samples = np.resize(voices[number % len(voices)], length) * (0.5 + 0.5 * draw.random())
        soundfile.write(folder / f"{number:04}.flac", samples + 1e-3 * draw.standard_normal(length), RATE)
    return kind


def _voices(draw: np.random.Generator) -> tuple[str, list[np.ndarray]]:
    from turnwise.foundation.resampling import resample
    from turnwise.speech.engine import SYNTHESIZERS

    try:
        speaking = SYNTHESIZERS.build("espeak").open()
    except MissingDependency:
        return "shaped noise", [_noise(draw) for _ in TEXTS]
    try:
        return "espeak", [resample(speaking.speak(text, seed=1), RATE).samples for text in TEXTS]
    finally:
        speaking.close()


def _noise(draw: np.random.Generator) -> np.ndarray:
    rough = np.cumsum(draw.normal(size=3 * RATE))
    rough -= np.convolve(rough, np.ones(81) / 81, mode="same")
    return 0.3 * rough / np.abs(rough).max() * np.abs(np.sin(4 * np.pi * np.arange(3 * RATE) / RATE))


def make_long(path: Path, hours: float) -> None:
    draw = np.random.default_rng(2)
    with soundfile.SoundFile(path, "w", LONG_RATE, 2, "PCM_16", format="FLAC") as file:
        for _ in range(int(hours * 360)):  # ten seconds each
            voice = np.repeat(_noise(draw), 3)
            both = np.resize(voice, 10 * LONG_RATE) * draw.uniform(0.2, 1.0)
            file.write(np.stack((both, 0.7 * np.roll(both, 480)), axis=1) + 1e-3 * draw.standard_normal((len(both), 2)))


# ---------------------------------------------------------------- who hears


def loop(what: str, weights: str, paths: Sequence[Path]) -> dict[str, float]:
    """Seconds of one of those that the command is compared with, over these files; the first warms up."""
    rate = LOOPS[what](weights)
    rate(paths[0])
    spent = np.zeros(2)
    for path in paths:
        spent += rate(path)
    return {"seconds": float(spent[0]), "processor": float(spent[1])}


def _timed(work: Callable[[], object]) -> np.ndarray:
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return np.array((time.perf_counter() - wall, time.process_time() - busy))


def _read(path: Path) -> Sound:
    samples, rate = soundfile.read(path, dtype="float32")
    return Sound(samples, rate)


def _listener(name: str) -> Callable[[str], Callable[[Path], np.ndarray]]:
    def opened(weights: str) -> Callable[[Path], np.ndarray]:
        from turnwise.listening.listener import LISTENERS

        listening = LISTENERS.build(name, {"weights": weights} if weights else {}).open()
        return lambda path: _timed(lambda: listening.rate_many([_read(path)]))

    return opened


def _onnx_models(_: str) -> Callable[[Path], np.ndarray]:
    from turnwise.quality.estimators import dnsmos, plcmos

    overall, concealment = dnsmos.session(dnsmos.model_files()[0], 1), dnsmos.session(plcmos.model_file(), 1)
    listeners = np.random.default_rng(1).standard_normal((3, 1, 64)).astype(np.float32)

    def rate(path: Path) -> np.ndarray:
        samples = _read(path).samples
        mel = dnsmos.mel_levels(dnsmos.windows(samples, "one")[0][:-160])[np.newaxis]
        levels = plcmos.levels_of(samples)[np.newaxis, np.newaxis]

        def models() -> None:
            overall.run(None, {"input_1": mel})
            for who in listeners:
                concealment.run(None, {"degraded_audio": levels, "rater_embed": who})

        return _timed(models)

    return rate


def _nisqa_model(weights: str) -> Callable[[Path], np.ndarray]:
    from turnwise.quality.mel_levels import mel_levels
    from turnwise.quality.nisqa_model import load

    network = load(Path(weights))

    def rate(path: Path) -> np.ndarray:
        levels = mel_levels(_read(path), network.design.heard)
        return _timed(lambda: network.opinions(levels))

    return rate


def _speechmos(_: str) -> Callable[[Path], np.ndarray]:
    import speechmos.dnsmos
    import speechmos.plcmos

    def rate(path: Path) -> np.ndarray:
        def both() -> None:
            samples = _read(path).samples
            speechmos.dnsmos.run(samples, RATE)
            speechmos.plcmos.run(samples, RATE)

        return _timed(both)

    return rate


def _torchmetrics(weights: str) -> Callable[[Path], np.ndarray]:
    import torch
    from torchmetrics.functional.audio import nisqa

    folder = Path(tempfile.mkdtemp())  # it looks for the weights in one place only
    (folder / "nisqa.tar").symlink_to(Path(weights).resolve())
    nisqa.NISQA_DIR = str(folder)

    def rate(path: Path) -> np.ndarray:
        sound = _read(path)
        given = torch.from_numpy(sound.samples)
        return _timed(lambda: nisqa.non_intrusive_speech_quality_assessment(given, sound.rate))

    return rate


LOOPS: dict[str, Callable[[str], Callable[[Path], np.ndarray]]] = {
    "listener embedded": _listener("embedded"),
    "models embedded": _onnx_models,
    "speechmos": _speechmos,
    "listener nisqa": _listener("nisqa"),
    "models nisqa": _nisqa_model,
    "torchmetrics": _torchmetrics,
}


class Nothing:
    """A listener that does nothing, for `--hours`."""

    longest = 60.0
    batch = 1

    def open(self) -> Nothing:
        return self

    def rate_many(self, sounds: Sequence[Sound]) -> list[Ratings]:
        return [Ratings(3.0, 3.0, 3.0, 3.0, 3.0) for _ in sounds]

    def close(self) -> None:
        """Nothing is held."""


def listener() -> Nothing:
    return Nothing()


# ---------------------------------------------------------------- measuring


def command(paths: Sequence[Path], options: Sequence[str]) -> dict[str, float]:
    """What the command takes for these files, and the most that one of its processes held."""
    whole = [sys.executable, "-m", "turnwise", "listen", *options, "--describer", "none", "--no-results", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([*whole, *map(str, paths)], stdout=said, stderr=subprocess.PIPE, env=environment)
        assert child.stderr is not None
        told = child.stderr.read().decode()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"turnwise listen left with {child.returncode}: {told[-2000:]}")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "processor": used.ru_utime + used.ru_stime, "MiB": round(used.ru_maxrss / 1024)}


def child(what: str, weights: str, folder: Path) -> dict[str, float] | None:
    """A loop in a process of its own; None where a package is not there."""
    asked = [sys.executable, __file__, "--loop", what, "--folder", str(folder), f"--nisqa={weights}"]
    done = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        print(f"{what} is left out: {done.stderr.strip().rpartition(chr(10))[2]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(name: str, peer: str, weights: str, folder: Path, jobs: int, say: Callable[[str], None]) -> dict[str, Any]:
    paths = sorted(folder.iterdir())
    lengths = [soundfile.info(path).duration for path in paths]
    options = ["--listener", name, "--jobs", str(jobs), *(["--listener-option", f"weights={weights}"] if weights else [])]
    command(paths[:1], options)  # so that what is read from the disk to start is at hand for all
    few = command(paths[:FEW], options)
    loops = {what: child(what, weights, folder) for what in (f"listener {name}", f"models {name}", peer)}
    many = command(paths, options)
    ours = {clock: (many[clock] - few[clock]) / sum(lengths[FEW:]) for clock in ("seconds", "processor")}
    result: dict[str, Any] = {
        "sound_per_second": _ratio(1, ours["seconds"]),
        "sound_per_processor_second": _ratio(1, ours["processor"]),
        "start_processor_seconds": round(few["processor"] - ours["processor"] * sum(lengths[:FEW]), 1),
        f"MiB_at_{FEW}_files": few["MiB"],
        f"MiB_at_{len(paths)}_files": many["MiB"],
    }
    say(
        f"{name}: {result['sound_per_processor_second']} s of sound per second of processor, {result['sound_per_second']} by the "
        f"clock; start {result['start_processor_seconds']} s of processor"
    )
    say(f"  at most {few['MiB']} MiB for {FEW} files, {many['MiB']} MiB for {len(paths)}")
    for what, spent in loops.items():
        if spent is not None:
            per_sound = {clock: spent[clock] / sum(lengths[:FEW]) for clock in ("seconds", "processor")}
            ratios = {clock: _ratio(per_sound[clock], ours[clock]) for clock in per_sound}
            label = what.partition(" ")[0]
            result[f"ratio_to_{label}"], result[f"processor_ratio_to_{label}"] = ratios["seconds"], ratios["processor"]
            factor = f"the command is {ratios['processor']} times as fast, {ratios['seconds']} by the clock"
            say(f"  {what}: {1 / per_sound['processor']:.1f}; {factor}")
    return result


def _ratio(theirs: float, ours: float) -> float | None:
    """None where other work on the machine made the few files take longer than all of them."""
    return round(theirs / ours, 2) if ours > 0 else None


def long_recording(folder: Path, hours: float, say: Callable[[str], None]) -> dict[str, Any]:
    path = folder / "long.flac"
    make_long(path, hours)
    spent = command([path], ["--listener", "listening_throughput:listener", "--jobs", "1"])
    say(f"{hours:g} h of two channels at 48 kHz: at most {spent['MiB']} MiB, {spent['seconds']:.0f} s")
    return {"hours": hours, "MiB": spent["MiB"], "seconds": round(spent["seconds"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nisqa", default="", help="nisqa.tar, to measure the listener nisqa too")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1, help="processes of the command")
    parser.add_argument("--hours", type=float, default=0.0, help="also the memory of one recording as long as this")
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    parser.add_argument("--loop", choices=LOOPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        print(json.dumps(loop(options.loop, options.nisqa, sorted(options.folder.iterdir())[:FEW])))
        return
    say: Callable[[str], None] = (lambda line: None) if options.json else print
    result: dict[str, Any] = {"files": options.files, "jobs": options.jobs, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        turns = folder / "turns"
        turns.mkdir()
        result["sound"] = make_folder(turns, max(FEW + 1, options.files))
        result["load"] = [round(value, 1) for value in os.getloadavg()]
        result["embedded"] = compared("embedded", "speechmos", "", turns, options.jobs, say)
        if options.nisqa:
            result["nisqa"] = compared("nisqa", "torchmetrics", options.nisqa, turns, options.jobs, say)
        if options.hours:
            result["long"] = long_recording(folder, options.hours, say)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
