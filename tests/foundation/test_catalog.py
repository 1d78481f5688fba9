"""Plug-ins are found by their files, listed without importing them, and refused precisely."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from turnwise.foundation.catalog import Catalog, check_options
from turnwise.foundation.errors import InputError


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "brief.py").write_text(
        '"""Counts words.\n\nNothing else."""\n\nclass Brief:\n    def __init__(self, most): self.most = most\n\n'
        "def judge(most=5):\n    return Brief(most)\n"
    )
    (folder / "broken.py").write_text('"""Explodes when imported."""\nraise RuntimeError\ndef judge():\n    return 1\n')
    (folder / "lexicon.py").write_text('"""No plug-in: it has no factory."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        monkeypatch.delitem(sys.modules, name)  # of another test's folder
    return Catalog("judge", "shelf", "turnwise.nothing")


def test_listing_reads_and_never_imports(shelf: Catalog) -> None:
    cards = shelf.cards()
    assert list(cards) == ["brief", "broken"]
    assert cards["brief"].summary == "Counts words."
    assert "Nothing else." in cards["brief"].text
    assert not {"shelf.brief", "shelf.broken"} & set(sys.modules)


def test_build_takes_options_and_refuses_others(shelf: Catalog) -> None:
    assert shelf.build("brief", {"most": 7}).most == 7
    with pytest.raises(InputError, match="no option 'mots'") as caught:
        shelf.build("brief", {"mots": 7})
    assert caught.value.hint == "did you mean 'most'?"


def test_unknown_name_gives_the_nearest(shelf: Catalog) -> None:
    with pytest.raises(InputError, match="no judge is called 'breif'") as caught:
        shelf.card("breif")
    assert caught.value.hint == "did you mean 'brief'?"


def test_dotted_path_needs_no_registration(shelf: Catalog) -> None:
    assert shelf.build("shelf.brief:judge", {"most": 2}).most == 2
    with pytest.raises(InputError, match=r"no module is called .nowhere\.at\.all."):
        shelf.build("nowhere.at.all:judge")
    with pytest.raises(InputError, match="has no 'jury'"):
        shelf.build("shelf.brief:jury")
    with pytest.raises(InputError, match=r"'os' is no file of Python text"):
        shelf.build("os:system")


def test_identity_follows_code_and_options(shelf: Catalog) -> None:
    plain = shelf.identity("brief")
    assert plain == shelf.identity("brief", {})
    assert plain != shelf.identity("brief", {"most": 6})
    file = shelf.card("brief").path
    file.write_text(file.read_text() + "# a remark\n")
    assert shelf.identity("brief") == plain
    file.write_text(file.read_text() + "LIMIT = 3\n")
    assert shelf.identity("brief") != plain


def test_required_options_are_named() -> None:
    def factory(path: str) -> str:
        return path

    with pytest.raises(InputError, match="needs the option 'path'"):
        check_options(factory, {}, "thing")


@pytest.mark.parametrize("kind", ["agents", "judges", "corpora", "engines", "perturbations", "estimators"])
def test_lists_are_the_same_in_every_process(kind: str) -> None:
    code = f"import sys; sys.argv = ['turnwise', 'list', '{kind}']; from turnwise.cli.main import main; main()"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) > 1


def test_the_modules_of_a_foreign_plug_in_belong_to_its_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any module that the plug-in imports from its own place renames it when it changes; one that it does not import does not."""
    files = {
        "theirs/__init__.py": "",
        "theirs/judges/__init__.py": "",
        "theirs/judges/kind.py": '"""Kind."""\nfrom .words import WORDS\nfrom theirs import scale\nimport neighbour\n'
        "def judge(): return WORDS\n",
        "theirs/judges/words.py": '"""Words."""\nfrom . import deeper\nWORDS = 1\n',
        "theirs/judges/deeper.py": '"""Deeper."""\nDEEP = 1\n',
        "theirs/scale.py": '"""Scale."""\nTOP = 100\n',
        "theirs/unused.py": '"""Unused."""\nX = 1\n',
        "neighbour.py": '"""A module beside the package."""\nY = 1\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    catalog = Catalog("judge", "theirs.judges", "turnwise.nothing")
    before = catalog.identity("theirs.judges.kind:judge")
    assert catalog.identity("theirs.judges.kind:judge") == before
    for name in ("theirs/judges/words.py", "theirs/judges/deeper.py", "theirs/scale.py", "neighbour.py"):
        (tmp_path / name).write_text(files[name] + "MORE = 2\n")
        assert catalog.identity("theirs.judges.kind:judge") != before, name
        (tmp_path / name).write_text(files[name])
    (tmp_path / "theirs/unused.py").write_text("X = 2\n")
    assert catalog.identity("theirs.judges.kind:judge") == before


def test_installed_neighbours_do_not_belong_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "site-packages"
    place.mkdir()
    (place / "lone.py").write_text('"""Lone."""\nimport neighbour_installed\ndef judge(): return 1\n')
    (place / "neighbour_installed.py").write_text("Y = 1\n")
    monkeypatch.syspath_prepend(place)
    catalog = Catalog("judge", "turnwise.judges.bench", "turnwise.nothing")
    before = catalog.identity("lone:judge")
    (place / "neighbour_installed.py").write_text("Y = 2\n")
    assert catalog.identity("lone:judge") == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def judge(: pass", "line 1: not Python"),
        ('"""x"""\nimport nothing_of_this_name\ndef judge(): pass', "No module named 'nothing_of_this_name'"),
        ('"""x"""\nNAME = undefined\ndef judge(): pass', "NameError: name 'undefined' is not defined"),
        ('"""x"""\nraise RuntimeError("no licence")\ndef judge(): pass', "RuntimeError: no licence"),
    ],
)
def test_a_plug_in_that_cannot_be_imported_is_a_sentence(
    shelf: Catalog, tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelf" / "worse.py").write_text(text)
    monkeypatch.delitem(sys.modules, "shelf.worse", raising=False)
    with pytest.raises(InputError, match=said):
        shelf.build("shelf.worse:judge")
    with pytest.raises(InputError, match=said):
        shelf.build("worse")
