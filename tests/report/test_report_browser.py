"""The page in a real browser: it opens from disk in silence, plays, filters, and runs nothing that it shows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from made_results import made_results
from report.shown_results import HOSTILE, few, hostile_results, spoken_results, with_rounds
from report.watched import Watched, until
from turnwise.agents.agent import Reply
from turnwise.report.page import build
from turnwise.report.theme import contrast
from turnwise.study.results import Answered

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    criteria = ("consistency", "naturalness", "topic_drift", "memory", "first_audio")
    results = few(made_results(dialogues=9, rounds=(4, 9)), criteria)

    def slip(answered: Answered) -> Answered:
        if answered.number != 2:
            return answered
        return msgspec.structs.replace(answered, transcript="the quick brown Fox", reply=Reply("The quick, brown ox."))

    return build(with_rounds(results, slip), tmp_path_factory.mktemp("ordinary"), figures=False)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoken")
    return build(few(spoken_results(folder, dialogues=2)), folder, figures=False)


def shown(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#list .name").all_inner_texts()]


def test_it_opens_from_disk_without_a_word(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    assert page.title() == "made · Turnwise report"
    assert watched.quiet()
    assert len(shown(page)) == 9
    assert page.locator(".answer").count() == 4 * page.locator(".round").count()
    assert page.locator("figure svg[role=img]").count() > 8
    assert watched.requests == [ordinary.as_uri()]


def test_the_network_is_refused(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    refused = page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')")
    assert refused == "refused"
    markup = "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'set' } catch (e) { return e.name } })()"
    assert page.evaluate(markup) == "TypeError"


def test_a_clip_plays(watched: Watched, spoken: Path) -> None:
    page = watched.open_dialogues(spoken, wait=".player .go")
    answers = page.locator(".answer .player")
    answers.first.locator(".go").click()
    until(page, "document.querySelector('.answer audio')?.currentTime > 0.2")
    assert page.evaluate("document.querySelector('.answer audio').duration") == pytest.approx(0.9, abs=0.02)
    until(page, "document.querySelector('.answer audio').ended")
    assert answers.first.locator(".go").inner_text() == "▶"
    assert watched.quiet()
    assert sum(url.endswith(".flac") for url in watched.requests) >= 1


def test_a_conversation_plays_through(watched: Watched, spoken: Path) -> None:
    page = watched.open_dialogues(spoken, wait=".player .go")
    page.locator(".listen button").first.click()
    until(page, "[...document.querySelectorAll('audio')].filter((a) => a.ended).length >= 3")
    page.locator(".listen button").first.click()
    until(page, "[...document.querySelectorAll('audio')].every((a) => a.paused)")
    assert watched.quiet()


def test_sound_within_the_page_plays_without_its_file(watched: Watched, tmp_path: Path) -> None:
    page_path = build(few(spoken_results(tmp_path, dialogues=1)), tmp_path, embed_audio=True, figures=False)
    shutil.rmtree(tmp_path / "clips")
    page = watched.open_dialogues(page_path, wait=".player .go")
    page.locator(".user .go").first.click()
    until(page, "document.querySelector('.user audio')?.ended")
    assert page.evaluate("document.querySelector('.user audio').duration") == pytest.approx(0.6, abs=0.02)
    assert watched.quiet()


def test_an_arm_that_reads_says_so_and_the_others_share_the_user(watched: Watched, tmp_path: Path) -> None:
    results = few(spoken_results(tmp_path, dialogues=1))
    heard, read = results.conversations
    words = tuple(msgspec.structs.replace(a, user_clip=None, user_heard=None) for a in read.rounds)
    results = msgspec.structs.replace(results, conversations=(heard, msgspec.structs.replace(read, rounds=words)))
    page = watched.open_dialogues(build(results, tmp_path, figures=False), wait=".player .go")
    first = page.locator("[data-round='1']")
    assert first.locator(".user .go").count() == 1
    assert first.locator(".answer .go").count() == 2
    assert "Was given the user's words" in first.locator(".answer[data-arm='1']").inner_text()
    assert "Was given the user's words" not in first.locator(".answer[data-arm='0']").inner_text()


def test_missing_sound_is_said_beside_the_player(watched: Watched, tmp_path: Path) -> None:
    results = few(spoken_results(tmp_path, dialogues=1))
    page_path = build(results, tmp_path, figures=False)
    shutil.rmtree(tmp_path / "clips")
    page = watched.open_dialogues(page_path, wait=".player .go")
    page.locator(".answer .go").first.click()
    page.wait_for_selector(".answer .player .gone")
    assert "cannot be played" in page.locator(".answer .gone").first.inner_text()
    page = watched.open_dialogues(build(results, tmp_path, figures=False), wait=".gone")
    assert "not found when this page was made" in page.locator(".user .gone").first.inner_text()


def test_filters_change_what_is_seen(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    page.select_option("#by-intent", "FindMovie")
    assert shown(page) == ["made-0001", "made-0004", "made-0007"]
    page.select_option("#by-intent", "")
    page.locator("[data-arm='0'].chip").click()
    assert page.locator(".answer[data-arm='0']").count() == 0
    assert page.locator(".answer[data-arm='1']").count() > 0
    for place in (1, 2):
        page.locator(f"[data-arm='{place}'].chip").click()
    page.select_option("#by-failure", "lost")
    assert shown(page) == []
    assert page.locator("#count").inner_text() == "0 of 9 dialogues"
    page.locator("[data-arm='1'].chip").click()
    assert shown(page)
    page.locator("#clear").click()
    assert len(shown(page)) == 9
    page.locator("#by-text").fill("Sentence 3 of dialogue 5")
    until(page, "document.querySelectorAll('#list .item').length === 1")
    assert shown(page) == ["made-0005"]
    assert watched.quiet()


def test_the_lost_turn_is_marked(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    lost = page.locator(".answer.lost")
    assert lost.count() >= 1
    assert "The thread is lost here: consistency" in lost.first.inner_text()
    assert page.locator(".marks .lost").count() >= 1


def test_own_text_is_shown_where_it_differs(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    second = page.locator("[data-round='2'] .answer").first.inner_text()
    assert "the quick brown Fox" in second
    assert "Its own text: The quick, brown ox." in second
    assert "Its own text" not in page.locator("[data-round='1'] .answer").first.inner_text()


def test_reasons_and_what_was_shown_unfold(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    answer = page.locator("[data-round='3'] .answer").first
    assert answer.locator(".verdicts").count() == 0
    answer.locator("summary", has_text="verdicts").click()
    assert "consistency of round 3" in answer.locator(".verdicts").inner_text()
    answer.locator("summary", has_text="Shown").click()
    answer.locator(".shown li").first.wait_for()  # a fold tells that it was opened only after the click has returned
    assert answer.locator(".shown li").count() == 2


def test_a_link_opens_its_dialogue(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary, "#d=made-0003&r=4")
    page.wait_for_selector("#dialogue[data-id='made-0003']")
    assert page.evaluate("document.activeElement.dataset.round") == "4"
    page.evaluate("location.hash = '#d=made-0002'")
    page.wait_for_selector("#dialogue[data-id='made-0002']")
    page.evaluate("location.hash = '#d=' + encodeURIComponent('<img src=x>')")
    until(page, "document.querySelector('#dialogue').textContent.includes('No dialogue')")
    assert watched.quiet()


def test_keys_reach_everything(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "theme"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.evaluate("document.activeElement.blur()")
    for key, number in (("j", "1"), ("j", "2"), ("k", "1")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.round") == number
    page.keyboard.press("n")
    page.wait_for_selector("#dialogue[data-id='made-0001']")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "by-text"
    focusable = page.evaluate(
        "[...document.querySelectorAll('[onclick], [role=button]')].filter((e) => e.tagName !== 'BUTTON').length"
    )
    assert focusable == 0
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select')]"
        ".filter((e) => !(e.innerText || e.getAttribute('aria-label') || e.labels?.length)).length"
    )
    assert unnamed == 0


def test_curves_switch_to_the_constant_subset(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    assert page.locator("[data-shows=constant] svg").first.is_hidden()
    page.locator("[data-curves=constant]").click()
    assert page.locator("[data-shows=constant] svg").first.is_visible()
    assert page.locator("[data-shows=all] svg").first.is_hidden()


def test_a_mark_says_its_numbers(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    mark = page.locator("#curves [data-shows=all] [data-tip]").first
    mark.hover()
    box = mark.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
    page.wait_for_selector("#tip:not([hidden])")
    assert "frame, round 1:" in page.locator("#tip").inner_text()
    assert "n = 9" in page.locator("#tip").inner_text()


def test_hostile_text_runs_nothing(watched: Watched, tmp_path: Path) -> None:
    page = watched.open_dialogues(build(hostile_results(), tmp_path, figures=False))
    for fold in page.locator("#dialogue summary").all():
        fold.click()
    text = page.locator("#dialogue").inner_text()
    for said in HOSTILE[1:5]:
        assert said.split("\u2028")[0] in text
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('img, #dialogue script, iframe').length") == 0
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.quiet()


@pytest.mark.parametrize("width", [390, 768])
def test_no_sideways_scrolling(browser: Browser, ordinary: Path, spoken: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, has_touch=True)
    for path in (ordinary, spoken):
        watched = Watched(context.new_page())
        page = watched.open_dialogues(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert watched.quiet()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out(browser: Browser, ordinary: Path, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = Watched(context.new_page()).open_dialogues(ordinary)
    pairs = page.evaluate(
        """[...document.querySelectorAll(
            'h1, .lede, .intro, td, th, .answer p, .scores li, .item, .dim, .legend li, .chip, svg text')]
        .filter((e) => e.getClientRects().length).map((e) => {
            let under = e;
            const solid = (n) => getComputedStyle(n).backgroundColor !== 'rgba(0, 0, 0, 0)';
            while (under.parentElement && !solid(under)) under = under.parentElement;
            const style = getComputedStyle(e);
            const ink = e.tagName === 'text' ? style.fill : style.color;
            return [ink, getComputedStyle(under).backgroundColor, e.textContent.slice(0, 40)];
        })"""
    )
    context.close()

    def hexadecimal(rgb: str) -> str:
        return "#" + "".join(f"{int(float(c)):02x}" for c in rgb[rgb.index("(") + 1 : -1].split(",")[:3])

    assert len(pairs) > 200
    weak = {(ink, paper, text) for ink, paper, text in pairs if contrast(hexadecimal(ink), hexadecimal(paper)) < 4.5}
    assert weak == set()
    dark = contrast(hexadecimal(pairs[0][1]), "#ffffff") > 10
    assert dark == (scheme == "dark")


def test_the_theme_can_be_chosen(watched: Watched, ordinary: Path) -> None:
    page = watched.open_dialogues(ordinary)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.reload()
    page.wait_for_selector("html[data-theme=dark]")
    assert watched.quiet()
