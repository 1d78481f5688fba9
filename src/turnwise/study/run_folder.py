"""The folder of a run: what lies where, and who may write.

ledger.sqlite   everything that was done
clips/          the sound, by content
manifest.json   what was drawn and with which versions, for people
report.html, summary.json, tables, figures   made from the ledger, may be deleted
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import msgspec

from turnwise.foundation.errors import StorageError
from turnwise.foundation.whole_file import write_whole
from turnwise.study.plan import Plan, versions


class RunFolder:
    """Paths of a run; nothing is created before it is needed."""

    def __init__(self, place: Path | str) -> None:
        self.path = path = Path(place)
        self.ledger = path / "ledger.sqlite"
        self.clips = path / "clips"
        self.manifest = path / "manifest.json"

    def create(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be made: {error.strerror}", "choose another folder with --out") from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one process that writes here; the lock goes with the process, however it ends."""
        lock = filelock.FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StorageError(
                f"another process is working on {self.path}", "wait for it, or choose another folder with --out"
            ) from error
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror}", "check the folder's permissions") from error
        try:
            yield
        finally:
            lock.release()

    def write_manifest(self, plan: Plan, created: str) -> None:
        """What was drawn, from what, with which instruments."""
        manifest = {
            "study": msgspec.to_builtins(plan.study),
            "plan": plan.fingerprint,
            "created": created,
            "corpus": {"digest": plan.corpus_digest, "dialogues": len(plan.background), "drawn": [d.id for d in plan.dialogues]},
            "instruments": {
                "user voice": plan.voice,
                "transcriber": plan.transcriber,
                "agents": {name: arm.identity for name, arm in plan.arms.items()},
                "judges": {judge.name: judge.identity for judge in plan.judges},
            },
            "versions": versions(),
        }
        write_whole(self.manifest, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
