"""An agent of the user's own: any program that reads and writes JSON lines, or any HTTP server that answers the same JSON.

One request per turn holds all that the agent may know; one answer holds its words and sound. The contract, field by field, with
examples that run, is in docs/own_agent.md. A program is started once and asked turn by turn; it runs with the rights and the
environment of whoever runs the study. No memory is kept between turns here: what it may use of the past is in the request.

Options: `command`, a list such as ["python", "my_agent.py"] (no shell is used unless it is written there), or `url`, the address
of a server or the name of a declared endpoint, with `path` behind it. `speaks` (true) says whether its answers carry sound.
`audio_format`: what it is given, "flac" or "wav" (a program gets paths, by default of the stored FLAC files; a server gets
base64, by default of WAV). For programs: `together` requests under way at a time (1), `timeout` in seconds for one (120),
`working_directory`; a server has those of its endpoint. `version`, any word, to be changed when something behind the agent
changes that cannot be seen from here; `models`, the names of the models it is made of, so that a judge of the same model can be
told.

An answer is measured from sending the request to having all of it, unless it brings its own timings; limits and failed attempts
of an endpoint are left out, and what a program answers while it is still being started is not measured. An agent is named by its
options and by every file among its arguments, so that an edited program is another agent; modules it imports and what a server
runs are not seen: that is what `version` is for. The file of an answer must be a regular one of at most 256 MiB; it is read
within the time of the turn. Faults: `program-died`, `timeout`, `contract` (an answer of another form),
`agent-error` (the agent's own word), and those of the line to a server. Needs nothing. The licence is that of the program.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import math
import os
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from turnwise.agents.agent import Around, Past, RemoteSession, Reply, Timings, View
from turnwise.agents.program import Program, start
from turnwise.endpoints.calls import Call, Usage, note, recording
from turnwise.endpoints.sound_bytes import from_base64, from_bytes, to_wav
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_file
from turnwise.foundation.errors import EngineError, InputError, StorageError
from turnwise.foundation.fingerprint import digest, file_digest
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

Format = Literal["flac", "wav"]
BASE64_WAV = "UklGR"  # how base64 of "RIFF" begins
LARGEST = 256 << 20  # bytes of the file of an answer; an hour of 16-bit sound at 24 kHz has 173 MB
LEAST_READING = 5.0  # seconds to read the file of an answer that came at the last moment
_WHOLE = 64 << 20  # bytes; larger files among the arguments are named by their size and their first MiB


def agent(
    command: Sequence[str] = (),
    url: str = "",
    path: str = "",
    speaks: bool = True,
    audio_format: str | None = None,
    together: int | None = None,
    timeout: float | None = None,
    working_directory: str | None = None,
    version: str = "",
    models: Sequence[str] = (),
) -> OwnAgent:
    if isinstance(command, str):
        raise InputError("command: the command is one text", 'write its words as a list: ["python", "my_agent.py"]')
    if bool(command) == bool(url):
        raise InputError("command: expected either a command or a url")
    if audio_format not in (None, "flac", "wav"):
        raise InputError(f"command: audio_format is {audio_format!r}, expected 'flac' or 'wav'")
    if url and not (together is None and timeout is None and working_directory is None):
        raise InputError("command: together, timeout and working_directory are for programs", "declare them for the endpoint")
    if together is not None and together < 1:
        raise InputError(f"command: together is {together}, expected at least 1")
    if timeout is not None and not 0 < timeout < math.inf:
        raise InputError(f"command: timeout is {timeout}, expected seconds above 0")
    form: Format = "flac" if audio_format == "flac" or (audio_format is None and command) else "wav"
    place = Path(working_directory or ".")
    return OwnAgent(tuple(command), url, path, speaks, form, together or 1, timeout or 120.0, place, version, tuple(models))


@dataclass(frozen=True)
class OwnAgent:
    """The agent, not yet started."""

    command: tuple[str, ...]
    url: str
    path: str
    speaks: bool
    audio_format: Format
    together: int
    timeout: float
    working_directory: Path
    version: str
    models: tuple[str, ...]
    place: Place = "driver"

    def look_around(self) -> None:
        """Whether the program can be started here: an InputError where it cannot."""
        if not self.command:
            return
        program, folder = self.command[0], self.working_directory
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder", "it is the working_directory of the command")
        if os.sep not in program:
            if shutil.which(program) is None:
                raise InputError(f"the program {program!r} is not found along PATH", "install it, or give its path")
        elif not (folder / program).is_file():
            raise InputError(f"the program {folder / program} is not there", "a path starts in working_directory")
        elif not os.access(folder / program, os.X_OK):
            raise InputError(
                f"the program {folder / program} is not executable", f"chmod +x {shlex.quote(str(folder / program))}"
            )

    def identity(self) -> Mapping[str, str]:
        files = {}
        for number, argument in enumerate(self.command):
            if number == 0 and os.sep not in argument:
                continue  # found along PATH, not here
            for name in (argument, argument.partition("=")[2]):
                if name and (self.working_directory / name).is_file():
                    files[f"file {name}"] = _content(self.working_directory / name)
        return {"shared": lineage(__file__), "version": self.version, **files}

    def reach(self, around: Around) -> RemoteSession:
        return ProgramSession(self, around) if self.command else ServerSession(self, around)


class Shown(msgspec.Struct, frozen=True):
    """One earlier turn."""

    speaker: str
    text: str | None
    audio: str | None


class Request(msgspec.Struct, frozen=True):
    """All that the agent may know of one turn."""

    id: str
    dialogue: str
    round: int
    instructions: str
    past: tuple[Shown, ...]
    text: str | None
    audio: str | None
    seed: int


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds as the agent measured them."""

    hear: float | None = None
    think: float | None = None
    speak: float | None = None
    first_audio: float | None = None


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the agent answers."""

    id: str
    text: str | None = None
    audio: str | None = None
    heard: str | None = None
    timings: Told | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None


class ProgramSession:
    """A program at work, started when it is first asked."""

    def __init__(self, own: OwnAgent, around: Around) -> None:
        self._own = own
        self._clips = around.clips
        self._numbers = itertools.count(1)
        self._free = asyncio.Semaphore(own.together)
        self._starting = asyncio.Lock()
        self._program: Program | None = None
        self._programs: list[Program] = []  # also those that are being given up

    async def answer(self, view: View, *, seed: int) -> Reply:
        async with self._free:
            with ExitStack() as used:
                give = _path_of_clip(self._clips)
                if self._own.audio_format == "wav":
                    folder = used.enter_context(tempfile.TemporaryDirectory(prefix="turnwise-turn-"))
                    give = _path_of_wav(self._clips, Path(folder))
                request = await asyncio.to_thread(_request, view, str(next(self._numbers)), seed, give)
                program, notes = await self._running()
                ready = program.answered > 0
                started = time.perf_counter()
                line = await program.ask(request.id, msgspec.json.encode(request), self._own.timeout)
                took = time.perf_counter() - started
                answer = _convert(msgspec.json.decode, line)
                # While the files it was given are there: it may answer with one of them.
                reading = asyncio.to_thread(_reply, self._own, self._clips, answer, took if ready else None, notes)
                try:
                    return await asyncio.wait_for(reading, max(self._own.timeout - took, LEAST_READING))
                except TimeoutError:
                    late = f"the file of the answer could not be read within the {self._own.timeout:g} s of the turn"
                    raise EngineError("timeout", late) from None

    async def close(self) -> None:
        await asyncio.gather(*(program.end() for program in self._programs))
        self._program = None
        self._programs.clear()

    async def _running(self) -> tuple[Program, list[str]]:
        """A program that can be asked, and what is to be said of the one before it."""
        async with self._starting:
            notes = []
            if self._program is not None and not self._program.usable:
                before, self._program = self._program, None
                if before.complaint:
                    raise EngineError("contract", before.complaint)
                if before.left:
                    notes.append(f"the program had ended after an earlier turn ({before.left}) and was started again")
            if self._program is None:
                self._programs = [program for program in self._programs if not program.gone]
                self._program = await start(self._own.command, self._own.working_directory)
                self._programs.append(self._program)
            return self._program, notes


class ServerSession:
    """A server that is posted the same JSON."""

    def __init__(self, own: OwnAgent, around: Around) -> None:
        self._own = own
        self._clips = around.clips
        name, self._path = _where(own.url, own.path)
        self._line = around.remote.line(name)
        self._numbers = itertools.count(1)

    async def answer(self, view: View, *, seed: int) -> Reply:
        give = _base64_of(self._clips, self._own.audio_format)
        request = await asyncio.to_thread(_request, view, str(next(self._numbers)), seed, give)
        body = msgspec.to_builtins(request)
        model = ", ".join(self._own.models) or "agent"  # under which a price is declared
        made: list[Call] = []
        try:
            with recording() as made:
                told = await self._line.post(self._path, body, model=model, usage=lambda _: Usage())
        finally:
            for call in made:
                note(call)
        answer = _convert(msgspec.convert, told)
        if answer.id != request.id:
            raise EngineError("contract", f"the answer has the id {answer.id[:40]!r}, asked was {request.id!r}")
        return await asyncio.to_thread(_reply, self._own, self._clips, answer, made[-1].seconds, [])

    async def close(self) -> None:
        pass


def _where(url: str, path: str) -> tuple[str, str]:
    """The endpoint and the path below it; an address is taken apart, so that nothing is put behind its last word."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url, path
    whole = f"{parts.path.rstrip('/')}/{path.lstrip('/')}" if path else parts.path
    return f"{parts.scheme}://{parts.netloc}", f"{whole}?{parts.query}" if parts.query else whole


_Giving = Callable[[Clip], str]


def _request(view: View, id: str, seed: int, give: _Giving) -> Request:
    def shown(past: Past) -> Shown:
        return Shown(past.speaker, past.text, give(past.clip) if past.clip else None)

    past = tuple(shown(one) for one in view.past)
    audio = give(view.clip) if view.clip else None
    return Request(id, view.dialogue, view.round, view.instructions, past, view.text, audio, seed)


def _path_of_clip(clips: ClipStore) -> _Giving:
    def give(clip: Clip) -> str:
        wrong = clips.check(clip)
        if wrong:
            raise StorageError(wrong, "delete the file and run again to make the clip anew")
        return str(clips.path(clip).resolve())

    return give


def _path_of_wav(clips: ClipStore, folder: Path) -> _Giving:
    def give(clip: Clip) -> str:
        path = folder / f"{clip.digest.removeprefix('b2:')}.wav"
        if not path.exists():
            path.write_bytes(to_wav(clips.load(clip)))
        return str(path.resolve())

    return give


def _base64_of(clips: ClipStore, form: Format) -> _Giving:
    def give(clip: Clip) -> str:
        sound = clips.load(clip)  # proves the samples, whichever form is sent
        data = to_wav(sound) if form == "wav" else clips.path(clip).read_bytes()
        return base64.b64encode(data).decode("ascii")

    return give


def _convert(how: Callable[..., Any], told: Any) -> Answer:
    try:
        answer: Answer = how(told, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EngineError("contract", f"the answer is not of the agreed form: {error}") from error
    return answer


def _reply(own: OwnAgent, clips: ClipStore, answer: Answer, seconds: float | None, notes: list[str]) -> Reply:
    """What the study keeps of an answer; `seconds` it took, None where the program was still being started."""
    if answer.error is not None:
        raise EngineError("agent-error", f"the agent says: {answer.error[:500]}")
    if answer.text is None:
        raise EngineError("contract", "the answer has neither text nor error")
    timings = _timings(answer.timings or Told())
    notes += answer.notes
    if seconds is None and answer.timings is None:
        notes.append("not measured: the program was still being started")
    if not answer.audio:
        if own.speaks and answer.text:
            raise EngineError("contract", "the answer has words without sound, and the agent is not declared with speaks = false")
        measured = timings if answer.timings else Timings(think=seconds)
        return Reply(answer.text, None, answer.heard, measured, tuple(notes))
    if not own.speaks:
        raise EngineError("contract", "the answer has sound, and the agent is declared with speaks = false")
    sound, told = _sound(answer.audio, own)
    notes += told
    clip = clips.keep(sound)
    if timings.first_audio is None:
        timings = msgspec.structs.replace(timings, first_audio=seconds)
    return Reply(answer.text, clip, answer.heard, timings, tuple(notes))


def _timings(told: Told) -> Timings:
    given = msgspec.structs.asdict(told)
    for name, value in given.items():
        if value is not None and not 0 <= value < math.inf:
            raise EngineError("contract", f"timings.{name} is {value}, expected seconds")
    return Timings(**given)


def _sound(audio: str, own: OwnAgent) -> tuple[Sound, tuple[str, ...]]:
    """The answer's sound: base64 of a WAV file, or for a program the path of a file."""
    if own.url or audio.startswith((BASE64_WAV, "data:")):
        received = from_bytes(b"".join(from_base64([audio])))
        if received.sound is None:
            raise EngineError("empty-audio", "the answer's sound has no samples")
        return received.sound, received.notes
    path = own.working_directory / audio
    wrong = _not_a_file(path)
    if wrong:
        raise EngineError("contract", f"the answer's audio: {path} {wrong}")
    try:
        read = read_file(path)
    except InputError as error:
        raise EngineError("contract", f"the answer's audio: {error.message}") from error
    return read.sound, (read.note,) if read.note else ()


def _not_a_file(path: Path) -> str:
    """Why something is not opened at all: a pipe, a socket or a device may keep a reader waiting for ever, and so may the files
    of /proc, which have no size.
    """
    try:
        about = path.stat()
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"
    if not stat.S_ISREG(about.st_mode):
        return "is no regular file"
    if not about.st_size:
        return "is empty"
    return f"has more than {LARGEST >> 20} MiB" if about.st_size > LARGEST else ""


def _content(path: Path) -> str:
    size = path.stat().st_size
    if size <= _WHOLE:
        return file_digest(path)
    with path.open("rb") as file:
        return f"{size} {digest(file.read(1 << 20))}"
