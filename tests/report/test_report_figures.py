"""Figures: what they draw, what they say in words, and that nothing but shapes and words is left in them."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_results import made_results
from report.shown_results import HOSTILE, broken_results, few
from turnwise.judges.judge import Criterion
from turnwise.report.charts.correlation import matrix_rows, tint
from turnwise.report.charts.curve import LINE, curve_figure, place_labels, slug
from turnwise.report.charts.latency import latency_figure
from turnwise.report.charts.profile import profile_figure
from turnwise.report.charts.survival import survival_figure
from turnwise.report.drawing import Figure, clean, draw
from turnwise.report.numbers import chance, decimals, interval, value
from turnwise.report.theme import ARMS, COLOURS, DASHES, SHAPES, colour, contrast, css, for_file, for_page
from turnwise.statistics.correlation import Correlation, Correlations
from turnwise.statistics.summary import Summary, summarise

POINTS = Criterion("consistency", "points of 100", "higher", 0.0, 100.0)


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(made_results(dialogues=9, rounds=(4, 9), fault_share=0.02))


def test_a_curve_has_a_named_mark_for_every_scored_round(summary: Summary) -> None:
    figure = curve_figure(summary, POINTS, "all")
    assert figure is not None
    drawing = draw(figure)
    root = ElementTree.fromstring(drawing.page)
    said = [e.get("data-tip") for e in root.iter() if e.get("data-tip")]
    curves = [arm.criteria["consistency"].curve for arm in summary.arms]
    assert len(said) == sum(p.mean is not None for curve in curves for p in curve.all)
    first = curves[0].all[0]
    assert said[0] == f"frame, round 1: {first.mean:.1f}, 95 % CI [{first.low:.1f}, {first.high:.1f}], n = {first.n}"
    words = {(e.text or "") for e in root.iter() if e.tag.endswith("text")}
    assert {arm.name for arm in summary.arms} <= words
    assert str(min(curve.all[0].n for curve in curves)) in words


def test_a_drawing_is_made_of_shapes_and_words_only(summary: Summary) -> None:
    figure = survival_figure(summary)
    assert figure is not None
    drawing = draw(figure)
    for text in (drawing.page, drawing.file):
        root = ElementTree.fromstring(text)
        assert {e.tag.rpartition("}")[2] for e in root.iter()} <= {"svg", "g", "path", "line", "rect", "text", "tspan", "circle"}
        assert not [name for e in root.iter() for name in e.attrib if name in ("style", "id", "href") or name.startswith("on")]
    assert "var(--arm0)" in drawing.page
    assert COLOURS["arm0"][0] in drawing.file
    assert ElementTree.fromstring(drawing.page).get("aria-label", "").startswith("Turns until the thread is lost.")


def test_a_drawing_is_the_same_twice(summary: Summary) -> None:
    figure = profile_figure(summary)
    assert figure is not None
    assert draw(figure).svg == draw(figure).svg


def test_clean_drops_what_could_run() -> None:
    evil = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="x()"><script>x()</script>'
        '<a href="javascript:x()"><text>in a link</text></a><foreignObject/><path d="M0,0L1,1" style="x" onclick="x()"/></svg>'
    )
    made = clean(evil, Figure("f", "Title", "text <b>", {}))
    assert "x()" not in made
    assert "link" not in made
    assert 'd="M0,0L1,1"' in made
    assert "text &lt;b&gt;" in made


def test_hostile_names_stay_names() -> None:
    summary = summarise(few(made_results((HOSTILE[0], HOSTILE[1]), 3, 3)))
    figure = curve_figure(summary, POINTS, "all")
    assert figure is not None
    root = ElementTree.fromstring(draw(figure).page)
    assert any((e.get("data-tip") or "").startswith(HOSTILE[0]) for e in root.iter())


def test_where_nothing_was_scored_nothing_is_drawn() -> None:
    summary = summarise(few(broken_results()))
    assert curve_figure(summary, POINTS, "all") is None
    assert profile_figure(summary) is None
    assert survival_figure(summary) is None
    assert latency_figure(summary) is None


def test_the_scatter_says_both_numbers(summary: Summary) -> None:
    figure = latency_figure(summary)
    assert figure is not None
    time = next(t for t in summary.arms[0].latency if t.stage == "first_audio")
    estimate = summary.arms[0].criteria["consistency"].estimate
    assert f"frame: median {time.p50:.3f} s" in figure.text
    assert f"consistency {estimate.mean:.1f}" in figure.text


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_labels_never_lie_on_each_other(ends: list[float]) -> None:
    placed = place_labels([(str(k), end) for k, end in enumerate(ends)], 0.0, 100.0, 170.0)
    assert sorted(name for name, _ in placed) == sorted(str(k) for k in range(len(ends)))
    heights = [at for _, at in placed]
    assert all(b - a >= 100 * LINE / 170 - 1e-6 for a, b in itertools.pairwise(heights))
    assert max(heights) <= 100 + 1e-6


def test_labels_stay_where_there_is_room() -> None:
    assert place_labels([("a", 10.0), ("b", 90.0)], 0.0, 100.0, 170.0) == [("a", 10.0), ("b", 90.0)]


@pytest.mark.parametrize(("name", "made"), [("topic_drift", "topic-drift"), ("../../x", "x"), ("", "unnamed"), ("ü<b>", "b")])
def test_file_names_are_plain(name: str, made: str) -> None:
    assert slug(name) == made


def test_undefined_is_a_word_in_the_matrix() -> None:
    undefined, strong = Correlation("a", "b", None, None, 9), Correlation("a", "c", -0.8, 0.3, 9, -0.9, -0.6)
    pairs = (undefined, strong, Correlation("b", "c", 0.0, -0.004, 9))
    rows = matrix_rows(Correlations("arm", "turns", pairs), ("a", "b", "c"))
    said = [[None if cell is None else cell["said"] for cell in row["cells"]] for row in rows]
    assert said == [[None, "undefined", "0.30"], ["undefined", None, "0.00"], ["−0.80", "0.00", None]]
    assert rows[2]["cells"][0]["tint"] == "r0"
    assert rows[0]["cells"][1]["tint"] == "undefined"
    assert rows[2]["cells"][0]["tip"] == "c and a: Pearson's r −0.80, 95 % CI [−0.90, −0.60], n = 9"


def test_tints_go_from_one_end_to_the_other() -> None:
    assert [tint(r) for r in (-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0)] == [f"r{k}" for k in range(7)]
    assert tint(None) == "panel"


@pytest.mark.parametrize("theme", [0, 1])
def test_colours_stand_out(theme: int) -> None:
    shown = {name: pair[theme] for name, pair in COLOURS.items()}
    for under in ("paper", "panel", "sunken"):
        assert contrast(shown["ink"], shown[under]) >= 7
        assert contrast(shown["muted"], shown[under]) >= 4.5
        assert contrast(shown["accent"], shown[under]) >= 4.5
    for k in range(ARMS):
        assert contrast(shown[f"arm{k}"], shown["panel"]) >= 4.5, k
    assert contrast(shown["lost"], shown["lostwash"]) >= 4.5
    assert contrast(shown["onaccent"], shown["accent"]) >= 4.5
    for k in range(7):
        assert contrast(shown["onr" if k in (0, 6) else "ink"], shown[f"r{k}"]) >= 4.5, k


def test_arms_differ_in_more_than_colour() -> None:
    assert len({shown for pair in COLOURS.items() if pair[0].startswith("arm") for shown in pair[1]}) == 2 * ARMS
    assert len(set(SHAPES)) == len({tuple(d) for d in DASHES}) == ARMS


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


def test_stand_ins_become_colours() -> None:
    assert for_page(f'fill="{colour("ink")}"') == 'fill="var(--ink)"'
    assert for_file(f'fill="{colour("ink")}"') == f'fill="{COLOURS["ink"][0]}"'
    assert all(f"--{name}:" in css() for name in COLOURS)


def test_numbers_are_written_as_the_scale_deserves() -> None:
    mos, rate = Criterion("mos", "MOS 1-5", "higher", 1.0, 5.0), Criterion("wer", "word error rate", "lower", 0.0)
    assert [decimals(c) for c in (POINTS, mos, rate)] == [1, 2, 3]
    assert value(None, POINTS) == "–"
    assert value(-0.04, POINTS) == "0.0"
    assert value(-3.14159, rate) == "−3.142"
    assert interval(None, None, POINTS) == "no interval"
    assert interval(-1.0, 2.0, mos) == "[−1.00, 2.00]"
    assert [chance(p) for p in (None, 0.0002, 0.04)] == ["undefined", "< 0.001", "0.040"]


def test_png_is_an_image(summary: Summary, tmp_path: Path) -> None:
    figure = latency_figure(summary)
    assert figure is not None
    png = draw(figure).png()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(png[16:20], "big") > 500
