"""Files that are there as a whole or not at all, whatever dies in between."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from turnwise.foundation.errors import StorageError


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Put the bytes at a path, making its folders; readers see the old file or the new one."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)  # mkstemp's files are for their owner alone
        os.replace(temporary, path)
        temporary = ""
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", "make room or permit writing there") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
