"""Tables for people: layout of the paper, and nothing in a cell is ever markup."""

from __future__ import annotations

import re

import pytest

from made_results import judged_results, made_results
from turnwise.judges.verdict import Score
from turnwise.statistics.paper_tables import (
    accounting_sheet,
    contrasts_sheet,
    decimals,
    failures_sheet,
    means_sheet,
    rounds_sheet,
)
from turnwise.statistics.sheet import Cell, Sheet, latex_escaped, row
from turnwise.statistics.summary import Options, summarise
from turnwise.statistics.wording import between, listed, percent, plain, signed

HOSTILE = r"50% of {x}_y & \input{/etc/passwd} #1 ~^ <script>|</script> `*[a](b)*` $x$ !"
SUMMARY = summarise(made_results(dialogues=8, fault_share=0.05, mute=("text-only",)), Options(draws=300, flips=500))


def test_latex_escapes_everything_that_is_special() -> None:
    escaped = latex_escaped(HOSTILE)
    bare = re.sub(r"\\(?:text[a-z]+\{\}|[&%$#_{}])", "", escaped)
    assert not set(bare) & set("\\&%$#_{}~^<>|")
    assert latex_escaped("[1, 2]") == "{[}1, 2]"
    assert latex_escaped("−1") == "$-$1"
    assert latex_escaped("a\nb\\\\") == r"a b\textbackslash{}\textbackslash{}"


def test_markdown_cells_cannot_leave_their_cell() -> None:
    sheet = Sheet("t", ("a", "b"), (row("x", HOSTILE + "\n| new | row |"),))
    lines = sheet.markdown().splitlines()
    assert len(lines) == 5
    assert len(re.findall(r"(?<!\\)\|", lines[-1])) == 3
    assert "<script" not in lines[-1].replace(r"\<", "")


def test_the_three_forms_hold_the_same_cells() -> None:
    sheet = Sheet("Title", ("arm", "R1"), (row("a", Cell("12.5", bold=True)), row("b", "3")), "A note.")
    lines = ["Title", "", "arm     R1", "----------", "a    12.5*", "b        3", "", "A note."]
    assert sheet.text().splitlines() == lines
    assert "| a | **12.5** |" in sheet.markdown()
    assert r"a & \textbf{12.5} \\" in sheet.latex()
    assert sheet.latex().count(r"\\") == 3
    with pytest.raises(ValueError, match="2 columns"):
        Sheet("t", ("a", "b"), (row("x"),))


def test_means_show_interval_n_and_what_is_missing() -> None:
    sheet = means_sheet(SUMMARY)
    frame = dict(zip(sheet.columns, (c.text for c in sheet.rows[0]), strict=True))
    estimate = SUMMARY.arm("frame").criteria["consistency"].estimate
    assert frame["consistency"] == (
        f"{estimate.mean:.1f} [{estimate.low:.1f}, {estimate.high:.1f}] n={estimate.n}, {estimate.absent} missing"
    )
    assert re.fullmatch(r"no score, \d+ missing", sheet.rows[3][1].text)
    assert means_sheet(SUMMARY, ["memory"]).columns == ("arm", "memory")


def test_rounds_in_the_layout_of_the_paper() -> None:
    sheet = rounds_sheet(SUMMARY, "consistency")
    assert sheet.columns == ("arm", *(f"R{r}" for r in range(1, SUMMARY.last_round + 1)), "slope")
    assert [r[0].text for r in sheet.rows[:2]] == ["frame", "n of frame"]
    drops = SUMMARY.arm("frame-last-turn").criteria["consistency"].curve.drops
    assert drops
    assert tuple(k for k, cell in enumerate(sheet.rows[2]) if cell.bold) == drops
    constant = rounds_sheet(SUMMARY, "consistency", constant=True)
    assert "dialogues that reach the last round" in constant.note
    assert len({c.text for c in constant.rows[3][1:-1]}) <= 3  # n is constant but for faults
    assert sheet.rows[6][1].text == "no score"
    assert sheet.rows[6][-1].text == "undefined"


def test_other_sheets_have_a_row_per_arm_or_pair() -> None:
    assert len(failures_sheet(SUMMARY).rows) == 4
    assert len(contrasts_sheet(SUMMARY, "consistency").rows) == 6
    accounting = accounting_sheet(SUMMARY)
    planned = [int(r[1].text) for r in accounting.rows]
    assert planned[-1] == sum(planned[:-1])
    assert all(int(r[1].text) == sum(int(c.text) for c in r[2:]) for r in accounting.rows)


def test_no_interval_is_shown_as_none() -> None:
    summary = summarise(judged_results(lambda arm, d, r: Score(50.0)), Options(draws=300, flips=500))
    assert means_sheet(summary).rows[0][1].text == "50.0 [–] n=4"


def test_decimals_follow_the_scale() -> None:
    assert [decimals(SUMMARY, c) for c in ("consistency", "overall", "user_wer")] == [1, 2, 2]


def test_wording() -> None:
    assert (signed(-1.25), signed(0.04), signed(-0.04)) == ("−1.2", "+0.0", "+0.0")
    assert (plain(None), plain(-0.01), plain(2.345, 2)) == ("undefined", "0.0", "2.35")
    assert between(-1.0, 2.0) == "[−1.0, 2.0]"
    assert between(None, None) == "[no interval from fewer than two dialogues]"
    assert (percent(0.004), percent(0.0), percent(0.256), percent(None)) == ("under 1 %", "0 %", "26 %", "undefined")
    assert (listed([2], "round"), listed([2, 3, 7], "round")) == ("round 2", "rounds 2, 3 and 7")
