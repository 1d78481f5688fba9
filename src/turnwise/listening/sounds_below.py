"""The sound files that a user means by some paths: each file itself, and of a folder every sound below it, in order.

Folders are walked one at a time, so that only the names of one folder and of those above it are held. Names that begin with a
dot are left out, and links to folders, which may lead in circles.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from turnwise.foundation.errors import InputError
from turnwise.speech.recorded_files import ENDINGS


def sounds_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file, in the order of the paths and, within a folder, of the names."""
    for path in paths:
        if path.is_dir():
            yield from _below(path)
        else:
            yield path


def counted(paths: Iterable[Path]) -> int:
    """How many there are; a path that is not there, and a folder without a sound, is refused."""
    total = 0
    for path in paths:
        if not os.path.lexists(path):
            raise InputError(f"{path} does not exist")
        count = sum(1 for _ in sounds_below([path]))
        if not count:
            raise InputError(f"{path} holds no sound files", f"known endings: {' '.join(ENDINGS)}")
        total += count
    return total


def _below(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            kept = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.name[0] != ".")
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    for name, is_folder in kept:
        if is_folder:
            yield from _below(folder / name)
        elif Path(name).suffix.lower() in ENDINGS:
            path = folder / name
            if not path.is_dir():
                yield path
