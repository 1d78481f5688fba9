"""A run in the layout of The Context Trap: its Tables 1, 2 and 5 and the numbers of its figures, with n, intervals and sources.

Under every column stands who gave it. Rows are arms in the study's order; one that was never scored stands last and has no
number. With `beside`, the published row follows the arm of the same name, and the published rows without a namesake
stand below. A published figure stands only in a column of its own unit: what a model says of the sound in points of 100 is
no MOS, and has a column of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from turnwise.judges.judge import Criterion
from turnwise.report.charts.latency import STAGES, timed
from turnwise.report.numbers import NONE, chance, decimals, interval, spoken, value
from turnwise.statistics.estimate import Estimate
from turnwise.statistics.paper import Paper, Ratio, RoundMeans, Value
from turnwise.statistics.published_table import Published, falls, means, published, ratios, tilts
from turnwise.statistics.roles import label_of, measure
from turnwise.statistics.sheet import Cell, Sheet, row
from turnwise.statistics.slope import Slope
from turnwise.statistics.summary import Summary
from turnwise.statistics.wording import between, named, plain, signed
from turnwise.study.results import Instrument

UNMEASURED = "not measured"
FAILURES = {"generic": "Gen.", "topicdrift": "Topic", "repetition": "Rep.", "misunderstanding": "Mis.", "memory": "Mem."}
_PUBLISHED = ("generic", "topic", "repetition", "misunderstanding", "memory")  # the same columns as published

# What the numbers of its Table 1 are: a MOS, a share, points of 100.
_PUBLISHED_UNITS: dict[str, Callable[[Criterion], bool]] = {
    "quality": lambda c: c.unit.upper().startswith("MOS"),
    "intelligibility": lambda c: (c.low, c.high) == (0.0, 1.0),
    "naturalness": lambda c: (c.low, c.high) == (0.0, 100.0),
    "consistency": lambda c: (c.low, c.high) == (0.0, 100.0),
}

Line = tuple[Cell, ...]


def paper_sheets(summary: Summary, paper: Paper, *, beside: bool = False) -> list[Sheet]:
    """Every table, in the order of the paper."""
    made = [table_1(summary, paper, beside=beside), modular_wins(summary, paper)]
    for judges in paper.failures:
        made += [table_2(summary, paper, judges, beside=beside), severity_ratios(paper, judges, beside=beside)]
    for of, key in ((paper.naturalness, "5n"), (paper.consistency, "5c")):
        made += [by_round(f"Table 5. {_head(i)} per round", i, paper, key if beside else "") for i in of]
    made.append(figure_1(summary))
    below = (*paper.quality, *paper.aspects, *paper.voice)
    made += [by_round(f"Figure 2, below. {_head(i)} per round", i, paper, "") for i in below]
    made.append(figure_3(paper))
    return [sheet for sheet in made if sheet is not None and sheet.rows]


def absent(summary: Summary, paper: Paper) -> list[str]:
    """What the paper shows and this run cannot."""
    parts: dict[str, Sequence[object]] = {name: _of_its_unit(name, found) for name, found in _parts(paper).items()}
    parts |= {"failures": paper.failures, "voice consistency": paper.voice}
    lost = [name for name, found in parts.items() if not found]
    made = [f"No criterion of this run gives {named(lost)}."] if lost else []
    if not paper.pairs:
        made.append('No two arms are called "X (E2E)" and "X (M)", so nothing is divided or set against each other.')
    mute = [arm.name for arm in summary.arms if not arm.scored]
    return [*made, f"Without a single score: {named(mute)}."] if mute else made


def _parts(paper: Paper) -> dict[str, tuple[Instrument, ...]]:
    """What the run gives for each column of the paper's Table 1."""
    return {"quality": paper.quality, "intelligibility": paper.intelligibility, "naturalness": paper.naturalness,
            "consistency": paper.consistency}  # fmt: skip


def _of_its_unit(name: str, found: Sequence[Instrument]) -> list[Instrument]:
    """Those whose numbers can stand with the published ones."""
    return [i for i in found if _PUBLISHED_UNITS[name](i.criterion)]


def table_1(summary: Summary, paper: Paper, *, beside: bool) -> Sheet:
    slots: list[tuple[str, Instrument | None]] = []  # the paper's column, "" for one of another unit
    for name, found in _parts(paper).items():
        alike = _of_its_unit(name, found)
        slots += [(name, i) for i in alike or (None,)]
        slots += [("", i) for i in found if i not in alike]
    rows = [row("by", *(UNMEASURED if i is None else paper.by[i.criterion.name] for _, i in slots))]
    (printed,) = published("1")
    names = [name for name, _ in slots]

    def source(system: str) -> Line:
        """Each published figure once, in the first column of its kind."""
        places = {name: 2 if k < 2 else 1 for k, name in enumerate(_parts(paper))}
        cells = (
            _plain(printed.of(system, name), places[name]) if name and names.index(name) == k else NONE
            for k, name in enumerate(names)
        )
        return row(f"published: {system}", *cells)

    arms = [
        row(arm.name, *(NONE if i is None else _mean(arm.criteria[i.criterion.name].estimate, i) for _, i in slots))
        for arm in summary.shown
    ]
    rows += _beside([[arm] for arm in arms], printed, source) if beside else arms
    note = "Mean over all scored turns [95 % interval by bootstrap over dialogues], n turns; what is missing by cause"
    others = [_head(i) for name, i in slots if i is not None and not name]
    if others:
        note += f". Of another unit than the paper's columns, and not to be set beside its figures: {named(others)}"
    columns = ("system", *(name if i is None else _column(name, i) for name, i in slots))
    return Sheet("Table 1. Sound and dialogue, over all rounds", columns, tuple(rows), note + _origin(printed, beside))


def modular_wins(summary: Summary, paper: Paper) -> Sheet | None:
    """Modular minus end-to-end, paired; does it hold for every model?"""
    of = [i for i in (*paper.naturalness, *paper.consistency)]
    rows, won = [], 0
    for model, (end_to_end, modular) in paper.pairs.items():
        cells, better = [], []
        for i in of:
            c = summary.contrast(modular, end_to_end, i.criterion.name)
            if c.difference is None:
                cells.append(Cell("no turn in common"))
                continue
            ends = interval(c.low, c.high, i.criterion)
            said = f"{signed(c.difference, decimals(i.criterion))} {ends}, p (Holm) {chance(c.p_holm)}, n = {c.n}"
            cells.append(Cell(said, bold=c.clear))
            better.append(c.difference > 0)
        holds = bool(better) and all(better) and len(better) == len(of)
        won += holds
        rows.append(row(model, *cells, "yes" if holds else "in part" if any(better) else "no" if better else NONE))
    note = f"M > E2E holds for {won} of {len(rows)} models; paired on common turns, bold where the data carry it"
    columns = ("model", *(_head(i) for i in of), "M > E2E")
    return Sheet("Table 1, modular minus end-to-end", columns, tuple(rows), note) if rows and of else None


def table_2(summary: Summary, paper: Paper, judges: Sequence[Instrument | None], *, beside: bool) -> Sheet:
    rows = [row("by", *(UNMEASURED if i is None else paper.by[i.criterion.name] for i in judges))]
    arms = [
        row(arm.name, *(NONE if i is None else _mean(arm.criteria[i.criterion.name].estimate, i) for i in judges))
        for arm in summary.shown
    ]
    (printed,) = published("2")

    def source(system: str) -> Line:
        return row(f"published: {system}", *(_plain(printed.of(system, column), 1) for column in _PUBLISHED))

    rows += _beside([[arm] for arm in arms], printed, source) if beside else arms
    note = "Mean severity over scored turns [95 % interval], n turns; lower is better; what is missing by cause"
    title = f"Table 2. Failures{_of_label(judges)}"
    return Sheet(title, ("system", *FAILURES.values()), tuple(rows), note + _origin(printed, beside))


def severity_ratios(paper: Paper, judges: Sequence[Instrument | None], *, beside: bool) -> Sheet | None:
    found = {(r.model, r.criterion): r for r in paper.ratios}
    rows = [row(model, *(NONE if i is None else _ratio(found[model, i.criterion.name]) for i in judges)) for model in paper.pairs]
    if not rows:
        return None
    (printed,) = published("2")
    if beside:
        order = [printed.columns.index(column) for column in _PUBLISHED]
        rows += [row(f"published: {m}", *(plain(values[k], 2) for k in order)) for m, values in ratios(printed).items()]
    note = "Severity of end-to-end over modular [95 % interval]; above 1 end-to-end is worse; bold where the interval excludes 1"
    title = f"Table 2, E2E / M{_of_label(judges)}"
    return Sheet(title, ("model", *FAILURES.values()), tuple(rows), note + _origin(printed, beside))


def by_round(title: str, instrument: Instrument, paper: Paper, key: str) -> Sheet:
    """One criterion round by round; with `key`, the published half of Table 5 beside it."""
    rounds = range(1, paper.rounds + 1)
    columns = ("system", *(f"R{r}" for r in rounds), "mean of rounds", "slope of rounds", "slope within dialogues", "falls")
    arms = [[_round_row(line, instrument), _count_row(line)] for line in paper.lines[instrument.criterion.name]]
    rows = [cells for lines in arms for cells in lines]
    printed = published(key)[0] if key else None
    if printed is not None:
        mean, tilt, fall = means(printed), tilts(printed), falls(printed)

        def source(system: str) -> Line:
            values = printed.rows[system]
            cells = [_published_round(values, r, fall[system]) for r in rounds]
            follows = (plain(mean[system], 2), signed(tilt[system], 2), NONE, str(len(fall[system])))
            return row(f"published: {system}", *cells, *follows)

        rows = _beside(arms, printed, source)
    note = f"By {paper.by[instrument.criterion.name]}. Bold (or *): more than 10 points of 100 worse than R1. Means and slopes "
    note += "[95 % interval by bootstrap over dialogues]: of the round means, rounds counting alike, and of the turns, each "
    note += "dialogue with its own level. The dialogues behind a column become fewer and others from left to right"
    return Sheet(title, columns, tuple(rows), note + (_origin(printed, True) if printed is not None else ""))


def figure_1(summary: Summary) -> Sheet | None:
    """Latency against coherence, in numbers."""
    if summary.roles.thread is None:
        return None
    instrument = summary.instrument(summary.roles.thread)
    rows = []
    for arm in summary.shown:
        time, estimate = timed(arm), arm.criteria[instrument.criterion.name].estimate
        times = (NONE, NONE, NONE, "0")
        if time is not None:
            times = (STAGES[time.stage], plain(time.p50, 3), plain(time.p90, 3), str(time.n))
        rows.append(row(arm.name, *times, _mean(estimate, instrument)))
    columns = ("system", "seconds of", "median", "90th percentile", "n", f"{_head(instrument)} ({instrument.judge})")
    return Sheet("Figure 1. Latency against coherence", columns, tuple(rows), "Seconds from the end of the user's turn")


def figure_3(paper: Paper) -> Sheet | None:
    """Pearson's r between dialogue and sound."""
    across = list(dict.fromkeys(pair.b for pair in paper.correlations))
    down = list(dict.fromkeys(pair.a for pair in paper.correlations))
    found = {(pair.a, pair.b): pair for pair in paper.correlations}
    rows = []
    for a in down:
        cells = []
        for b in across:
            pair = found[a, b]
            r = "undefined" if pair.pearson is None else signed(pair.pearson, 2)
            ends = "" if pair.low is None or pair.high is None else f" {between(pair.low, pair.high, 2)}"
            cells.append(f"{r}{ends}, n = {pair.n}")
        rows.append(row(spoken(a), *cells))
    note = "Pearson's r [95 % interval by bootstrap over dialogues] over turns, each arm's own level taken out first"
    return Sheet("Figure 3. Dialogue against sound", ("", *(spoken(b) for b in across)), tuple(rows), note) if rows else None


def _beside(arms: Sequence[Sequence[Line]], printed: Published, source: Callable[[str], Line]) -> list[Line]:
    """Arms with their published namesakes after them, then what was published of other systems."""
    systems = {_bare(system): system for system in printed.rows}
    made: list[Line] = []
    for lines in arms:
        made += lines
        if (system := systems.pop(_bare(lines[0][0].text), None)) is not None:
            made.append(source(system))
    return made + [source(system) for system in systems.values()]


def _bare(name: str) -> str:
    return "".join(name.casefold().split())


def _origin(printed: Published, beside: bool) -> str:
    if not beside:
        return ""
    return f". Published: {printed.source}, {printed.date}; other dialogues, judges and estimators than here. {printed.note}"


def _mean(estimate: Estimate, instrument: Instrument) -> str:
    causes = "".join(f"; {n} {cause}" for cause, n in estimate.missing.items())
    if estimate.mean is None:
        return f"{NONE}, n = 0{causes}"
    ends = interval(estimate.low, estimate.high, instrument.criterion)
    return f"{value(estimate.mean, instrument.criterion)} {ends}, n = {estimate.n}{causes}"


def _round_row(line: RoundMeans, instrument: Instrument) -> Line:
    criterion = instrument.criterion
    cells = [Cell(value(p.mean, criterion), bold=p.round in line.drops) for p in line.points]
    places = decimals(criterion) + 1
    follows = (_value(line.mean, places, sign=False), _value(line.slope, places), _value(line.within, places))
    return row(line.arm, *cells, *follows, str(len(line.drops)) if any(p.n for p in line.points) else NONE)


def _count_row(line: RoundMeans) -> Line:
    return row("n", *(str(p.n) for p in line.points), str(sum(p.n for p in line.points)), NONE, str(line.within.n), NONE)


def _value(number: Value | Slope, places: int, *, sign: bool = True) -> str:
    if number.value is None:
        return NONE
    said = signed(number.value, places) if sign else plain(number.value, places)
    ends = "no interval" if number.low is None or number.high is None else between(number.low, number.high, places)
    return f"{said} {ends}"


def _published_round(values: Sequence[float | None], r: int, fallen: tuple[int, ...]) -> Cell:
    return Cell(_plain(values[r - 1], 1), bold=r in fallen) if r <= len(values) else Cell(NONE)


def _ratio(ratio: Ratio) -> Cell:
    if ratio.value is None:
        return Cell("undefined")
    if ratio.low is None or ratio.high is None:
        return Cell(f"{plain(ratio.value, 2)} no interval")
    return Cell(f"{plain(ratio.value, 2)} {between(ratio.low, ratio.high, 2)}", bold=ratio.low > 1 or ratio.high < 1)


def _plain(number: float | None, places: int) -> str:
    return NONE if number is None else plain(number, places)


def _head(instrument: Instrument) -> str:
    return spoken(instrument.criterion.name)


def _column(quantity: str, instrument: Instrument) -> str:
    """The paper's word, and the criterion's own name where that is another; that alone where its unit is another."""
    own = instrument.criterion.name
    if not quantity:
        return f"{own}, {instrument.criterion.unit}"
    if measure(instrument) == quantity:
        return own if label_of(instrument) else quantity
    return f"{quantity}: {own}, {instrument.criterion.unit}"


def _of_label(judges: Sequence[Instrument | None]) -> str:
    label = next(label_of(i) for i in judges if i is not None)
    return f", {label}" if label else ""
