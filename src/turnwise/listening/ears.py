"""A listener and a describer opened in one process: files in, rows out.

Short sounds of several files are rated together, as many as the listener takes at a time; a longer one by itself, window after
window. So no more is held than one long sound, or as many short ones. What fails on one file is that file's trouble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency, RunStopped
from turnwise.foundation.fingerprint import fingerprint, seed_of, source_digest
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place, place_of
from turnwise.listening import faithfulness, windows
from turnwise.listening.describer import DESCRIBERS, Describing
from turnwise.listening.faithfulness import check
from turnwise.listening.listener import LISTENERS, Listening
from turnwise.listening.ratings import DIMENSIONS, Heard, Ratings
from turnwise.listening.row import Row, shown, with_trouble
from turnwise.listening.sound_check import OneChannel, read

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
            described = DESCRIBERS.identity(self.describer.name, options)
        code = [
            part for module in (windows, faithfulness) for part in (source_digest(_file(module)), lineage(str(_file(module))))
        ]
        heard = LISTENERS.identity(self.listener.name, self.listener.options)
        return fingerprint("listen", heard, described, self.window, self.channel, self.seed, *code)

    def seed_for(self, row: Row) -> int:
        """The seed of whatever is drawn for a row: the same for the same content."""
        return seed_of("listen", self.seed, row.content)

    def built(self) -> tuple[Any, Any]:
        """The listener and the describer, not yet opened."""
        describer = DESCRIBERS.build(self.describer.name, self.describer.options) if self.describer else None
        return LISTENERS.build(self.listener.name, self.listener.options), describer

    def here(self) -> tuple[bool, bool]:
        """Whether the listener and the describer compute on this machine; a describer that is not wanted does not."""
        listener, describer = self.built()
        return place_of(listener) != "driver", describer is not None and place_of(describer) != "driver"

    def seat(self) -> Place:
        """Where the parts that compute belong."""
        return "device" if "device" in {place_of(part) for part in self.built() if part is not None} else "worker"


class Ears:
    """What of a hearing computes here, opened."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        listener, describer = hearing.built()
        listens, describes = hearing.here()
        self._longest: float = listener.longest
        self._listening: Listening | None = listener.open() if listens else None
        self._describing: Describing | None = describer.open() if describes else None
        self._wants_sound = describes and describer.listens

    def close(self) -> None:
        for part in (self._listening, self._describing):
            if part is not None:
                part.close()

    def hear(self, rows: Sequence[tuple[Path, Row]]) -> list[Row]:
        """The rows of these files with their ratings and, where the describer computes here, their descriptions."""
        assert self._listening is not None
        done: dict[int, Row] = {}
        waiting: list[tuple[int, OneChannel]] = []
        for place, (path, row) in enumerate(rows):
            try:
                sound = read(path, self._hearing.channel)
            except ON_A_SOUND as error:
                done[place] = with_trouble(row, "file", cause_of(error, "unreadable"), str(error))
                continue
            if sound.sound.seconds <= min(self._hearing.window, self._longest):
                waiting.append((place, sound))
                if len(waiting) >= max(1, self._listening.batch):
                    done |= self._rated(waiting, rows)
                    waiting = []
            else:
                done[place] = self._whole(row, sound)
        done |= self._rated(waiting, rows)
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
            return with_trouble(row, "describe", cause_of(error, type(error).__name__), str(error))
        return described(row, text)

    def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, seed: int) -> str:
        """The describer's comparison."""
        assert self._describing is not None
        return self._describing.compare(first, second, sounds, seed=seed)

    def sound(self, path: Path) -> Sound | None:
        """The sound of a file, where the describer wants it."""
        return read(path, self._hearing.channel).sound if self._wants_sound else None

    def _rated(self, waiting: list[tuple[int, OneChannel]], rows: Sequence[tuple[Path, Row]]) -> dict[int, Row]:
        """Short sounds, rated together; where that fails, each alone."""
        assert self._listening is not None
        if len(waiting) < 2:
            return {place: self._whole(rows[place][1], sound) for place, sound in waiting}
        try:
            rated = self._listening.rate_many([sound.sound for _, sound in waiting])
        except RunStopped:
            raise
        except ON_A_SOUND:
            return {place: self._whole(rows[place][1], sound) for place, sound in waiting}
        done = {}
        for (place, file), ratings in zip(waiting, rated, strict=True):
            whole = msgspec.structs.replace(ratings, notes=file.notes + ratings.notes)
            heard = Heard(whole, file.sound.seconds, file.sound.rate, file.channels)
            done[place] = self._told(msgspec.structs.replace(rows[place][1], heard=heard), file.sound)
        return done

    def _whole(self, row: Row, sound: OneChannel) -> Row:
        assert self._listening is not None
        try:
            heard = windows.hear(self._listening, sound, self._longest, self._hearing.window)
        except RunStopped:
            raise
        except ON_A_SOUND as error:
            return with_trouble(row, "listen", cause_of(error, type(error).__name__), str(error))
        return self._told(msgspec.structs.replace(row, heard=heard), sound.sound)

    def _told(self, row: Row, sound: Sound) -> Row:
        if self._describing is None:
            return row
        return self.describe(row, sound if self._wants_sound else None)


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
    return row


def cause_of(error: BaseException, otherwise: str) -> str:
    if isinstance(error, EngineError):
        return error.cause
    return "missing-dependency" if isinstance(error, MissingDependency) else otherwise


def _file(module: Any) -> Path:
    return Path(module.__file__)
