"""What a run says, in sentences: each with its interval, its n, and "not distinguishable" where that is the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnwise.statistics.correlation import POOLED
from turnwise.statistics.estimate import Estimate
from turnwise.statistics.finding import Finding
from turnwise.statistics.judge_findings import judge_findings
from turnwise.statistics.wording import between, listed, money, named, percent, plain, signed

if TYPE_CHECKING:
    from turnwise.statistics.summary import ArmSummary, Summary


def findings(summary: Summary) -> list[Finding]:
    """The most important first."""
    made: list[Finding] = []
    if summary.roles.thread is not None:
        made += _thread(summary, summary.roles.thread)
        made += _derived(summary, summary.roles.thread)
        made += _where(summary, summary.roles.thread)
    else:
        made += _mute(summary)
    made += _failures(summary)
    made += _sound(summary)
    made += _latency(summary)
    made += judge_findings(summary)
    made += _cost(summary)
    made.append(_missing(summary))
    return made


def _thread(summary: Summary, criterion: str) -> list[Finding]:
    best, *rest = (summary.arm(name) for name in summary.ranking)
    made = [Finding("thread", f"{best.name}: {_mean(best, criterion)}.", (best.name,), criterion)]
    if rest and best.criteria[criterion].estimate.mean is not None:
        made = [_lead(summary, best, rest[0], criterion)]
    for arm in rest:
        estimate = arm.criteria[criterion].estimate
        if estimate.mean is None:
            text = f"{arm.name} ranks {_place(summary, arm)}: no turn of it could be scored on {criterion} ({_causes(estimate)})."
            made.append(Finding("thread", text, (arm.name,), criterion, True))
    return made


def _mute(summary: Summary) -> list[Finding]:
    """Arms that never said anything, where no criterion ranks the arms."""
    text = "{} ranks last: it is silent on every turn, so nothing of it could be scored."
    return [Finding("thread", text.format(arm.name), (arm.name,), "", True) for arm in summary.arms if arm.mute]


def _lead(summary: Summary, best: ArmSummary, second: ArmSummary, criterion: str) -> Finding:
    names = (best.name, second.name)
    own = _mean(best, criterion)
    if second.criteria[criterion].estimate.mean is None:
        text = f"{best.name} keeps the thread best: {own}. No other arm could be scored."
        return Finding("thread", text, names, criterion, True)
    contrast = summary.contrast(best.name, second.name, criterion)
    other = _mean(second, criterion)
    if contrast.difference is None:
        return Finding(
            "thread", f"{best.name} ({own}) and {second.name} ({other}) have no scored turn in common.", names, criterion
        )
    gap = (
        f"a paired difference of {signed(contrast.difference)} {between(contrast.low, contrast.high)} on {contrast.n} common "
        f"turns of {contrast.dialogues} dialogues, corrected p {_p(contrast.p_holm)}"
    )
    leads = contrast.difference > 0 if summary.better(criterion) == "higher" else contrast.difference < 0
    if contrast.clear and leads:
        text = f"{best.name} keeps the thread best: {own}. Next is {second.name} with {other}: {gap}."
    elif contrast.clear:
        text = f"{best.name} ranks first by its worst case ({own}), but "
        text += f"where both were scored {second.name} ({other}) is better: {gap}."
    else:
        text = f"{best.name} ranks first: {own}. It is not distinguishable from {second.name} with {other}: {gap}."
    return Finding("thread", text, names, criterion, contrast.clear and leads)


def _derived(summary: Summary, criterion: str) -> list[Finding]:
    made = []
    names = {arm.name for arm in summary.arms}
    for arm in summary.arms:
        if arm.base not in names:
            continue
        contrast = summary.contrast(arm.name, arm.base, criterion)
        if contrast.difference is None:
            text = f"{arm.name} and {arm.base}, from which it was derived, have no scored turn in common on {criterion}."
            made.append(Finding("derived", text, (arm.name, arm.base), criterion))
            continue
        said = "differs from" if contrast.clear else "is not distinguishable from"
        text = (
            f"{arm.name} {said} {arm.base}, from which it was derived: {criterion} {signed(contrast.difference)} "
            f"{between(contrast.low, contrast.high)}, corrected p {_p(contrast.p_holm)}, n = {contrast.n} turns."
        )
        made.append(Finding("derived", text, (arm.name, arm.base), criterion, contrast.clear))
    return made


def _where(summary: Summary, criterion: str) -> list[Finding]:
    made = []
    for place, arm in enumerate(summary.arms):
        reading = arm.criteria[criterion]
        if reading.estimate.mean is None:
            text = f"{arm.name}: {criterion} has no score in any round ({_causes(reading.estimate)}).{_lost(summary, place)}"
            made.append(Finding("where", text, (arm.name,), criterion, arm.mute))
            continue
        curve, slope = reading.curve, reading.slopes.constant
        ns = [point.n for point in curve.all]
        shown = f"of {summary.last_round} shown, n = {min(ns)} to {max(ns)}" if ns else "none shown"
        margin = plain(summary.options.drop)
        if curve.drops:
            fall = f"is more than {margin} points worse than in its first round in {listed(curve.drops, 'round')} ({shown})"
        else:
            fall = f"is in no round more than {margin} points worse than in the first ({shown})"
        clear = slope.low is not None and slope.high is not None and (slope.low > 0 or slope.high < 0)
        if slope.value is None:
            trend = "a slope cannot be computed"
        else:
            trend = f"{signed(slope.value)} per round {between(slope.low, slope.high)} "
            trend += f"on the {slope.dialogues} dialogues that last so long"
            trend += "" if clear else ", not distinguishable from level"
        text = f"{arm.name}: {criterion} {fall}; {trend}."
        text += _lost(summary, place)
        made.append(Finding("where", text, (arm.name,), criterion, bool(curve.drops) or clear))
    return made


def _lost(summary: Summary, place: int) -> str:
    """How many dialogues lose the thread, and when, as sentences that follow another."""
    if summary.survival is None:
        return ""
    kept = summary.survival.arms[place]
    text = f" The thread is lost in {kept.lost} of {kept.dialogues} dialogues"
    if kept.lost:
        text += (
            f", half of them by round {kept.median}" if kept.median is not None else ", less than half within the rounds shown"
        )
    if kept.lost and kept.kept_rounds is not None:
        text += f"; counted up to round {kept.horizon}, it takes {plain(kept.kept_rounds)} rounds on average until the loss "
        text += between(kept.kept_low, kept.kept_high)
    return f"{text}."


def _failures(summary: Summary) -> list[Finding]:
    made = []
    for place, arm in enumerate(summary.arms):
        scored = [f for f in arm.profile.failures if f.severity.mean is not None]
        if not scored:
            if arm.profile.failures:
                causes = _causes(arm.profile.failures[0].severity)
                text = f"{arm.name}: no turn could be judged for failures ({causes}), which is not the same as none."
                made.append(Finding("failure", text, (arm.name,), "", arm.mute))
            continue
        worst = max(scored, key=lambda f: f.severity.mean or 0.0)
        text = (
            f"{arm.name} fails most through {worst.failure}: mean severity {plain(worst.severity.mean)} "
            f"{between(worst.severity.low, worst.severity.high)} of 100, above mild on {percent(worst.above_mild.mean)} of "
            f"{worst.severity.n} turns{_absent(worst.severity)}."
        )
        ordered = sorted(scored, key=lambda f: -(f.severity.mean or 0.0))
        clear = len(ordered) == 1 or (
            ordered[0].severity.low is not None
            and ordered[1].severity.high is not None
            and ordered[0].severity.low > ordered[1].severity.high
        )
        if worst.severity.mean == 0.0:
            text, clear = (
                f"{arm.name} shows none of the {len(scored)} failures on {worst.severity.n} turns{_absent(worst.severity)}.",
                True,
            )
        elif not clear:
            text = text[:-1] + f"; next is {ordered[1].failure} with {plain(ordered[1].severity.mean)}, the intervals overlap."
        if summary.survival is not None and summary.survival.arms[place].causes:
            lost = summary.survival.arms[place]
            parts = ", ".join(f"{cause} {n}" for cause, n in lost.causes.items())
            text += f" Where it lost the thread, the main failure was: {parts}."
            if lost.incidence:
                shares = ", ".join(f"{i.cause} {percent(i.steps[-1].incidence)}" for i in lost.incidence)
                text += f" As shares of all dialogues, lost by round {lost.horizon}: {shares}."
        made.append(Finding("failure", text, (arm.name,), worst.failure, clear))
    return made


def _sound(summary: Summary) -> list[Finding]:
    thread = summary.roles.thread
    if thread is None:
        return []
    pooled = next(c for c in summary.correlations if c.arm == POOLED and c.unit == "turns")
    made = []
    for sound in summary.roles.sound:
        if sound == thread:
            continue
        pair = pooled.of(thread, sound)
        if pair.pearson is None:
            text = f"Whether {sound} goes with {thread} is undefined: a series is constant or too short (n = {pair.n} turns)."
            made.append(Finding("sound", text, (), sound))
            continue
        clear = pair.low is not None and pair.high is not None and (pair.low > 0 or pair.high < 0)
        said = (
            f"go together, with {percent(pair.pearson**2)} of the variance in common"
            if clear
            else "are not distinguishable from unrelated"
        )
        text = (
            f"Turn by turn, within arms, {sound} and {thread} {said}: r = {signed(pair.pearson, 2)} "
            f"{between(pair.low, pair.high, 2)}, n = {pair.n} turns."
        )
        made.append(Finding("sound", text, (), sound, clear))
    return made


def _latency(summary: Summary) -> list[Finding]:
    made = []
    for arm in summary.arms:
        first = next((t for t in arm.latency if t.stage == "first_audio"), None)
        if first is None or first.p50 is None:
            continue
        text = f"{arm.name} is heard {plain(first.p50, 2)} s after the user's turn in the median; "
        text += f"one reply in twenty takes more than {plain(first.p95, 2)} s (n = {first.n} turns)."
        made.append(Finding("latency", text, (arm.name,), "first_audio"))
    return made


def _cost(summary: Summary) -> list[Finding]:
    if summary.spending is None:
        return []
    bill = summary.spending.total
    tokens = bill.usage.input + bill.usage.output + bill.usage.audio_input + bill.usage.audio_output
    text = f"{bill.calls:,} calls to servers took {tokens:,} tokens and {bill.attempts:,} attempts"
    text += f" (failed: {', '.join(f'{cause} {n:,}' for cause, n in bill.failures.items())})" if bill.failures else ""
    text += f"; {bill.failed:,} calls never succeeded" if bill.failed else ""
    if bill.cost is None:
        text += "; no price is declared."
    else:
        text += f"; {money(bill.cost)} at the declared prices"
        text += f", without {named(bill.unpriced)}, for which no price is declared." if bill.unpriced else "."
    return [Finding("cost", text, (), "", True)]


def _missing(summary: Summary) -> Finding:
    total = summary.accounting.total
    text = f"Of {total.planned:,} planned verdicts {total.scored:,} are scores, {total.abstained:,} abstentions, "
    text += f"{total.fault:,} faults, {total.silent:,} silent."
    if summary.accounting.faults:
        text += " Faults: " + ", ".join(f"{cause} {n:,}" for cause, n in summary.accounting.faults.items()) + "."
    for arm in summary.arms:
        for note, n in arm.departures.items():
            text += f" {arm.name}, {n:,} turns: {note}."
    return Finding("missing", text, (), "", True)


def _mean(arm: ArmSummary, criterion: str) -> str:
    estimate = arm.criteria[criterion].estimate
    if estimate.mean is None:
        return f"{criterion} without a score ({_causes(estimate)})"
    said = f"{criterion} {plain(estimate.mean)} {between(estimate.low, estimate.high)}, "
    said += f"n = {estimate.n} turns of {estimate.dialogues} dialogues"
    if estimate.absent and estimate.bounds is not None:
        low, high = sorted(estimate.bounds)
        return f"{said}{_absent(estimate)}, which leaves {plain(low)} to {plain(high)} open"
    return f"{said}{_absent(estimate)}"


def _absent(estimate: Estimate) -> str:
    return f", {estimate.absent} missing ({_causes(estimate)})" if estimate.absent else ""


def _causes(estimate: Estimate) -> str:
    return ", ".join(f"{cause} {n}" for cause, n in estimate.missing.items()) or "nothing planned"


def _place(summary: Summary, arm: ArmSummary) -> str:
    place = summary.ranking.index(arm.name) + 1
    return "last" if place == len(summary.ranking) else f"{place} of {len(summary.ranking)}"


def _p(p: float | None) -> str:
    if p is None:
        return "undefined"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
