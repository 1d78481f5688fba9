"""The table at the end of a run, on a terminal and where there is none; and the verb that rebuilds a report."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from made_results import made_results
from report.shown_results import broken_results, few
from turnwise.cli.report import report_command
from turnwise.report.page import report_key
from turnwise.report.tables import markdown_report, sheets
from turnwise.report.terminal import MOST, main_criteria, terminal_table
from turnwise.statistics.summary import Summary, summarise
from turnwise.study.results import Results


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(made_results(dialogues=4, rounds=4, fault_share=0.05))


def printed(summary: Summary, *, terminal: bool, width: int) -> str:
    file = io.StringIO()
    Console(file=file, force_terminal=terminal, width=width, color_system=None).print(terminal_table(summary))
    return file.getvalue()


def test_a_wide_terminal_gets_a_table(summary: Summary) -> None:
    lines = printed(summary, terminal=True, width=140).splitlines()
    head = lines[0]
    assert head.split()[:2] == ["consistency", "↑"]
    assert "memory ↓" in head
    frame = next(line for line in lines if line.startswith("frame "))
    estimate = summary.arm("frame").criteria["consistency"].estimate
    assert f"{estimate.mean:.1f} [{estimate.low:.1f}, {estimate.high:.1f}]" in frame
    assert f"n = {estimate.n}" in lines[lines.index(frame) + 1]
    assert max(len(line) for line in lines) <= 140


def test_a_narrow_terminal_gets_fewer_columns(summary: Summary) -> None:
    head = printed(summary, terminal=True, width=80).splitlines()[0]
    assert "consistency" in head
    assert "memory" not in head


@pytest.mark.parametrize(("terminal", "width"), [(False, 140), (True, 40)])
def test_elsewhere_it_is_a_list(summary: Summary, terminal: bool, width: int) -> None:
    text = printed(summary, terminal=terminal, width=width)
    assert "consistency (points of 100" in text
    for arm in summary.arms:
        assert f"  {arm.name}" in text


def test_the_last_line_closes_the_account(summary: Summary) -> None:
    total = summary.accounting.total
    last = printed(summary, terminal=False, width=200).splitlines()[-1]
    start = f"{total.planned} verdicts planned = {total.scored} scored + {total.abstained} abstained + {total.fault} fault ("
    assert last.startswith(start)
    assert "timeout" in last


def test_a_run_without_a_score_can_be_printed() -> None:
    text = printed(summarise(few(broken_results())), terminal=False, width=100)
    assert "no scored turn" in text
    assert "upstream" in text


def test_markup_in_a_name_is_a_name() -> None:
    summary = summarise(few(made_results(("[bold red]x[/]", "b"), 2, 2)))
    for terminal in (True, False):
        assert "[bold red]x[/]" in printed(summary, terminal=terminal, width=120)


def test_the_thread_comes_first_and_the_list_is_short(summary: Summary) -> None:
    chosen = main_criteria(summary)
    assert chosen[:3] == ["consistency", "naturalness", "memory"]
    assert len(chosen) == len(set(chosen)) == MOST


def test_markdown_has_every_finding_and_table(summary: Summary) -> None:
    text = markdown_report(summary)
    assert text.startswith("# made\n")
    for sheet in sheets(summary):
        assert f"**{sheet.title}**" in text.replace("\\", "")
    assert len(sheets(summary)) == 7
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Results:
    results = few(made_results(("a", "b"), 2, 3))
    monkeypatch.setattr("turnwise.study.experiment.load_results", lambda run: results)
    return results


def test_the_verb_builds_and_says_where(loaded: Results, tmp_path: Path) -> None:
    done = CliRunner().invoke(report_command, [str(tmp_path), "--no-figures"], standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 0
    assert done.output.strip() == str(tmp_path / "report.html")
    assert report_key(loaded, embed_audio=False) in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "figures").exists()


def test_the_verb_puts_sound_and_figures_where_they_are_asked(loaded: Results, tmp_path: Path) -> None:
    done = CliRunner().invoke(report_command, [str(tmp_path), "--embed-audio"], standalone_mode=False)
    assert done.exception is None
    assert report_key(loaded, embed_audio=True) in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "figures" / "survival.png").is_file()


def test_help_shows_an_example() -> None:
    text = CliRunner().invoke(report_command, ["--help"]).output
    assert "Example: turnwise report runs/first --embed-audio" in text


def test_criteria_stand_in_the_order_of_the_study(summary: Summary) -> None:
    order = [i.criterion.name for i in summary.instruments]
    assert main_criteria(summary) != [name for name in order if name in main_criteria(summary)]  # by what matters most
    text = printed(summary, terminal=False, width=140)
    shown = [line.partition(" (")[0] for line in text.splitlines() if line.endswith("is better)")]
    assert len(shown) == MOST
    assert shown == [spoken for name in order if (spoken := name.replace("_", " ")) in shown]
    head = printed(summary, terminal=True, width=200).splitlines()[0]
    places = [head.index(name) for name in shown]
    assert places == sorted(places)
