"""Programs and servers of the user's own: what they are given, what counts of their answers, and all the ways they can fail."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiohttp import web

from local_server import served
from turnwise.agents import program as programs
from turnwise.agents.agent import AGENTS, Around, Past, RemoteSession, Reply, Timings, View
from turnwise.agents.roster import command
from turnwise.agents.roster.command import BASE64_WAV
from turnwise.endpoints.calls import Call, Usage, recording
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.remote import Remote
from turnwise.endpoints.sound_bytes import to_base64, to_wav
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, StorageError
from turnwise.foundation.fingerprint import file_digest
from turnwise.speech.clip_store import ClipStore, to_pcm

HEAD = """
import base64, json, os, signal, subprocess, sys, threading, time
def asks():
    for line in sys.stdin:
        yield json.loads(line)
def say(ask, **fields):
    print(json.dumps({"id": ask["id"], **fields}), flush=True)
"""
ECHO = "for ask in asks(): say(ask, text='You said: ' + str(ask['text']), audio=ask['audio'])"
TONE = Sound((np.arange(800, dtype=np.float32) - 400) / 1024, 8000)


class Desk:
    """A folder with a program, a clip store, and turns to ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clips = ClipStore(folder / "clips")

    def options(self, body: str, **options: Any) -> dict[str, Any]:
        path = self.folder / "agent.py"
        path.write_text(HEAD + body)
        return {"command": [sys.executable, str(path)], "working_directory": str(self.folder), **options}

    def view(self, text: str | None = "hello", sound: Sound | None = TONE, past: tuple[Past, ...] = (), round: int = 1) -> View:
        return View("merge_0001", round, "Be kind.", past, text, self.clips.keep(sound) if sound else None)

    def play(self, options: dict[str, Any], work: Callable[[RemoteSession], Awaitable[Any]], **declared: Endpoint) -> Any:
        async def turn() -> Any:
            remote = Remote(declared, patience=0.01)
            session = AGENTS.build("command", options).reach(Around(self.clips, remote, None))  # type: ignore[arg-type]
            try:
                return await work(session)
            finally:
                await session.close()
                await remote.close()

        return asyncio.run(turn())

    def ask(self, body: str, view: View | None = None, **options: Any) -> Reply:
        reply: Reply = self.play(self.options(body, **options), lambda session: session.answer(view or self.view(), seed=7))
        return reply

    def refused(self, body: str, view: View | None = None, **options: Any) -> tuple[str, str]:
        with pytest.raises(EngineError) as caught:
            self.ask(body, view, **options)
        return caught.value.cause, caught.value.message


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def gone(pid: int) -> bool:
    """Whether a process is dead, waiting a little for it."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


# ---------------------------------------------------------------- what it is given and what it gives


def test_the_request_holds_all_that_the_agent_may_know(desk: Desk) -> None:
    earlier = desk.clips.keep(Sound(TONE.samples[:400], 8000))
    past = (Past("user", None, earlier), Past("agent", "Which day?"), Past("user", "On friday."))
    view = desk.view(text=None, past=past, round=3)
    assert view.clip is not None
    desk.ask(f"for ask in asks(): open('asked', 'w').write(json.dumps(ask)); {ECHO.partition(': ')[2]}", view)
    assert json.loads((desk.folder / "asked").read_text()) == {
        "id": "1",
        "dialogue": "merge_0001",
        "round": 3,
        "instructions": "Be kind.",
        "past": [
            {"speaker": "user", "text": None, "audio": str(desk.clips.path(earlier))},
            {"speaker": "agent", "text": "Which day?", "audio": None},
            {"speaker": "user", "text": "On friday.", "audio": None},
        ],
        "text": None,
        "audio": str(desk.clips.path(view.clip)),
        "seed": 7,
    }


def test_an_answer_of_words_and_sound(desk: Desk) -> None:
    view = desk.view()
    reply = desk.ask(ECHO, view)
    assert (reply.text, reply.clip, reply.heard) == ("You said: hello", view.clip, None)


def test_sound_as_wav_in_a_folder_that_is_gone_afterwards(desk: Desk) -> None:
    body = "for ask in asks(): open('seen', 'wb').write(open(ask['audio'], 'rb').read()); say(ask, text=ask['audio'])"
    reply = desk.ask(body, audio_format="wav", speaks=False)
    stored = desk.clips.load(desk.clips.keep(TONE))
    assert (desk.folder / "seen").read_bytes() == to_wav(stored)
    assert reply.text.endswith(".wav")
    assert not Path(reply.text).exists()
    assert not Path(reply.text).parent.exists()


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg"])
@pytest.mark.parametrize("absolute", [True, False])
def test_sound_by_the_path_of_a_file(desk: Desk, ending: str, absolute: bool) -> None:
    soundfile.write(desk.folder / f"reply{ending}", TONE.samples, 8000)
    name = str(desk.folder / f"reply{ending}") if absolute else f"reply{ending}"
    reply = desk.ask(f"for ask in asks(): say(ask, text='yes', audio={name!r})")
    assert reply.clip is not None
    assert (reply.clip.rate, reply.clip.seconds) == (8000, 0.1)
    if ending != ".ogg":
        assert np.array_equal(to_pcm(desk.clips.load(reply.clip)), to_pcm(TONE))


def test_sound_as_base64_of_any_length(desk: Desk) -> None:
    long = Sound(np.tile(TONE.samples, 200), 8000)  # 20 s: a line of 430 kB
    (desk.folder / "reply.wav").write_bytes(to_wav(long))
    assert to_base64(long).startswith(BASE64_WAV)
    reply = desk.ask("for ask in asks(): say(ask, text='yes', audio=base64.b64encode(open('reply.wav','rb').read()).decode())")
    assert reply.clip is not None
    assert np.array_equal(to_pcm(desk.clips.load(reply.clip)), to_pcm(long))


def test_what_it_heard_its_timings_and_its_notes(desk: Desk) -> None:
    told = {"hear": 0.1, "think": 0.25, "speak": 0.5, "first_audio": 0.4}
    reply = desk.ask(
        f"for ask in asks(): say(ask, text='yes', audio=ask['audio'], heard='hallo', timings={told}, notes=['short of memory'])"
    )
    assert reply.heard == "hallo"
    assert reply.timings == Timings(**told)
    assert reply.notes == ("short of memory",)


def test_silence(desk: Desk) -> None:
    reply = desk.ask("for ask in asks(): say(ask, text='')", desk.view())
    assert (reply.text, reply.clip) == ("", None)


def test_an_agent_that_writes(desk: Desk) -> None:
    assert desk.ask("for ask in asks(): say(ask, text='yes')", speaks=False).text == "yes"


def test_its_time_is_measured_once_it_runs(desk: Desk) -> None:
    body = "time.sleep(0.3)\nfor ask in asks(): time.sleep(0.1); say(ask, text='yes', audio=ask['audio'])"

    async def twice(session: RemoteSession) -> list[Reply]:
        return [await session.answer(desk.view(), seed=1) for _ in range(2)]

    first, second = desk.play(desk.options(body), twice)
    assert first.timings == Timings()
    assert first.notes == ("not measured: the program was still being started",)
    assert second.notes == ()
    assert (second.timings.hear, second.timings.think, second.timings.speak) == (None, None, None)
    assert 0.1 <= second.timings.first_audio < 2.0

    first, second = desk.play(desk.options(body.replace(", audio=ask['audio']", ""), speaks=False), twice)
    assert 0.1 <= second.timings.think < 2.0
    assert second.timings.first_audio is None


def test_a_clip_that_is_lost_is_for_the_user_to_mend(desk: Desk) -> None:
    view = desk.view()
    assert view.clip is not None
    desk.clips.path(view.clip).unlink()
    with pytest.raises(StorageError, match="is missing"):
        desk.ask(ECHO, view)


# ---------------------------------------------------------------- answers that are none


@pytest.mark.parametrize(
    ("answer", "cause", "told"),
    [
        ("say(ask, error='out of memory')", "agent-error", "the agent says: out of memory"),
        ("say(ask)", "contract", "neither text nor error"),
        ("say(ask, text='yes')", "contract", "words without sound"),
        ("say(ask, txt='yes')", "contract", "unknown field `txt`"),
        ("say(ask, text=5)", "contract", "Expected `str | null`, got `int` - at `$.text`"),
        ("say(ask, text='', notes='one')", "contract", "$.notes"),
        ("say(ask, text='', timings={'think': -1})", "contract", "timings.think is -1"),
        ("say(ask, text='', timings={'thought': 1})", "contract", "unknown field `thought`"),
        ("say(ask, text='yes', audio='nowhere.wav')", "contract", "nowhere.wav does not exist"),
        ("say(ask, text='yes', audio='UklGR%%%%')", "broken-audio", "not base64"),
        ("say(ask, text='yes', audio='UklGRjIAAAA=')", "broken-audio", ""),
        ("print('loading ...', flush=True)", "contract", "wrote a line that is no answer: 'loading ...'"),
        ('print(\'{"id": 1, "text": "yes"}\', flush=True)', "contract", "no answer"),
        ("say({'id': '99'}, text='yes')", "contract", "answered '99', which was not asked"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush()", "contract", "no answer"),
    ],
)
def test_an_answer_of_another_form_is_a_fault(desk: Desk, answer: str, cause: str, told: str) -> None:
    found = desk.refused(f"for ask in asks(): {answer}")
    assert found[0] == cause
    assert told in found[1]


@pytest.mark.parametrize(
    ("audio", "told"),
    [
        ("pipe.wav", "pipe.wav is no regular file"),
        ("door.wav", "door.wav is no regular file"),
        ("/dev/zero", "/dev/zero is no regular file"),
        ("clips", "clips is no regular file"),
        ("link.wav", "link.wav is no regular file"),  # to the pipe
        ("empty.wav", "empty.wav is empty"),
        ("/proc/self/environ", "/proc/self/environ is empty"),  # whatever can be read of it
        ("vast.wav", "vast.wav has more than 256 MiB"),
        ("a\\0b.wav", "cannot be read"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_a_path_to_anything_but_a_file_is_never_opened(desk: Desk, audio: str, told: str) -> None:
    os.mkfifo(desk.folder / "pipe.wav")
    (desk.folder / "link.wav").symlink_to("pipe.wav")
    (desk.folder / "clips").mkdir()
    (desk.folder / "empty.wav").touch()
    with (desk.folder / "vast.wav").open("wb") as vast:
        vast.truncate((256 << 20) + 1)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(desk.folder / "door.wav"))
        cause, message = desk.refused(f"for ask in asks(): say(ask, text='yes', audio='{audio}')", timeout=20.0)
    assert cause == "contract"
    assert told in message


def test_a_file_that_takes_too_long_to_read_is_a_fault_of_the_turn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "fine.wav").write_bytes(to_wav(TONE))
    monkeypatch.setattr(command, "LEAST_READING", 0.1)
    monkeypatch.setattr(command, "read_file", lambda path: time.sleep(2.5))
    said = desk.refused("for ask in asks(): say(ask, text='yes', audio='fine.wav')", timeout=2.0)
    assert said == ("timeout", "the file of the answer could not be read within the 2 s of the turn")


def test_sound_of_an_agent_that_is_said_to_write_only(desk: Desk) -> None:
    assert desk.refused(ECHO, speaks=False)[1] == "the answer has sound, and the agent is declared with speaks = false"


def test_what_it_prints_after_its_answer_is_not_lost(desk: Desk) -> None:
    """A line that nobody waits for is told with the next turn, and the program is started again after that."""
    body = "for ask in asks(): say(ask, text=str(os.getpid())); say(ask, text='again')"

    async def thrice(session: RemoteSession) -> list[Any]:
        found: list[Any] = []
        for _ in range(3):
            try:
                found.append((await session.answer(desk.view(), seed=1)).text)
            except EngineError as error:
                found.append((error.cause, error.message))
            await asyncio.sleep(0.1)
        return found

    first, second, third = desk.play(desk.options(body, speaks=False), thrice)
    assert second[0] == "contract"
    assert "answered '1', which was not asked or is answered already" in second[1]
    assert first != third
    assert gone(int(first))
    assert gone(int(third))


# ---------------------------------------------------------------- programs that die or hang


def test_a_program_that_dies_says_how_and_with_which_words(desk: Desk) -> None:
    body = "for ask in asks():\n    print('Traceback: no\\nweights found', file=sys.stderr)\n    sys.exit(3)"
    cause, message = desk.refused(body)
    assert cause == "program-died"
    assert message.endswith("ended (status 3); it last wrote: Traceback: no / weights found")


def test_a_program_that_was_killed_is_started_again_for_the_next_turn(desk: Desk) -> None:
    body = """
for ask in asks():
    open("pid", "w").write(str(os.getpid()))
    if not os.path.exists("second"):
        open("second", "w").close()
        time.sleep(60)
    say(ask, text=str(os.getpid()))
"""

    async def killed(session: RemoteSession) -> tuple[str, str, Reply]:
        waiting = asyncio.create_task(session.answer(desk.view(), seed=1))
        while not (desk.folder / "second").exists():
            await asyncio.sleep(0.01)
        pid = int((desk.folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineError) as caught:
            await waiting
        return caught.value.cause, caught.value.message, await session.answer(desk.view(), seed=1)

    cause, message, reply = desk.play(desk.options(body, speaks=False), killed)
    assert cause == "program-died"
    assert message.endswith("ended (killed by signal 9)")
    assert reply.text == (desk.folder / "pid").read_text()


def test_a_program_that_ended_between_turns_is_noted(desk: Desk) -> None:
    async def twice(session: RemoteSession) -> list[Reply]:
        first = await session.answer(desk.view(), seed=1)
        await asyncio.sleep(0.3)
        return [first, await session.answer(desk.view(), seed=1)]

    body = "for ask in asks(): say(ask, text='yes'); sys.exit(4)"
    second = desk.play(desk.options(body, speaks=False), twice)[1]
    assert second.text == "yes"
    assert second.notes[0] == "the program had ended after an earlier turn (status 4) and was started again"


def test_a_program_that_hangs_is_ended_and_the_next_turn_has_a_fresh_one(desk: Desk) -> None:
    body = """
for ask in asks():
    open("pids", "a").write(f"{os.getpid()} ")
    print("thinking hard", file=sys.stderr, flush=True)
    if ask["text"] == "hang":
        time.sleep(60)
    say(ask, text="yes")
"""

    async def hang(session: RemoteSession) -> tuple[EngineError, Reply]:
        await session.answer(desk.view(), seed=1)
        with pytest.raises(EngineError) as caught:
            await session.answer(desk.view("hang"), seed=1)
        hanging = int((desk.folder / "pids").read_text().split()[-1])
        assert await asyncio.to_thread(gone, hanging)  # at once, not when the run ends
        return caught.value, await session.answer(desk.view(), seed=1)

    error, reply = desk.play(desk.options(body, speaks=False, timeout=1.5), hang)
    assert error.cause == "timeout"
    assert error.message.endswith("did not answer within 1.5 s; it last wrote: thinking hard / thinking hard")
    assert reply.text == "yes"
    one, same, other = map(int, (desk.folder / "pids").read_text().split())
    assert one == same != other
    assert gone(other)


def test_a_flood_of_standard_error_stops_nothing(desk: Desk) -> None:
    body = "for ask in asks():\n    for n in range(20000): print('x' * 60, n, file=sys.stderr)\n    say(ask, text='yes')"
    assert desk.ask(body, speaks=False).text == "yes"


def test_a_program_that_cannot_be_started_is_for_the_user_to_mend(desk: Desk) -> None:
    def start(**options: Any) -> None:
        desk.play({"speaks": False, **options}, lambda session: session.answer(desk.view(), seed=1))

    with pytest.raises(InputError, match=r"the program no-such-program-here cannot be started: No such file"):
        start(command=["no-such-program-here"])
    (desk.folder / "plain.txt").write_text("no program")
    with pytest.raises(InputError, match="Permission denied"):
        start(command=[str(desk.folder / "plain.txt")])
    with pytest.raises(InputError, match="elsewhere is not a folder"):
        start(command=["true"], working_directory=str(desk.folder / "elsewhere"))


def test_whether_a_program_can_be_started_is_seen_without_starting_it(desk: Desk) -> None:
    (desk.folder / "plain").write_text("#!/bin/sh\ntouch started\n")
    told = {
        "no-such-program-here": r"'no-such-program-here' is not found along PATH",
        "./nowhere": "nowhere is not there",
        "./plain": "plain is not executable",
        str(desk.folder): "is not there",
    }
    for program, message in told.items():
        with pytest.raises(InputError, match=message):
            AGENTS.build("command", {"command": [program], "working_directory": str(desk.folder)}).look_around()
    with pytest.raises(InputError, match="elsewhere is not a folder"):
        AGENTS.build("command", {"command": ["true"], "working_directory": str(desk.folder / "elsewhere")}).look_around()
    (desk.folder / "plain").chmod(0o755)
    for program in ("./plain", "true", sys.executable):
        AGENTS.build("command", {"command": [program], "working_directory": str(desk.folder)}).look_around()
    AGENTS.build("command", {"url": "http://127.0.0.1:1"}).look_around()
    assert not (desk.folder / "started").exists()


# ---------------------------------------------------------------- several at a time


def test_answers_are_matched_by_id_in_any_order(desk: Desk) -> None:
    """Three are under way; the program waits for all of them and answers the last first."""
    body = """
held = []
for ask in asks():
    held.append(ask)
    if len(held) == 3:
        for one in reversed(held):
            say(one, text=one["text"])
        held.clear()
"""

    async def six(session: RemoteSession) -> list[Reply]:
        return list(await asyncio.gather(*(session.answer(desk.view(f"turn {n}"), seed=n) for n in range(6))))

    replies = desk.play(desk.options(body, speaks=False, together=3), six)
    assert [reply.text for reply in replies] == [f"turn {n}" for n in range(6)]


def test_no_more_than_declared_are_under_way(desk: Desk) -> None:
    body = """
busy = set()
lock = threading.Lock()
def work(ask):
    time.sleep(0.05)
    with lock:
        count = len(busy)
        busy.discard(ask["id"])
        say(ask, text=str(count))
for ask in asks():
    with lock: busy.add(ask["id"])
    threading.Thread(target=work, args=(ask,)).start()
"""

    async def many(session: RemoteSession) -> list[int]:
        return [int(r.text) for r in await asyncio.gather(*(session.answer(desk.view(), seed=1) for _ in range(6)))]

    assert max(desk.play(desk.options(body, speaks=False, together=2), many)) == 2
    assert max(desk.play(desk.options(body, speaks=False), many)) == 1


def test_one_that_is_late_does_not_take_the_others_with_it(desk: Desk) -> None:
    body = """
for ask in asks():  # "slow" is never answered
    if ask["text"] == "quick":
        say(ask, text=f"{os.getpid()}")
    if ask["text"] == "fine":
        threading.Timer(0.7, say, (ask,), {"text": f"{os.getpid()}"}).start()
"""

    async def both(session: RemoteSession) -> tuple[Any, Any, Reply]:
        before = await session.answer(desk.view("quick"), seed=1)
        slow = asyncio.create_task(session.answer(desk.view("slow"), seed=1))
        await asyncio.sleep(1.0)
        other = asyncio.create_task(session.answer(desk.view("fine"), seed=1))
        (late, fine) = await asyncio.gather(slow, other, return_exceptions=True)
        assert isinstance(late, EngineError)
        assert late.cause == "timeout"
        return before, fine, await session.answer(desk.view("quick"), seed=1)

    before, fine, after = desk.play(desk.options(body, speaks=False, together=2, timeout=1.5), both)
    assert isinstance(fine, Reply)  # of the same program, which was given up in between
    assert before.text == fine.text != after.text


def test_rubbish_takes_all_that_are_under_way(desk: Desk) -> None:
    body = "n = 0\nfor ask in asks():\n    n += 1\n    if n == 2: print('ready', flush=True)"

    async def both(session: RemoteSession) -> list[Any]:
        pair = (session.answer(desk.view(), seed=1) for _ in range(2))
        return list(await asyncio.gather(*pair, return_exceptions=True))

    found = desk.play(desk.options(body, speaks=False, together=2), both)
    assert [error.cause for error in found] == ["contract", "contract"]


def test_an_answer_to_a_turn_that_was_called_off_is_passed_over(desk: Desk) -> None:
    body = """
for ask in asks():
    time.sleep(0.3 if ask["text"] == "slow" else 0)
    say(ask, text=ask["text"] + str(os.getpid()))
"""

    async def called_off(session: RemoteSession) -> tuple[str, str]:
        before = (await session.answer(desk.view("a"), seed=1)).text
        slow = asyncio.create_task(session.answer(desk.view("slow"), seed=1))
        await asyncio.sleep(0.1)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        return before, (await session.answer(desk.view("a"), seed=1)).text

    before, after = desk.play(desk.options(body, speaks=False), called_off)
    assert before == after  # the same words of the same process


# ---------------------------------------------------------------- its end


def test_it_may_end_by_itself_when_its_input_ends(desk: Desk) -> None:
    desk.ask(f"{ECHO}\nopen('bye', 'w').close()")
    assert (desk.folder / "bye").exists()


def test_what_will_not_end_is_killed_with_all_it_started(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "GRACE", 0.2)
    body = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
for ask in asks():
    say(ask, text=f"{os.getpid()} {child.pid}")
time.sleep(60)
"""
    pids = desk.ask(body, speaks=False).text.split()
    assert all(gone(int(pid)) for pid in pids)


def test_what_it_leaves_behind_is_killed(desk: Desk) -> None:
    body = """
child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for ask in asks():
    say(ask, text=str(child.pid))
os._exit(0)
"""
    assert gone(int(desk.ask(body, speaks=False).text))


# ---------------------------------------------------------------- what it is called


def test_a_program_is_named_by_the_files_among_its_arguments(desk: Desk) -> None:
    (desk.folder / "settings.json").write_text("{}")
    (desk.folder / "lib.py").write_text("X = 1")
    options = desk.options(ECHO)
    options["command"] += ["--settings=settings.json", "--fast"]

    def identity(**changes: Any) -> str:
        return AGENTS.identity("command", {**options, **changes})

    told = AGENTS.build("command", options).identity()
    files = {
        f"file {sys.executable}": file_digest(Path(sys.executable)),
        f"file {desk.folder / 'agent.py'}": file_digest(desk.folder / "agent.py"),
        "file settings.json": file_digest(desk.folder / "settings.json"),
    }
    assert {key: value for key, value in told.items() if key.startswith("file")} == files
    known = [identity()]
    (desk.folder / "lib.py").write_text("X = 2")  # imported, perhaps: not seen
    assert identity() == known[0]
    (desk.folder / "settings.json").write_text('{"a": 1}')
    known.append(identity())
    (desk.folder / "agent.py").write_text(HEAD + ECHO + "\n")
    known.append(identity())
    known.append(identity(version="2"))
    assert len(set(known)) == 4


def test_a_very_large_file_is_named_by_its_beginning(desk: Desk) -> None:
    with (desk.folder / "weights.bin").open("wb") as file:
        file.truncate(65 << 20)
    options = {"command": ["serve", "weights.bin"], "working_directory": str(desk.folder)}
    told = AGENTS.build("command", options).identity()["file weights.bin"]
    assert told.startswith(f"{65 << 20} b2:")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "either a command or a url"),
        ({"command": ["a"], "url": "http://x"}, "either a command or a url"),
        ({"command": "python agent.py"}, "one text"),
        ({"command": ["a"], "audio_format": "mp3"}, "audio_format is 'mp3'"),
        ({"command": ["a"], "together": 0}, "together is 0"),
        ({"command": ["a"], "timeout": 0.0}, "timeout is 0"),
        ({"url": "http://x", "together": 2}, "are for programs"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        AGENTS.build("command", options)


def test_it_says_what_it_is() -> None:
    built = AGENTS.build("command", {"command": ["a"], "models": ["gpt-x"]})
    assert (built.place, built.speaks, built.models) == ("driver", True, ("gpt-x",))
    assert AGENTS.build("command", {"command": ["a"], "speaks": False}).speaks is False


# ---------------------------------------------------------------- over HTTP


class Counter:
    """A server that answers as a test tells it."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self._answer = answer

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path_qs)
        self.asked.append(await request.json())
        answer = self._answer(self.asked[-1])
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)


def over_http(
    desk: Desk, answer: Callable[[dict[str, Any]], Any], view: View | None = None, **options: Any
) -> tuple[Counter, Reply]:
    counter = Counter(answer)
    with served(counter.app()) as place:
        own = Endpoint(place.url, retries=0)
        options = {"url": f"{place.url}/answer", **options}
        reply = desk.play(options, lambda session: session.answer(view or desk.view(), seed=7), mine=own)
    return counter, reply


def yes(asked: dict[str, Any]) -> dict[str, Any]:
    return {"id": asked["id"], "text": "yes", "audio": asked["audio"]}


def test_the_same_over_http_with_sound_as_base64(desk: Desk) -> None:
    earlier = desk.clips.keep(Sound(TONE.samples[:400], 8000))
    view = desk.view(past=(Past("user", None, earlier), Past("agent", "Which day?")), round=2)
    counter, reply = over_http(desk, yes, view)
    assert counter.paths == ["/answer"]
    assert counter.asked == [
        {
            "id": "1",
            "dialogue": "merge_0001",
            "round": 2,
            "instructions": "Be kind.",
            "past": [
                {"speaker": "user", "text": None, "audio": to_base64(desk.clips.load(earlier))},
                {"speaker": "agent", "text": "Which day?", "audio": None},
            ],
            "text": "hello",
            "audio": to_base64(desk.clips.load(desk.clips.keep(TONE))),
            "seed": 7,
        }
    ]
    assert (reply.text, reply.clip) == ("yes", view.clip)
    assert reply.timings.first_audio is not None
    assert 0 < reply.timings.first_audio < 5


def test_flac_over_http(desk: Desk) -> None:
    counter, reply = over_http(desk, yes, audio_format="flac")
    view = desk.view()
    assert view.clip is not None
    assert base64.b64decode(counter.asked[0]["audio"]) == desk.clips.path(view.clip).read_bytes()
    assert reply.clip == view.clip  # what came back was FLAC too


def test_addresses_and_declared_endpoints(desk: Desk) -> None:
    assert over_http(desk, yes, url="mine", path="v2/turn?x=1")[0].paths == ["/v2/turn?x=1"]
    counter = Counter(yes)
    with served(counter.app()) as place:
        for url, path in (("", ""), ("/a/b?k=v", ""), ("/a/", "b")):
            options = {"url": place.url + url, "path": path}
            desk.play(options, lambda session: session.answer(desk.view(), seed=7))
    assert counter.paths == ["/", "/a/b?k=v", "/a/b"]
    with pytest.raises(InputError, match="no endpoint is called 'elsewhere'"):
        desk.play({"url": "elsewhere"}, lambda session: session.answer(desk.view(), seed=7))


@pytest.mark.parametrize(
    ("answer", "cause", "told"),
    [
        (lambda asked: {"id": "2", "text": ""}, "contract", "the answer has the id '2', asked was '1'"),
        (lambda asked: {"id": "1"}, "contract", "neither text nor error"),
        (lambda asked: ["yes"], "contract", "Expected `object`, got `array`"),
        (lambda asked: {"id": "1", "text": "yes", "audio": "/etc/hostname"}, "broken-audio", ""),
        (lambda asked: {"id": "1", "text": "yes", "audio": "reply.wav"}, "broken-audio", ""),
        (lambda asked: web.Response(status=500, text="boom"), "server-error", "boom"),
        (lambda asked: web.Response(text="yes"), "broken-answer", "was answered with 200 and text/plain, expected JSON: yes"),
    ],
)
def test_a_server_that_answers_otherwise_is_a_fault(
    desk: Desk, answer: Callable[[dict[str, Any]], Any], cause: str, told: str
) -> None:
    with pytest.raises(EngineError) as caught:
        over_http(desk, answer, url="mine")
    assert caught.value.cause == cause
    assert told in caught.value.message


def test_attempts_that_failed_are_no_part_of_its_time_and_one_call_is_recorded(desk: Desk) -> None:
    tries: list[float] = []

    def second_time(asked: dict[str, Any]) -> Any:
        tries.append(time.perf_counter())
        if len(tries) == 1:
            time.sleep(0.5)
            return web.Response(status=503)
        return yes(asked)

    async def counted(session: RemoteSession) -> tuple[Reply, list[Call]]:
        with recording() as calls:
            return await session.answer(desk.view(), seed=7), calls

    with served(Counter(second_time).app()) as place:
        reply, (call,) = desk.play({"url": "mine", "models": ["m-1"]}, counted, mine=Endpoint(place.url))
    assert (call.attempts, call.failures, call.model, call.usage, call.estimated) == (2, ("server-error",), "m-1", Usage(), False)
    assert reply.timings.first_audio == call.seconds < 0.5


def test_an_error_of_the_agent_behind_a_server(desk: Desk) -> None:
    """Servers say errors in many ways; this one is of the contract."""
    with pytest.raises(EngineError) as caught:
        over_http(desk, lambda asked: {"id": "1", "error": "out of memory"}, url="mine")
    assert "out of memory" in caught.value.message
