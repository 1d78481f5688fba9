"""The sound files that a user means by some paths: each file itself, and of a folder every sound below it, in order.

Folders are walked one at a time, so that only the names of one folder and of those above it are held. Names that begin with a
dot are left out, and links to folders, which may lead in circles. A folder that cannot be read stands in the list as itself:
whoever tries to hear it finds out why, and the rest goes on.
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
        if os.path.isdir(path):
            yield from _opened(path)
        else:
            yield path


def counted(paths: Iterable[Path]) -> int:
    """How many there are; a path that is not there, and a folder without a sound, is refused."""
    total = 0
    for path in paths:
        if _absent(path):
            raise InputError(f"{path} does not exist")
        count = sum(1 for _ in sounds_below([path]))
        if not count:
            raise InputError(f"{path} holds no sound files", f"known endings: {' '.join(ENDINGS)}")
        total += count
    return total


Entry = tuple[str, bool, bool]  # name, whether it is a folder, whether a link


def _absent(path: Path) -> bool:
    """Whether there is no such path; one behind a folder that may not be entered may be there."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _entries(folder: Path) -> list[Entry]:
    with os.scandir(folder) as entries:
        return sorted((e.name, e.is_dir(follow_symlinks=False), e.is_symlink()) for e in entries if e.name[0] != ".")


def _opened(folder: Path) -> Iterator[Path]:
    try:
        entries = _entries(folder)
    except OSError:
        yield folder
    else:
        yield from _below(folder, entries)


def _below(folder: Path, entries: list[Entry]) -> Iterator[Path]:
    for name, is_folder, is_link in entries:
        path = folder / name
        if is_folder:
            yield from _opened(path)
        elif path.suffix.lower() in ENDINGS and not (is_link and os.path.isdir(path)):
            yield path
