"""The ledger: one SQLite file that holds all that was ever done in a run, written cell by cell, never changed.

Rows are only added. A cell that failed leaves a row with outcome `fault`; a later success adds another row, and the unique
index makes a second success impossible. The one exception is declared: where the sound of a result is gone and doing it again
gave another one, the new row is numbered `again` and counts from then on. Write-ahead logging makes every commit survive
`kill -9` of this process. One process writes: the run folder's lock sees to that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from turnwise.endpoints.calls import Call
from turnwise.foundation.errors import StorageError
from turnwise.foundation.fingerprint import digest, fingerprint
from turnwise.judges.verdict import Fault
from turnwise.speech.clip import Clip
from turnwise.study.cell import PAYLOADS, Cell, Kind, Made, Paid, Payload

T = TypeVar("T")

UNREADABLE = (msgspec.MsgspecError, TypeError, ValueError)  # what reading a row of other hands may raise

_encode = msgspec.json.Encoder().encode


def _m0001_first_tables(db: sqlite3.Connection) -> None:
    db.execute(
        """CREATE TABLE cell (
             seq INTEGER PRIMARY KEY,
             key TEXT NOT NULL,       -- fingerprint of kind and inputs
             kind TEXT NOT NULL,
             inputs TEXT NOT NULL,    -- JSON list, from which the key can be derived again
             outcome TEXT NOT NULL CHECK (outcome IN ('done', 'fault')),
             payload TEXT NOT NULL,   -- JSON
             digest TEXT NOT NULL     -- fingerprint of the payload's bytes
           )"""
    )
    db.execute("CREATE UNIQUE INDEX cell_done ON cell (key) WHERE outcome = 'done'")
    db.execute(
        """CREATE TABLE plan (
             seq INTEGER PRIMARY KEY,
             fingerprint TEXT NOT NULL,
             created TEXT NOT NULL,   -- ISO 8601, UTC
             body TEXT NOT NULL       -- JSON
           )"""
    )
    db.execute(
        """CREATE TABLE finished (
             seq INTEGER PRIMARY KEY,
             plan TEXT NOT NULL,      -- fingerprint of a plan of which every cell was done, without fault
             cells INTEGER NOT NULL   -- the newest cell at that moment
           )"""
    )


def _m0002_calls(db: sqlite3.Connection) -> None:
    db.execute(
        """CREATE TABLE call (
             seq INTEGER PRIMARY KEY,
             key TEXT NOT NULL,       -- of the cell it was made for, whatever became of that
             purpose TEXT NOT NULL,
             body TEXT NOT NULL       -- JSON
           )"""
    )


def _m0003_again(db: sqlite3.Connection) -> None:
    # How often the sound of the result was lost and came out otherwise when it was made again.
    db.execute("ALTER TABLE cell ADD COLUMN again INTEGER NOT NULL DEFAULT 0")
    db.execute("DROP INDEX cell_done")
    db.execute("CREATE UNIQUE INDEX cell_done ON cell (key, again) WHERE outcome = 'done'")


# In order; each runs once per ledger. Add new ones at the end, never change an old one.
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_m0001_first_tables, _m0002_calls, _m0003_again)


class Finding(msgspec.Struct, frozen=True):
    """Something wrong with a row, found by verification."""

    seq: int
    kind: str
    wrong: str


class _Voiced(msgspec.Struct, frozen=True):
    """As much of a reply as tells its sound."""

    clip: Clip | None = None


class _Answered(msgspec.Struct, frozen=True):
    reply: _Voiced


# Kinds of cells that make sounds, and what is read of them; what else is in the row is passed over.
_MAKERS: dict[str, type[Clip] | type[_Answered]] = {"user-clip": Clip, "user-line": Clip, "reply": _Answered}


class Row(NamedTuple):
    """A finished cell as it is stored."""

    seq: int
    kind: str
    payload: bytes


class Ledger:
    """An open ledger."""

    def __init__(self, path: Path, *, write: bool = True) -> None:
        self.path = path
        if not write and not path.exists():
            raise StorageError(f"{path} does not exist", "run the study first: turnwise run STUDY --out FOLDER")
        with self._clearly():
            self._db = sqlite3.connect(path, isolation_level=None) if write else _reader(path)
        try:
            with self._clearly():
                if write:
                    self._db.execute("PRAGMA journal_mode = WAL")
                    # Durable against a killed process; a power cut may lose the last moments but not the file.
                    self._db.execute("PRAGMA synchronous = NORMAL")
                    self._migrate()
                else:
                    self._check_version()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ writing

    def record(self, made: Iterable[Made], paid: Iterable[Paid] = (), *, again: bool = False) -> None:
        """Add the results of one task, and the calls to servers it took, in one transaction; with `again` the results take the
        place of those that were recorded before.
        """
        rows = []
        for one in made:
            payload = _encode(one.result).decode()
            outcome = "fault" if isinstance(one.result, Fault) else "done"
            inputs = _encode(one.cell.inputs).decode()
            rows.append((one.cell.key, one.cell.kind, inputs, outcome, payload, digest(payload.encode())))
        calls = [(one.key, one.purpose, _encode(one.call).decode()) for one in paid]
        if not rows and not calls:
            return
        with self._transaction():
            self._db.executemany("INSERT INTO call (key, purpose, body) VALUES (?, ?, ?)", calls)
            earlier = "(SELECT COUNT(*) FROM cell WHERE key = ?1 AND outcome = 'done')" if again else "0"
            self._db.executemany(
                # A second success of the same cell has the same inputs; the first one stays.
                "INSERT OR IGNORE INTO cell (key, kind, inputs, outcome, payload, digest, again) "
                f"VALUES (?1, ?2, ?3, ?4, ?5, ?6, {earlier})",
                rows,
            )

    def add_plan(self, name: str, body: bytes) -> str:
        """Record a plan unless it is already the newest; returns when the plan was first made."""
        newest = self.plan()
        if newest is not None and newest[0] == name:
            return newest[1]
        created = datetime.now(UTC).isoformat(timespec="seconds")
        with self._transaction():
            self._db.execute("INSERT INTO plan (fingerprint, created, body) VALUES (?, ?, ?)", (name, created, body.decode()))
        return created

    def finish(self, plan: str) -> None:
        """Record that every cell of this plan is done."""
        if not self.finished(plan):
            with self._transaction():
                self._db.execute("INSERT INTO finished (plan, cells) SELECT ?, COALESCE(MAX(seq), 0) FROM cell", (plan,))

    # ------------------------------------------------------------------ reading

    def plan(self) -> tuple[str, str, bytes] | None:
        """Fingerprint, date and body of the newest plan."""
        with self._clearly():
            row = self._db.execute(
                "SELECT fingerprint, created, CAST(body AS BLOB) FROM plan ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def finished(self, plan: str) -> bool:
        """Whether every cell of this plan was done, none of the rows that made it so is gone, and none was replaced since."""
        with self._clearly():
            row = self._db.execute(
                """SELECT cells FROM finished WHERE plan = ?1 AND cells <= (SELECT COALESCE(MAX(seq), 0) FROM cell)
                   AND NOT EXISTS (SELECT 1 FROM cell AS late WHERE late.seq > cells AND late.outcome = 'done' AND EXISTS
                     (SELECT 1 FROM cell AS early WHERE early.key = late.key AND early.outcome = 'done' AND early.seq < late.seq))
                   LIMIT 1""",
                (plan,),
            ).fetchone()
        return row is not None

    def done(self) -> dict[str, Row]:
        """Every finished cell by key, as it counts now."""
        with self._clearly():
            rows = self._db.execute("SELECT key, seq, kind, CAST(payload AS BLOB) FROM cell WHERE outcome = 'done' ORDER BY seq")
            return {key: Row(seq, kind, payload) for key, seq, kind, payload in rows}

    def clips(self) -> Iterator[Clip]:
        """The sounds that finished cells made."""
        for row in self.done().values():
            if (clip := self._clip(row)) is not None:
                yield clip

    def _clip(self, row: Row) -> Clip | None:
        if row.kind not in _MAKERS:
            return None
        made: Clip | _Answered = self._decoded(row.payload, _MAKERS[row.kind], f"row {row.seq} ({row.kind})")
        return made if isinstance(made, Clip) else made.reply.clip

    def replaced(self) -> frozenset[str]:
        """Digests of sounds that were lost and came out otherwise when they were made again: no file is owed for them."""
        with self._clearly():
            rows = self._db.execute(
                """SELECT seq, kind, CAST(payload AS BLOB) FROM cell AS early WHERE outcome = 'done' AND EXISTS
                   (SELECT 1 FROM cell AS late WHERE late.key = early.key AND late.outcome = 'done' AND late.seq > early.seq)"""
            ).fetchall()
        before = {clip.digest for row in rows if (clip := self._clip(Row(*row))) is not None}
        return frozenset(before - {clip.digest for clip in self.clips()}) if before else frozenset()

    def find(self, cell: Cell) -> Payload | None:
        """The result of one cell, if it is done."""
        with self._clearly():
            row = self._db.execute(
                "SELECT seq, CAST(payload AS BLOB) FROM cell WHERE key = ? AND outcome = 'done' ORDER BY seq DESC LIMIT 1",
                (cell.key,),
            ).fetchone()
        return None if row is None else self._decoded(row[1], PAYLOADS[cell.kind], f"row {row[0]} ({cell.kind})")

    def _decoded(self, payload: Any, type_: type[T], row: str) -> T:
        try:
            return msgspec.json.decode(payload, type=type_)
        except UNREADABLE as error:
            raise unreadable(self.path, row, error) from error

    def faults(self) -> dict[str, Fault]:
        """The newest fault of every cell that has not been done since, by key."""
        with self._clearly():
            rows = self._db.execute(
                """SELECT key, seq, CAST(payload AS BLOB) FROM cell AS c WHERE outcome = 'fault'
                   AND NOT EXISTS (SELECT 1 FROM cell AS d WHERE d.key = c.key AND d.outcome = 'done') ORDER BY seq"""
            )
            return {key: self._decoded(payload, Fault, f"row {seq} (a fault)") for key, seq, payload in rows}

    def calls(self) -> Iterator[tuple[str, str, Call]]:
        """Key of the cell, purpose and record of every call to a server, in the order of their ends."""
        with self._clearly():
            if self._has("call"):
                found = self._db.execute("SELECT seq, key, purpose, CAST(body AS BLOB) FROM call ORDER BY seq")
                for seq, key, purpose, body in found:
                    yield key, purpose, self._decoded(body, Call, f"row {seq} of the calls")

    def _has(self, table: str) -> bool:
        """A ledger of an older turnwise may be read as it is."""
        found = self._db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
        return found is not None

    def size(self) -> int:
        with self._clearly():
            return int(self._db.execute("SELECT COUNT(*) FROM cell").fetchone()[0])

    def verify(self) -> Iterator[tuple[int, Finding | Payload | None]]:
        """Derive every row's fingerprints again: per row its number and what is wrong, or its payload, or None for a fault."""
        with self._clearly():
            for (sound,) in self._db.execute("PRAGMA integrity_check"):
                if sound != "ok":
                    yield 0, Finding(0, "file", f"the SQLite file is damaged: {sound}")
            for seq, key, kind, inputs, outcome, payload, named in self._db.execute(
                "SELECT seq, key, kind, CAST(inputs AS BLOB), outcome, CAST(payload AS BLOB), digest FROM cell ORDER BY seq"
            ):
                yield seq, _examine(seq, key, kind, inputs, outcome, payload, named)

    # ------------------------------------------------------------------ within

    def _migrate(self) -> None:
        with self._transaction():
            self._check_version()
            self._db.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)")
            applied = {name for (name,) in self._db.execute("SELECT name FROM migration")}
            for step in MIGRATIONS:
                if step.__name__ not in applied:
                    step(self._db)
                    self._db.execute("INSERT INTO migration VALUES (?)", (step.__name__,))

    def _check_version(self) -> None:
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "migration" not in tables:
            raise StorageError(f"{self.path} is a database, but not a ledger of turnwise")
        known = {step.__name__ for step in MIGRATIONS}
        rows = self._db.execute("SELECT name FROM migration").fetchall() if tables else []
        newer = sorted(name for (name,) in rows if name not in known)
        if newer:
            raise StorageError(
                f"{self.path} was written by a newer turnwise (it has {newer[0]})", "update with: pip install -U turnwise"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._clearly():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _clearly(self) -> Iterator[None]:
        """SQLite's errors as sentences."""
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text or "disk I/O" in text:
                raise StorageError(
                    f"{self.path}: the disk is full or cannot be written ({text})", "make room, then run again"
                ) from error
            if "readonly" in text or "unable to open" in text:
                raise StorageError(f"{self.path} cannot be written ({text})", "check the folder's permissions") from error
            if "locked" in text:
                raise StorageError(f"{self.path} is in use by another process") from error
            raise StorageError(f"{self.path}: {text}") from error
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{self.path} is not a usable ledger ({error})", "restore it from a copy, or start a new run folder"
            ) from error


def _reader(path: Path) -> sqlite3.Connection:
    """Open for reading; on a read-only medium the file is read as it stands."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
        db = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True, isolation_level=None)
    return db


def unreadable(path: Path, row: str, error: Exception) -> StorageError:
    """What is to be said of a row that was written by other hands."""
    hint = "turnwise verify checks every row; restore the ledger from a copy, or start a new run folder"
    return StorageError(f"{path}: {row} cannot be read: {error}", hint)


def _examine(seq: int, key: str, kind: Kind, inputs: bytes, outcome: str, payload: bytes, named: str) -> Finding | Payload | None:
    if digest(payload) != named:
        return Finding(seq, kind, "the payload is not the one that was recorded")
    if kind not in PAYLOADS:
        return Finding(seq, kind, "unknown kind of cell")
    try:
        if fingerprint(kind, *msgspec.json.decode(inputs)) != key:
            return Finding(seq, kind, "the inputs do not give this key")
        if outcome == "fault":
            msgspec.json.decode(payload, type=Fault)
            return None
        return msgspec.json.decode(payload, type=PAYLOADS[kind])
    except UNREADABLE as error:
        return Finding(seq, kind, f"unreadable: {error}")
