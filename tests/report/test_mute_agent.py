"""An agent that never says anything: last wherever arms are ranked or listed, absent nowhere, without a number for its words."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from made_panel import panel_results
from made_results import judged_results, made_results
from report.shown_results import few, with_rounds
from small_study import small_study
from turnwise.judges.verdict import Fault, Outcome, Score, Silence
from turnwise.report import sections
from turnwise.report.charts.curve import curve_figure
from turnwise.report.charts.latency import latency_figure
from turnwise.report.charts.profile import profile_figure
from turnwise.report.charts.survival import survival_figure
from turnwise.report.page import build
from turnwise.report.paper_tables import absent, paper_sheets
from turnwise.report.tables import markdown_report, sheets
from turnwise.report.terminal import terminal_table
from turnwise.statistics.findings import findings
from turnwise.statistics.paper import paper
from turnwise.statistics.summary import Options, Summary, summarise
from turnwise.study.experiment import carry_out, load_results

QUICK = Options(draws=200, flips=200)
CRITERIA = ("consistency", "naturalness", "repetition", "memory", "overall")


@pytest.fixture(scope="module")
def summary() -> Summary:
    """The mute arm is the second of the study."""
    return summarise(few(made_results(("frame", "dumb", "retrieval"), 6, (4, 6), mute=("dumb",)), CRITERIA), QUICK)


def printed(summary: Summary, *, terminal: bool) -> list[str]:
    file = io.StringIO()
    Console(file=file, force_terminal=terminal, width=160, color_system=None).print(terminal_table(summary))
    return file.getvalue().splitlines()


def test_it_ranks_last(summary: Summary) -> None:
    assert summary.ranking[-1] == "dumb"
    assert [arm.name for arm in summary.shown] == ["frame", "retrieval", "dumb"]
    assert [arm.name for arm in summary.arms] == ["frame", "dumb", "retrieval"]  # colours and blocks keep the study's order


def test_it_ranks_after_an_arm_that_scores_nothing_but_zeroes_and_after_one_that_broke() -> None:
    def judging(arm: str, d: int, r: int) -> Outcome:
        return {"dumb": Silence(), "broken": Fault("timeout"), "bad": Score(0.0), "rare": Fault("timeout")}.get(arm, Score(70.0))

    summary = summarise(judged_results(judging, ("dumb", "broken", "bad", "good"), [4] * 5), QUICK)
    assert summary.ranking == ("good", "bad", "broken", "dumb")
    assert [arm.name for arm in summary.shown] == ["bad", "good", "broken", "dumb"]


def test_it_ranks_last_where_no_criterion_ranks() -> None:
    results = few(made_results(("dumb", "frame"), 3, 3, mute=("dumb",)), ("memory", "overall"))
    summary = summarise(results, QUICK)
    assert summary.roles.thread is None
    assert summary.ranking == ("frame", "dumb")
    said = next(f for f in findings(summary) if f.kind == "thread")
    assert said.text == "dumb ranks last: it is silent on every turn, so nothing of it could be scored."


def test_the_terminal_lists_it_last_without_a_number(summary: Summary) -> None:
    table = printed(summary, terminal=True)
    arms = [line.split()[0] for line in table if line.split() and line.split()[0] in ("frame", "dumb", "retrieval")]
    assert arms == ["frame", "retrieval", "dumb"]
    row = next(line for line in table if line.startswith("dumb"))
    assert row.count("no scored turn") == row.count("–") > 1
    assert not re.search(r"\d", row)
    for line in printed(summary, terminal=False):
        if line.startswith("  dumb"):
            assert re.fullmatch(r"  dumb\s+no scored turn  n = 0, \d+ missing", line)


def test_every_finding_that_speaks_of_each_arm_speaks_of_it(summary: Summary) -> None:
    made = findings(summary)
    for kind in ("where", "failure"):
        (text,) = [f.text for f in made if f.kind == kind and f.arms == ("dumb",)]
        assert "silent" in text
    assert [f.text for f in made if f.kind == "thread"][-1].startswith("dumb ranks last: no turn of it could be scored")
    assert not [f for f in made if f.kind == "latency" and f.arms == ("dumb",)]


def test_no_table_leaves_it_out_or_gives_it_a_number(summary: Summary) -> None:
    for sheet in sheets(summary):
        if sheet.title == "Accounting":
            continue
        if "dumb" in sheet.columns:
            place = sheet.columns.index("dumb")
            assert place == len(sheet.columns) - 1
            assert all(row[place].text.startswith("no scored turn, n = 0; ") for row in sheet.rows)
        elif sheet.title == "Differences between arms":
            of = [row for row in sheet.rows if "dumb" in row[0].text]
            assert len(of) == 2 * len(CRITERIA)
            assert {(row[1].text, row[2].text, row[4].text) for row in of} == {("– no interval", "undefined", "0")}
        elif sheet.title.startswith("Turns until"):
            assert [cell.text for cell in sheet.rows[-1]] == ["dumb", "6 of 6", "1", "1.0 [1.0, 1.0]", "silent 100 % [100, 100]"]
        else:
            assert sheet.rows[-1][0].text.startswith("dumb"), sheet.title
            assert not any(re.search(r"\d", cell.text.removesuffix("n = 0)").removesuffix("0")) for cell in sheet.rows[-1][1:])


def test_the_overview_and_the_profile_of_the_page(summary: Summary, tmp_path: Path) -> None:
    for row in sections.overview(summary):
        last = row["cells"][-1]
        assert (last["mean"], last["interval"], last["n"], last["dot"]) == ("–", "no scored turn", 0, None)
        assert last["missing"][0][0] == "silent"
    results = few(made_results(("frame", "dumb", "retrieval"), 6, (4, 6), mute=("dumb",)), CRITERIA)
    page = re.sub(r"\s+", " ", build(results, tmp_path, figures=False).read_text(encoding="utf-8"))
    heads = re.search(r'<table class="overview">(.*?)</thead>', page)
    assert heads is not None
    assert re.findall(r'class="arm(\d)".*?<bdi>(.*?)</bdi>', heads[1]) == [("0", "frame"), ("2", "retrieval"), ("1", "dumb")]
    primary = re.search(r"Primary failure, turns(.*?)</table>", page)
    assert primary is not None
    assert primary[1].count("<bdi>dumb</bdi></th><td>–</td><td>–</td><td>–</td><td>0</td>") == 1
    latency = re.search(r"Seconds, by stage(.*?)</table>", page)
    assert latency is not None
    assert "<bdi>dumb</bdi></th><td>none timed</td>" in latency[1]


def test_figures_that_cannot_draw_it_name_it(summary: Summary) -> None:
    criterion = summary.criterion("consistency")
    for figure in (curve_figure(summary, criterion, "all"), latency_figure(summary), profile_figure(summary)):
        assert figure is not None
        assert re.search(r"Not drawn, no score( or no time)?: dumb\.", figure.text)
        assert "dumb" in str(figure.spec["title"])
    drawn = survival_figure(summary)  # silence loses the thread: there it is drawn
    assert drawn is not None and "dumb: 0 %" in drawn.text and "title" not in drawn.spec


def test_the_paper_layout_keeps_it_last() -> None:
    results = panel_results(arms=("frame", "dumb", "retrieval"), dialogues=6, rounds=(4, 6), mute=("dumb",))
    summary, found = paper(results, QUICK)
    assert "Without a single score: dumb." in absent(summary, found)
    seen = 0
    for sheet in paper_sheets(summary, found):
        names = [row[0].text for row in sheet.rows]
        if "dumb" in names:
            seen += 1
            cells = [cell.text for cell in sheet.rows[names.index("dumb")][1:]]
            assert not any(re.search(r"\d", re.sub(r"n = 0; \d+ silent|^0$", "", cell)) for cell in cells), sheet.title
            assert [name for name in names if name in ("frame", "retrieval", "dumb")][-1] == "dumb"
    assert seen > 5


def test_how_long_its_silence_took_is_no_latency() -> None:
    """A silent agent may still have thought; nobody waited for an answer that did not come."""
    results = made_results(("frame", "dumb"), 3, 3)
    mute = with_rounds(results, lambda a: msgspec.structs.replace(a, outcomes={name: Silence() for name in a.outcomes}))
    kept = tuple(m if m.arm == "dumb" else c for m, c in zip(mute.conversations, results.conversations, strict=True))
    summary = summarise(msgspec.structs.replace(results, conversations=kept), QUICK)
    assert {(t.n, t.p50, t.slowest) for t in summary.arm("dumb").latency} == {(0, None, None)}
    assert all(t.n for t in summary.arm("frame").latency)


def test_a_study_with_a_mute_arm_end_to_end(tmp_path: Path) -> None:
    arms = {
        "dumb": {"agent": "echo", "options": {"silent_on": [1, 2, 3, 4]}, "context": {"user": "written"}},
        "text": {"agent": "echo", "context": {"user": "written"}},
    }
    carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0)
    results = load_results(tmp_path / "run")
    summary = summarise(results, QUICK)
    assert summary.arm("dumb").mute
    assert summary.ranking == ("text", "dumb")
    assert summary.mean("dumb", "repetition") is None
    report = markdown_report(summary)
    assert "dumb ranks last" in report
    assert "no scored turn, n = 0; 12 silent" in report
