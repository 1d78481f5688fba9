"""What the report says of judges and money: shown where there is something to show, escaped, the same in every form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from made_panel import GPT, QWEN, panel_results
from made_results import made_results
from report.shown_results import HOSTILE, few
from turnwise.endpoints.calls import Usage
from turnwise.report.judge_tables import cost_sheets, judge_sheets
from turnwise.report.page import build, report_key
from turnwise.report.tables import markdown_report
from turnwise.statistics.summary import Options, Summary, summarise
from turnwise.study.results import Expense, Instrument, Results

QUICK = Options(draws=200, flips=200)


@pytest.fixture(scope="module")
def results() -> Results:
    """Only what two judges read, so that the page is quick to draw."""
    made = panel_results(arms=("frame", "retrieval"), dialogues=4, rounds=4)
    names = {"consistency", "gpt/consistency", "qwen/consistency"}
    return msgspec.structs.replace(made, instruments=tuple(i for i in made.instruments if i.criterion.name in names))


@pytest.fixture(scope="module")
def summary(results: Results) -> Summary:
    return summarise(results, QUICK)


@pytest.fixture(scope="module")
def page(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(results, tmp_path_factory.mktemp("panel"), figures=False)


def section(page: Path, name: str) -> str:
    text = page.read_text(encoding="utf-8")
    found = re.search(rf'<section id="{name}".*?</section>', text, re.DOTALL)
    assert found is not None, name
    return re.sub(r"\s+", " ", found[0])


def test_the_tables_of_judges(summary: Summary) -> None:
    agreement, repeats, kinship = judge_sheets(summary)
    first = [cell.text for cell in agreement.rows[0]]
    pair = summary.agreements.pairs[0]
    assert first[0] == "consistency and gpt/consistency"
    assert first[1] == f"{pair.alpha:.2f}"
    assert first[7] == str(pair.n) == "32"
    assert agreement.rows[-1][0].text == "consistency, gpt/consistency and qwen/consistency together"
    assert [cell.text for cell in repeats.rows[0]][:4] == ["gpt/consistency", "gpt/dialogue_quality", "3", "3.31"]
    assert [cell.text for cell in repeats.rows[0]][-1] == "8 parse"
    rows = [[cell.text for cell in row] for row in kinship.rows]
    assert rows[0][:4] == [
        "gpt/dialogue_quality on frame (same model)",
        f"{GPT}, gpt-4o-mini",
        "gpt/consistency",
        "consistency",
    ]
    assert rows[0][4:] == ["+8.00", "[8.00, 8.00]", "16", "16"]
    assert kinship.rows[0][4].bold


def test_the_tables_of_costs(summary: Summary) -> None:
    bills, servers = cost_sheets(summary)
    by_purpose = {row[0].text: [cell.text for cell in row[1:]] for row in bills.rows}
    assert by_purpose["judge gpt/dialogue_quality"][:5] == ["300", "312", "2", "10 rate-limit, 4 timeout", "200,000 / 30,000"]
    assert by_purpose["judge gpt/dialogue_quality"][6:9] == ["0.048", "32", "0.0015"]
    assert by_purpose["judge qwen/dialogue_quality"][6] == "no price declared"
    assert by_purpose["transcriber"][6:9] == ["0.006", "–", "–"]
    assert by_purpose["in all"][6] == f"0.0636, no price declared for {QWEN}"
    answered = {row[0].text: row[-1].text for row in servers.rows}
    assert answered[f"openai, {GPT}"] == "gpt-4o-mini-2024-07-18 fp_1"


def test_the_page_has_both_sections_and_links_to_them(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert '<a href="#judges">Judges</a>' in text
    assert '<a href="#cost">Cost</a>' in text
    judges = section(page, "judges")
    assert '<p class="warning">The judge gpt/dialogue_quality rates an arm made of its own model: frame' in judges
    assert "Agreement of judges" in judges and "Spread of repeated judgements" in judges
    assert '<td class=" clear"><bdi>+8.00</bdi></td>' in judges
    assert "no price declared" in section(page, "cost")
    assert f"<bdi>{GPT}</bdi></td><td>3</td>" in section(page, "study")


def test_where_there_is_nothing_to_show_nothing_is_shown(tmp_path: Path) -> None:
    plain = few(made_results(("a", "b"), 2, 3))
    assert judge_sheets(summarise(plain, QUICK)) == cost_sheets(summarise(plain, QUICK)) == []
    text = build(plain, tmp_path, figures=False).read_text(encoding="utf-8")
    for name in ("judges", "cost"):
        assert f'id="{name}"' not in text
        assert f'href="#{name}"' not in text
    assert "Agreement of judges" not in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_markdown_and_json_say_the_same(summary: Summary, page: Path) -> None:
    report = markdown_report(summary)
    for title in ("Agreement of judges", "Spread of repeated judgements", "Judges that rate their own kin", "What it cost"):
        assert f"**{title}**" in report
    told = json.loads((page.parent / "summary.json").read_bytes())
    pair = told["agreement"]["pairs"][0]
    assert (pair["a"], pair["b"], pair["n"]) == ("consistency", "gpt/consistency", 32)
    assert told["agreement"]["repeats"][0]["unscored"] == {"parse": 8}
    assert told["kinship"][0]["kin"] == "model"
    assert told["spending"]["total"]["unpriced"] == [QWEN]
    assert told["roles"]["passed_over"] == ["gpt/consistency", "qwen/consistency"]


def test_names_that_would_like_to_be_markup(results: Results, tmp_path: Path) -> None:
    evil = HOSTILE[0]
    instruments: list[Instrument] = []
    for i in results.instruments:
        instruments.append(msgspec.structs.replace(i, models=(evil,)) if i.models else i)
    expense = Expense(evil, evil, evil, 1, 2, 1, {evil: 1}, Usage(1), None, 1.0, 0.0, (evil,))
    hostile = msgspec.structs.replace(results, instruments=tuple(instruments), arm_models={"frame": (evil,)}, expenses=(expense,))
    page = build(hostile, tmp_path, figures=False)
    text = page.read_text(encoding="utf-8")
    assert "<script>window" not in text
    assert "&lt;script&gt;window" in section(page, "judges") and "&lt;script&gt;window" in section(page, "cost")
    assert "<script>" not in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_the_key_follows_what_was_spent_and_what_arms_are_made_of(results: Results) -> None:
    key = report_key(results, embed_audio=False)
    assert key == report_key(results, embed_audio=False)
    assert key != report_key(msgspec.structs.replace(results, expenses=()), embed_audio=False)
    assert key != report_key(msgspec.structs.replace(results, arm_models={}), embed_audio=False)
    backwards = dict(reversed(results.arm_models.items()))
    assert key == report_key(msgspec.structs.replace(results, arm_models=backwards), embed_audio=False)
