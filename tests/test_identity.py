"""No result outlives the code it was made with: a plug-in's identity follows every file that shapes its results."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from architecture import imported
from needed_options import least_weights, needed
from turnwise.agents.agent import AGENTS
from turnwise.agents.domains import KNOWLEDGE
from turnwise.foundation import fingerprint as naming
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import MissingDependency
from turnwise.foundation.lineage import CARRIERS, lineage
from turnwise.judges.judge import JUDGES
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.listener import LISTENERS
from turnwise.quality.estimator import ESTIMATORS
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS
from turnwise.speech.perturbation import PERTURBATIONS

SHELVES = (AGENTS, DESCRIBERS, ESTIMATORS, JUDGES, LISTENERS, PERTURBATIONS, RECOGNIZERS, SYNTHESIZERS)
PLUGINS = [(catalog, name) for catalog in SHELVES for name in catalog.cards()]
DATA = [
    *((AGENTS, "frame", path) for path in sorted(KNOWLEDGE.glob("*.toml"))),
    *((AGENTS, "cascade", path) for path in sorted(KNOWLEDGE.glob("*.toml"))),
    (JUDGES, "voice_consistency", KNOWLEDGE.parents[1] / "quality" / "voice_space.json"),
]

Identity = Callable[[Catalog, str, Path | None], str]


@pytest.fixture
def identity_if_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Identity]:
    """The identity of a plug-in as it would be if one file were another."""
    real = {"source_digest": naming.source_digest, "file_digest": naming.file_digest}
    known: dict[tuple[str, Path], str] = {}
    changed: list[Path | None] = [None]

    def pretending(name: str) -> Callable[[Path], str]:
        def digest_of(path: Path) -> str:
            path = Path(path).resolve()
            if path == changed[0]:
                return "changed"
            if (name, path) not in known:
                known[name, path] = real[name](path)
            return known[name, path]

        return digest_of

    fakes = {name: pretending(name) for name in real}
    imported_whole: list[Catalog] = []
    weights = least_weights(tmp_path / "weights")
    for shelf in (
        AGENTS,
        DESCRIBERS,
        ESTIMATORS,
        LISTENERS,
        RECOGNIZERS,
        SYNTHESIZERS,
    ):  # one plug-in imports another by name, and would miss the fakes
        for each in shelf.cards():
            shelf.factory(each)

    def identity(catalog: Catalog, name: str, path: Path | None) -> str:
        if catalog not in imported_whole:
            imported_whole.append(catalog)
            for each in catalog.cards():
                catalog.factory(each)
        houses = {"turnwise", catalog.package.partition(".")[0]}
        for module in [m for n, m in sys.modules.items() if n.partition(".")[0] in houses and m is not naming]:
            for own in real:
                if vars(module).get(own) is real[own]:
                    monkeypatch.setattr(module, own, fakes[own])
        changed[0] = path.resolve() if path else None
        _forget()
        try:
            return catalog.identity(name, needed(catalog, name, weights))
        except MissingDependency as error:
            pytest.skip(str(error))

    yield identity
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    """Digests are kept per process."""
    from turnwise.judges.instrument import shared_digest

    shared_digest.cache_clear()
    lineage.cache_clear()


def modules_behind(path: Path, package: str) -> dict[str, Path]:
    """Every module of the package that this file imports, directly or through others, carriers left out."""
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        for name in imported(ast.parse(waiting.pop().read_text(encoding="utf-8")), package):
            file = _file(name)
            if file is not None and file.name != "__init__.py" and name not in found:
                found[name] = file
                waiting.append(file)
    return {name: file for name, file in sorted(found.items()) if name not in CARRIERS}


def _file(name: str) -> Path | None:
    """Of a module; None for a name inside one."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def uncovered(catalog: Catalog, name: str, identity: Identity) -> list[str]:
    """Modules that could change and leave the plug-in its name."""
    plain = identity(catalog, name, None)
    behind = modules_behind(catalog.card(name).path, catalog.package.partition(".")[0])
    return [module for module, file in behind.items() if identity(catalog, name, file) == plain]


@pytest.mark.parametrize(("catalog", "name"), PLUGINS, ids=lambda value: value if isinstance(value, str) else value.kind)
def test_identity_follows_every_module_behind_a_plug_in(catalog: Catalog, name: str, identity_if_changed: Identity) -> None:
    assert uncovered(catalog, name, identity_if_changed) == []


@pytest.mark.parametrize(("catalog", "name", "path"), DATA, ids=lambda value: str(getattr(value, "name", value)))
def test_identity_follows_the_data(catalog: Catalog, name: str, path: Path, identity_if_changed: Identity) -> None:
    assert path.is_file()
    assert identity_if_changed(catalog, name, path) != identity_if_changed(catalog, name, None)


def test_a_forgotten_module_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identity_if_changed: Identity) -> None:
    """The rule can fail: of two neighbours, one in the identity, the other is told, also where it is imported in a function."""
    bench = tmp_path / "forgetful" / "bench"
    bench.mkdir(parents=True)
    for folder in (bench.parent, bench):
        (folder / "__init__.py").write_text("")
    (bench.parent / "named.py").write_text("X = 1\n")
    (bench.parent / "forgotten.py").write_text("from forgetful import deeper\n")
    (bench.parent / "deeper.py").write_text("Y = 1\n")
    (bench / "loose.py").write_text(
        '"""A judge."""\n'
        "from pathlib import Path\n"
        "from forgetful import named\n"
        "from turnwise.foundation.fingerprint import source_digest\n"
        "class Loose:\n"
        "    def identity(self):\n"
        "        return {'named': source_digest(Path(named.__file__))}\n"
        "    def open(self):\n"
        "        from forgetful import forgotten\n"
        "        return forgotten\n"
        "def judge():\n"
        "    return Loose()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    # Plug-ins of others are named by every module they import; this one is to be named as our own are, by what it tells.
    monkeypatch.setattr("turnwise.foundation.catalog._modules_digest", lambda card: "")
    shelf = Catalog("judge", "forgetful.bench", "forgetful.judges")
    assert uncovered(shelf, "loose", identity_if_changed) == ["forgetful.deeper", "forgetful.forgotten"]
    own = shelf.card("loose").path
    assert identity_if_changed(shelf, "loose", own) != identity_if_changed(shelf, "loose", None)


def test_versions_of_packages_are_part_of_it() -> None:
    named: Mapping[tuple[Catalog, str], set[str]] = {
        (JUDGES, "wer"): {"jiwer", "whisper-normalizer"},
        (ESTIMATORS, "dnsmos"): {"speechmos", "onnxruntime", "soxr"},
        (ESTIMATORS, "loudness"): {"pyloudnorm"},
        (AGENTS, "retrieval"): {"scikit-learn"},
        (JUDGES, "voice_consistency"): {"kaldi-native-fbank", "soxr"},
        (PERTURBATIONS, "noise"): {"numpy"},
        (PERTURBATIONS, "packet_loss"): {"numpy"},
        (PERTURBATIONS, "telephone"): {"soxr"},
        (RECOGNIZERS, "pocketsphinx"): {"pocketsphinx", "soxr", "numpy"},
        (SYNTHESIZERS, "espeak"): {"espeakng-loader"},
        (SYNTHESIZERS, "flite"): {"flite"},
    }
    for (catalog, name), packages in named.items():
        try:
            built: Any = catalog.build(name)
            assert packages <= built.identity().keys(), name
        except MissingDependency as error:
            pytest.skip(str(error))
