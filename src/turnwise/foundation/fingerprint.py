"""Identity by content: what a thing is called when its name is what it is made of.

A fingerprint is `b2:` and 32 hexadecimal digits (BLAKE2b, 128 bits) of the compact JSON list of its parts. Seeds are drawn
from SHA-256, never from `hash()`, so that they are the same in every process and on every machine.
"""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

Part = str | int | float | bool | None

_encode = msgspec.json.Encoder().encode  # compact, shortest floats, no escapes beyond JSON's own


def fingerprint(*parts: Part) -> str:
    """Name of this exact sequence of parts."""
    return "b2:" + hashlib.blake2b(_encode(parts), digest_size=16).hexdigest()


def canonical(value: Any) -> str:
    """One JSON text for equal plain values, whatever the order of their keys."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: bytes) -> str:
    """Name of these bytes."""
    return "b2:" + hashlib.blake2b(data, digest_size=16).hexdigest()


def file_digest(path: Path) -> str:
    """Name of a file's bytes, read in pieces."""
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return "b2:" + state.hexdigest()


def seed_of(*parts: Part) -> int:
    """A 63-bit seed that depends on these parts and on nothing else."""
    return int.from_bytes(hashlib.sha256(_encode(parts)).digest()[:8], "big") >> 1


def source_digest(path: Path) -> str:
    """Name of what a Python file does: its lines without comment lines, blank lines and the module's docstring."""
    text = path.read_text(encoding="utf-8")
    module = ast.parse(text)
    lines = text.splitlines()
    if ast.get_docstring(module, clean=False) is not None:
        first = module.body[0]
        for number in range(first.lineno - 1, first.end_lineno or first.lineno):
            lines[number] = ""
    kept = [line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return digest("\n".join(kept).encode())
