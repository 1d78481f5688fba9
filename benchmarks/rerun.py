"""A run with nothing to do: time to find that 40,000 turns are done, and to find it without the completion mark.

    python benchmarks/rerun.py [--turns 40000] [--json]

The bound is reading the same ledger's rows with SQLite and nothing else. Last line: a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from made_study import made_study

from turnwise.study.experiment import carry_out

AGAIN = """
import sys, time, pathlib, resource
started = time.perf_counter()
from turnwise.study.experiment import carry_out
from turnwise.study.study import Study
import msgspec
root = pathlib.Path(sys.argv[1])
study = msgspec.json.decode((root / "study.json").read_bytes(), type=Study)
done = carry_out(study, root / "run", workers=0)
print(time.perf_counter() - started, done.tally.made, int(done.already), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def again(root: Path) -> tuple[float, int, bool, float]:
    """Seconds of a fresh process, cells it made, whether the mark was used, peak MB."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}  # where the study's judge is
    done = subprocess.run([sys.executable, "-c", AGAIN, str(root)], capture_output=True, text=True, check=True, env=environment)
    seconds, made, already, peak = done.stdout.split()
    return float(seconds), int(made), already == "1", int(peak) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=40_000)
    parser.add_argument("--json", action="store_true", help="print the last line only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        study = made_study(root, dialogues=options.turns // 40, rounds=10, arms=4)
        (root / "study.json").write_bytes(msgspec.json.encode(study))
        started = time.perf_counter()
        done = carry_out(study, root / "run", workers=0)
        first = time.perf_counter() - started
        assert done.complete
        marked, made, already, peak = again(root)
        assert (made, already) == (0, True)
        ledger = sqlite3.connect(root / "run" / "ledger.sqlite")
        ledger.execute("DELETE FROM finished")
        ledger.commit()
        walked, made, already, walked_peak = again(root)
        assert (made, already) == (0, False)
        started = time.perf_counter()
        rows = ledger.execute("SELECT key, payload FROM cell").fetchall()
        bound = time.perf_counter() - started
    result = {
        "turns": options.turns // 40 * 40,
        "cells": len(rows),
        "first_run_seconds": round(first, 2),
        "no_op_seconds": round(marked, 2),
        "no_op_peak_mb": round(peak),
        "walk_seconds": round(walked, 2),
        "walk_peak_mb": round(walked_peak),
        "walk_ratio_to_reading_rows": round(walked / bound, 1),
    }
    if not options.json:
        print(f"first run {first:.1f} s; again: {marked:.2f} s; again without the mark, every key derived: {walked:.2f} s")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
