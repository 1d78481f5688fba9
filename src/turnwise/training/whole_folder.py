"""Folders of weights that are there as a whole or not at all, whatever dies in between.

What is written stands in `<name>.part` until all of it is on the disk; then it is renamed. What was there before stays as it was
until then. A disk that is full is a StorageError, in whatever words the library that wrote has for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from turnwise.foundation.errors import StorageError

PART = ".part"


@contextmanager
def whole_folder(place: Path, accelerator: Any) -> Iterator[Path]:
    """The folder to write into; every process comes here at the same point, and the main one makes and renames it."""
    part = place.with_name(place.name + PART)
    main = accelerator.is_main_process
    try:
        if main:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        accelerator.wait_for_everyone()
        yield part
        accelerator.wait_for_everyone()
        if main:
            _on_disk(part)
            shutil.rmtree(place, ignore_errors=True)
            part.rename(place)
            _sync(place.parent)
    except BaseException as error:  # that of torch's sharded checkpoints is no Exception
        if main:
            shutil.rmtree(part, ignore_errors=True)
        what = _of_disk(error)
        if what is None:
            raise
        raise StorageError(f"{place} cannot be written: {what}", "make room or permit writing there, then --resume") from error
    accelerator.wait_for_everyone()


def linked(folder: Path, into: Path) -> None:
    """The files of a folder in another one too: as the same files where the file system has that, else as copies."""
    shutil.copytree(folder, into, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _on_disk(folder: Path) -> None:
    """A renamed folder whose files are not on the disk yet would be a torn one after a loss of power."""
    for path in sorted(folder.rglob("*"), reverse=True):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _of_disk(error: BaseException) -> str | None:
    """What the disk said, where it was the disk; the libraries that write weights have no class for it."""
    from safetensors import SafetensorError

    said = str(error).strip().partition("\n")[0][:200]
    if isinstance(error, OSError):
        return error.strerror or said
    if isinstance(error, SafetensorError) and "os error" in said:
        return said
    if isinstance(error, RuntimeError) and any(word in said for word in ("inline_container", "PytorchStreamWriter", "iostream")):
        return "torch could not write all of a file"
    failures = getattr(error, "failures", None)  # of the processes of a sharded checkpoint, each with its error
    if isinstance(failures, dict) and failures:
        found = [_of_disk(each[0]) for each in failures.values()]
        return found[0]
    return None
