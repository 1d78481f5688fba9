"""The page of a folder, as text: order, policy, addresses, and nothing read as markup."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

import msgspec
import pytest

from report.heard_folder import file, folder, row
from report.shown_results import HOSTILE
from turnwise.foundation.errors import StorageError
from turnwise.report.listening_page import write_page


def files_in_order(text: str) -> list[str]:
    return re.findall(r'<tbody class="recording" data-place="\d+" data-file="[^"]*?([^/"]+)"', text)


def test_what_is_odd_comes_first(tmp_path: Path) -> None:
    rows = folder(tmp_path / "calls")
    write_page(tmp_path / "out" / "page.html", rows)
    text = (tmp_path / "out" / "page.html").read_text()
    order = files_in_order(text)
    assert order[:3] == ["broken.wav", "mute.wav", "noisy.wav"]
    assert len(order) == len(rows) == 11
    assert "9 rated, 1 outlier, 1 in trouble." in " ".join(text.split())
    assert text.count('class="far"') == 1
    assert "−29.0 noi" in text
    assert "file: unreadable: <bdi>it holds nothing</bdi>" in text
    assert "Not rated: silent: every sample is zero" in text
    assert not list((tmp_path / "out").glob(".part*"))


def test_sounds_are_named_from_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = row(file(Path("calls/a b#1?.wav")), 4, 4, 4, 4, 4)
    write_page(Path("out/page.html"), [made])
    assert 'src="./../calls/a%20b%231%3F.wav"' in Path("out/page.html").read_text()


def test_embedded_sounds_are_the_files_themselves(tmp_path: Path) -> None:
    made = row(file(tmp_path / "a.flac"), 4, 4, 4, 4, 4)
    write_page(tmp_path / "page.html", [made], embed_audio=True)
    address = re.search(r'src="data:audio/flac;base64,([^"]+)"', (tmp_path / "page.html").read_text())
    assert address is not None
    assert base64.b64decode(address[1]) == (tmp_path / "a.flac").read_bytes()


def test_the_policy_names_the_script_and_the_style(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", folder(tmp_path))
    text = (tmp_path / "page.html").read_text()
    for kind in ("script", "style"):
        (code,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        named = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src &#39;sha256-{named}&#39;" in text
    assert not re.search(r'\sstyle="', text)
    assert "http" not in re.sub(r"data:[^\"]*", "", text.replace('http-equiv="Content-Security-Policy"', ""))


def test_pictures_only_for_the_first(tmp_path: Path) -> None:
    rows = folder(tmp_path)
    write_page(tmp_path / "page.html", rows, drawn=4)
    text = (tmp_path / "page.html").read_text()
    assert text.count("data:image/png") == 3  # the first of the four is broken
    assert "Pictures are drawn for the first 4." in text


def test_hostile_names_and_texts_stay_text(tmp_path: Path) -> None:
    names = [h.replace("/", "_").replace("\0", "")[:90] for h in HOSTILE]
    rows = [
        row(file(tmp_path / f"{name}.wav"), 4, 4, 4, 4, 4, text=f"{text} MOS: 4.0")
        for name, text in zip(names, HOSTILE, strict=True)
    ]
    write_page(tmp_path / "page.html", rows)
    text = (tmp_path / "page.html").read_text()
    for said in HOSTILE[:3]:
        assert said not in text
    assert text.count("<script>") == 1
    assert len(files_in_order(text)) == len(rows)


def test_names_that_are_no_text_and_files_that_are_gone(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    rows = [row(odd, 4, 4, 4, 4, 4), msgspec.structs.replace(row(tmp_path / "gone.wav", 4, 4, 4, 4, 4))]
    write_page(tmp_path / "page.html", rows)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("was not found when this page was made") == 2
    assert "\\xff.wav" in text


def test_no_rows_and_no_place(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", [])
    assert "How 0 recordings sound" in (tmp_path / "page.html").read_text()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_page(tmp_path / "file" / "page.html", [])
