"""The rules of the house as functions from a source tree to its breaches, so that each can be shown to fail."""

from __future__ import annotations

import ast
from pathlib import Path

# From left to right: a stage imports only what stands before it. `benchmarks` stands where the design puts it.
STAGES = (
    "foundation",
    "endpoints",
    "dialogues",
    "speech",
    "quality",
    "listening",
    "agents",
    "judges",
    "study",
    "statistics",
    "training",
    "report",
    "cli",
)
LONGEST = 400  # lines of a file
FORBIDDEN = {"utils", "helpers", "common", "core", "util", "helper", "misc"}
PLUGINS = (
    "dialogues/corpora",
    "speech/engines",
    "speech/perturbations",
    "quality/estimators",
    "listening/listeners",
    "listening/describers",
    "agents/roster",
    "judges/bench",
)


def breaches(root: Path) -> list[str]:
    """Every breach in a package at `root`."""
    found: list[str] = []
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        found += _form(place, text, tree)
        found += _arrows(place, tree, root.name)
    return found


def _form(place: Path, text: str, tree: ast.Module) -> list[str]:
    found = []
    if text.count("\n") > LONGEST:
        found.append(f"{place}: {text.count(chr(10))} lines, more than {LONGEST}")
    if FORBIDDEN & {part.removesuffix(".py") for part in place.parts}:
        found.append(f"{place}: forbidden name")
    if place.name == "__init__.py":
        if text.strip() and len(place.parts) > 1:
            found.append(f"{place}: not empty")
    elif not ast.get_docstring(tree):
        found.append(f"{place}: no docstring")
    return found


def imported(tree: ast.AST, package: str) -> set[str]:
    """Modules of our package that a file imports, wherever in the file, or names in `import_module` calls."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(f"{package}.(relative)")
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value))
    return {name for name in found if name == package or name.startswith(f"{package}.")}


def _arrows(place: Path, tree: ast.Module, package: str) -> list[str]:
    found = []
    mine = place.parts[0] if len(place.parts) > 1 else None
    if mine is not None and mine not in STAGES:
        return [f"{place}: the folder {mine} has no place in the order of stages"]
    names = sorted(imported(tree, package))
    # `from a.b import c` names both a.b and a.b.c; one breach is told once.
    names = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    for name in names:
        if name.endswith("(relative)"):
            found.append(f"{place}: relative import")
            continue
        stage = name.split(".")[1] if name.count(".") else ""
        if mine is not None and stage in STAGES and STAGES.index(stage) > STAGES.index(mine):
            found.append(f"{place}: imports {name}, which stands to its right")
        for folder in PLUGINS:
            dotted = f"{package}.{folder.replace('/', '.')}."
            if name.startswith(dotted) and not str(place).startswith("cli/"):
                found.append(f"{place}: names the plug-in {name}")
    return found
