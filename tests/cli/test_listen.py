"""`turnwise listen` as a user runs it: every form, every output, and its exit codes."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import soundfile
from click.testing import CliRunner, Result

from listening_double import BREAKS, LISTENER, UNRATED, record
from servers.chat_server import Request, chatting
from turnwise.cli.listen import listen_command
from turnwise.cli.listening_compare import _verdict
from turnwise.cli.listening_progress import Progress
from turnwise.foundation.errors import InputError
from turnwise.listening.pair import Pair
from turnwise.listening.preference import preferred
from turnwise.listening.ratings import DIMENSIONS, Heard, Moment, Ratings
from turnwise.listening.row import Row

A, B = (3.9, 4.0, 3.8, 4.1, 4.0), (2.4, 2.1, 3.5, 4.0, 3.9)


def run(*arguments: str | Path, listener: str = LISTENER) -> Result:
    """The command in this process; its exit code is its return value."""
    given: Sequence[str] = ["--listener", listener, *map(str, arguments)]
    done = CliRunner().invoke(listen_command, given, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    record(Path("a.wav"), A)
    record(Path("b.wav"), B)
    for k in range(6):
        record(Path(f"ours/c/{k}.wav"), (3.0 + k / 10, 3, 3, 3, 3))
        record(Path(f"theirs/c/{k}.flac.wav"), (4, 4, 4, 4, 4))
        record(Path(f"theirs/c/{k}.wav"), (2.5 + k / 10, 4, 3, 3, 3))
    return tmp_path


def test_files_as_lines(here: Path) -> None:
    done = run("a.wav", "b.wav")
    assert done.return_value == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == [*DIMENSIONS, "seconds", "file"]
    assert lines[1].split() == ["3.9", "4.0", "3.8", "4.1", "4.0", "0.5", "a.wav"]
    assert "The overall quality is good. MOS: 3.9" in " ".join(done.stdout.split())
    assert "means: mos 3.15 (n = 2)" in done.stdout
    assert "0 contradict their ratings" in done.stdout
    assert not (here / "listen.jsonl").exists()


def test_json_lines_and_csv(here: Path) -> None:
    done = run("a.wav", "b.wav", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == ["a.wav", "b.wav"]
    assert rows[1]["heard"]["ratings"]["noi"] == 2.1
    assert rows[1]["description"].endswith("MOS: 2.4")
    done = run("a.wav", "b.wav", "--csv")
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["mos"] for row in table] == ["3.9", "2.4"]
    assert table[0]["troubles"] == ""


def test_parquet_holds_what_csv_does(here: Path) -> None:
    record(Path("u.wav"), (UNRATED, 1, 1, 1, 1))
    done = run("a.wav", "u.wav", "b.wav", "--csv", "--parquet", "out/table.parquet")
    assert done.return_value == 0
    table = polars.read_parquet("out/table.parquet")
    assert table["mos"].to_list() == [3.9, None, 2.4]
    assert table["missing"].to_list()[0] == ""
    printed = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in table.to_dicts()] == printed
    assert not list(Path("out").glob(".part*"))


def test_a_folder_goes_on_where_it_was(here: Path) -> None:
    first = run("ours", "--listener-option", "diary=diary")
    assert first.return_value == 0
    assert (here / "listen.jsonl").read_bytes().count(b"\n") == 7
    again = run("ours", "--listener-option", "diary=diary")
    assert "6 files, 6 of them heard before" in again.stdout
    assert len((here / "diary").read_text().splitlines()) == 6
    run("ours", "--no-results", "--listener-option", "diary=diary")
    assert len((here / "diary").read_text().splitlines()) == 12


def test_trouble_is_told_and_leaves_with_3(here: Path) -> None:
    record(Path("ours/bad.wav"), (BREAKS, 1, 1, 1, 1))
    Path("ours/cut.mp3").write_bytes(b"nothing")
    done = run("ours")
    assert done.return_value == 3
    assert "trouble: listen: made-up: this sound makes the double fail" in done.stdout
    assert "2 files in trouble: made-up 1, unreadable 1" in done.stdout
    assert "means: mos 3.25 (n = 6)" in done.stdout


def test_compare(here: Path) -> None:
    done = run("--compare", "a.wav", "b.wav")
    assert done.return_value == 0
    said = " ".join(done.stdout.split())
    assert "SpeechA is better: its overall rating is 1.50 higher. [SpeechA]" in said
    assert "Why: noise: SpeechA somewhat clean (4.0), SpeechB somewhat noisy (2.1)." in said
    assert "How sure: a single rating of each" in said
    assert "Asked in both orders, the describer prefers the same." in said
    swapped = json.loads(run("--compare", "b.wav", "a.wav", "--json").stdout)
    assert (swapped["better"], swapped["summary"], swapped["both_orders_agree"]) == ("SpeechB", "[SpeechB]", True)
    assert "within the margin of 2" in run("--compare", "a.wav", "b.wav", "--tie", "2").stdout


def test_compare_writes_the_published_files(here: Path) -> None:
    done = run("--compare", "a.wav", "b.wav", "--published", "out")
    assert done.return_value == 0
    names = sorted(path.name for path in Path("out").iterdir())
    assert len(names) == 8
    assert Path("out/ab_test_summary.txt").read_text() == "[SpeechA]\n"
    assert json.loads(Path("out/audio2_metrics.json").read_text()) == dict(zip(DIMENSIONS, B, strict=True))
    assert Path("out/audio1_mos.txt").read_text().endswith("MOS: 3.9\n")


def test_systems(here: Path) -> None:
    for path in Path("theirs/c").glob("*.flac.wav"):
        path.unlink()
    done = run("--systems", "ours", "theirs")
    assert done.return_value == 0
    assert re.search(r"ours better on 6 turns, theirs on 0, tied on 0 \(sign test, Holm: p = 0.031[23]\)", done.stdout)
    assert "one tie added to each pair" in done.stdout
    # Every turn says the same, so resampling turns says nothing of how sure that is.
    assert re.search(r"1\. \+\d\.\d\d +no interval  ours\n +2\. -\d\.\d\d +no interval  theirs", done.stdout)
    assert "Some systems never lost" in done.stdout
    found = json.loads(run("--systems", "ours", "theirs", "--json").stdout)
    assert found["tests"][0]["p"] == pytest.approx(2 / 2**6)
    assert found["shared"] == 6
    assert found["systems"][1]["means"]["noi"] == pytest.approx(4.0)


def test_systems_that_share_no_turn_have_no_common_order(here: Path) -> None:
    for system, turn, mos in (("a", "x", 4.0), ("b", "x", 3.5), ("c", "y", 3.0), ("d", "y", 2.5)):
        record(Path(f"{system}/{turn}.wav"), (mos, 3, 3, 3, 3))
    done = run("--systems", "a", "b", "c", "d")
    assert "No turns link these groups, so places mean something within one only: a, b; c, d." in " ".join(done.stdout.split())
    assert "never lost" not in done.stdout


def test_report(here: Path) -> None:
    done = run("--report", "page/out.html", "ours")
    assert done.return_value == 0
    page = Path("page/out.html").read_text()
    assert page.count('<tbody class="recording"') == 6
    assert 'src="./../ours/c/0.wav"' in page
    assert "page/out.html" in done.stdout


def faithful_only_in_plain(request: Request) -> str:
    if request.body["temperature"] == 1.1:
        return "It is excellent. The overall quality is excellent. MOS: 5.0"
    return "The overall quality is poor. MOS: 2.4"


def test_a_language_model_by_address(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-of-this-test")
    with chatting(answer=faithful_only_in_plain, key="secret-of-this-test") as server:
        address = server.url + "/v1"
        to = ("--endpoint", address, "--model", "m", "--key", "MY_KEY")
        done = run("b.wav", *to, "--json")
        assert done.return_value == 0
        assert json.loads(done.stdout)["checked"]["unstated"] == ["noi", "col", "dis", "loud"]
        done = run("b.wav", *to, "--json", "--preset", "diverse")
        assert done.return_value == 3
        row = json.loads(done.stdout)
        assert {trouble["cause"] for trouble in row["troubles"]} == {"contradiction"}
        assert row["description"].endswith("MOS: 5.0")
        example = {"ratings": dict(zip(DIMENSIONS, A, strict=True)), "text": "Good. MOS: 3.9"}
        Path("example.json").write_text(json.dumps(example))
        run("b.wav", *to, "--example", "example.json")
        assert [role for role, *_ in server.requests[-1].turns] == ["system", "user", "assistant", "user"]
    assert "secret-of-this-test" not in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--compare", "a.wav"), "two files"),
        (("--compare", "a.wav", "ours"), "two files"),
        (("--compare", "a.wav", "nowhere.wav"), "does not exist"),
        (("--compare", "--systems", "a.wav", "b.wav"), "do not go together"),
        (("--systems", "ours"), "at least two"),
        (("--json", "--csv", "a.wav"), "do not go together"),
        (("--published", "out", "a.wav"), "goes with --compare"),
        (("--embed-audio", "a.wav"), "goes with --report"),
        (("--endpoint", "openai", "a.wav"), "needs --model"),
        (("--key", "K", "a.wav"), "needs --endpoint"),
        (("--describer", "none", "--preset", "plain", "a.wav"), "no option"),
        (("--describer", "template", "--model", "m", "a.wav"), "has no option model"),
        (("--describer", "templat", "a.wav"), "did you mean"),
        (("--describer-option", "preset", "a.wav"), "NAME=VALUE"),
        (("--describer-option", "preset=wild", "a.wav"), "expected 'plain'"),
        (("--results", "a.wav", "b.wav"), "no file of results"),
        (("nowhere",), "does not exist"),
        (("--example", "a.wav", "--endpoint", "openai", "--model", "m", "a.wav"), "no JSON object"),
    ],
)
def test_mistakes_are_sentences(here: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as caught:
        run(*arguments)
    assert said in str(caught.value)


def test_names_cannot_give_orders_to_the_terminal(here: Path) -> None:
    record(Path("\x1b[31mred\n.wav"), A)
    done = run("\x1b[31mred\n.wav")
    assert "\x1b" not in done.stdout
    assert "[31mred .wav" in done.stdout


def test_the_whole_program_prints_help_and_leaves_with_its_code(here: Path) -> None:
    Path("cut.wav").write_bytes(b"")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "turnwise", "listen"]
    said = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "turnwise listen --compare a.wav b.wav" in said
    done = subprocess.run([*command, "--listener", LISTENER, "cut.wav", "a.wav"], capture_output=True, text=True, env=environment)
    assert done.returncode == 3, done.stderr
    assert "cut.wav" in done.stdout


SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech" / "tau2_check_order_12345.wav"


@pytest.mark.skipif(not SPEECH.exists(), reason="the shared recordings are not here")
def test_the_default_rates_and_describes_real_speech(here: Path) -> None:
    pytest.importorskip("speechmos")
    done = CliRunner().invoke(listen_command, [str(SPEECH), "--json"], standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 0
    row = json.loads(done.stdout)
    ratings = row["heard"]["ratings"]
    assert all(0.5 <= ratings[dimension] <= 5.5 for dimension in DIMENSIONS)
    assert set(ratings["sources"]) == set(DIMENSIONS)
    assert row["checked"]["contradictions"] == []
    assert row["checked"]["unstated"] == []
    assert row["description"].endswith(f"MOS: {ratings['mos']:.1f}")


def test_csv_holds_any_name_of_a_file(here: Path) -> None:
    for name in ("new\nline.wav", 'a "quoted", one.wav', "-dash.wav"):
        record(Path("odd") / name, A)
    done = run("odd", "--csv", "--no-results")
    table = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert sorted(row["file"] for row in table) == ["odd/-dash.wav", 'odd/a "quoted", one.wav', "odd/new\nline.wav"]
    assert {row["mos"] for row in table} == {"3.9"}


@pytest.mark.parametrize("flag", ["--report", "--parquet"])
@pytest.mark.parametrize("named", ["a.wav", "ours", "page.txt"])
def test_a_recording_is_never_written_over(here: Path, flag: str, named: str) -> None:
    before = Path("a.wav").read_bytes()
    with pytest.raises(InputError, match=f"{flag} {named}: expected the name of a file that ends in"):
        run("b.wav", flag, named)
    assert Path("a.wav").read_bytes() == before


def test_a_window_is_a_number_of_seconds(here: Path) -> None:
    for given in ("nan", "inf"):
        with pytest.raises(InputError, match=f"--window {given}: expected a number of seconds"):
            run("a.wav", "--window", given)


def test_a_long_wait_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("turnwise.cli.listening_progress.PATIENCE", 0.05)

    async def wait() -> None:
        with Progress(3) as progress:
            waiting = asyncio.create_task(progress.waiting())
            await asyncio.sleep(0.2)
            waiting.cancel()

    asyncio.run(wait())
    assert "0/3 files, 0 s\n" in capsys.readouterr().err


def test_what_may_not_be_entered_is_told_in_its_row(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed, one whose files may not be looked at, and a file that may not be read."""
    record(Path("all/closed/x.wav"), A)
    record(Path("all/z.wav"), A)

    def guarded(of: Any, denied: str) -> Any:
        def guard(path: Any = ".", *more: Any, **named: Any) -> Any:
            if isinstance(path, str | Path) and str(path).endswith(denied):
                raise PermissionError(13, "Permission denied", str(path))
            return of(path, *more, **named)

        return guard

    for name, denied in (("stat", "locked/good.wav"), ("lstat", "locked/good.wav"), ("scandir", "closed"), ("listdir", "closed")):
        monkeypatch.setattr(os, name, guarded(getattr(os, name), denied))
    done = run("locked/good.wav", "all", "a.wav", "--no-results", "--json")
    assert done.return_value == 3
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["file"] for row in rows] == ["locked/good.wav", "all/closed", "all/z.wav", "a.wav"]
    assert [[trouble["message"] for trouble in row["troubles"]] for row in rows] == [
        ["locked/good.wav: Permission denied"],
        ["all/closed: Permission denied"],
        [],
        [],
    ]
    done = run("--compare", "locked/good.wav", "a.wav", "--json")
    assert done.return_value == 3
    assert json.loads(done.stdout)["first"]["troubles"][0]["cause"] == "unreadable"


@pytest.mark.parametrize("text", ["blah blorp", "[SpeechB]"])
def test_a_description_that_says_nothing_is_a_trouble(here: Path, text: str) -> None:
    with chatting(answer=text) as server:
        address = server.endpoint().url
        done = run("a.wav", "--endpoint", address, "--model", "m")
        assert done.return_value == 3
        said = " ".join(done.stdout.split())
        assert "trouble: faithfulness: says-nothing: the text states none of the five ratings" in said
        assert "the text leaves out: mos, noi, col, dis, loud" in said
        done = run("--compare", "a.wav", "b.wav", "--endpoint", address, "--model", "m", "--published", "out")
    assert done.return_value == 3
    assert not Path("out/audio1_mos.txt").exists()
    assert Path("out/audio1_metrics.json").exists()


def test_a_row_says_what_its_text_leaves_out(here: Path) -> None:
    with chatting(answer="It is somewhat clean (4.0). MOS: 3.9") as server:
        done = run("a.wav", "--endpoint", server.endpoint().url, "--model", "m")
    assert done.return_value == 0
    assert "the text leaves out: col, dis, loud" in done.stdout
    assert "leaves out" not in run("a.wav").stdout


def test_a_model_that_rates_nothing_is_a_trouble(here: Path) -> None:
    with chatting(answer="It sounds rather nice.") as server:
        options = ("--listener-option", "model=m", "--listener-option", f"endpoint={server.endpoint().url}")
        done = run("a.wav", *options, listener="audio_model")
    assert done.return_value == 3
    said = " ".join(done.stdout.split())
    assert "trouble: listen: unreadable-answer: asked twice, no rating can be read: mos is missing" in said
    record(Path("silent.wav"), (UNRATED, 1, 1, 1, 1))
    assert run("silent.wav").return_value == 0, "what cannot be rated is a reason and no trouble"


def test_the_placeholder_is_never_shown_as_a_mean_opinion_score(here: Path) -> None:
    steps = np.repeat([0.3, 0.01], 8000) * np.random.default_rng(1).uniform(-1, 1, 16000)  # a voice and what is behind it
    for name in ("a.wav", "b.wav"):
        soundfile.write(name, steps, 16000)
    done = run("a.wav", "b.wav", listener="published_heuristic")
    said = " ".join(done.stdout.split())
    assert said.count("note: placeholder of the published tool, not a rating by any listener") == 2
    assert "mos above is no mean opinion score: placeholder of the published tool" in said
    assert "Heuristic overall: " in said and "MOS" not in said
    row = json.loads(run("a.wav", "--json", listener="published_heuristic").stdout)
    assert row["heard"]["ratings"]["notes"][0] == "placeholder of the published tool, not a rating by any listener"
    run("a.wav", "--report", "page.html", listener="published_heuristic")
    assert "Note: placeholder of the published tool, not a rating by any listener" in Path("page.html").read_text()


def test_how_sure_names_the_file_that_has_too_few_windows(here: Path) -> None:
    ratings = Ratings(3.0, 3.0, 3.0, 3.0, 3.0)
    long = Heard(ratings, 60.0, 16000, 1, tuple(Moment(k * 4.5, k * 4.5 + 9, ratings) for k in range(12)))
    short = Heard(ratings, 8.0, 16000)
    rule = preferred(ratings, ratings, 0.1)

    def sure(first: Heard, second: Heard) -> str:
        return _verdict(Pair(Row("a", "", "", first), Row("b", "", "", second), rule))[-1]

    one_of = "How sure: an interval needs 4 windows that do not overlap in both files"
    assert sure(long, short) == f"{one_of}, SpeechB has 1: nothing but the gap is known."
    assert sure(short, long) == f"{one_of}, SpeechA has 1: nothing but the gap is known."
    assert sure(short, short).startswith("How sure: a single rating of each")


def test_ctrl_c_while_workers_start_prints_nothing_of_theirs(here: Path) -> None:
    """The terminal sends it to the whole group; a worker that is still importing would tell where it was."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "turnwise", "listen", "ours", "theirs", "--jobs", "2", "--no-results"]
    command += ["--listener", LISTENER, "--listener-option", "pause=5"]
    process = subprocess.Popen(command, text=True, env=environment, start_new_session=True, stderr=subprocess.PIPE)
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 30
    while len(started.read_text().split()) < 2 and time.monotonic() < until:  # the tracker of resources, and a worker
        time.sleep(0.01)
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said, said
