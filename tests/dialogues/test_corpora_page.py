"""The page on corpora names every kind of irregularity the code can report, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import turnwise.dialogues.corpus as corpus_module
from turnwise.dialogues.corpus import CORPORA

SOURCE = Path(corpus_module.__file__).parent
PAGE = Path(__file__).resolve().parents[2] / "docs" / "corpora.md"
PLACE_OF_KIND = {"remark": 1, "Irregularity": 2, "Unusable": 0}  # argument that holds the kind


def reported() -> set[str]:
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACE_OF_KIND:
                place = PLACE_OF_KIND[node.func.id]
                if place < len(node.args):
                    found |= {each.value for each in ast.walk(node.args[place]) if isinstance(each, ast.Constant)}
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "found" and isinstance(node.slice, ast.Constant):
                found.add(node.slice.value)
    return {kind for kind in found if isinstance(kind, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+", kind)}


def test_every_kind_is_explained() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Irregularities")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    explained = {kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)}
    assert explained == reported()
    assert len(explained) > 25


def test_every_format_is_listed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in CORPORA.cards())
