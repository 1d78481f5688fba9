"""Does a judge rate its own kin? Said wherever a judge asks the model, or a model of the family, that an arm is made of.

Models are compared by name: without the vendor before it, the date, the release stage and the quantisation after it they are one
model; without size and tuning too they are one family. A name cannot tell what a model was trained on, so strangers may
be kin and a renamed model passes unseen.

Where a judge of other make gives the same criterion, the difference between the two judges on the arm in question, minus
their difference on the arms that are no kin of either, is what the kinship may have done: a judge that is strict or mild with
all arms alike drops out. The interval is by bootstrap over dialogues.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
import numpy as np

from turnwise.statistics.agreement import one_scale
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.estimate import number, sums
from turnwise.statistics.grid import Grid
from turnwise.statistics.roles import measure, plain_name
from turnwise.study.results import Instrument, Results

Kin = Literal["model", "family"]

_STAGE = {"latest", "preview", "exp", "experimental", "stable", "beta", "alpha", "release"}
_QUANTISED = re.compile(
    r"awq|gptq|gguf|ggml|bnb|nf4|exl\d|mlx|int\d+|fp\d+|bf16|f16|f32|\d+bits?|i?q\d(_\w+)*|w\d+a\d+|quantized|marlin|dwq"
)
_SIZE = re.compile(
    r"(\d+x)?[ae]?\d+(\.\d+)?[bmk]"
    r"|nano|micro|mini|tiny|small|medium|base|large|xl|xxl|lite|flash|pro|max|plus|ultra|haiku|sonnet|opus"
)
_TUNING = {"instruct", "chat", "it", "hf", "sft", "dpo", "turbo", "thinking", "audio", "realtime"}
_YEAR_FIRST = re.compile(r"(19|20)\d\d")


class Lean(msgspec.Struct, frozen=True):
    """How much further one judge than another lifts the arm in question above the other arms, in the criterion's unit."""

    measure: str
    criterion: str
    other: str  # the criterion of a judge that is no kin of the arm
    difference: float | None  # None where there is no other arm, or no turn scored by both
    low: float | None
    high: float | None
    n: int  # turns of the arm scored by both
    n_others: int
    favours: bool  # the interval lies on the side that is good for the arm
    clear: bool  # the interval excludes zero


class Kinship(msgspec.Struct, frozen=True):
    """A judge that rates an arm made of its own model or family."""

    judge: str
    judge_model: str
    arm: str
    arm_model: str
    kin: Kin
    leans: tuple[Lean, ...]  # empty where no other judge gives the same criterion


def kinships(results: Results, grid: Grid, bootstrap: Bootstrap) -> tuple[Kinship, ...]:
    """Every judge and arm of one make, judges and arms in the study's order."""
    models = {i.judge: i.models for i in results.instruments}
    found = []
    for judge, own in models.items():
        for arm in grid.arms:
            match = related(own, results.arm_models.get(arm, ()))
            if match is not None:
                found.append(Kinship(judge, match[1], arm, match[2], match[0], _leans(judge, arm, results, grid, bootstrap)))
    return tuple(found)


def related(judge: tuple[str, ...], arm: tuple[str, ...]) -> tuple[Kin, str, str] | None:
    """The closest kinship between any two of the models, with their names; None where there is none."""
    family = None
    for first in judge:
        for second in arm:
            if model_name(first) == model_name(second):
                return "model", first, second
            if family is None and family_name(first) == family_name(second):
                family = first, second
    return None if family is None else ("family", *family)


def model_name(name: str) -> str:
    """A model's name without vendor, date, release stage and quantisation."""
    return "-".join(_model_parts(name)) or name.lower()


def family_name(name: str) -> str:
    """A model's name without size and tuning too."""
    kept = [part for part in _model_parts(name) if not _SIZE.fullmatch(part) and part not in _TUNING]
    return "-".join(kept) or model_name(name)


def _model_parts(name: str) -> list[str]:
    """The parts of a name, as far as they say which model it is."""
    last = name.strip().rstrip("/").rpartition("/")[2].partition("@")[0].lower()
    last = re.sub(r"[-:.]i?q\d(_\w+)*", "", last).removesuffix(".gguf")
    parts = [part for part in re.split(r"[-_:\s]+", last) if part]
    kept: list[str] = []
    k = 0
    while k < len(parts):
        span = _date(parts, k) if kept else 0  # a name does not begin with its date
        if span:
            k += span
            continue
        if parts[k] not in _STAGE and not _QUANTISED.fullmatch(parts[k]):
            kept.append(parts[k])
        k += 1
    return kept


def _date(parts: list[str], at: int) -> int:
    """How many parts from here on are a date or a serial: 2024-07-18, 20240718, 0613, 2507, 05-20, 002."""
    part = parts[at]
    if not part.isdigit():
        return 0
    if _YEAR_FIRST.fullmatch(part) and at + 1 < len(parts) and _short(parts[at + 1]):
        return 3 if at + 2 < len(parts) and _short(parts[at + 2]) else 2
    if _short(part) and at + 1 < len(parts) and _short(parts[at + 1]):
        return 2
    return int(len(part) in (3, 4, 6, 8))


def _short(part: str) -> bool:
    return len(part) == 2 and part.isdigit()


def _leans(judge: str, arm: str, results: Results, grid: Grid, bootstrap: Bootstrap) -> tuple[Lean, ...]:
    made = []
    for own in (i for i in results.instruments if i.judge == judge):
        for other in results.instruments:
            rival = other.judge != judge and measure(other) == measure(own) and one_scale(own.criterion, other.criterion)
            if rival and related(other.models, results.arm_models.get(arm, ())) is None:
                strangers = [a for a in grid.arms if a != arm and _stranger(a, own, other, results)]
                made.append(_lean(own, other, arm, strangers, grid, bootstrap))
    return tuple(made)


def _stranger(arm: str, own: Instrument, other: Instrument, results: Results) -> bool:
    models = results.arm_models.get(arm, ())
    return related(own.models, models) is None and related(other.models, models) is None


def _lean(own: Instrument, other: Instrument, arm: str, strangers: list[str], grid: Grid, bootstrap: Bootstrap) -> Lean:
    a, b = grid.criteria.index(own.criterion.name), grid.criteria.index(other.criterion.name)
    gap = grid.values[:, a] - grid.values[:, b]  # [arm, dialogue, round]
    places = [grid.arms.index(name) for name in strangers]
    total, count = sums(gap[[grid.arms.index(arm)]].transpose(1, 0, 2).reshape(len(grid.dialogues), -1))
    total_others, count_others = sums(gap[places].transpose(1, 0, 2).reshape(len(grid.dialogues), -1))
    n, n_others = int(count.sum()), int(count_others.sum())
    difference = low = high = None
    if n and n_others:
        difference = float(total.sum()) / n - float(total_others.sum()) / n_others
        drawn = bootstrap.totals(np.stack([total, count, total_others, count_others], axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            values = drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]
        clusters = min(int((count > 0).sum()), int((count_others > 0).sum()))
        edges = bootstrap.interval(values[:, None], np.array([clusters], dtype=np.int64))
        low, high = (number(edge[0]) for edge in edges)
    clear = low is not None and high is not None and (low > 0 or high < 0)
    good = difference is not None and (difference > 0) == (own.criterion.better == "higher")
    return Lean(
        plain_name(own), own.criterion.name, other.criterion.name, difference, low, high, n, n_others, clear and good, clear
    )
