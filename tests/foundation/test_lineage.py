"""Every module behind a plug-in is in its lineage, and no carrier is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import turnwise
from test_identity import PLUGINS, modules_behind
from turnwise.foundation import lineage as tracing
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.fingerprint import fingerprint, source_digest
from turnwise.foundation.lineage import CARRIERS, lineage

PACKAGE = Path(turnwise.__file__).parent
OURS = [(catalog, name) for catalog, name in PLUGINS if catalog.package.startswith("turnwise.")]
Lineage = Callable[[Path, Path | None], str]


@pytest.fixture
def if_changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lineage]:
    """The lineage of a file as it would be if another were different."""

    def told(file: Path, changed: Path | None) -> str:
        monkeypatch.setattr(tracing, "source_digest", lambda path: "changed" if path == changed else source_digest(path))
        lineage.cache_clear()
        return lineage(str(file))

    yield told
    lineage.cache_clear()


def file_of(module: str) -> Path:
    return PACKAGE.parent / (module.replace(".", "/") + ".py")


@pytest.mark.parametrize(("catalog", "name"), OURS, ids=lambda value: value if isinstance(value, str) else value.kind)
def test_the_modules_are_those_of_the_import_closure(catalog: Catalog, name: str) -> None:
    path = catalog.card(name).path
    behind = {module: file for module, file in modules_behind(path, "turnwise").items() if module not in CARRIERS}
    assert lineage(str(path)) == fingerprint(*(f"{module} {source_digest(file)}" for module, file in sorted(behind.items())))


def test_a_change_behind_is_seen_and_one_of_a_carrier_is_not(if_changed: Lineage) -> None:
    agent = PACKAGE / "agents" / "roster" / "frame.py"
    plain = if_changed(agent, None)
    behind = {module: file for module, file in modules_behind(agent, "turnwise").items() if module not in CARRIERS}
    assert "turnwise.speech.engine" not in behind and len(behind) > 5
    for module, file in behind.items():
        assert if_changed(agent, file) != plain, module
    for module in CARRIERS:
        assert if_changed(agent, file_of(module)) == plain, module
    assert if_changed(agent, agent) == plain  # its own file is named by the catalog


def test_every_carrier_exists() -> None:
    assert [module for module in sorted(CARRIERS) if not file_of(module).is_file()] == []


def test_what_asks_a_server_is_named_and_what_carries_it_there_is_not(tmp_path: Path, if_changed: Lineage) -> None:
    """The form of a request shapes an answer; retries and limits do not, also where they are imported inside a function."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text("def agent():\n    from turnwise.endpoints import chat\n    from turnwise.endpoints.remote import Line\n")
    plain = if_changed(plugin, None)
    assert if_changed(plugin, file_of("turnwise.endpoints.chat")) != plain
    assert if_changed(plugin, file_of("turnwise.endpoints.asking")) != plain
    for module in ("remote", "limits", "calling", "attempts", "sending", "streaming", "sse", "spending", "endpoint"):
        assert if_changed(plugin, file_of(f"turnwise.endpoints.{module}")) == plain, module


def test_without_imports_of_ours_there_is_nothing(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("import json\nfrom pathlib import Path\nimport turnwise\n")
    assert lineage(str(plugin)) == fingerprint()
