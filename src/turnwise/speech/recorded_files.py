"""A folder of sounds made elsewhere: its files by name, and a name for the folder by what is in it.

Files are looked up in the list of what is there; no path is ever built from an id.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from turnwise.foundation.audio_files import CONTAINERS
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import digest, fingerprint

ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", *CONTAINERS)
_SAMPLE = 4096  # bytes from the middle of a file, so that another recording of the same length is another file


def sound_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The sound files below a folder, by their place in it without the ending (`calls/0001_turn00`); several where only endings
    differ. Files whose names begin with a dot are left out.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "name the folder that holds the recordings")
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file():
            stem = path.relative_to(folder).with_suffix("").as_posix()
            found[stem] = (*found.get(stem, ()), path)
    return found


def files_digest(folder: Path, paths: Iterable[Path]) -> str:
    """Name of these files: their places in the folder, their sizes, and 4 KiB from the middle of each.

    Gigabytes of sound are not read for it. Where a folder lies is no part of its name.
    """
    return fingerprint(*(f"{path.relative_to(folder).as_posix()} {_sample(path)}" for path in sorted(paths)))


def _sample(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, (size - _SAMPLE) // 2))
            return f"{size} {digest(file.read(_SAMPLE))}"
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
