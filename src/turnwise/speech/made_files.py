"""Files that are made once on a machine and used by every process: language models, word lists.

They lie in the user's cache (`XDG_CACHE_HOME`, else `~/.cache`) under `turnwise/speech`, named by the fingerprint of everything
that shapes them, so that none is ever out of date; deleting them costs the time to make them again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from turnwise.foundation.errors import StorageError
from turnwise.foundation.whole_file import write_whole


def made_file(name: str, ending: str, make: Callable[[], str]) -> Path:
    """The file of this name (a fingerprint), made now if it is not there."""
    path = cache_folder() / f"{name.removeprefix('b2:')}{ending}"
    if path.is_file() and path.stat().st_size:
        return path
    data = make().encode()
    try:
        write_whole(path, data)
    except StorageError:  # a home that cannot be written to: this process keeps a file of its own
        path = Path(tempfile.mkdtemp(prefix="turnwise-")) / path.name
        write_whole(path, data)
    return path


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "turnwise" / "speech"
