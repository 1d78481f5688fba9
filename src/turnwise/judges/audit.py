"""What the judges without an LLM see of failures planted on purpose, and how often they cry wolf.

Every written reply of the dialogues is judged as it is (a clean turn) and, at up to three turns of a dialogue for each
failure, in place of it a planted one. For each failure the area under the ROC curve of its judge (planted against clean
turns), the share of plants it puts above mild, by level, and the share of clean turns it puts there (false alarms); every
figure with a 95 % interval from a bootstrap over dialogues. The confusion says which judge cried loudest at which plant.

A plant taken from the dialogues that the judges learn from is a reply they have seen at its own place, which an agent's words
seldom are. `donors` keeps the two apart: plants come from them, and no judge learns from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.judges.curve import Estimate, area_estimate, resampled, share_estimate
from turnwise.judges.judge import JUDGES, Bench, Exchange, Sitting
from turnwise.judges.mishearing import Mishearing
from turnwise.judges.planting import LEVELS, Planter, rendered
from turnwise.judges.severity import FAILURES, MILD
from turnwise.judges.verdict import Fault, Score, Verdict
from turnwise.speech.clip_store import ClipStore

RESAMPLES = 1000


class Detection(msgspec.Struct, frozen=True):
    """How a judge does on the plants of one level."""

    level: str
    planted: int
    detected: Estimate  # share with a severity above mild
    auc: Estimate


class Certificate(msgspec.Struct, frozen=True):
    """What one judge's verdicts on its failure are worth."""

    failure: str
    clean: int  # clean turns it decided
    planted: int  # plants it decided
    abstained: int  # of both
    faults: int  # of both
    auc: Estimate
    false_alarms: Estimate  # share of clean turns above mild
    by_level: tuple[Detection, ...]


class Audit(msgspec.Struct, frozen=True):
    """The certificates of the five judges on one set of dialogues."""

    dialogues: int
    background: int
    donors: int  # dialogues that plants were taken from; 0: from the background
    seed: int
    word_errors: float
    certificates: tuple[Certificate, ...]
    confusion: tuple[tuple[int, ...], ...]  # row: what was planted; column: the judge with the largest severity above mild
    unseen: tuple[int, ...]  # plants of each failure that no judge put above mild


class _Judged(msgspec.Struct, frozen=True):
    owner: int
    planted: str  # the failure, "" for a clean turn
    level: str
    verdicts: dict[str, Verdict]


def audit(
    dialogues: Sequence[Dialogue],
    background: Sequence[Dialogue],
    seed: int,
    word_errors: float = 0.0,
    donors: Sequence[Dialogue] = (),
) -> Audit:
    """Plant, judge and count; `background` is what the judges learn from, and where plants are taken from without `donors`."""
    if not dialogues:
        raise InputError("there is no dialogue to audit with")
    corpus = tuple({d.id: d for d in (*background, *dialogues)}.values())
    learned_too = sorted({d.id for d in corpus} & {d.id for d in donors})
    if learned_too:
        raise InputError(f"the dialogue {learned_too[0]!r} is both a donor of plants and learned from", "keep the two apart")
    hear = Mishearing((turn.text for d in corpus for turn in d.turns if turn.speaker == "agent"), word_errors).heard
    planter = Planter(corpus, seed)
    sittings = _sittings(corpus)
    try:
        judged: list[_Judged] = []
        for owner, dialogue in enumerate(dialogues):
            for each in dialogue.rounds():
                if each.written is not None and each.written.text.strip():
                    exchange = rendered(dialogue, each.number, each.written.text, hear, seed)
                    judged.append(_Judged(owner, "", "", _verdicts(sittings, exchange)))
            if donors:
                planter = Planter((*donors, dialogue), seed)
            for plant in planter.plants(dialogue, hear):
                judged.append(_Judged(owner, plant.failure, plant.level, _verdicts(sittings, plant.exchange)))
    finally:
        for sitting in sittings.values():
            sitting.close()
    resamples = resampled(len(dialogues), seed_of(seed, "audit"), RESAMPLES)
    certificates = tuple(_certificate(failure, judged, resamples) for failure in FAILURES)
    confusion, unseen = _confusion(judged)
    return Audit(len(dialogues), len(corpus), len(donors), seed, word_errors, certificates, confusion, unseen)


def _sittings(corpus: tuple[Dialogue, ...]) -> dict[str, Sitting]:
    bench = Bench(ClipStore(Path()), corpus)  # these judges read words; no clip is ever asked for
    return {failure: JUDGES.build(failure).open(bench) for failure in FAILURES}


def _verdicts(sittings: dict[str, Sitting], exchange: Exchange) -> dict[str, Verdict]:
    return {failure: sitting.decide(exchange)[failure] for failure, sitting in sittings.items()}


def _certificate(failure: str, judged: Sequence[_Judged], resamples: NDArray[np.intp]) -> Certificate:
    concerned = [j for j in judged if j.planted in ("", failure)]
    scored = [(j, v.value) for j in concerned if isinstance(v := j.verdicts[failure], Score)]
    faults = sum(isinstance(j.verdicts[failure], Fault) for j in concerned)
    values = np.array([value for _, value in scored])
    owners = np.array([j.owner for j, _ in scored], dtype=np.intp)
    failed = np.array([j.planted == failure for j, _ in scored], dtype=bool)
    levels = np.array([j.level for j, _ in scored])
    by_level = []
    for level in LEVELS:
        here = levels == level
        if here.any():
            either = here | ~failed
            by_level.append(
                Detection(
                    level,
                    int(here.sum()),
                    share_estimate(values[here] > MILD, owners[here], resamples),
                    area_estimate(values[either], failed[either], owners[either], resamples),
                )
            )
    return Certificate(
        failure,
        int((~failed).sum()),
        int(failed.sum()),
        len(concerned) - len(scored) - faults,
        faults,
        area_estimate(values, failed, owners, resamples),
        share_estimate(values[~failed] > MILD, owners[~failed], resamples),
        tuple(by_level),
    )


def _confusion(judged: Sequence[_Judged]) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    counts = np.zeros((len(FAILURES), len(FAILURES)), int)
    unseen = np.zeros(len(FAILURES), int)
    for item in judged:
        if not item.planted:
            continue
        row = FAILURES.index(item.planted)
        loud = [(v.value, -i) for i, f in enumerate(FAILURES) if isinstance(v := item.verdicts[f], Score)]
        value, column = max(loud, default=(0.0, 0))
        if value > MILD:
            counts[row, -column] += 1
        else:
            unseen[row] += 1
    return tuple(tuple(int(n) for n in row) for row in counts), tuple(int(n) for n in unseen)
