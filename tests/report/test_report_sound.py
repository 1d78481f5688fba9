"""How the page and the paper's figures show the sound: five ratings side by side, by round, in words, and against the sense."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from made_results import made_results
from report.heard_results import CLEAR, heard_results
from report.shown_results import few
from turnwise.judges.judge import Criterion
from turnwise.listening.ratings import DIMENSIONS
from turnwise.report.charts.paper import paper_figures
from turnwise.report.charts.ratings import level_words, ratings_figure
from turnwise.report.drawing import draw
from turnwise.report.figures import draw_all, sound_groups
from turnwise.report.numbers import spoken
from turnwise.report.page import build
from turnwise.report.sound_section import against_sense, by_ear
from turnwise.report.terminal import main_criteria
from turnwise.statistics.given_by import given_by
from turnwise.statistics.grid import grid_of
from turnwise.statistics.paper import paper
from turnwise.statistics.summary import Options, Summary, summarise
from turnwise.statistics.table import tidy
from turnwise.study.results import Results

QUICK = Options(draws=200, flips=200)


@pytest.fixture(scope="module")
def results() -> Results:
    return heard_results()


@pytest.fixture(scope="module")
def summary(results: Results) -> Summary:
    return summarise(results, QUICK)


def test_the_five_ratings_have_words_a_reader_knows() -> None:
    assert [spoken(name) for name in DIMENSIONS] == [
        "overall quality (mos)",
        "freedom from noise (noi)",
        "freedom from coloration (col)",
        "freedom from breaks (dis)",
        "loudness (loud)",
    ]
    assert spoken("people/dis") == "people/freedom from breaks (dis)"
    assert spoken("voice_consistency") == "voice consistency"


def test_the_figure_has_a_mark_with_its_words_for_every_arm_that_was_heard(summary: Summary) -> None:
    (group,) = sound_groups(summary)
    figure = ratings_figure(summary, "listener", group[1])
    assert figure is not None
    tips = [e.get("data-tip") for e in ElementTree.fromstring(draw(figure).page).iter() if e.get("data-tip")]
    assert len(tips) == 2 * 5
    noi = summary.arm("retrieval").criteria["noi"].estimate
    assert noi.mean == pytest.approx(CLEAR["noi"] - 0.3 * 2.5)
    wanted = f"{noi.mean:.2f} (neither noisy nor clean), 95 % CI [{noi.low:.2f}, {noi.high:.2f}], n = 36"
    assert f"retrieval, freedom from noise (noi): {wanted}" in tips
    assert "Not drawn, no score: text-only." in figure.text


def test_words_are_for_ratings_that_have_them() -> None:
    assert level_words(Criterion("dis", "rating 1-5", "higher", 1.0, 5.0), 1.7) == "significantly discontinuous"
    assert level_words(Criterion("a/loud", "rating 1-5", "higher", 1.0, 5.0), 4.6) == "perfectly loud"
    assert level_words(Criterion("dis", "points of 100", "higher", 0.0, 100.0), 1.7) == ""
    assert level_words(Criterion("audio_clarity", "rating 1-5", "higher", 1.0, 5.0), 1.7) == ""


def test_ratings_stand_beside_their_words_under_the_name_of_who_gave_them(results: Results, summary: Summary) -> None:
    (card,) = by_ear(results, summary, draw_all(summary, for_files=False))
    assert (card["by"], card["unit"]) == ("listener (embedded)", "rating 1-5, higher is better")
    rows = {row["arm"]: row["cells"] for row in card["rows"]}
    assert rows["frame"][1] == {"value": "4.20", "words": "somewhat clean"}
    assert rows["retrieval"][0] == {"value": "3.30", "words": "fair"}
    assert rows["text-only"] == [{"value": "–", "words": ""}] * 5


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "listener (embedded)"), ({"listener": "nisqa"}, "listener (nisqa)"), ({"describe": True}, "listener (embedded)")],
)
def test_the_judge_is_named_with_its_listener(options: dict[str, object], said: str) -> None:
    made = heard_results(options=options)
    assert given_by(made.instruments[-1], made) == said
    assert given_by(made.instruments[0], made) == "dialogue_quality"


def test_sense_against_sound_is_pearson_within_arms(results: Results, summary: Summary) -> None:
    matrix = against_sense(summary)
    assert matrix is not None
    assert matrix["columns"] == ["voice consistency", "overall", *map(spoken, DIMENSIONS)]
    assert [row["name"] for row in matrix["rows"]] == ["consistency", "naturalness"]
    grid = grid_of(tidy(results))
    parts: list[list[float]] = [[], []]
    for arm in ("frame", "retrieval"):
        for side, name in zip(parts, ("consistency", "noi"), strict=True):
            values = grid.of(arm, name).ravel()
            side += list(values - np.nanmean(values))
    cell = matrix["rows"][0]["cells"][3]
    assert float(cell["said"].replace("\N{MINUS SIGN}", "-")) == pytest.approx(np.corrcoef(*parts)[0, 1], abs=0.005)
    assert cell["n"] == 72
    assert re.fullmatch(r"\[.\d\.\d\d, .?\d\.\d\d\]", cell["ends"])
    still = matrix["rows"][0]["cells"][4]  # coloration never changes
    assert (still["said"], still["ends"], still["tint"]) == ("undefined", "", "undefined")


def test_the_page_keeps_sound_and_sense_apart(results: Results, tmp_path: Path) -> None:
    page = build(results, tmp_path, figures=False).read_text()
    section = {name: text for name, text in re.findall(r'<section id="(\w+)"(.*?)</section>', page, re.DOTALL)}
    for dimension in DIMENSIONS:
        assert f"<strong>{spoken(dimension)}</strong>" in section["sound"]
        assert f"<strong>{spoken(dimension)}</strong>" not in section["curves"]
    assert "<strong>voice consistency</strong>" in section["sound"]
    assert "<strong>consistency</strong>" in section["curves"]
    assert "By <bdi>listener (embedded)</bdi>" in section["sound"]
    assert '<a href="#sound">Sound</a>' in page


def test_a_run_that_nobody_listened_to_has_no_such_section(tmp_path: Path) -> None:
    page = build(few(made_results(("frame",), 3, 4), ("consistency", "naturalness")), tmp_path, figures=False).read_text()
    assert 'id="sound"' not in page
    assert "#sound" not in page


def test_two_listeners_are_two_groups() -> None:
    made = heard_results("people/listener")
    groups = sound_groups(summarise(made, QUICK))
    assert [(first.judge, [c.name for c in criteria]) for first, criteria in groups] == [
        ("people/listener", [f"people/{name}" for name in DIMENSIONS])
    ]


def test_figure_files_hold_the_ratings(results: Results, tmp_path: Path) -> None:
    build(results, tmp_path)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"sound-mos.svg", "sound-mos.png", "sound-mos.vl.json", "curve-noi-all.svg"} <= names


def test_the_terminal_prefers_the_overall_rating(summary: Summary) -> None:
    assert main_criteria(summary)[:2] == ["consistency", "naturalness"]
    assert "mos" in main_criteria(summary)
    assert "voice_consistency" not in main_criteria(summary)[:4]


def test_the_papers_figures_have_all_five(results: Results) -> None:
    made = few(results, ("consistency", "naturalness", "voice_consistency", *DIMENSIONS))
    summary, found = paper(made, Options(draws=200, flips=200, last_round=10))
    assert [i.criterion.name for i in found.quality] == ["mos"]
    assert [i.criterion.name for i in found.aspects] == ["noi", "col", "dis", "loud"]
    assert [pair.b for pair in found.correlations[:6]] == ["mos", "noi", "col", "dis", "loud", "voice_consistency"]
    figures = {figure.name: figure for figure in paper_figures(summary, found)}
    panels = [panel for row in figures["figure-2"].spec["vconcat"] for panel in row["hconcat"]]
    assert len(panels) == 8
    for dimension in DIMENSIONS:
        assert spoken(dimension) in figures["figure-2"].text
        assert spoken(dimension) in figures["figure-3"].text
