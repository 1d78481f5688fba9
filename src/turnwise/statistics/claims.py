"""Do published figures carry the claims made with them? Each claim is computed again from the tables, and gets a verdict."""

from __future__ import annotations

from typing import Literal

import msgspec

from turnwise.statistics.published_table import falls, means, published, ratios, tilts
from turnwise.statistics.wording import listed, signed

MODELS = ("MiMo", "Omni-3B", "Omni-7B")  # those with an end-to-end and a modular row
SCORES = (("naturalness", "5n"), ("consistency", "5c"))

Verdict = Literal["holds", "holds in part", "does not hold", "cannot be checked"]


class Claim(msgspec.Struct, frozen=True):
    """One claim, what the figures say, and whether they carry it."""

    by: Literal["paper", "check"]  # the paper makes it, or it is what a reader would take for granted
    claim: str
    verdict: Verdict
    evidence: str
    tables: tuple[str, ...]


def claims() -> tuple[Claim, ...]:
    """The claims of The Context Trap, and what its tables leave open."""
    return (_modular_wins(), _gap_in_severity(), _degradation(), _cliff(), _same_rows(), _sound(), _sizes(), _n_per_round())


def _modular_wins() -> Claim:
    (table,) = published("1")
    won, parts = 0, []
    for model in MODELS:
        pairs = {s: (table.of(f"{model} (M)", s), table.of(f"{model} (E2E)", s)) for s, _ in SCORES}
        better = [m is not None and e is not None and m > e for m, e in pairs.values()]
        won += all(better)
        figures = ", ".join(f"{s} {m} against {e}" for s, (m, e) in pairs.items())
        parts.append(f"{model} {'yes' if all(better) else 'mixed' if any(better) else 'no'} ({figures})")
    return Claim(
        "paper",
        "Modular systems consistently outperform end-to-end ones (M > E2E).",
        _share(won, len(MODELS)),
        f"M > E2E holds for {won} of {len(MODELS)} models: {'; '.join(parts)}.",
        ("1",),
    )


def _gap_in_severity() -> Claim:
    (table,) = published("2")
    made = ratios(table)
    worse = {model: [c for c, r in zip(table.columns, values, strict=True) if r > 1.0] for model, values in made.items()}
    full = sum(len(w) == len(table.columns) for w in worse.values())
    parts = []
    for model, values in made.items():
        better = [f"{c} {r:.2f}" for c, r in zip(table.columns, values, strict=True) if r < 1.0]
        worse_on = f"{model} worse on {len(worse[model])} of {len(table.columns)}"
        parts.append(worse_on + (f", better on {', '.join(better)}" if better else ""))
    return Claim(
        "paper",
        "End-to-end systems fail more severely than modular ones.",
        _share(full, len(made)),
        f"On every failure for {full} of {len(made)} models (ratios E2E / M): {'; '.join(parts)}.",
        ("2",),
    )


def _degradation() -> Claim:
    held, tested, parts = 0, 0, []
    for score, key in SCORES:
        (table,) = published(key)
        fall, tilt = falls(table), tilts(table)
        for model in MODELS:
            end, modular = f"{model} (E2E)", f"{model} (M)"
            holds = len(fall[end]) > 0 and len(fall[modular]) == 0 and tilt[end] < tilt[modular]
            held, tested = held + holds, tested + 1
            drop = [table.rows[name][0] - table.rows[name][-1] for name in (end, modular)]  # type: ignore[operator]
            parts.append(
                f"{model} {score}: rounds more than 10 below R1 {len(fall[end])} (E2E), {len(fall[modular])} (M); "
                f"slope {signed(tilt[end], 2)}, {signed(tilt[modular], 2)}; R1 minus R10 {drop[0]:.1f}, {drop[1]:.1f}"
            )
    return Claim(
        "paper",
        "End-to-end systems degrade severely over the turns, modular ones do not.",
        _share(held, tested),
        f"Falls, and more steeply than its modular form that does not fall: {held} of {tested}. {'. '.join(parts)}.",
        ("5",),
    )


def _cliff() -> Claim:
    parts, early = [], True
    for score, key in SCORES:
        (table,) = published(key)
        values = [v for v in table.rows["Omni-3B (E2E)"] if v is not None]
        until_third = values[0] - values[2]
        whole = values[0] - min(values)
        early = early and until_third >= 0.75 * whole
        rest = values[-1] - values[2]
        parts.append(f"{score}: R1 to R3 {signed(-until_third)}, to the lowest {signed(-whole)}, R3 to R10 {signed(rest)}")
    return Claim(
        "check",
        "The fall of Omni-3B (E2E) builds up turn by turn.",
        "does not hold" if early else "holds",
        ("At least three quarters of it comes between R1 and R3, on both scores: " if early else "") + "; ".join(parts) + ".",
        ("5",),
    )


def _same_rows() -> Claim:
    (first,) = published("1")
    largest, compared = 0.0, 0
    for score, key in SCORES:
        (table,) = published(key)
        for name, mean in means(table).items():
            printed = first.of(name, score)
            if printed is not None:
                largest, compared = max(largest, abs(printed - mean)), compared + 1
    return Claim(
        "check",
        'The rows of Table 5 ("Cascade", "(Text)") are the modular rows of Table 1, which the paper does not say.',
        "holds" if largest < 0.6 else "does not hold",
        f"The mean over R1-R10 differs from the cell of Table 1 by at most {largest:.2f} in {compared} comparisons.",
        ("1", "5"),
    )


def _sound() -> Claim:
    return Claim(
        "paper",
        "Sound quality and dialogue quality are unrelated (|r| < 0.06).",
        "cannot be checked",
        "The scores per turn are not published, nor over what the correlation was taken (turns, dialogues or systems).",
        (),
    )


def _sizes() -> Claim:
    sizes, intents = published("3", "4")
    dialogues, turns, mean = (sizes.of(k, "value") or 0.0 for k in ("dialogues", "turns", "mean turns"))
    counted = sum(intents.of(name, "dialogues") or 0.0 for name in intents.rows)
    shares = [abs(100.0 * (n or 0.0) / dialogues - (share or 0.0)) for n, share in intents.rows.values()]
    agree = round(dialogues * mean) == turns and counted == dialogues and max(shares) < 0.05
    return Claim(
        "check",
        "The sizes of the data agree with each other.",
        "holds" if agree else "does not hold",
        f"{dialogues:.0f} dialogues of {mean} turns are {dialogues * mean:,.0f} turns (printed {turns:,.0f}); "
        f"the intents sum to {counted:.0f}.",
        ("3", "4"),
    )


def _n_per_round() -> Claim:
    (sizes,) = published("3")
    mean, least = (sizes.of(k, "value") or 0.0 for k in ("mean turns", "min turns"))
    (table,) = published("5c")
    absent = [int(c[1:]) for c in table.columns if int(c[1:]) > least / 2 + 0.5]
    return Claim(
        "check",
        "The means of all rounds are over the same dialogues.",
        "does not hold",
        f"Dialogues have {mean / 2:.1f} rounds on average and {least:.0f} turns at least, so {listed(absent, 'round')} are not "
        "reached by all; the paper prints no n per round.",
        ("3", "5"),
    )


def _share(held: int, of: int) -> Verdict:
    return "holds" if held == of else "does not hold" if held == 0 else "holds in part"
