"""The report for papers and pull requests: Markdown and LaTeX, from the same summary as the page."""

from __future__ import annotations

from turnwise.report.judge_tables import cost_sheets, judge_sheets
from turnwise.report.numbers import NONE, chance, decimals, direction, interval, spoken, value
from turnwise.report.sections import FIELDS, contrasts_of, in_order
from turnwise.statistics.findings import findings
from turnwise.statistics.sheet import Cell, Sheet, markdown_escaped, row
from turnwise.statistics.summary import Summary
from turnwise.statistics.survival import Survival
from turnwise.statistics.wording import plain, signed

CI = "Mean over turns [95 % interval by bootstrap over dialogues], n scored turns"


def sheets(summary: Summary) -> list[Sheet]:
    """Every table of the report."""
    found = [means(summary), by_round(summary), failures(summary), survival(summary), contrasts(summary), latency(summary)]
    found += [*judge_sheets(summary), *cost_sheets(summary), accounting(summary)]
    return [sheet for sheet in found if sheet is not None and sheet.rows]


def markdown_report(summary: Summary) -> str:
    """Findings and tables."""
    made = f"Plan `{summary.plan}`, {summary.created}, Turnwise {summary.tool}."
    parts = [f"# {markdown_escaped(summary.study)}", "", made, "", "## Findings", ""]
    parts += [f"- {markdown_escaped(finding.text)}" for finding in findings(summary)]
    parts += ["", "## Tables", "", *(sheet.markdown() for sheet in sheets(summary))]
    if summary.notes:
        parts += ["## Notes", "", *(f"- {markdown_escaped(note)}" for note in summary.notes), ""]
    return "\n".join(parts)


def latex_tables(summary: Summary) -> str:
    """Tables for the booktabs package."""
    head = f"% Turnwise {summary.tool}, plan {summary.plan}, {summary.created}. Needs \\usepackage{{booktabs}}.\n"
    return head + "\n" + "\n".join(sheet.latex() for sheet in sheets(summary))


def means(summary: Summary) -> Sheet:
    """Arms by criteria."""
    rows = []
    for criterion in in_order(summary):
        cells = []
        for arm in summary.shown:
            e = arm.criteria[criterion.name].estimate
            causes = "".join(f"; {n} {cause}" for cause, n in e.missing.items())
            said = f"{value(e.mean, criterion)} {interval(e.low, e.high, criterion)}" if e.mean is not None else "no scored turn"
            cells.append(f"{said}, n = {e.n}{causes}")
        rows.append(row(f"{spoken(criterion.name)} ({criterion.unit}, {direction(criterion)})", *cells))
    return Sheet("Means", ("Criterion", *(arm.name for arm in summary.shown)), tuple(rows), CI + "; what is missing by cause")


def by_round(summary: Summary) -> Sheet | None:
    """The thread round by round; bold where an arm has fallen."""
    if summary.roles.thread is None:
        return None
    criterion = next(i.criterion for i in summary.instruments if i.criterion.name == summary.roles.thread)
    rows = []
    for arm in summary.shown:
        curve = arm.criteria[criterion.name].curve
        cells = [Cell(f"{value(p.mean, criterion)} (n = {p.n})", bold=p.round in curve.drops) for p in curve.all]
        rows.append(row(arm.name, *cells))
    columns = ("Arm", *(str(r) for r in range(1, summary.last_round + 1)))
    note = f"Bold: more than {plain(summary.options.drop)} points of 100 worse than the first round"
    return Sheet(f"{spoken(criterion.name)} by round", columns, tuple(rows), note)


def failures(summary: Summary) -> Sheet | None:
    if not summary.roles.failures:
        return None
    rows = []
    for arm in summary.shown:
        cells = []
        for part in arm.profile.failures:
            e = part.above_mild
            ends = "" if e.low is None or e.high is None else f" [{100 * e.low:.1f}, {100 * e.high:.1f}]"
            cells.append("–" if e.mean is None else f"{100 * e.mean:.1f}{ends}, n = {e.n}")
        rows.append(row(arm.name, *cells))
    columns = ("Arm", *(spoken(f) for f in summary.roles.failures))
    return Sheet("Failure profile", columns, tuple(rows), "Per cent of turns with severity above mild [95 % interval]")


def survival(summary: Summary) -> Sheet | None:
    study = summary.survival
    if study is None:
        return None
    rows = []
    kept_by = {arm.arm: arm for arm in study.arms}
    for arm in (kept_by[shown.name] for shown in summary.shown):
        ends = "no interval" if arm.kept_low is None or arm.kept_high is None else f"[{arm.kept_low:.1f}, {arm.kept_high:.1f}]"
        median = "–" if arm.median is None else str(arm.median)
        kept = "–" if arm.kept_rounds is None else f"{arm.kept_rounds:.1f} {ends}"
        through = ", ".join(f"{spoken(cause)} {share}" for cause, share in shares(arm)) or NONE
        rows.append(row(arm.arm, f"{arm.lost} of {arm.dialogues}", median, kept, through))
    note = (
        f"Lost: first round with {spoken(study.criterion)} worse than {plain(study.threshold)}, or silent. Lost through: share "
    )
    note += "of all dialogues by the last round shown, causes competing (Aalen and Johansen)"
    columns = ("Arm", "lost", "half by round", "rounds kept", "lost through")
    return Sheet("Turns until the thread is lost", columns, tuple(rows), note)


def shares(arm: Survival) -> list[tuple[str, str]]:
    """Causes of losses with the share of dialogues lost through each, in per cent with its interval."""
    found = {one.cause: one.steps[-1] for one in arm.incidence}
    made = [(cause, "later") for cause in arm.causes if cause not in found]
    for cause, last in reversed(found.items()):
        ends = "" if last.low is None or last.high is None else f" [{100 * last.low:.0f}, {100 * last.high:.0f}]"
        made.insert(0, (cause, f"{100 * last.incidence:.0f} %{ends}"))
    return made


def contrasts(summary: Summary) -> Sheet:
    rows = []
    for criterion in in_order(summary):
        for c in contrasts_of(summary, criterion.name):
            difference = "–" if c.difference is None else signed(c.difference, decimals(criterion))
            ends = interval(c.low, c.high, criterion)
            rows.append(
                row(
                    f"{spoken(c.criterion)}: {c.a} − {c.b}",
                    Cell(f"{difference} {ends}", bold=c.clear),
                    chance(c.p),
                    chance(c.p_holm),
                    str(c.n),
                    str(c.left_out),
                )
            )
    note = "Paired on common turns; p by sign flips over dialogues, Holm within each criterion; bold: clear of zero, p below 0.05"
    return Sheet("Differences between arms", ("Contrast", "difference", "p", "p, Holm", "turns", "unpaired"), tuple(rows), note)


def latency(summary: Summary) -> Sheet | None:
    rows = []
    for arm in summary.shown:
        timed = [t for t in arm.latency if t.n]
        for t in timed:
            times = (plain(v, 3) for v in (t.p50, t.p90, t.p95, t.p99, t.slowest))
            rows.append(row(f"{arm.name}, {t.stage.replace('_', ' ')}", *times, str(t.n)))
        if not timed:
            rows.append(row(f"{arm.name}, no stage timed", *[NONE] * 5, "0"))
    if not any(t.n for arm in summary.arms for t in arm.latency):
        return None
    return Sheet("Latency in seconds", ("Arm and stage", "p50", "p90", "p95", "p99", "slowest", "n"), tuple(rows))


def accounting(summary: Summary) -> Sheet:
    book = summary.accounting
    lines = [("whole run", book.total), *book.by_arm.items(), *((spoken(c), count) for c, count in book.by_criterion.items())]
    rows = tuple(row(name, *(str(getattr(count, field)) for field in FIELDS)) for name, count in lines)
    causes = ", ".join(f"{cause} {n}" for cause, n in [*book.faults.items(), *book.abstentions.items()])
    note = "planned = scored + abstained + fault + silent" + (f"; by cause: {causes}" if causes else "")
    return Sheet("Accounting", ("", *FIELDS), rows, note)
