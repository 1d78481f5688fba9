"""Tables about the instruments themselves: agreement, repeats, kinship with the arms, and what asking them cost."""

from __future__ import annotations

from turnwise.report.numbers import NONE
from turnwise.statistics.self_preference import Kinship, Lean
from turnwise.statistics.sheet import Cell, Sheet, row
from turnwise.statistics.spending import Bill
from turnwise.statistics.summary import Summary
from turnwise.statistics.wording import between, money, named, plain, signed
from turnwise.study.results import Expense

UNPRICED = "no price declared"


def judge_sheets(summary: Summary) -> list[Sheet]:
    """What there is to say of the judges; empty where one judge was asked once."""
    found = (agreement(summary), repeats(summary), kinship(summary))
    return [sheet for sheet in found if sheet is not None]


def cost_sheets(summary: Summary) -> list[Sheet]:
    """What servers were asked; empty where none was."""
    return [] if summary.spending is None else [bills(summary), servers(summary)]


def agreement(summary: Summary) -> Sheet | None:
    found = summary.agreements
    rows = [
        row(
            f"{p.a} and {p.b}",
            _coefficient(p.alpha) if p.comparable else "scales differ",
            _ends(p.alpha_low, p.alpha_high, 2),
            _coefficient(p.spearman),
            _coefficient(p.pearson),
            NONE if p.difference is None else signed(p.difference, 2),
            _ends(p.low, p.high, 2),
            str(p.n),
            str(p.left_out),
        )
        for p in found.pairs
    ]
    rows += [row(f"{named(p.criteria)} together", _coefficient(p.alpha), *[NONE] * 5, str(p.n), NONE) for p in found.panels]
    columns = ("Criteria", "alpha", "95 % CI", "Spearman", "Pearson", "difference", "95 % CI", "turns", "scored by one only")
    note = "Krippendorff's alpha for interval data, over the turns of all arms that both scored; difference: first minus second; "
    note += "intervals by bootstrap over dialogues"
    return Sheet("Agreement of judges", columns, tuple(rows), note) if rows else None


def repeats(summary: Summary) -> Sheet | None:
    rows = tuple(
        row(
            s.criterion,
            s.judge,
            str(s.repeats),
            plain(s.deviation, 2) if s.deviation is not None else NONE,
            _ends(s.low, s.high, 2),
            _coefficient(s.alpha),
            str(s.n),
            ", ".join(f"{n} {cause}" for cause, n in s.unscored.items()) or "none",
        )
        for s in summary.agreements.spreads
    )
    columns = ("Criterion", "judge", "repeats", "SD within a turn", "95 % CI", "alpha", "turns", "repeats without a score")
    note = "One judge asked again about the same turn; a turn's score is the mean of its repeats; turns with two scores at least"
    return Sheet("Spread of repeated judgements", columns, rows, note) if rows else None


def kinship(summary: Summary) -> Sheet | None:
    rows = [cells for kin in summary.kinships for cells in _kin_rows(kin)]
    columns = ("Judge and arm", "models", "criterion", "beside", "sets apart by", "95 % CI", "turns", "turns of other arms")
    note = (
        "Sets apart by: the difference between the two criteria on this arm, minus their difference on the arms that are kin of "
        "neither judge; bold where the interval excludes zero"
    )
    return Sheet("Judges that rate their own kin", columns, tuple(rows), note) if rows else None


def bills(summary: Summary) -> Sheet:
    assert summary.spending is not None
    rows = tuple(_bill_row(bill) for bill in (*summary.spending.bills, summary.spending.total))
    columns = ("For", "calls", "attempts", "failed", "failures by cause", "tokens in / out", "of audio in / out", "cost", "turns",
               "per turn", "models")  # fmt: skip
    note = (
        "All runs of this folder, repeated and failed work included; cost in the currency of the declared prices. Turns: "
        "answered by the arm, or given a score by the judge"
    )
    return Sheet("What it cost", columns, rows, note)


def servers(summary: Summary) -> Sheet:
    assert summary.spending is not None
    rows = tuple(_server_row(line) for line in summary.spending.lines)
    columns = ("Endpoint and model", "for", "calls", "seconds per call", "seconds waited", "cost", "answered by")
    note = "Seconds of the attempts that counted; waited: in queues, limits and pauses; answered by: what the server calls itself"
    return Sheet("Servers", columns, rows, note)


def _kin_rows(kin: Kinship) -> list[tuple[Cell, ...]]:
    who = f"{kin.judge} on {kin.arm} ({'same model' if kin.kin == 'model' else 'same family'})"
    models = kin.judge_model if kin.judge_model == kin.arm_model else f"{kin.judge_model}, {kin.arm_model}"
    if not kin.leans:
        return [row(who, models, NONE, "no judge of other make", *[NONE] * 4)]
    return [row(who, models, lean.criterion, lean.other, *_lean_cells(lean)) for lean in kin.leans]


def _lean_cells(lean: Lean) -> tuple[Cell, ...]:
    size = Cell(NONE) if lean.difference is None else Cell(signed(lean.difference, 2), bold=lean.clear)
    return (size, *row(_ends(lean.low, lean.high, 2), str(lean.n), str(lean.n_others)))


def _bill_row(bill: Bill) -> tuple[Cell, ...]:
    causes = ", ".join(f"{n} {cause}" for cause, n in bill.failures.items()) or "none"
    used = bill.usage
    return row(
        bill.purpose,
        *(f"{n:,}" for n in (bill.calls, bill.attempts, bill.failed)),
        causes,
        f"{used.input:,} / {used.output:,}",
        f"{used.audio_input:,} / {used.audio_output:,}",
        _cost(bill),
        NONE if bill.turns is None else f"{bill.turns:,}",
        NONE if bill.per_turn is None else money(bill.per_turn),
        ", ".join(bill.models),
    )


def _server_row(line: Expense) -> tuple[Cell, ...]:
    counted = line.calls - line.failed
    return row(
        f"{line.endpoint}, {line.model}",
        line.purpose,
        f"{line.calls:,}",
        plain(line.seconds / counted, 2) if counted else NONE,
        plain(line.waited, 1),
        UNPRICED if line.cost is None else money(line.cost),
        ", ".join(line.answered_by) or NONE,
    )


def _cost(bill: Bill) -> str:
    if bill.cost is None:
        return UNPRICED
    return money(bill.cost) + (f", {UNPRICED} for {named(bill.unpriced)}" if bill.unpriced else "")


def _coefficient(value: float | None) -> str:
    return "undefined" if value is None else plain(value, 2).replace("-", "\N{MINUS SIGN}")


def _ends(low: float | None, high: float | None, decimals: int) -> str:
    return NONE if low is None or high is None else between(low, high, decimals)
