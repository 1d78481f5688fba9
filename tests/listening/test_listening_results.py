"""The file of rows: found again by content, unfinished lines cut off, foreign files left alone."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from turnwise.foundation.errors import InputError, StorageError
from turnwise.listening.ratings import Heard, Moment, Ratings
from turnwise.listening.results import Results
from turnwise.listening.row import Row, with_trouble

HEARD = Heard(Ratings(3.0, 3.0, None, 3.0, 3.0, missing={"col": "not heard"}), 1.5, 8000)


def row(content: str, made_by: str = "m", file: str = "a.wav") -> Row:
    return Row(file, content, made_by, HEARD)


def test_rows_are_found_by_content_and_maker(tmp_path: Path) -> None:
    path = tmp_path / "new" / "listen.jsonl"
    rows = [row(f"b2:{k:032x}") for k in range(50)]
    with Results(path) as results:
        for one in rows:
            results.add(one)
    with Results(path) as results:
        for one in reversed(rows):
            assert results.find(one.content, "m") == one
        assert results.find(rows[0].content, "other") is None
        assert results.find("b2:ff", "m") is None
        assert results.unread == 0
    assert path.read_bytes().count(b"\n") == 51


def test_the_later_row_counts_and_troubled_ones_do_not(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1", file="first.wav"))
        results.add(row("b2:1", file="second.wav"))
        results.add(with_trouble(row("b2:2"), "describe", "timeout", "too late"))
    with Results(path) as results:
        found = results.find("b2:1", "m")
        assert found is not None
        assert found.file == "second.wav"
        assert results.find("b2:2", "m") is None


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_an_unfinished_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1"))
    whole = path.read_bytes()
    with Results(path) as results:
        results.add(row("b2:2"))
    second = len(path.read_bytes()) - len(whole)
    path.write_bytes(path.read_bytes()[: len(whole) + min(cut, second - 1)])
    with Results(path) as results:
        assert path.read_bytes() == whole
        assert results.find("b2:1", "m") == row("b2:1")
        assert results.find("b2:2", "m") is None
        results.add(row("b2:2"))
    with Results(path) as results:
        assert results.find("b2:2", "m") == row("b2:2")


def test_a_first_line_cut_short_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    path.write_bytes(b'{"turnw')
    with Results(path) as results:
        results.add(row("b2:1"))
    with Results(path) as results:
        assert results.find("b2:1", "m") is not None


def test_a_broken_line_is_counted_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1"))
    with path.open("ab") as file:
        file.write(b'\0\0\0\n{"content": 3}\n')
    with Results(path) as results:
        results.add(row("b2:2"))
    with Results(path) as results:
        assert results.unread == 2
        assert results.find("b2:1", "m") is not None
        assert results.find("b2:2", "m") is not None


@pytest.mark.parametrize("content", [b"RIFF....WAVEfmt ", b"my diary\n", b"{}\n"])
def test_a_file_of_others_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no file of results"):
        Results(path)
    assert path.read_bytes() == content


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path), pytest.raises(StorageError, match="in use"):
        Results(path)
    with Results(path):
        pass


def test_a_process_that_hears_keeps_another_from_the_same_file(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from turnwise.listening.results import Results;"
        "held = Results(Path(sys.argv[1])).__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "listen.jsonl"
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(StorageError, match="in use by another process"):
        Results(path)
    other.kill()
    other.communicate()
    with Results(path):
        pass


def test_a_disk_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(StorageError, match=r"cannot hold results: No locks available \(name a file on another disk\)"):
        Results(tmp_path / "listen.jsonl")


@pytest.mark.parametrize("place", ["/dev/null/listen.jsonl", "."])
def test_a_place_that_holds_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="cannot"):
        Results(Path(place))


FILLING = """
import resource, signal, sys
from pathlib import Path
from turnwise.foundation.errors import StorageError
from turnwise.listening.ratings import Heard, Moment, Ratings
from turnwise.listening.results import Results
from turnwise.listening.row import Row
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
with Results(Path(sys.argv[1])) as results:
    try:
        for k in range(100):
            results.add(Row("a.wav", f"b2:{k}", "m", Heard(Ratings(3.0, 3.0, 3.0, 3.0, 3.0), 1.5, 8000)))
    except StorageError as error:
        print(k, error)
"""


def test_a_disk_that_is_full_keeps_the_rows_before(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    done = subprocess.run([sys.executable, "-c", FILLING, str(path)], capture_output=True, text=True, check=True)
    number, _, said = done.stdout.partition(" ")
    assert said.strip() == f"{path} cannot be written: File too large (make room and run the same again)"
    assert path.read_bytes().endswith(b"}\n") and path.read_bytes().count(b"\n") == 1 + int(number) > 5
    with Results(path) as results:
        assert results.unread == 0
        assert results.find(f"b2:{int(number) - 1}", "m") is not None
        assert results.find(f"b2:{number}", "m") is None


def test_zeros_that_a_power_loss_left_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1"))
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(70000))
    with Results(path) as results:
        assert path.read_bytes() == whole
        assert results.find("b2:1", "m") == row("b2:1")


def test_a_file_of_another_version_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    path.write_bytes(b'{"turnwise":"listen","form":12,"more":[]}\n{"content":"x"}\n')
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"written by another version of turnwise: form 12, this version writes form 1"):
        Results(path)
    assert path.read_bytes() == before


def test_a_row_of_which_only_the_name_can_be_read_is_heard_again(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path):
        pass
    with path.open("ab") as file:
        file.write(b'{"file":"a","content":"b2:1","made_by":"m","troubles":[],"heard":{"ratings":7}}\n')
        file.write(b'{"file":"a","content":"b2:2","made_by":"m","troubles":[],"of_a_later_version":7}\n')
    with Results(path) as results:
        assert results.find("b2:1", "m") is None
        assert results.find("b2:2", "m") == Row("a", "b2:2", "m")


def test_a_file_that_is_removed_meanwhile_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "listen.jsonl"
    with Results(path) as results:
        results.add(row("b2:1"))
    with Results(path) as results:
        path.unlink()
        assert results.find("b2:1", "m") == row("b2:1")


@pytest.mark.parametrize("damage", [b"99", b"-3.0", b"0.4", b"5.6", b"1e300"])
def test_a_rating_that_is_on_no_scale_is_not_believed(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "listen.jsonl"
    rating = Ratings(2.25, 3.0, 3.0, 3.0, 3.0)
    window = Heard(Ratings(4.0, 4.0, 4.0, 4.0, 4.0), 20.0, 8000, 1, (Moment(0.0, 9.0, rating),))
    with Results(path) as results:
        results.add(Row("a.wav", "b2:1", "m", Heard(rating, 1.5, 8000)))
        results.add(Row("a.wav", "b2:2", "m", window))
    with Results(path) as results:
        assert results.find("b2:1", "m") is not None and results.find("b2:2", "m") is not None
    path.write_bytes(path.read_bytes().replace(b"2.25", damage))
    with Results(path) as results:
        assert results.find("b2:1", "m") is None
        assert results.find("b2:2", "m") is None
    path.write_bytes(path.read_bytes().replace(damage, b"5.2"))  # as far as a model goes by itself
    with Results(path) as results:
        assert results.find("b2:1", "m") is not None


def test_a_full_disk_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "listen.jsonl"
    monkeypatch.setattr(Results, "_write", full)
    with pytest.raises(StorageError, match="cannot hold results: No space left on device"):
        Results(path)
    assert not path.exists()
    path.write_bytes(b"")  # of somebody else: it stays
    with pytest.raises(StorageError, match="cannot hold results: No space left on device"):
        Results(path)
    assert path.exists()
