"""A summary as strict JSON: numbers or null, never NaN; the same results give the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from turnwise.endpoints.calls import Usage
from turnwise.statistics.agreement import Agreement, Spread
from turnwise.statistics.contrast import Contrast
from turnwise.statistics.correlation import Correlations
from turnwise.statistics.curve import Point
from turnwise.statistics.estimate import Estimate
from turnwise.statistics.findings import findings
from turnwise.statistics.profile import Profile
from turnwise.statistics.self_preference import Kinship
from turnwise.statistics.slope import Slope
from turnwise.statistics.spending import Spending
from turnwise.statistics.summary import ArmSummary, Reading, Summary
from turnwise.statistics.survival import SurvivalStudy

_DECIMALS = 9  # beyond it lies rounding of sums, which differs between processors


def summary_json(summary: Summary) -> dict[str, Any]:
    """Plain lists and dictionaries."""
    made: dict[str, Any] = {
        "study": summary.study,
        "plan": summary.plan,
        "created": summary.created,
        "tool": summary.tool,  # version of the program that ran the study
        "corpus": {"digest": summary.corpus_digest, "size": summary.corpus_size},
        "dialogues": summary.dialogues,
        "rounds": summary.rounds,
        "last_round": summary.last_round,
        "seed": summary.seed,
        "options": msgspec.to_builtins(summary.options),
        "notes": list(summary.notes),
        "judges": {
            i.criterion.name: {
                "judge": i.judge,
                "version": i.version,
                "unit": i.criterion.unit,
                "better": i.criterion.better,
                "low": i.criterion.low,
                "high": i.criterion.high,
                "models": list(i.models),
                "repeats": i.repeats,
            }
            for i in summary.instruments
        },
        "roles": msgspec.to_builtins(summary.roles),
        "ranking": list(summary.ranking),
        "arms": {arm.name: {name: _reading(reading) for name, reading in arm.criteria.items()} for arm in summary.arms},
        "about": {arm.name: _about(arm) for arm in summary.arms},
        "contrasts": [_contrast(c) for c in summary.contrasts],
        "correlations": [_matrix(c) for c in summary.correlations],
        "survival": _survival(summary.survival) if summary.survival is not None else None,
        "agreement": {
            "pairs": [_agreement(pair) for pair in summary.agreements.pairs],
            "together": [{**msgspec.to_builtins(p), "alpha": _word(p.alpha)} for p in summary.agreements.panels],
            "repeats": [_spread(spread) for spread in summary.agreements.spreads],
        },
        "kinship": [_kinship(kin) for kin in summary.kinships],
        "spending": _spending(summary.spending) if summary.spending is not None else None,
        "accounting": {
            **msgspec.to_builtins(summary.accounting.total),
            "by_arm": msgspec.to_builtins(summary.accounting.by_arm),
            "by_judge": msgspec.to_builtins(summary.accounting.by_criterion),
            "faults": summary.accounting.faults,
            "abstentions": summary.accounting.abstentions,
        },
        "findings": [msgspec.to_builtins(f) for f in findings(summary)],
    }
    rounded: dict[str, Any] = _rounded(made)
    return rounded


def summary_bytes(summary: Summary) -> bytes:
    """The file `summary.json`."""
    text = json.dumps(summary_json(summary), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate of a model's making is written as its escape


def _reading(reading: Reading) -> dict[str, Any]:
    curve = reading.curve
    return {
        **_estimate(reading.estimate),
        "by_round": [_point(p) for p in curve.all],
        "constant": {"dialogues": curve.constant_dialogues, "by_round": [_point(p) for p in curve.constant]},
        "drops": list(curve.drops),
        "constant_drops": list(curve.constant_drops),
        "slope": {"all": _slope(reading.slopes.all), "constant": _slope(reading.slopes.constant)},
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "mean": estimate.mean,
        "ci": _ends(estimate.low, estimate.high),
        "n": estimate.n,
        "dialogues": estimate.dialogues,
        "missing": estimate.missing,
        "bounds": list(estimate.bounds) if estimate.bounds is not None else None,
    }


def _point(point: Point) -> dict[str, Any]:
    return {"round": point.round, "mean": point.mean, "ci": _ends(point.low, point.high), "n": point.n}


def _slope(slope: Slope) -> dict[str, Any]:
    return {"value": slope.value, "ci": _ends(slope.low, slope.high), "n": slope.n, "dialogues": slope.dialogues}


def _contrast(c: Contrast) -> dict[str, Any]:
    return {
        "a": c.a,
        "b": c.b,
        "judge": c.criterion,
        "difference": c.difference,
        "ci": _ends(c.low, c.high),
        "p": c.p,
        "p_holm": c.p_holm,
        "n": c.n,
        "dialogues": c.dialogues,
        "left_out": c.left_out,
        "clear": c.clear,
    }


def _about(arm: ArmSummary) -> dict[str, Any]:
    return {
        "agent": arm.agent,
        "base": arm.base,
        "profile": _profile(arm.profile),
        "latency": {t.stage: {k: v for k, v in msgspec.to_builtins(t).items() if k not in ("arm", "stage")} for t in arm.latency},
        "departures": arm.departures,
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "turns": profile.turns,
        "none": profile.none,
        "failures": {
            f.failure: {"severity": _estimate(f.severity), "above_mild": _estimate(f.above_mild), "primary": f.primary}
            for f in profile.failures
        },
    }


def _matrix(matrix: Correlations) -> dict[str, Any]:
    return {
        "arm": matrix.arm,
        "unit": matrix.unit,
        "pairs": [
            {
                "a": p.a,
                "b": p.b,
                "pearson": _word(p.pearson),
                "ci": _ends(p.low, p.high),
                "spearman": _word(p.spearman),
                "n": p.n,
            }
            for p in matrix.pairs
        ],
    }


def _survival(study: SurvivalStudy) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(study)
    shares = [step for arm in made["arms"] for cause in arm["incidence"] for step in cause["steps"]]
    for record in (*made["tests"], *(step for arm in made["arms"] for step in arm["steps"]), *shares):
        record["ci"] = _ends(record.pop("low"), record.pop("high"))
    for arm in made["arms"]:
        arm["kept_ci"] = _ends(arm.pop("kept_low"), arm.pop("kept_high"))
    return made


def _agreement(pair: Agreement) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(pair)
    for word in ("alpha", "pearson", "spearman"):
        made[word] = _word(made[word])
    made["alpha_ci"] = _ends(made.pop("alpha_low"), made.pop("alpha_high"))
    made["ci"] = _ends(made.pop("low"), made.pop("high"))
    return made


def _spread(spread: Spread) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(spread)
    made["alpha"] = _word(made["alpha"])
    made["ci"] = _ends(made.pop("low"), made.pop("high"))
    return made


def _kinship(kin: Kinship) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(kin)
    for lean in made["leans"]:
        lean["ci"] = _ends(lean.pop("low"), lean.pop("high"))
    return made


def _spending(spending: Spending) -> dict[str, Any]:
    made: dict[str, Any] = {"bills": [], "lines": []}
    for bill in (*spending.bills, spending.total):
        made["bills"].append({**msgspec.to_builtins(bill), "usage": _usage(bill.usage)})
    for line in spending.lines:
        made["lines"].append({**msgspec.to_builtins(line), "usage": _usage(line.usage)})
    made["total"] = made["bills"].pop()
    return made


def _usage(usage: Usage) -> dict[str, Any]:
    """With its zeroes, which the record leaves out when it is written."""
    return {field: getattr(usage, field) for field in usage.__struct_fields__}


def _word(value: float | None) -> float | str:
    return "undefined" if value is None else value


def _ends(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a summary holds a number that is none")
        return round(value, _DECIMALS) + 0.0  # no -0.0
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value
