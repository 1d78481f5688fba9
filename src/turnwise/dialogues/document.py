"""A file of text on the disk: read whole, or refused in one sentence that names the file and the place.

Reading accepts UTF-8 only; a byte order mark is allowed and remarked. Writing goes through a neighbour file and one rename,
so that a full disk or an interrupted write never leaves half a corpus.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from turnwise.dialogues.corpus import Irregularity
from turnwise.foundation.errors import InputError, StorageError
from turnwise.foundation.fingerprint import digest

BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK": "a ZIP archive", b"\x1f\x8b": "gzip"}


@dataclass(frozen=True)
class Document:
    """A file's content with the name of its bytes and what was odd about it as a file."""

    path: Path
    content: Any  # the text, or the JSON value
    digest: str
    irregularities: tuple[Irregularity, ...] = ()


def required(path: Path | None, name: str) -> Path:
    """The path, refused with a sentence where none was given."""
    if path is None:
        raise InputError(f"the corpus {name!r} needs a file", "give its path; only 'demo' comes with its own data")
    return path


def read_text(path: Path) -> Document:
    """The file as text."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a name no file system takes, such as one with a NUL
        raise InputError(f"{str(path)!r}: cannot be a file name: {error}") from None
    odd: tuple[Irregularity, ...] = ()
    mark = next((name for start, name in BYTE_ORDER_MARKS.items() if data.startswith(start)), None)
    if mark is not None:
        raise InputError(f"{path}: looks like {mark}, expected UTF-8 text", "convert or unpack it first")
    if data.startswith(b"\xef\xbb\xbf"):
        odd = (Irregularity("", None, "byte-order-mark", "the file starts with a UTF-8 byte order mark; it was passed over"),)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start + (3 if odd else 0)
        line, column = place(data[:offset].decode("utf-8-sig", "replace"))
        raise InputError(
            f"{path}: not UTF-8 at line {line}, column {column} (byte 0x{data[offset]:02x})", "save the file as UTF-8"
        ) from None
    if not text.strip():
        raise InputError(f"{path}: is empty")
    return Document(path, text, digest(data), odd)


def read_json(path: Path) -> Document:
    """The file as a JSON value; a key repeated inside one object is remarked, since only its last value is seen."""
    source = read_text(path)
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) < len(items):
            names = [name for name, _ in items]
            repeated.extend(sorted({name for name in names if names.count(name) > 1}))
        return made

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(source.content, object_pairs_hook=pairs, parse_constant=refuse)
    except json.JSONDecodeError as error:
        cut = ", the file may be cut short" if error.pos >= len(source.content.rstrip()) - 1 else ""
        hint = "a file with one object per line is read with --format jsonl" if error.msg == "Extra data" else ""
        raise InputError(f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}{cut}", hint) from None
    except RecursionError:
        raise InputError(f"{path}: JSON nested too deeply to be a corpus") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    odd = tuple(
        Irregularity("", None, "repeated-key", f"the key {name!r} appears twice in one object; its last value counts")
        for name in repeated
    )
    return Document(path, value, source.digest, source.irregularities + odd)


def place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows this text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def write_text(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
