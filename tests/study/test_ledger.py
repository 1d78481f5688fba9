"""The ledger adds and never changes, proves itself, and says in a sentence what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_study import opened
from turnwise.foundation.errors import StorageError
from turnwise.judges.verdict import Fault, Score
from turnwise.speech.clip import Clip
from turnwise.study.cell import Cell, Made, Ruling, Transcript
from turnwise.study.ledger import Finding, Ledger

CELL = Cell("transcript", ("ears", "", "b2:0", 7))
HEARD = Transcript("good morning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_what_is_recorded_is_found(path: Path) -> None:
    verdict = Cell("verdict", ("judge", "b2:1"))
    with Ledger(path) as ledger:
        ledger.record([Made(CELL, HEARD), Made(verdict, Ruling({"memory": Score(3.0, "asked again")}))])
        assert ledger.find(CELL) == HEARD
        assert ledger.find(verdict) == Ruling({"memory": Score(3.0, "asked again")})
        assert ledger.find(Cell("transcript", ("ears", "", "b2:0", 8))) is None
    with Ledger(path, write=False) as ledger:
        assert set(ledger.done()) == {CELL.key, verdict.key}


def test_a_fault_is_kept_until_the_cell_is_done_and_a_success_stays(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record([Made(CELL, Fault("timeout", "first"))])
        ledger.record([Made(CELL, Fault("refused", "second"))])
        assert ledger.faults() == {CELL.key: Fault("refused", "second")}
        ledger.record([Made(CELL, HEARD)])
        assert ledger.faults() == {}
        ledger.record([Made(CELL, Transcript("something else"))])  # a second success never replaces the first
        assert ledger.find(CELL) == HEARD
        assert ledger.size() == 3


def test_a_transaction_is_whole_or_absent(path: Path) -> None:
    class Unwritable:
        cell = Cell("transcript", ("x",))

        @property
        def result(self) -> Transcript:
            raise RuntimeError("broken in the middle")

    with Ledger(path) as ledger:
        with pytest.raises(RuntimeError):
            ledger.record([Made(CELL, HEARD), Unwritable()])  # type: ignore[list-item]
        assert ledger.size() == 0


def test_finished_needs_every_row_that_made_it_so(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add_plan("b2:plan", b"{}")
        ledger.record([Made(CELL, HEARD)])
        assert not ledger.finished("b2:plan")
        ledger.finish("b2:plan")
        assert ledger.finished("b2:plan")
    with opened(path) as db:
        db.execute("DELETE FROM cell")
    with Ledger(path) as ledger:
        assert not ledger.finished("b2:plan")


def test_the_newest_plan_counts_and_the_same_plan_is_added_once(path: Path) -> None:
    with Ledger(path) as ledger:
        first = ledger.add_plan("a", b'{"n":1}')
        assert ledger.add_plan("a", b'{"n":1}') == first
        ledger.add_plan("b", b'{"n":2}')
        ledger.add_plan("a", b'{"n":1}')  # back to the first: it is the newest again
        newest = ledger.plan()
        assert newest is not None
        assert newest[0] == "a"
    with opened(path) as db:
        assert db.execute("SELECT COUNT(*) FROM plan").fetchone() == (3,)


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("""UPDATE cell SET payload = '{"text":"bad morning"}'""", "not the one that was recorded"),
        ("""UPDATE cell SET inputs = '["ears","","b2:0",8]'""", "do not give this key"),
        ("UPDATE cell SET kind = 'rumour'", "unknown kind"),
    ],
)
def test_verification_finds_a_changed_row(path: Path, statement: str, wrong: str) -> None:
    with Ledger(path) as ledger:
        ledger.record([Made(CELL, HEARD)])
        assert list(ledger.verify()) == [(1, HEARD)]
    with opened(path) as db:
        db.execute(statement)
    with Ledger(path, write=False) as ledger:
        ((_, finding),) = ledger.verify()
    assert isinstance(finding, Finding)
    assert wrong in finding.wrong


def test_a_ledger_of_a_newer_version_is_left_alone(path: Path) -> None:
    Ledger(path).close()
    with opened(path) as db:
        db.execute("INSERT INTO migration VALUES ('_m9999_from_the_future')")
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(StorageError, match=r"newer turnwise \(it has _m9999_from_the_future\)"):
            Ledger(path, write=write)
    assert path.read_bytes() == before


def test_another_database_is_refused(path: Path) -> None:
    with opened(path) as db:
        db.execute("CREATE TABLE cat (name TEXT)")
    with pytest.raises(StorageError, match="not a ledger of turnwise"):
        Ledger(path)


def test_garbage_is_refused(path: Path) -> None:
    path.write_bytes(b"this is no database, and long enough to be looked at" * 40)
    with pytest.raises(StorageError, match="is not a usable ledger"):
        Ledger(path)


def test_a_missing_ledger_is_a_sentence(path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        Ledger(path, write=False)


def test_clips_round_trip_exactly(path: Path) -> None:
    cell = Cell("user-clip", ("voice", "b2:2"))
    clip = Clip("b2:" + "0" * 32, 22050, 1 / 3, "noise snr=10")
    with Ledger(path) as ledger:
        ledger.record([Made(cell, clip)])
        assert ledger.find(cell) == clip
