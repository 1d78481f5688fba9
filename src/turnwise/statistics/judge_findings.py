"""What a run says of its own judges: whether they agree, how steady they are, and whether one rates its own kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnwise.statistics.agreement import Agreement, Panel, Spread
from turnwise.statistics.finding import Finding
from turnwise.statistics.roles import plain_name
from turnwise.statistics.self_preference import Kinship, Lean
from turnwise.statistics.wording import between, named, plain, signed

if TYPE_CHECKING:
    from turnwise.statistics.summary import Summary

AGREED, TENTATIVE = 0.8, 0.667  # Krippendorff's customary levels of alpha


def judge_findings(summary: Summary) -> list[Finding]:
    """Kinship first: it bears on what the other findings are worth."""
    thing = None if summary.roles.thread is None else plain_name(summary.instrument(summary.roles.thread))
    made = [kinship(kin, thing) for kin in summary.kinships]
    if summary.roles.thread is not None and summary.roles.passed_over:
        thread = summary.instrument(summary.roles.thread)
        text = f"Whether the thread is kept is read from {thread.criterion.name}, the first in the study's order "
        text += f"(judge {thread.judge}), and not from {named(summary.roles.passed_over)}, which could say it too."
        made.append(Finding("judges", text, (), thread.criterion.name, True))
    made += [_agreement(pair) for pair in summary.agreements.pairs if pair.measure == thing]
    made += [_panel(panel) for panel in summary.agreements.panels if panel.measure == thing]
    made += _others([pair for pair in summary.agreements.pairs if pair.measure != thing])
    made += [_spread(spread) for spread in summary.agreements.spreads]
    return made


def level(alpha: float) -> str:
    """Alpha in words."""
    if alpha >= AGREED:
        return "agree"
    return "agree well enough for tentative conclusions" if alpha >= TENTATIVE else "do not agree enough to stand for each other"


def kinship(kin: Kinship, thing: str | None) -> Finding:
    """The warning, with the evidence on what the thread is read from, or on whatever there is first."""
    own = "its own model" if kin.kin == "model" else "its own model family"
    models = kin.judge_model if kin.judge_model == kin.arm_model else f"{kin.judge_model} and {kin.arm_model}"
    text = f"The judge {kin.judge} rates an arm made of {own}: {kin.arm} ({models})."
    told = [lean for lean in kin.leans if lean.difference is not None]
    shown = [lean for lean in told if lean.measure == thing] or told[:1]
    if not kin.leans:
        text += " No judge of other make gives the same criterion, so what that does to the scores cannot be told."
    elif not told:
        text += " No turn of it and of another arm was scored by a judge of other make too, so what that does cannot be told."
    return Finding("judges", " ".join([text, *map(_lean, shown)]), (kin.arm,), "", any(lean.clear for lean in shown))


def _lean(lean: Lean) -> str:
    assert lean.difference is not None
    size = f"{signed(lean.difference)} {between(lean.low, lean.high)}"
    how = "in its favour" if lean.favours else "to its disadvantage" if lean.clear else "not distinguishable from none"
    return (
        f"Beside {lean.other}, {lean.criterion} sets it apart from the other arms by {size}, {how} "
        f"(n = {lean.n} and {lean.n_others} turns)."
    )


def _agreement(pair: Agreement) -> Finding:
    both = f"{pair.a} and {pair.b}"
    ranks = plain(pair.spearman, 2)
    if not pair.comparable:
        text = f"{both} are on different scales: Spearman's rho {ranks}, n = {pair.n} turns scored by both."
        return Finding("judges", text, (), pair.a)
    if pair.alpha is None:
        why = "too few turns are scored by both" if pair.n < 3 else "their scores do not vary"
        return Finding("judges", f"Whether {both} agree is undefined: {why} (n = {pair.n} turns scored by both).", (), pair.a)
    assert pair.difference is not None
    text = (
        f"{both} {level(pair.alpha)}: alpha {plain(pair.alpha, 2)} {between(pair.alpha_low, pair.alpha_high, 2)}, Spearman's rho "
        f"{ranks}, {pair.a} minus {pair.b} {signed(pair.difference)} {between(pair.low, pair.high)}, n = {pair.n} turns of "
        f"{pair.dialogues} dialogues scored by both."
    )
    ends = (pair.alpha_low, pair.alpha_high)
    clear = ends[0] is not None and ends[1] is not None and (ends[0] >= TENTATIVE or ends[1] < TENTATIVE)
    return Finding("judges", text, (), pair.a, clear)


def _others(pairs: list[Agreement]) -> list[Finding]:
    """The other pairs in one sentence: the table has each."""
    alphas = [pair.alpha for pair in pairs if pair.alpha is not None]
    if not alphas:
        return []
    high, some = sum(a >= AGREED for a in alphas), sum(TENTATIVE <= a < AGREED for a in alphas)
    text = f"Of {len(alphas)} other pairs of criteria that measure the same, {high} agree (alpha from {AGREED}), {some} well "
    text += f"enough for tentative conclusions (from {TENTATIVE}), {len(alphas) - high - some} do not; alpha is "
    text += f"{plain(min(alphas), 2)} to {plain(max(alphas), 2)}."
    return [Finding("judges", text)]


def _panel(panel: Panel) -> Finding:
    said = "is undefined" if panel.alpha is None else f"is {plain(panel.alpha, 2)}"
    text = f"Alpha of {named(panel.criteria)} together {said}, n = {panel.n} turns scored by at least two of them."
    return Finding("judges", text, (), panel.criteria[0])


def _spread(spread: Spread) -> Finding:
    lost = "".join(f", {n} {cause}" for cause, n in spread.unscored.items())
    if spread.deviation is None:
        text = f"How steady {spread.criterion} is cannot be told: no turn has two scores of its {spread.repeats} repeats{lost}."
        return Finding("judges", text, (), spread.criterion)
    text = (
        f"Asked {spread.repeats} times about one turn, {spread.criterion} varies by a standard deviation of "
        f"{plain(spread.deviation, 2)} {between(spread.low, spread.high, 2)}; alpha between the repeats "
        f"{plain(spread.alpha, 2)}, n = {spread.n} turns{lost}."
    )
    return Finding("judges", text, (), spread.criterion, True)
