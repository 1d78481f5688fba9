"""Numbers as words in a sentence or a table."""

from __future__ import annotations

from collections.abc import Sequence


def plain(value: float | None, decimals: int = 1) -> str:
    """A number, or the word for none."""
    return "undefined" if value is None else f"{_no_minus_zero(value, decimals):.{decimals}f}"


def signed(value: float, decimals: int = 1) -> str:
    """With its sign; a true minus, so that it is not read as a hyphen."""
    value = _no_minus_zero(value, decimals)
    return f"{value:+.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def between(low: float | None, high: float | None, decimals: int = 1) -> str:
    """An interval, or that there is none."""
    if low is None or high is None:
        return "[no interval from fewer than two dialogues]"
    ends = (f"{_no_minus_zero(v, decimals):.{decimals}f}".replace("-", "\N{MINUS SIGN}") for v in (low, high))
    return f"[{', '.join(ends)}]"


def percent(share: float | None) -> str:
    """A share as per cent."""
    if share is None:
        return "undefined"
    return "under 1 %" if 0.0 < share < 0.01 else f"{100.0 * share:.0f} %"


def listed(numbers: Sequence[int], noun: str) -> str:
    """Rounds 2, 3 and 7."""
    words = [str(n) for n in numbers]
    return f"{noun} {words[0]}" if len(words) == 1 else f"{noun}s {', '.join(words[:-1])} and {words[-1]}"


def named(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def money(amount: float) -> str:
    """An amount in whatever currency the prices were declared, to four digits that count."""
    if amount >= 100 or amount == 0:
        return f"{amount:,.2f}"
    return f"{amount:.4g}" if amount >= 0.0001 else f"{amount:.7f}"


def _no_minus_zero(value: float, decimals: int) -> float:
    return round(value, decimals) + 0.0
