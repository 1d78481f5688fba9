"""Tables for people: nothing in a cell is ever markup."""

from __future__ import annotations

import re

import pytest

from turnwise.statistics.sheet import Cell, Sheet, latex_escaped, row
from turnwise.statistics.wording import between, listed, percent, plain, signed

HOSTILE = r"50% of {x}_y & \input{/etc/passwd} #1 ~^ <script>|</script> `*[a](b)*` $x$ !"


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


def test_wording() -> None:
    assert (signed(-1.25), signed(0.04), signed(-0.04)) == ("−1.2", "+0.0", "+0.0")
    assert (plain(None), plain(-0.01), plain(2.345, 2)) == ("undefined", "0.0", "2.35")
    assert between(-1.0, 2.0) == "[−1.0, 2.0]"
    assert between(None, None) == "[no interval from fewer than two dialogues]"
    assert (percent(0.004), percent(0.0), percent(0.256), percent(None)) == ("under 1 %", "0 %", "26 %", "undefined")
    assert (listed([2], "round"), listed([2, 3, 7], "round")) == ("round 2", "rounds 2, 3 and 7")
