"""A study of any size that needs no sound and no model: written words, the echo agent, a judge that only counts words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from turnwise.agents.agent import Context
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.judges.judge import Criterion, Exchange, Judge
from turnwise.judges.verdict import Score, Verdict
from turnwise.study.study import Arm, Choice, JudgeChoice, Selection, Study, UserVoice

WORDS = ("morning", "table", "window", "river", "music", "friday", "ticket", "garden", "hotel", "dinner", "seven", "station")


def made_dialogues(count: int, rounds: int) -> list[Dialogue]:
    """Dialogues that differ in every turn."""

    def words(*place: int) -> str:
        return " ".join(WORDS[sum((k + 3) * (n + 1) for n, k in enumerate(place)) * (k + 7) % len(WORDS)] for k in range(9))

    return [
        Dialogue(
            f"made-{d:05d}",
            tuple(Turn("user" if t % 2 == 0 else "agent", f"{words(d, t)} {d} {t}", phase="task") for t in range(2 * rounds)),
            intent=("FindMovie", "FindBus", "SearchHotel")[d % 3],
        )
        for d in range(count)
    ]


def made_study(folder: Path, *, dialogues: int, rounds: int, arms: int) -> Study:
    """The study, its corpus written to `folder`."""
    corpus = folder / "made.jsonl"
    corpus.write_bytes(b"".join(msgspec.json.encode(d) + b"\n" for d in made_dialogues(dialogues, rounds)))
    return Study(
        name="made",
        arms=tuple(Arm(f"echo-{n}", "echo", {"prefix": f"Number {n} heard:"}, Context(user="written")) for n in range(arms)),
        corpus=Selection(format="jsonl", path=str(corpus)),
        user=UserVoice(engine="stub"),
        transcriber=Choice("stub"),
        judges=(JudgeChoice("made_study:judge"),),
    )


def judge() -> Judge:
    """As little work as a judge can do."""
    return Judge(version=1, criteria=(Criterion("words", "words", "lower", 0),), open=lambda bench: Counting())


class Counting:
    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        return {"words": Score(float(len(exchange.now.agent.split())))}

    def close(self) -> None:
        pass
