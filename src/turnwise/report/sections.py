"""What the page's templates show, read off a summary: words and places, no new numbers."""

from __future__ import annotations

from typing import Any

from turnwise.foundation.fingerprint import canonical
from turnwise.foundation.secrets import without_secrets
from turnwise.judges.judge import Criterion
from turnwise.judges.severity import MILD
from turnwise.report.charts.correlation import matrix_rows
from turnwise.report.figures import Figures
from turnwise.report.numbers import decimals, interval, value
from turnwise.speech.engine import RECOGNIZERS
from turnwise.statistics.accounting import Count
from turnwise.statistics.contrast import Contrast
from turnwise.statistics.correlation import POOLED
from turnwise.statistics.estimate import Estimate
from turnwise.statistics.finding import Finding
from turnwise.statistics.findings import findings
from turnwise.statistics.latency import Latency
from turnwise.statistics.roles import is_sound
from turnwise.statistics.summary import ArmSummary, Summary
from turnwise.statistics.survival import Survival
from turnwise.statistics.wording import listed, signed
from turnwise.study.results import Results
from turnwise.study.study import Arm, Choice

FIELDS = ("planned", "scored", "abstained", "fault", "silent")
SECTIONS = (
    ("findings", "Findings"),
    ("overview", "Overview"),
    ("curves", "Curves"),
    ("failures", "Failures"),
    ("survival", "Survival"),
    ("latency", "Latency"),
    ("sound", "Sound"),
    ("correlation", "Correlation"),
    ("contrasts", "Differences"),
    ("judges", "Judges"),
    ("cost", "Cost"),
    ("dialogues", "Dialogues"),
    ("accounting", "Accounting"),
    ("study", "Study"),
)
_REPLIES = {"own": "its own replies", "written": "the written replies"}
_USER = {"audio": "the sound", "written": "the written words", "transcript": "the transcriber’s words"}
KINDS = {
    "thread": "The thread",
    "change": "Change over rounds",
    "derived": "One thing changed",
    "where": "Where it is lost",
    "failure": "Why",
    "sound": "The sound",
    "latency": "The wait",
    "judges": "The judges",
    "cost": "The cost",
    "missing": "What is missing",
}


def finding_groups(summary: Summary) -> tuple[Finding | None, list[dict[str, Any]]]:
    """The first finding as the headline, the others under the question they answer, in their order."""
    first, *rest = [*findings(summary), None]
    groups: dict[str, list[Finding]] = {}
    for finding in rest:
        if finding is not None:
            groups.setdefault(finding.kind, []).append(finding)
    return first, [{"name": KINDS.get(kind, kind), "findings": found} for kind, found in groups.items()]


def overview(summary: Summary) -> list[dict[str, Any]]:
    """A row per criterion, a cell per arm; the thread's criterion first."""
    rows = []
    for criterion in in_order(summary):
        estimates = [arm.criteria[criterion.name].estimate for arm in summary.shown]
        scale = _scale(criterion, estimates)
        rows.append({"criterion": criterion, "cells": [_cell(e, criterion, scale) for e in estimates]})
    return rows


def shown(summary: Summary) -> list[tuple[int, ArmSummary]]:
    """Arms as tables list them, each with its place in the study, which gives its colour."""
    places = {arm.name: place for place, arm in enumerate(summary.arms)}
    return [(places[arm.name], arm) for arm in summary.shown]


def timed(summary: Summary) -> list[tuple[str, list[Latency]]]:
    """Every arm with the stages that ran; empty where nothing of any arm was timed."""
    rows = [(arm.name, [line for line in arm.latency if line.n]) for arm in summary.shown]
    return rows if any(lines for _, lines in rows) else []


def kept(summary: Summary) -> list[Survival]:
    """How long every arm keeps the thread."""
    by_name = {arm.arm: arm for arm in summary.survival.arms} if summary.survival is not None else {}
    return [by_name[arm.name] for arm in summary.shown] if by_name else []


def in_order(summary: Summary) -> list[Criterion]:
    """The study's criteria, the one of the thread before the others."""
    criteria = [i.criterion for i in summary.instruments]
    return sorted(criteria, key=lambda c: c.name != summary.roles.thread)


def curve_cards(summary: Summary, figures: Figures, *, sound: bool) -> list[dict[str, Any]]:
    """The criteria of sound, or all others: what is said and how it sounds are read apart."""
    cards = []
    heard = {i.criterion.name for i in summary.instruments if is_sound(i)}
    for criterion in in_order(summary):
        if (criterion.name in heard) != sound:
            continue
        lines = []
        for arm in summary.shown:
            reading = arm.criteria[criterion.name]
            slope = reading.slopes.constant
            lines.append(
                {
                    "arm": arm.name,
                    "value": "–" if slope.value is None else signed(slope.value, decimals(criterion) + 1),
                    "interval": interval(slope.low, slope.high, criterion),
                    "dialogues": slope.dialogues,
                    "drops": listed(reading.curve.drops, "").strip(" s") if reading.curve.drops else "",
                }
            )
        drawn = {"all": figures.curves[criterion.name], "constant": figures.constant.get(criterion.name)}
        cards.append({"criterion": criterion, **drawn, "slopes": lines})
    return cards


def contrasts_of(summary: Summary, criterion: str) -> list[Contrast]:
    """The pairs under one criterion; those without a common turn last."""
    return sorted((c for c in summary.contrasts if c.criterion == criterion), key=lambda c: c.difference is None)


def contrast_groups(summary: Summary) -> list[dict[str, Any]]:
    groups = []
    for criterion in in_order(summary):
        rows = contrasts_of(summary, criterion.name)
        if rows:
            clear = sum(c.clear for c in rows)
            groups.append({"criterion": criterion, "rows": rows, "decided": clear, "decimals": decimals(criterion)})
    return groups


def matrices(summary: Summary) -> list[dict[str, Any]]:
    """Pooled over turns and over dialogues, then each arm over turns."""
    names = tuple(i.criterion.name for i in summary.instruments)
    if len(names) < 2:
        return []
    found = [m for m in summary.correlations if m.arm == POOLED]
    if len(summary.arms) > 1:
        found += [m for m in summary.correlations if m.arm != POOLED and m.unit == "turns"]
    return [{"label": f"{m.arm}, over {m.unit}", "rows": matrix_rows(m, names)} for m in found]


def accounting(summary: Summary) -> list[dict[str, Any]]:
    """The whole, then every arm, then every criterion; causes with every line."""
    book = summary.accounting

    def line(name: str, count: Count, missing: list[dict[str, int]], head: bool = False) -> dict[str, Any]:
        causes: dict[str, int] = {}
        for part in missing:
            for cause, n in part.items():
                causes[cause] = causes.get(cause, 0) + n
        ranked = sorted(causes.items(), key=lambda item: (-item[1], item[0]))
        return {"name": name, "count": {field: getattr(count, field) for field in FIELDS}, "causes": ranked, "head": head}

    everything = [causes for arm in book.missing.values() for causes in arm.values()]
    lines = [line("whole run", book.total, everything, head=True)]
    lines += [line(name, count, list(book.missing[name].values())) for name, count in book.by_arm.items()]
    lines[-1]["head"] = True
    for name, count in book.by_criterion.items():
        lines.append(line(name, count, [arm.get(name, {}) for arm in book.missing.values()]))
    return lines


def declared(results: Results, summary: Summary) -> list[dict[str, Any]]:
    """Every arm with its context policy and what departed from it."""
    rows = []
    for arm in results.study.arms:
        context = arm.context
        rows.append(
            {
                "name": arm.name,
                "base": arm.base,
                "agent": arm.agent,
                "options": without_secrets(_options(arm.options)),
                "past": "all" if context.past == "all" else str(context.past),
                "form": context.form,
                "replies": _REPLIES[context.replies],
                "user": _USER[context.user],
                "line": _line(results, arm),
                "departures": list(summary.arm(arm.name).departures.items()),
                "instructions": without_secrets(arm.instructions),
            }
        )
    return rows


def ears(results: Results, summary: Summary) -> str:
    """The study's transcriber, whether it was adapted, and the word error rates it got, from the table."""
    choice = results.study.transcriber
    rates = []
    for instrument in summary.instruments:
        if instrument.criterion.unit != "word error rate":
            continue
        said = [
            f"{arm.name} {value(e.mean, instrument.criterion)} {interval(e.low, e.high, instrument.criterion)}, n = {e.n}"
            for arm in summary.arms
            if (e := arm.criteria[instrument.criterion.name].estimate).mean is not None
        ]
        if said:
            rates.append(f"{instrument.criterion.name.replace('_', ' ')}: {'; '.join(said)}")
    card = RECOGNIZERS.cards().get(choice.name.replace("-", "_"))
    what = f" ({card.summary.rstrip('.')})" if card is not None else ""
    rest = f" Word error rates it got, {'. '.join(rates)}." if rates else ""
    return f"All arms are heard by one transcriber, {choice.name}{what}.{rest}"


def reproduce(results: Results, summary: Summary) -> list[tuple[str, str]]:
    """Names and values that lead back to the same run."""
    corpus = results.study.corpus
    source = " ".join(part for part in (corpus.format, corpus.path) if part)
    seed = results.study.seed if corpus.seed is None else corpus.seed
    return [
        ("plan", results.plan),
        ("corpus", f"{source}, {summary.dialogues} of {results.corpus_size} dialogues"),
        ("corpus digest", results.corpus_digest),
        ("drawn by", "ids" if corpus.ids else f"{corpus.by or 'plain draw'}, seed {seed}"),
        ("user voice", _choice(Choice(results.study.user.engine, results.study.user.options))),
        ("transcriber", _choice(results.study.transcriber)),
        ("study seed", str(results.study.seed)),
        ("statistics seed", f"{summary.seed}, {summary.options.draws:,} draws, {summary.options.flips:,} flips"),
        ("made with", f"Turnwise {results.tool}, {results.created}"),
    ]


def cite(results: Results) -> str:
    """One line for a paper."""
    made = f"Study “{results.study.name}”, {results.created[:10]}. Turnwise {results.tool}"
    return f"{made}, plan {results.plan}, corpus {results.corpus_digest}."


def facts(summary: Summary) -> dict[str, Any]:
    """What the page's program knows of the study."""
    names = [i.criterion.name for i in summary.instruments]
    return {
        "arms": [arm.name for arm in summary.arms],
        "criteria": [
            {"name": i.criterion.name, "unit": i.criterion.unit, "better": i.criterion.better, "decimals": decimals(i.criterion)}
            for i in summary.instruments
        ],
        "thread": None if summary.roles.thread is None else names.index(summary.roles.thread),
        "sense": [names.index(name) for name in summary.roles.sense],
        "failures": [names.index(name) for name in summary.roles.failures],
        "threshold": None if summary.survival is None else summary.survival.threshold,
        "mild": MILD,
    }


def _cell(estimate: Estimate, criterion: Criterion, scale: tuple[float, float]) -> dict[str, Any]:
    def place(number: float | None) -> str | None:
        if number is None:
            return None
        return f"{100 * (number - scale[0]) / (scale[1] - scale[0]):.1f}"

    return {
        "mean": value(estimate.mean, criterion),
        "interval": interval(estimate.low, estimate.high, criterion) if estimate.mean is not None else "no scored turn",
        "n": estimate.n,
        "absent": estimate.absent,
        "missing": list(estimate.missing.items()),
        "dot": place(estimate.mean),
        "low": place(estimate.low) if estimate.high is not None else None,
        "high": place(estimate.high),
    }


def _scale(criterion: Criterion, estimates: list[Estimate]) -> tuple[float, float]:
    """Ends of the small interval lines: the criterion's own, or those of what was found."""
    values = [v for e in estimates for v in (e.mean, e.low, e.high) if v is not None]
    low = criterion.low if criterion.low is not None else min([*values, 0.0])
    high = criterion.high if criterion.high is not None else max([*values, low]) * 1.05
    return (low, high) if high > low else (low, low + 1.0)


def _line(results: Results, arm: Arm) -> str:
    choices = results.study.user.perturb if arm.perturb is None else arm.perturb
    return ", ".join(_choice(c) for c in choices) or "clean"


def _choice(choice: Choice) -> str:
    return without_secrets(f"{choice.name} {_options(choice.options)}".strip())


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {canonical(option)}" for key, option in sorted(options.items()))
