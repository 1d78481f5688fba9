"""The files of a report: complete, escaped, closed to the network, the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import polars
import pytest

from made_results import INSTRUMENTS, made_results
from report.shown_results import HOSTILE, broken_results, few, hostile_results, silent_results, spoken_results, with_rounds
from turnwise.agents.agent import Context
from turnwise.foundation.errors import StorageError
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Score
from turnwise.report.page import build, report_key
from turnwise.speech.clip import Clip
from turnwise.statistics.summary import summarise
from turnwise.study.results import Answered, Instrument, Results
from turnwise.study.study import Choice, Selection, UserVoice

FILES = ("report.html", "summary.json", "table.parquet", "table.csv", "report.md", "tables.tex")


class Page(HTMLParser):
    """What a browser would read from the page: elements with attributes, text outside of scripts, scripts by id."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: dict[str, str] = {}
        self.styles: list[str] = []
        self._inside = ""
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            name = self.elements[-1][1].get("id") or "program"
            self.scripts[name] = self.scripts.get(name, "") + data
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self.text += data

    def unpacked(self, name: str) -> Any:
        return json.loads(zlib.decompress(base64.b64decode(self.scripts[name])))

    def dialogues(self) -> list[dict[str, Any]]:
        blocks = sorted((n for n in self.scripts if n.startswith("block-")), key=lambda n: int(n[6:]))
        return [record for name in blocks for record in self.unpacked(name)]


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ordinary")
    build(made_results(fault_share=0.03, abstain_share=0.03, silent_share=0.02, dialogues=6), out)
    return out


def test_everything_is_there(ordinary: Path) -> None:
    assert all((ordinary / name).stat().st_size > 0 for name in FILES)
    figures = {p.name for p in (ordinary / "figures").iterdir()}
    for stem in ("curve-consistency-all", "failure-profile", "survival", "latency", "correlation-turns-pooled-within-arms"):
        assert {f"{stem}.svg", f"{stem}.png", f"{stem}.vl.json"} <= figures
    assert (ordinary / "figures" / "survival.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert not list(ordinary.glob(".writing-*"))


def test_no_stand_in_colour_is_left(ordinary: Path) -> None:
    for path in [ordinary / "report.html", *(ordinary / "figures").glob("*.svg"), *(ordinary / "figures").glob("*.json")]:
        assert "#0a0b" not in path.read_text(encoding="utf-8"), path.name


def test_the_summary_is_strict_json_with_what_was_promised(ordinary: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    summary = json.loads((ordinary / "summary.json").read_bytes(), parse_constant=refuse)
    assert summary["plan"] == "b2:plan"
    assert summary["tool"] == "0.1.0" and "turnwise" not in summary
    reading = summary["arms"]["frame"]["consistency"]
    assert {"mean", "ci", "n", "missing", "by_round"} <= reading.keys()
    assert {"a", "b", "judge", "difference", "ci", "p", "p_holm", "n"} <= summary["contrasts"][0].keys()
    account = summary["accounting"]
    assert account["planned"] == account["scored"] + account["abstained"] + account["fault"] + account["silent"]


def test_the_accounting_on_the_page_closes_and_matches_the_table(ordinary: Path) -> None:
    page = (ordinary / "report.html").read_text(encoding="utf-8")
    row = r"<tr[^>]*><th scope=\"row\"><bdi>([^<]*)</bdi></th>((?:<td data-field.*?</td>)+)<td class=\"causes\">(.*?)</td>"
    rows = re.findall(row, page)
    book = {}
    for name, cells, causes in rows:
        count = {field: int(n.replace(",", "")) for field, n in re.findall(r'data-field="(\w+)">([\d,]+)<', cells)}
        assert count["planned"] == count["scored"] + count["abstained"] + count["fault"] + count["silent"], name
        missing = sum(int(n.replace(",", "")) for n in re.findall(r"<span>([\d,]+) ", causes))
        assert missing == count["planned"] - count["scored"], name
        book[name] = count
    table = polars.read_parquet(ordinary / "table.parquet")
    assert book["whole run"]["planned"] == len(table)
    for arm in ("frame", "frame-last-turn", "retrieval", "text-only"):
        assert book[arm]["fault"] == len(table.filter((polars.col("arm") == arm) & (polars.col("status") == "fault")))
    assert sum(book[i.criterion.name]["silent"] for i in INSTRUMENTS) == book["whole run"]["silent"] > 0


def test_the_page_holds_every_outcome_of_every_turn(ordinary: Path) -> None:
    page = Page(ordinary / "report.html")
    table = polars.read_parquet(ordinary / "table.parquet")
    verdicts = [v for d in page.dialogues() for arm in d["arms"] for turn in arm["turns"] for v in turn["v"]]
    assert len(verdicts) == len(table)
    assert [sum(v[0] == k for v in verdicts) for k in range(4)] == [
        len(table.filter(polars.col("status") == s)) for s in ("scored", "abstained", "fault", "silent")
    ]


def test_the_lost_turn_is_the_one_of_the_statistics(tmp_path: Path) -> None:
    results = made_results(dialogues=6)
    page = Page(build(results, tmp_path, figures=False))
    survival = summarise(results).survival
    assert survival is not None
    found = {(d["id"], k): arm["lost"] for d in page.dialogues() for k, arm in enumerate(d["arms"])}
    expected = {(d, k): arm.first_lost.get(d, 0) for k, arm in enumerate(survival.arms) for d, _ in found}
    assert found == expected
    assert any(found.values())
    marks = {(row[0], k): mark[0] for row in page.unpacked("index")["dialogues"] for k, mark in enumerate(row[4])}
    assert marks == found


def test_the_policy_closes_the_page(ordinary: Path) -> None:
    page = Page(ordinary / "report.html")
    policy = next(a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy

    def named(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules["script-src"] == named(page.scripts["program"])
    assert [rules["style-src"]] == [named(s) for s in page.styles]
    assert rules["require-trusted-types-for"] == "'script'"


def test_nothing_is_fetched_and_nothing_is_inline(ordinary: Path) -> None:
    page = Page(ordinary / "report.html")
    for tag, attributes in page.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "audio", "video"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag
            if name in {"href", "src"}:
                assert (value or "").startswith(("#", "data:,")), (tag, value)
    program = page.scripts["program"]
    for forbidden in ("innerHTML", "outerHTML", "AdjacentHTML", "document.write", "eval(", "Function(", "fetch(", "XMLHttp"):
        assert forbidden not in program


def test_hostile_text_is_text_everywhere(tmp_path: Path) -> None:
    results = hostile_results()
    page = Page(build(results, tmp_path))
    allowed = {"program", "facts", "index", *(n for n in page.scripts if n.startswith("block-"))}
    assert set(page.scripts) == allowed
    assert not any(tag == "img" for tag, _ in page.elements)
    assert HOSTILE[0] in page.text
    turn = page.dialogues()[0]["arms"][0]["turns"][0]
    assert turn["x"] == HOSTILE[1]
    assert turn["v"][0] == [0, 40.0, HOSTILE[1]]
    for svg in (tmp_path / "figures").glob("*.svg"):
        assert "<script" not in svg.read_text(encoding="utf-8")
        assert "<img" not in svg.read_text(encoding="utf-8")
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    assert r"\<script\>" in markdown


def test_latex_is_escaped(tmp_path: Path) -> None:
    results = made_results(("50%_{&}#$~^\\", "b"), 3, 4)
    build(results, tmp_path, figures=False)
    text = (tmp_path / "tables.tex").read_text(encoding="utf-8")
    assert r"50\%\_\{\&\}\#\$\textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%#_]", body)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 4


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = few(made_results(dialogues=3, rounds=4, fault_share=0.05))
    first, second = tmp_path / "first", tmp_path / "second"
    build(results, first)
    turned = msgspec.structs.replace(results, clips=tmp_path / "elsewhere")
    build(turned, second)
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    assert len(names) > 15
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_the_key_is_in_the_page_and_follows_results_and_form(tmp_path: Path) -> None:
    results = made_results(("a",), 2, 3)
    page = build(results, tmp_path, figures=False).read_text(encoding="utf-8")
    assert report_key(results, embed_audio=False) in page
    assert report_key(results, embed_audio=True) not in page

    def better(answered: Answered) -> Answered:
        return msgspec.structs.replace(answered, outcomes={**answered.outcomes, "consistency": Score(1.0)})

    assert report_key(with_rounds(results, better), embed_audio=False) not in page


def test_the_key_does_not_depend_on_where_the_clips_lie(tmp_path: Path) -> None:
    results = made_results(("a",), 2, 3)
    moved = msgspec.structs.replace(results, clips=tmp_path)
    assert report_key(results, embed_audio=False) == report_key(moved, embed_audio=False)


def _unbounded() -> Results:
    results = made_results(("a", "b"), 3, 3)
    instruments = (Instrument(Criterion("speed", "words", "higher"), "speed", "b2:1"),)
    keep = with_rounds(results, lambda a: msgspec.structs.replace(a, outcomes={"speed": Score(-1e6 * a.number)}))
    return msgspec.structs.replace(keep, instruments=instruments)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (few(made_results(("only",), 3, 4)), "One arm has nothing to be compared with."),
        (few(made_results(("a", "b"), 1, 3)), "no interval"),
        (made_results(("a",), 1, 1), "1 dialogue"),
        (broken_results(), "upstream"),
        (silent_results(), "silent"),
        (_unbounded(), "No judge of this study says whether the thread is kept."),
        (few(made_results(("a", "b"), 2, 3, abstain_share=1.0)), "nothing to compare"),
        (few(made_results(tuple("abcdefghijk"), 2, 2)), "11 arms"),
    ],
    ids=["one arm", "one dialogue", "one turn", "all faults", "all silent", "no bounds", "all abstained", "eleven arms"],
)
def test_every_run_has_a_report(tmp_path: Path, results: Results, said: str) -> None:
    page = Page(build(results, tmp_path))
    assert said in re.sub(r"\s+", " ", page.text)
    assert re.search(r"\b(None|nan|NaN|inf)\b", page.text) is None
    assert page.unpacked("index")["dialogues"]


def test_clips_lie_beside_the_page(tmp_path: Path) -> None:
    results = spoken_results(tmp_path)
    page = Page(build(results, tmp_path, figures=False))
    turn = page.dialogues()[0]["arms"][0]["turns"][0]
    path, seconds, changed, there = turn["a"]
    assert re.fullmatch(r"clips/[0-9a-f]{2}/[0-9a-f]{30}\.flac", path)
    assert (tmp_path / path).is_file()
    assert (seconds, changed, there) == (0.9, "", True)


def test_clips_lie_within_the_page(tmp_path: Path) -> None:
    results = spoken_results(tmp_path)
    page = Page(build(results, tmp_path, embed_audio=True, figures=False))
    record = page.dialogues()[0]
    turn = record["arms"][0]["turns"][0]
    assert set(record["audio"]) == {turn["u"][0], turn["a"][0]}
    data = record["audio"][turn["a"][0]]
    assert data.startswith("data:audio/flac;base64,")
    assert base64.b64decode(data.partition(",")[2]) == (tmp_path / turn["a"][0]).read_bytes()


def test_a_missing_clip_is_said(tmp_path: Path) -> None:
    results = spoken_results(tmp_path)
    clip = results.conversations[0].rounds[0].user_clip
    assert clip is not None
    for path in (tmp_path / "clips").rglob("*.flac"):
        if path.name.startswith(clip.digest[5:]):
            path.unlink()
    for embed in (False, True):
        turn = Page(build(results, tmp_path, embed_audio=embed, figures=False)).dialogues()[0]["arms"][0]["turns"][0]
        assert turn["u"][3] is False
        assert turn["a"][3] is True


def test_no_path_is_built_from_a_digest_that_is_none(tmp_path: Path) -> None:
    evil = Clip("b2:../../../../etc/passwd", 8000, 1.0)
    results = with_rounds(made_results(("a",), 1, 2), lambda a: msgspec.structs.replace(a, user_clip=evil))
    turn = Page(build(results, tmp_path, embed_audio=True, figures=False)).dialogues()[0]["arms"][0]["turns"][0]
    assert turn["u"] == ["", 1.0, "", False]


def test_what_was_shown_is_kept_line_by_line(tmp_path: Path) -> None:
    results = made_results(("a",), 1, 6)
    arm = Page(build(results, tmp_path, figures=False)).dialogues()[0]["arms"][0]
    for turn, answered in zip(arm["turns"], results.conversations[0].rounds, strict=True):
        assert [arm["shown"][k] for k in turn["s"]] == list(answered.shown)
    assert len(arm["shown"]) == 5


def test_the_study_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "verysecretvalue")
    results = made_results(("a", "b"), 2, 3)
    first, second = results.study.arms
    arms = (
        msgspec.structs.replace(first, options={"header": "verysecretvalue"}),
        msgspec.structs.replace(second, perturb=(Choice("noise", {"snr": 10}),), context=Context(past=2)),
    )
    study = msgspec.structs.replace(results.study, arms=arms, user=UserVoice("espeak"), corpus=Selection("demo", n=2, seed=9))
    page = build(msgspec.structs.replace(results, study=study), tmp_path, figures=False)
    text = re.sub(r"\s+", " ", Page(page).text)
    assert "verysecretvalue" not in page.read_text(encoding="utf-8")
    for said in ("noise snr = 10", "its own replies", "b2:plan", "b2:corpus", "intent, seed 9", "Word error rates it got"):
        assert said in text


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        build(made_results(("a",), 1, 2), tmp_path / "file" / "run", figures=False)


def test_figures_of_earlier_results_go(tmp_path: Path) -> None:
    build(few(made_results(("a", "b"), 2, 3)), tmp_path)
    (tmp_path / "figures" / "mine.txt").write_text("kept")
    build(_unbounded(), tmp_path)
    names = {p.name for p in (tmp_path / "figures").iterdir()}
    assert names == {"mine.txt", "curve-speed-all.svg", "curve-speed-all.png", "curve-speed-all.vl.json"}
