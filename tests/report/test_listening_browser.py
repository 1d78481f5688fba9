"""The page of a folder in a real browser: silent, sortable, playing, and running nothing that it shows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from report.heard_folder import file, folder, row
from report.shown_results import HOSTILE
from report.watched import Watched, until
from turnwise.report.listening_page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("listening")
    write_page(place / "page.html", folder(place / "calls"))
    return place / "page.html"


def names(page: Page) -> list[str]:
    found = page.locator("tbody.recording:visible summary").all_inner_texts()
    return [text.strip().rpartition("/")[2].removesuffix(".wav") for text in found]


def test_it_opens_in_silence_and_sorts(watched: Watched, made: Path) -> None:
    page = watched.open(made)
    assert page.title() == "How 11 recordings sound · Turnwise"
    assert names(page)[:3] == ["broken", "mute", "noisy"]
    assert page.locator("#count").inner_text() == "11 of 11"
    page.locator("[data-sort=mos]").click()
    order = names(page)
    assert order[:3] == ["noisy", "long", "plain0"]
    assert order[-2:] == ["broken", "mute"]  # without a number, so last either way
    assert page.locator("[aria-sort=ascending]").inner_text().startswith("mos")
    page.locator("[data-sort=mos]").click()
    assert names(page)[0] == "plain6"
    assert names(page)[-2:] == ["broken", "mute"]
    page.locator("[data-sort=file]").click()
    assert names(page)[:2] == ["broken", "long"]
    assert watched.quiet()
    assert [url for url in watched.requests if not url.startswith("data:")] == [made.as_uri()]


def test_filters(watched: Watched, made: Path) -> None:
    page = watched.open(made)
    page.fill("#by-name", "PLAIN")
    assert len(names(page)) == 7
    page.fill("#by-name", "")
    for kind, expected in (("odd", ["noisy"]), ("trouble", ["broken"]), ("unrated", ["broken", "mute"])):
        page.select_option("#by-kind", kind)
        assert names(page) == expected
    assert page.locator("#count").inner_text() == "2 of 11"


def test_a_row_unfolds_and_plays(watched: Watched, made: Path) -> None:
    page = watched.open(made)
    noisy = page.locator("tbody.recording", has_text="noisy.wav")
    assert noisy.locator(".more").is_hidden()
    noisy.locator("summary").click()
    noisy.locator(".more").wait_for()
    assert "MOS: 2.1" in noisy.locator(".description").inner_text()
    assert noisy.locator("img").evaluate("image => image.complete && image.naturalHeight") == 96
    assert noisy.locator("svg path").bounding_box() is not None
    box = noisy.locator(".wave").bounding_box()
    assert box is not None
    noisy.locator(".wave").click(position={"x": box["width"] / 2, "y": 20})
    until(page, "[...document.querySelectorAll('audio')].some((a) => a.ended || a.currentTime > 0.45)")
    assert noisy.locator("audio").evaluate("audio => audio.duration") == pytest.approx(0.8, abs=0.02)
    assert watched.quiet()


def test_a_long_recording_has_its_timeline(watched: Watched, made: Path) -> None:
    page = watched.open(made)
    long = page.locator("tbody.recording", has_text="long.wav")
    long.locator("summary").click()
    assert long.locator(".strip").count() == 5
    box = long.locator(".strip svg").first.bounding_box()
    assert box is not None
    long.locator(".strip svg").first.click(position={"x": box["width"] * 0.75, "y": 20})
    until(page, "[...document.querySelectorAll('audio')].some((a) => a.currentTime > 44 && a.currentTime < 50)")
    long.locator("summary").click()
    until(page, "[...document.querySelectorAll('audio')].every((a) => a.paused)")
    assert watched.quiet()


def test_a_missing_sound_is_said(watched: Watched, tmp_path: Path) -> None:
    rows = folder(tmp_path / "calls")
    write_page(tmp_path / "page.html", rows)
    shutil.rmtree(tmp_path / "calls")
    page = watched.open(tmp_path / "page.html")
    noisy = page.locator("tbody.recording", has_text="noisy.wav")
    noisy.locator("summary").click()
    noisy.locator(".wave").click()
    noisy.locator(".gone").wait_for()
    assert "cannot be played" in noisy.locator(".gone").inner_text()


def test_sound_within_the_page_plays_without_its_file(watched: Watched, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", folder(tmp_path / "calls"), embed_audio=True)
    shutil.rmtree(tmp_path / "calls")
    page = watched.open(tmp_path / "page.html")
    noisy = page.locator("tbody.recording", has_text="noisy.wav")
    noisy.locator("summary").click()
    noisy.locator(".wave").click(position={"x": 5, "y": 20})
    until(page, "[...document.querySelectorAll('audio')].some((a) => a.ended)")
    assert watched.quiet()


def test_hostile_names_and_texts_run_nothing(watched: Watched, tmp_path: Path) -> None:
    names_ = [h.replace("/", "_")[:90] for h in HOSTILE]
    rows = [row(file(tmp_path / f"{n}.wav"), 4, 4, 4, 4, 4, text=f"{t} MOS: 4.0") for n, t in zip(names_, HOSTILE, strict=True)]
    write_page(tmp_path / "page.html", rows)
    page = watched.open(tmp_path / "page.html")
    for fold in page.locator("summary").all():
        fold.click()
    text = page.locator("#table").inner_text()
    for said in HOSTILE[1:4]:
        assert said in text
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('iframe, #table script').length") == 0
    assert page.evaluate("[...document.images].every((i) => i.src.startsWith('data:image/png'))")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.quiet()


def test_every_control_has_a_name(watched: Watched, made: Path) -> None:
    page = watched.open(made)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, summary')]"
        ".filter((e) => !(e.innerText || e.getAttribute('aria-label') || e.labels?.length)).length"
    )
    assert unnamed == 0
