"""The report over 40,000 judged turns: how long it takes, how much memory, and how large the page is.

    python benchmarks/report_size.py [--turns 40000]

The results are synthetic, with texts, reasons and shown context of realistic length, 4 arms and 10 criteria. The build runs in
a process of its own; `peak` is that process's largest resident size, the results it was given included, `results` what it was
before the build began. The last line is JSON; ratios above 1 are within the aim (10 s, 500 MB).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS, MEGABYTES = 10.0, 500.0  # the aim, on two cores
ROUNDS = 10
ARMS = ("frame", "frame-last-turn", "retrieval", "text-only")
FAILURES = ("repetition", "generic", "topic_drift", "misunderstanding", "memory")
TEXT = (
    "I would like to find a quiet place near the river for four people on saturday evening please and tell me what they serve "
    "because my sister loves italian food with plenty of garlic while her husband only eats fish so a long menu would be best"
)
WORDS = TEXT.split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=40_000)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        return build_inside(asked.turns, Path(asked.inside))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--turns", str(asked.turns), "--inside", folder]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.stderr.write(done.stderr)
        return done.returncode
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{found['turns']:,} judged turns, {found['verdicts']:,} verdicts, page of {found['page_mb']:.1f} MB")
    print(f"time    {found['seconds']:.2f} s wall, {found['cpu_seconds']:.2f} s CPU; aim over time {found['time_ratio']:.2f}")
    print(f"memory  {found['peak_mb']:.0f} MB peak, {found['results_mb']:.0f} before; aim over peak {found['memory_ratio']:.2f}")
    print(json.dumps(found))
    return 0


def build_inside(turns: int, out: Path) -> int:
    from turnwise.report.page import build

    results = made(turns)
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    page = build(results, out)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = _peak()
    print(
        json.dumps(
            {
                "benchmark": "report_size",
                "turns": sum(len(c.rounds) for c in results.conversations),
                "verdicts": sum(len(a.outcomes) for c in results.conversations for a in c.rounds),
                "seconds": round(wall, 2),
                "cpu_seconds": round(cpu, 2),
                "peak_mb": round(peak, 1),
                "results_mb": round(before, 1),
                "page_mb": round(page.stat().st_size / 1e6, 2),
                "time_ratio": round(SECONDS / wall, 2),
                "memory_ratio": round(MEGABYTES / peak, 2),
            }
        )
    )
    return 0


def made(turns: int):  # type: ignore[no-untyped-def]
    """Results of so many judged turns over all arms."""
    from turnwise.agents.agent import Reply, Timings
    from turnwise.dialogues.dialogue import Dialogue, Fact, Turn
    from turnwise.judges.judge import Criterion
    from turnwise.judges.verdict import Abstention, Fault, Score
    from turnwise.speech.clip import Clip
    from turnwise.study.results import Answered, Conversation, Instrument, Results
    from turnwise.study.study import Arm, Study

    draw = random.Random(7)
    points = "points of 100"
    instruments = (
        Instrument(Criterion("consistency", points, "higher", 0, 100), "dialogue_quality", "b2:1"),
        Instrument(Criterion("naturalness", points, "higher", 0, 100), "dialogue_quality", "b2:1"),
        *(Instrument(Criterion(f, points, "lower", 0, 100), "failures", "b2:2") for f in FAILURES),
        Instrument(Criterion("agent_wer", "word error rate", "lower", 0), "word_errors", "b2:3"),
        Instrument(Criterion("first_audio", "seconds", "lower", 0), "latency", "b2:4"),
        Instrument(Criterion("overall", "MOS 1-5", "higher", 1, 5), "sound_quality", "b2:5"),
    )

    def words(least: int, most: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(least, most)))

    def clip() -> Clip:
        return Clip(f"b2:{draw.getrandbits(128):032x}", 16000, draw.uniform(1, 6))

    def outcome(criterion: Criterion, arm: int, round: int):  # type: ignore[no-untyped-def]
        lot = draw.random()
        if lot < 0.01:
            return Fault("timeout", "no answer within 60 s")
        if lot < 0.04:
            return Abstention("nothing to compare: " + words(2, 5))
        level = draw.gauss(80 - 8 * arm - (2 * round if arm == 1 else 0), 12)
        if criterion.unit == points:
            value = min(100.0, max(0.0, level if criterion.better == "higher" else 100 - level))
            return Score(value, words(6, 14))
        return Score(abs(draw.gauss(0.2, 0.1)) if criterion.high is None else min(5.0, max(1.0, draw.gauss(3.4, 0.4))))

    conversations = []
    for number in range(max(1, turns // (ROUNDS * len(ARMS)))):
        written = []
        for _ in range(ROUNDS):
            written += [Turn("user", words(8, 24), "task", (Fact("day", "saturday"),)), Turn("agent", words(8, 24), "task")]
        dialogue = Dialogue(f"sample-{number:05d}", tuple(written), intent=f"Find{number % 9}")
        user_clips = [clip() for _ in range(ROUNDS)]
        for place, arm in enumerate(ARMS):
            rounds = []
            shown: tuple[str, ...] = ()
            for r, one in enumerate(dialogue.rounds(), start=1):
                text = words(8, 30)
                rounds.append(
                    Answered(
                        number=r,
                        user=one.user,
                        user_clip=user_clips[r - 1],
                        user_heard=one.user.text.lower(),
                        reply=Reply(text, clip(), words(8, 20), Timings(0.3, 0.05, draw.uniform(0.2, 0.6), draw.uniform(0.5, 1))),
                        fault=None,
                        transcript=text.lower(),
                        shown=shown,
                        outcomes={i.criterion.name: outcome(i.criterion, place, r) for i in instruments},
                    )
                )
                shown = (*shown, f"user: {one.user.text}", f"agent: {text}")
            conversations.append(Conversation(arm, dialogue, tuple(rounds)))
    study = Study("size", tuple(Arm(a, a) for a in ARMS), seed=3)
    return Results(
        study=study,
        plan="b2:size",
        created="2026-01-01T00:00:00Z",
        tool="0",
        corpus_digest="b2:corpus",
        corpus_size=len(conversations),
        notes=("Made by a generator.",),
        instruments=instruments,
        conversations=tuple(conversations),
        clips=Path(tempfile.gettempdir()) / "no-such-clips",
    )


def _peak() -> float:
    """Largest resident size of this process so far, in MB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
