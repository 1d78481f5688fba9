"""Numbers as readers want them: as many decimals as the scale deserves, a true minus, and a word where there is no number."""

from __future__ import annotations

from turnwise.judges.judge import Criterion
from turnwise.statistics.wording import between, plain

NONE = "–"
# More is better in each: what they are called elsewhere (noise, coloration, discontinuity) names the fault.
_RATED: dict[str, str] = {
    "mos": "overall quality",
    "noi": "freedom from noise",
    "col": "freedom from coloration",
    "dis": "freedom from breaks",
    "loud": "loudness",
}


def decimals(criterion: Criterion) -> int:
    """One for points of 100, two for short scales, three for shares and seconds without an end."""
    if criterion.low is not None and criterion.high is not None:
        span = criterion.high - criterion.low
        return 1 if span >= 50 else 2 if span >= 2 else 3
    return 3


def value(number: float | None, criterion: Criterion) -> str:
    return NONE if number is None else plain(number, decimals(criterion)).replace("-", "\N{MINUS SIGN}")


def interval(low: float | None, high: float | None, criterion: Criterion) -> str:
    return "no interval" if low is None or high is None else between(low, high, decimals(criterion))


def chance(p: float | None) -> str:
    """A p value."""
    return "undefined" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def direction(criterion: Criterion) -> str:
    return f"{criterion.better} is better"


def spoken(name: str) -> str:
    """A criterion's name as words; the five ratings of sound say what they rate, beside the name they have in files."""
    label, _, plain_name = name.rpartition("/")
    told = _RATED.get(plain_name)
    words = name if told is None else f"{label}/{told} ({plain_name})".removeprefix("/")
    return words.replace("_", " ").replace("-", " ")
