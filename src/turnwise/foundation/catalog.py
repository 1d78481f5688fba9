"""Plug-ins: the folder is the list, the file name is the name, the docstring is the card.

A plug-in file holds a factory named after its kind (`def judge(...)`, `def agent(...)`, `def corpus(...)`,
`def synthesizer(...)`, `def recognizer(...)`, `def estimator(...)`) whose keyword arguments are the plug-in's options.
Listing reads docstrings without importing anything. Others add theirs through the entry-point group
`turnwise.<folder>`, or name them by a dotted path: `mypackage.mymodule:factory`.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import canonical, fingerprint, source_digest

# What a module of others may raise while it is imported.
_BROKEN_IMPORT = (
    ImportError,
    SyntaxError,
    ArithmeticError,
    AttributeError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Card:
    """What a listing shows of one plug-in."""

    name: str
    summary: str  # first line of the docstring
    text: str  # the whole docstring
    path: Path
    module: str


@dataclass(frozen=True)
class Catalog:
    """The plug-ins of one kind."""

    kind: str  # the factory's name, e.g. "judge"
    package: str  # the folder, e.g. "turnwise.judges.bench"
    group: str  # the entry-point group, e.g. "turnwise.judges"

    def cards(self) -> dict[str, Card]:
        """Every plug-in by name, in alphabetical order; reads files, imports none of them."""
        found: dict[str, Card] = {}
        for path in sorted(self._folder().glob("*.py")):
            if path.stem == "__init__":
                continue
            card = _card(path.stem, path, f"{self.package}.{path.stem}", self.kind)
            if card is not None:
                found[card.name] = card
        for point in sorted(entry_points(group=self.group), key=lambda p: p.name):
            card = _card(point.name, _module_path(point.module), point.module, self.kind)
            if card is not None:
                found.setdefault(card.name, card)
        return dict(sorted(found.items()))

    def card(self, name: str) -> Card:
        """The card of one plug-in, by file name or by dotted path `package.module:factory`."""
        if ":" in name:
            module = name.partition(":")[0]
            path = _module_path(module)
            card = _card(name, path, module, None)
            assert card is not None  # without a kind to look for every readable file has a card
            return card
        plain = name.replace("-", "_")
        path = self._folder() / f"{plain}.py"
        own = _card(plain, path, f"{self.package}.{plain}", self.kind) if plain.isidentifier() and path.is_file() else None
        if own is not None:
            return own
        cards = self.cards()
        if plain not in cards:
            close = difflib.get_close_matches(plain, cards, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(cards)}"
            raise InputError(f"no {self.kind} is called {name!r}", hint)
        return cards[plain]

    def _folder(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise InputError(f"{self.package} is not a package")
        return Path(spec.submodule_search_locations[0])

    def factory(self, name: str) -> Callable[..., Any]:
        """Import one plug-in and return its factory."""
        card = self.card(name)
        try:
            module: ModuleType = importlib.import_module(card.module)
        except _BROKEN_IMPORT as error:
            what = error if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            hint = "TURNWISE_DEBUG=1 shows where"
            raise InputError(f"the {self.kind} {name!r} cannot be imported: {what}", hint) from error
        attribute = name.partition(":")[2] or self.kind
        made = getattr(module, attribute, None)
        if made is None:
            raise InputError(f"{card.module} has no {attribute!r}")
        return made  # type: ignore[no-any-return]

    def build(self, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """A plug-in with these options; wrong options are refused by name."""
        factory = self.factory(name)
        check_options(factory, options or {}, f"{self.kind} {name!r}")
        return factory(**dict(options or {}))

    def identity(self, name: str, options: Mapping[str, Any] | None = None) -> str:
        """Fingerprint of the plug-in: its code, its options, and what it says it depends on.

        Our own plug-ins say in `identity()` which modules shape their results, and a test holds that none is left out. For those
        of others every module of their own that they import counts, and what their `identity()` adds: package versions, weights.
        """
        built = self.build(name, options)
        depends = dict(built.identity()) if hasattr(built, "identity") else {}
        card = self.card(name)
        if not card.module.startswith("turnwise."):
            depends = {"its modules": _modules_digest(card), "depends": canonical(depends)}
        stem = name if ":" in name else name.replace("-", "_")
        return fingerprint(self.kind, stem, source_digest(card.path), canonical(dict(options or {})), canonical(depends))


def check_options(factory: Callable[..., Any], options: Mapping[str, Any], what: str) -> None:
    """Refuse options the factory does not take, naming the nearest that it does."""
    parameters = inspect.signature(factory).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for key in options:
        if key not in parameters:
            close = difflib.get_close_matches(key, parameters, n=1)
            known = ", ".join(parameters) or "none"
            raise InputError(f"{what} has no option {key!r}", f"did you mean {close[0]!r}?" if close else f"options: {known}")
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in options:
            raise InputError(f"{what} needs the option {key!r}")


def _modules_digest(card: Card) -> str:
    """Name of every module that a plug-in imports from the place it comes from, whoever imports it there."""
    depth = card.module.count(".") + (card.path.name == "__init__.py")
    root = card.path.resolve().parents[depth] if depth < len(card.path.resolve().parents) else card.path.resolve().parent
    installed = root.name in ("site-packages", "dist-packages")
    found: dict[Path, str] = {}
    waiting = [(card.module, card.path.resolve())]
    while waiting:
        module, path = waiting.pop()
        if path in found:
            continue
        found[path] = source_digest(path)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for name in _imports(ast.parse(path.read_text(encoding="utf-8")), package):
            top = name.partition(".")[0]
            # Among installed packages only the plug-in's own counts; the versions of others are for its `identity()` to name.
            if top == "turnwise" or (installed and top != card.module.partition(".")[0]):
                continue
            stem = root.joinpath(*name.split("."))
            waiting += [(name, place) for place in (stem.with_suffix(".py"), stem / "__init__.py") if place.is_file()]
    return fingerprint(*sorted(found.values()))


def _imports(tree: ast.Module, package: str) -> set[str]:
    """Every module a file may import, as absolute names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)} if base else {a.name for a in node.names}
    return {name for name in names if name}


def _module_path(module: str) -> Path:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise InputError(f"no module is called {module!r}", "it must be importable: install it or set PYTHONPATH")
    if not spec.origin.endswith(".py"):
        raise InputError(
            f"{module!r} is no file of Python text, so it can be no plug-in", "name a module of yours: package.module:name"
        )
    return Path(spec.origin)


def _card(name: str, path: Path, module: str, kind: str | None) -> Card | None:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}: not Python: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if kind is not None and not any(isinstance(n, ast.FunctionDef) and n.name == kind for n in tree.body):
        return None
    text = (ast.get_docstring(tree) or "").strip()
    return Card(name, text.partition("\n")[0], text, path, module)
