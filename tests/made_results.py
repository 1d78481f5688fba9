"""Synthetic results with known properties, for the tests of statistics and of reports.

Every score is the arm's level plus its tilt per round plus a dialogue's and a turn's own noise, clipped to the scale; which
cells are faults, abstentions or silences is drawn separately, so that changing their shares changes no score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from turnwise.agents.agent import Reply, Timings
from turnwise.dialogues.dialogue import Dialogue, Phase, Turn
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Abstention, Fault, Outcome, Score, Silence
from turnwise.study.results import Answered, Conversation, Instrument, Results
from turnwise.study.study import Arm, Study

FAILURES = ("repetition", "generic", "topic_drift", "misunderstanding", "memory")
POINTS = "points of 100"
ARMS = ("frame", "frame-last-turn", "retrieval", "text-only")
INTENTS = ("FindRestaurants", "FindMovie", "LookupMusic")
# arm: level of consistency at round 1, tilt per round
LEVELS = {"frame": (88.0, 0.0), "frame-last-turn": (82.0, -6.0), "retrieval": (55.0, -1.0), "text-only": (90.0, 0.0)}

INSTRUMENTS = (
    Instrument(Criterion("consistency", POINTS, "higher", 0.0, 100.0), "dialogue_quality", "b2:11"),
    Instrument(Criterion("naturalness", POINTS, "higher", 0.0, 100.0), "dialogue_quality", "b2:11"),
    *(Instrument(Criterion(name, POINTS, "lower", 0.0, 100.0), "failures", "b2:22") for name in FAILURES),
    Instrument(Criterion("user_wer", "word error rate", "lower", 0.0), "word_errors", "b2:33"),
    Instrument(Criterion("agent_wer", "word error rate", "lower", 0.0), "word_errors", "b2:33"),
    Instrument(Criterion("first_audio", "seconds", "lower", 0.0), "latency", "b2:44"),
    Instrument(Criterion("voice_consistency", POINTS, "higher", 0.0, 100.0), "voice_consistency", "b2:55"),
    Instrument(Criterion("overall", "MOS 1-5", "higher", 1.0, 5.0), "sound_quality", "b2:66"),
)

Judging = Callable[[str, int, int], Outcome]  # arm, dialogue (from 0), round (from 1)


def made_results(
    arms: Sequence[str] = ARMS,
    dialogues: int = 12,
    rounds: int | tuple[int, int] = (6, 9),
    *,
    seed: int = 1,
    fault_share: float = 0.0,
    abstain_share: float = 0.0,
    silent_share: float = 0.0,
    mute: Sequence[str] = (),
    bases: dict[str, str] | None = None,
    text: str | None = None,
    notes: tuple[str, ...] = ("Made up by a generator.",),
    clips: Path = Path("clips"),
) -> Results:
    """A run of `arms` on `dialogues` written dialogues of `rounds` rounds (a range draws a length for each)."""
    low, high = (rounds, rounds) if isinstance(rounds, int) else rounds
    lengths = np.random.default_rng(seed).integers(low, high + 1, size=dialogues)
    names = [i.criterion.name for i in INSTRUMENTS]
    conversations = []
    for place, arm in enumerate(arms):
        scores = np.random.default_rng([seed, place])
        lots = np.random.default_rng([seed, place, 99])
        for d in range(dialogues):
            dialogue = made_dialogue(d, int(lengths[d]), text)
            own = float(scores.normal(0.0, 4.0))
            answered = []
            for r, written in enumerate(dialogue.rounds(), start=1):
                values = _values(arm, r, own, scores)
                drawn = lots.random(3)
                silent = arm in mute or drawn[0] < silent_share
                outcomes: dict[str, Outcome] = {}
                for name, lot in zip(names, lots.random((len(names), 2)), strict=True):
                    if silent:
                        outcomes[name] = Silence()
                    elif lot[0] < fault_share:
                        outcomes[name] = Fault(("timeout", "parse")[int(lot[1] < 0.5)], "made to break")
                    elif lot[1] < abstain_share:
                        outcomes[name] = Abstention("nothing to compare: made to abstain")
                    else:
                        outcomes[name] = Score(values[name], f"{name} of round {r}")
                first = float(0.4 + 0.3 * drawn[1])
                timings = (
                    Timings() if silent else Timings(hear=0.3 * first, think=0.1 * first, speak=0.6 * first, first_audio=first)
                )
                said = "" if silent else text or f"Reply {r} of {arm}, noted for round {r}."
                answered.append(
                    Answered(
                        number=r,
                        user=written.user,
                        user_clip=None,
                        user_heard=written.user.text.lower(),
                        reply=Reply(said, heard=written.user.text.lower(), timings=timings),
                        fault=None,
                        transcript=None if silent else said.lower(),
                        shown=tuple(f"user: {t.text}" for t in dialogue.turns[: written.position] if t.speaker == "user"),
                        outcomes=outcomes,
                    )
                )
            conversations.append(Conversation(arm, dialogue, tuple(answered)))
    bases = {"frame-last-turn": "frame"} if bases is None else bases
    study = Study(
        "made", tuple(Arm(a, a.split("-")[0], base=bases.get(a, "") if bases.get(a) in arms else "") for a in arms), seed=seed
    )
    return Results(
        study=study,
        plan="b2:plan",
        created="2026-01-01T00:00:00Z",
        tool="0.1.0",
        corpus_digest="b2:corpus",
        corpus_size=dialogues * 2,
        notes=notes,
        instruments=INSTRUMENTS,
        conversations=tuple(conversations),
        clips=clips,
    )


def made_dialogue(number: int, rounds: int, text: str | None = None) -> Dialogue:
    """A written dialogue of so many rounds in the three phases."""
    turns = []
    for r in range(1, rounds + 1):
        phase: Phase = "chitchat" if r <= 2 else "transition" if r == 3 else "task"
        turns.append(Turn("user", text or f"User sentence {r} of dialogue {number}.", phase=phase))
        turns.append(Turn("agent", f"Written answer {r}.", phase=phase))
    return Dialogue(f"made-{number:04d}", tuple(turns), intent=INTENTS[number % len(INTENTS)])


def judged_results(judging: Judging, arms: Sequence[str] = ("a",), lengths: Sequence[int] = (4,), *, seed: int = 1) -> Results:
    """A run with the one criterion "consistency", whose outcomes `judging` gives."""
    instrument = INSTRUMENTS[0]
    conversations = []
    for arm in arms:
        for d, length in enumerate(lengths):
            dialogue = made_dialogue(d, length)
            conversations.append(
                Conversation(
                    arm,
                    dialogue,
                    tuple(
                        Answered(
                            number=written.number,
                            user=written.user,
                            user_clip=None,
                            user_heard=None,
                            reply=Reply("Yes."),
                            fault=None,
                            transcript="yes",
                            shown=(),
                            outcomes={instrument.criterion.name: judging(arm, d, written.number)},
                        )
                        for written in dialogue.rounds()
                    ),
                )
            )
    study = Study("judged", tuple(Arm(name, "echo") for name in arms), seed=seed)
    return Results(
        study,
        "b2:plan",
        "2026-01-01T00:00:00Z",
        "0.1.0",
        "b2:corpus",
        len(lengths),
        (),
        (instrument,),
        tuple(conversations),
        Path("clips"),
    )


def _values(arm: str, round: int, own: float, scores: np.random.Generator) -> dict[str, float]:
    level, tilt = LEVELS.get(arm, (70.0, -2.0))
    noise = scores.normal(0.0, 1.0, size=len(INSTRUMENTS))
    consistency = float(np.clip(level + tilt * (round - 1) + own + 8.0 * noise[0], 0.0, 100.0))
    lost = 100.0 - consistency
    severity = {
        name: float(np.clip(lost * weight + 6.0 * noise[2 + k], 0.0, 100.0))
        for k, (name, weight) in enumerate(zip(FAILURES, (0.1, 0.2, 0.3, 0.2, 0.9), strict=True))
    }
    return {
        "consistency": consistency,
        "naturalness": float(np.clip(0.6 * consistency + 30.0 + 5.0 * noise[1], 0.0, 100.0)),
        **severity,
        "user_wer": float(np.clip(0.15 + 0.05 * noise[7], 0.0, 2.0)),
        "agent_wer": float(np.clip(0.2 + 0.05 * noise[8], 0.0, 2.0)),
        "first_audio": float(np.clip(0.6 + 0.1 * noise[9], 0.05, 9.0)),
        "voice_consistency": float(np.clip(85.0 + 4.0 * noise[10], 0.0, 100.0)),
        "overall": float(np.clip(3.5 + 0.3 * noise[11], 1.0, 5.0)),
    }
