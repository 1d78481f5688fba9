"""Files to rows: in order, whatever fails, whoever dies, and again without hearing anything twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from listening_double import BREAKS, KILLS, LISTENER, UNRATED, record
from servers.chat_server import Given, Request, chatting
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.remote import BudgetSpent, Remote
from turnwise.foundation.errors import StorageError
from turnwise.foundation.fingerprint import file_digest
from turnwise.listening.ears import Choice, Hearing
from turnwise.listening.results import Results
from turnwise.listening.row import Row
from turnwise.listening.session import Listening

TEMPLATE = Choice("template")


def hearing(describer: Choice | None = TEMPLATE, seed: int = 1, **options: Any) -> Hearing:
    return Hearing(Choice(LISTENER, options), describer, seed=seed)


def listened(
    paths: Iterable[Path], how: Hearing, results: Path | None = None, remote: Remote | None = None, **settings: Any
) -> tuple[list[Row], int]:
    """The rows, and how many of them were there before."""

    async def run() -> tuple[list[Row], int]:
        rows: list[Row] = []
        try:
            async with Listening(how, remote, **settings) as session:
                if results is None:
                    rows = [row async for row in session.rows(paths)]
                else:
                    with Results(results) as kept:
                        rows = [row async for row in session.rows(paths, kept)]
                return rows, session.found
        finally:
            if remote is not None:
                await remote.close()

    return asyncio.run(run())


def folder(path: Path, count: int) -> list[Path]:
    return [record(path / f"{k:03}.wav", (2 + k / 100, 3, 3.5, 4, 4.5)) for k in range(count)]


def heard_by(diary: Path) -> list[str]:
    return [line.split()[0] for line in diary.read_text().splitlines()] if diary.exists() else []


def test_rows_come_in_order_with_ratings_and_descriptions(tmp_path: Path) -> None:
    paths = folder(tmp_path, 10)
    rows, _ = listened(paths, hearing(), together=4)
    assert [row.file for row in rows] == [str(path) for path in paths]
    assert [row.content for row in rows] == [file_digest(path) for path in paths]
    for k, row in enumerate(rows):
        assert row.heard is not None and row.ratings is not None
        assert row.ratings.mos == pytest.approx(2 + k / 100, abs=1e-3)
        assert (row.heard.seconds, row.heard.rate, row.heard.channels) == (0.5, 8000, 1)
        assert row.description is not None and row.description.endswith(f"MOS: {row.ratings.mos:.1f}")
        assert row.checked is not None and row.checked.faithful
        assert row.troubles == ()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_broken_file_is_a_row_and_the_rest_goes_on(tmp_path: Path, jobs: int) -> None:
    paths = folder(tmp_path, 4)
    paths[1] = record(tmp_path / "b.wav", (BREAKS, 1, 1, 1, 1))
    paths.insert(2, record(tmp_path / "u.wav", (UNRATED, 1, 1, 1, 1)))
    cut = tmp_path / "cut.wav"
    cut.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    gone = tmp_path / "gone.wav"
    rows, _ = listened([*paths, cut, gone], hearing(), jobs=jobs)
    told = [[(trouble.step, trouble.cause) for trouble in row.troubles] for row in rows]
    assert told == [[], [("listen", "made-up")], [], [], [], [("file", "unreadable")], [("file", "unreadable")]]
    assert rows[2].ratings is not None and rows[2].ratings.missing["mos"] == "silent: nothing is heard"
    assert rows[2].description is None
    assert rows[1].heard is None
    assert rows[6].content == ""
    assert str(gone) in rows[6].troubles[0].message


def test_a_file_that_kills_its_process_is_the_only_one_lost(tmp_path: Path) -> None:
    paths = folder(tmp_path, 9)
    paths[4] = record(tmp_path / "killer.wav", (KILLS, 1, 1, 1, 1))
    rows, _ = listened(paths, hearing(), jobs=2, together=3)
    assert [k for k, row in enumerate(rows) if row.troubles] == [4]
    assert (rows[4].troubles[0].step, rows[4].troubles[0].cause) == ("listen", "worker-died")
    assert all(row.description for k, row in enumerate(rows) if k != 4)


def test_jobs_and_batches_change_nothing(tmp_path: Path) -> None:
    paths = folder(tmp_path, 7)
    diverse = Choice("template", {"preset": "diverse"})
    alone, _ = listened(paths, hearing(diverse), together=1)
    many, _ = listened(paths, hearing(diverse), jobs=2, together=3)
    assert alone == many


def test_what_was_heard_is_not_heard_again(tmp_path: Path) -> None:
    diary, kept = tmp_path / "diary", tmp_path / "listen.jsonl"
    paths = folder(tmp_path / "sounds", 6)
    how = hearing(diary=str(diary))
    first, found = listened(paths, how, kept)
    assert found == 0
    assert len(heard_by(diary)) == 6
    again, found = listened(paths, how, kept)
    assert (again, found) == (first, 6)
    assert len(heard_by(diary)) == 6
    # Another name is the same sound; other content under the same name is another.
    moved = paths[0].rename(tmp_path / "sounds" / "moved.wav")
    record(paths[1], (4.9, 3, 3, 3, 3))
    rows, found = listened([moved, *paths[1:]], how, kept)
    assert found == 5
    assert rows[0].file == str(moved)
    assert rows[0].heard == first[0].heard
    assert heard_by(diary)[6:] == ["4.9"]


def test_another_listener_describer_or_seed_is_another_row(tmp_path: Path) -> None:
    kept = tmp_path / "listen.jsonl"
    paths = folder(tmp_path / "sounds", 2)
    for how in (hearing(), hearing(None), hearing(Choice("template", {"preset": "diverse"})), hearing(most=2), hearing(seed=2)):
        assert listened(paths, how, kept)[1] == 0
        assert listened(paths, how, kept)[1] == 2
    assert listened(paths, msgspec.structs.replace(hearing(), window=5.0), kept)[1] == 0


def test_troubles_are_tried_again(tmp_path: Path) -> None:
    kept = tmp_path / "listen.jsonl"
    path = tmp_path / "a.wav"
    path.write_bytes(b"no sound")
    assert listened([path], hearing(), kept)[0][0].troubles
    assert listened([path], hearing(), kept)[1] == 0


def test_files_that_are_none_are_told_and_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, which nobody writes into; a link to itself, one to nowhere; a folder that may not be read; odd bytes in a name."""
    good = record(tmp_path / "a.wav", (3, 3, 3, 3, 3))
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\xfe.wav"))
    good.rename(odd)
    pipe, own, nowhere, locked = (tmp_path / name for name in ("pipe.wav", "own.wav", "nowhere.wav", "locked"))
    os.mkfifo(pipe)
    own.symlink_to(own)
    nowhere.symlink_to(tmp_path / "gone.wav")
    locked.mkdir()
    listdir = os.listdir

    def refusing(path: Path) -> list[str]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)
    rows, _ = listened([odd, pipe, own, nowhere, locked, tmp_path], hearing())
    assert rows[0].troubles == () and rows[0].file.endswith("/\\xff\n\\xfe.wav")
    said = [[trouble.message.replace(str(tmp_path), "") for trouble in row.troubles] for row in rows[1:]]
    assert said == [
        ["/pipe.wav is no regular file"],
        ["/own.wav: Too many levels of symbolic links"],
        ["/nowhere.wav: No such file or directory"],
        ["/locked: Permission denied"],
        [" is no regular file"],
    ]


def test_a_file_that_changes_or_goes_while_it_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content that a row names is what was rated."""
    changed, gone, late = (record(tmp_path / f"{k}.wav", (3, 3, 3, 3, 3)) for k in range(3))
    digest_of = file_digest

    def then(path: Path) -> str:
        found = digest_of(path)
        if path == changed:
            record(path, (4, 4, 4, 4, 4), seconds=0.7)
        if path == gone:
            path.unlink()
        return found

    monkeypatch.setattr("turnwise.listening.session.file_digest", then)
    rows, _ = listened([changed, gone, late], hearing(), tmp_path / "listen.jsonl")
    assert [[(t.step, t.cause) for t in row.troubles] for row in rows] == [[("file", "changed")], [("file", "unreadable")], []]
    assert rows[0].heard is None and "became another file while it was heard" in rows[0].troubles[0].message
    monkeypatch.undo()
    again, found = listened([changed, late], hearing(), tmp_path / "listen.jsonl")
    assert found == 1 and again[0].ratings is not None and again[0].ratings.mos == 4.0


def test_a_disk_that_is_full_ends_the_session_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary, kept = tmp_path / "diary", tmp_path / "listen.jsonl"
    paths = folder(tmp_path / "sounds", 6)
    how = hearing(diary=str(diary))
    write = Results._write

    def full(self: Results, data: bytes) -> None:
        if kept.stat().st_size > 1500:
            write(self, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        write(self, data)

    monkeypatch.setattr(Results, "_write", full)
    with pytest.raises(StorageError, match="No space left on device"):
        listened(paths, how, kept)
    whole = kept.read_bytes().count(b"\n") - 1
    assert 0 < whole < 6 and kept.read_bytes().endswith(b"}\n")
    monkeypatch.undo()
    rows, found = listened(paths, how, kept)
    assert found == whole and all(row.ratings for row in rows)


def test_the_same_content_twice_is_the_same_row_twice(tmp_path: Path) -> None:
    paths = [record(tmp_path / name, (3.3, 3, 3, 3, 3)) for name in ("a.wav", "b.wav")]
    paths.append(tmp_path / "c.wav")
    paths[2].symlink_to(paths[0])
    diverse = hearing(Choice("template", {"preset": "diverse"}))
    rows, _ = listened(paths, diverse, tmp_path / "listen.jsonl")
    assert [msgspec.structs.replace(row, file="") for row in rows] == [msgspec.structs.replace(rows[0], file="")] * 3
    again, found = listened(paths, diverse, tmp_path / "listen.jsonl")
    assert found == 3 and again == rows


def test_nothing_to_hear_is_no_row(tmp_path: Path) -> None:
    assert listened([], hearing(), tmp_path / "listen.jsonl") == ([], 0)


CHILD = """
import sys
from pathlib import Path
from turnwise.cli.main import main
sys.argv = ["turnwise", "listen", "--listener", sys.argv[1], "--listener-option", f"diary={sys.argv[2]}",
            "--listener-option", "pause=0.03", "--jobs", sys.argv[4], "--results", sys.argv[3] + ".jsonl", sys.argv[3]]
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path, jobs: int) -> None:
    diary, sounds = tmp_path / "diary", tmp_path / "sounds"
    paths = folder(sounds, 40)
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    command = [sys.executable, str(script), LISTENER, str(diary), str(sounds), str(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    kept = Path(f"{sounds}.jsonl")
    end = time.monotonic() + 60
    while not kept.exists() or kept.read_bytes().count(b"\n") < 9:
        assert time.monotonic() < end and child.poll() is None, child.stderr and child.stderr.read()
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with kept.open("ab") as file:
        file.write(b'{"file":"half a li')  # as a process may leave it that dies while it writes
    before = kept.read_bytes().count(b"\n") - 1
    assert 8 <= before < 40
    time.sleep(1.2)  # until the workers have seen that their driver is gone
    settled = len(heard_by(diary))
    how = hearing(diary=str(diary), pause=0.03)
    rows, found = listened(paths, how, kept, jobs=2)
    assert found == before
    assert len(heard_by(diary)) == settled + 40 - before
    assert [row.file for row in rows] == [str(path) for path in paths]
    undisturbed, _ = listened(paths, how)
    assert rows == undisturbed


def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    """A folder eight times as large: sounds of 0.4 MB each, rows not kept by us."""
    paths = [record(tmp_path / f"{k}.wav", (3, 3, 3, 3, 3), seconds=6) for k in range(4)]

    def peak(count: int) -> int:
        async def run() -> int:
            async with Listening(hearing(), together=2) as session:
                seen = 0
                async for _ in session.rows(paths[k % 4] for k in range(count)):
                    seen += 1
                return seen

        tracemalloc.start()
        assert asyncio.run(run()) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(8)  # imports and caches
    few, many = peak(24), peak(192)
    held = (192 - 24) * paths[0].stat().st_size  # what keeping the further sounds would take, at the least
    assert many - few < held / 10, (few, many)


def scripted(request: Request) -> str | Given:
    """Faithful about all but two."""
    said = request.said
    if '"mos": 2.1' in said:
        return "It is completely clean and the overall quality is excellent. MOS: 4.8"
    if '"mos": 2.2' in said:
        return Given("")
    mos = said.partition('"mos": ')[2][:3]
    return f"The overall quality is poor. MOS: {mos}"


def test_a_language_model_describes_and_contradictions_are_faults(tmp_path: Path) -> None:
    paths = [record(tmp_path / f"{k}.wav", (2 + k / 10, 3, 3, 3, 3)) for k in range(5)]
    with chatting(answer=scripted) as server:
        remote = Remote({"there": server.endpoint()}, patience=0.0)
        model = Choice("language_model", {"endpoint": "there", "model": "m"})
        rows, _ = listened(paths, hearing(model), tmp_path / "listen.jsonl", remote, jobs=2, together=2)
        assert len(server.requests) == 5
    assert [row.description for row in rows] == [
        "The overall quality is poor. MOS: 2.0",
        "It is completely clean and the overall quality is excellent. MOS: 4.8",
        None,
        "The overall quality is poor. MOS: 2.3",
        "The overall quality is poor. MOS: 2.4",
    ]
    told = [[(t.step, t.cause) for t in row.troubles] for row in rows]
    assert told == [[], [("faithfulness", "contradiction")] * 3, [("describe", "empty-answer")], [], []]
    assert rows[1].troubles[0].message == "noi: says 'completely clean', rated 3.0"
    # Again: only the two in trouble are asked about.
    with chatting(answer="The overall quality is poor.") as server:
        remote = Remote({"there": server.endpoint()}, patience=0.0)
        rows, found = listened(paths, hearing(model), tmp_path / "listen.jsonl", remote)
        assert (found, len(server.requests)) == (3, 2)
        assert all(not row.troubles for row in rows)


def test_a_spent_budget_ends_the_session_and_keeps_what_was_done(tmp_path: Path) -> None:
    paths = [record(tmp_path / f"{k}.wav", (2 + k / 10, 3, 3, 3, 3)) for k in range(6)]
    with chatting(answer=scripted) as server:
        endpoint = msgspec.structs.replace(server.endpoint(), prices={"m": {"input": 1.0, "output": 1.0}})
        endpoint = msgspec.convert(msgspec.to_builtins(endpoint), Endpoint)
        remote = Remote({"there": endpoint}, patience=0.0, budget=1e-9)
        model = Choice("language_model", {"endpoint": "there", "model": "m"})
        with pytest.raises(BudgetSpent):
            listened(paths, hearing(model), tmp_path / "listen.jsonl", remote)


def test_a_listener_behind_a_server_and_a_describer_here(tmp_path: Path) -> None:
    """Ratings are awaited, descriptions made by the crew; a file that cannot be read is asked about nowhere."""
    paths = [record(tmp_path / f"{k}.wav", (3, 3, 3, 3, 3)) for k in range(3)]
    paths.insert(1, tmp_path / "cut.wav")
    paths[1].write_bytes(b"")
    with chatting(answer='{"mos": 2.4, "noi": 1.8, "col": 3.6, "dis": 4.2, "loud": 3.9}') as server:
        remote = Remote({"there": server.endpoint()}, patience=0.0)
        how = Hearing(Choice("audio_model", {"endpoint": "there", "model": "m"}), TEMPLATE)
        rows, _ = listened(paths, how, tmp_path / "listen.jsonl", remote)
        assert len(server.requests) == 3
    assert [[t.cause for t in row.troubles] for row in rows] == [[], ["unreadable"], [], []]
    for row in (rows[0], rows[2], rows[3]):
        assert row.ratings is not None and row.ratings.noi == 1.8
        assert row.description is not None and row.description.endswith("MOS: 2.4")
