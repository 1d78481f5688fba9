"""The summary in a terminal: arms by the criteria that matter most, with intervals, n, and what is missing."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from turnwise.report.numbers import interval, spoken, value
from turnwise.statistics.estimate import Estimate
from turnwise.statistics.summary import Summary

MOST = 5  # criteria beside the arms; the others are in the report
NAME, COLUMN = 18, 24  # characters that an arm's name and a criterion take


class TerminalTable:
    """A table where there is room for one, a list of lines where there is not or where nobody sees a terminal."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.criteria = main_criteria(summary)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = (options.max_width - NAME) // COLUMN
        if console.is_terminal and room >= min(2, len(self.criteria)):
            yield self._table(self._in_order(self.criteria[:room]))
        else:
            yield self._lines()
        yield Text(self._account())

    def _table(self, criteria: list[str]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2), title_justify="left", header_style="bold")
        table.add_column("")
        by_name = {i.criterion.name: i.criterion for i in self.summary.instruments}
        for name in criteria:
            arrow = "↑" if by_name[name].better == "higher" else "↓"
            table.add_column(Text(f"{spoken(name)} {arrow}"), justify="left")
        for arm in self.summary.shown:
            cells = []
            for name in criteria:
                estimate = arm.criteria[name].estimate
                cell = Text(value(estimate.mean, by_name[name]), style="bold")
                ends = interval(estimate.low, estimate.high, by_name[name]) if estimate.mean is not None else "no scored turn"
                cell.append(f" {ends}", style="not bold")
                cell.append(f"\nn = {estimate.n}{_missing(estimate)}", style="not bold dim")
                cells.append(cell)
            table.add_row(Text(arm.name), *cells)
        return table

    def _lines(self) -> Text:
        by_name = {i.criterion.name: i.criterion for i in self.summary.instruments}
        lines = []
        for name in self._in_order(self.criteria):
            criterion = by_name[name]
            lines.append(f"{spoken(name)} ({criterion.unit}, {criterion.better} is better)")
            width = max(len(arm.name) for arm in self.summary.arms)
            for arm in self.summary.shown:
                e = arm.criteria[name].estimate
                said = "no scored turn"
                if e.mean is not None:
                    said = f"{value(e.mean, criterion)} {interval(e.low, e.high, criterion)}"
                lines.append(f"  {arm.name:<{width}}  {said}  n = {e.n}{_missing(e)}")
        return Text("\n".join(lines), overflow="fold")

    def _in_order(self, criteria: list[str]) -> list[str]:
        """The chosen criteria in the study's order."""
        return [i.criterion.name for i in self.summary.instruments if i.criterion.name in criteria]

    def _account(self) -> str:
        total = self.summary.accounting.total
        causes = ", ".join(f"{cause} {n}" for cause, n in self.summary.accounting.faults.items())
        return (
            f"{total.planned} verdicts planned = {total.scored} scored + {total.abstained} abstained + {total.fault} fault"
            f"{f' ({causes})' if causes else ''} + {total.silent} silent"
        )


def terminal_table(summary: Summary) -> TerminalTable:
    """Something rich can print."""
    return TerminalTable(summary)


def main_criteria(summary: Summary) -> list[str]:
    """The thread and the sense, the failure that is worst anywhere, the sound, and what is left: the first that find room."""
    names = [i.criterion.name for i in summary.instruments]
    roles = summary.roles
    severities = {
        failure: max((e.mean for arm in summary.arms if (e := arm.criteria[failure].estimate).mean is not None), default=-1.0)
        for failure in roles.failures
    }
    worst = sorted(roles.failures, key=lambda f: -severities[f])[:1]
    sound = sorted(roles.sound, key=lambda name: name.rpartition("/")[2] != "mos")[:1]
    wanted = [*([roles.thread] if roles.thread else []), *roles.sense, *worst, *sound, *names]
    return list(dict.fromkeys(wanted))[:MOST]


def _missing(estimate: Estimate) -> str:
    return f", {estimate.absent} missing" if estimate.absent else ""
