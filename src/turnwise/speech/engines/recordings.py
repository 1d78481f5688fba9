"""User audio that exists already: one file per user turn, found by the dialogue's id and the turn's place in the dialogue.

The names are those of AudioConv: `merge_0001_turn04.wav` is position 4, counted from 0 over the turns of both speakers. So the
user's turns are even where the user opens and odd where the agent opens, and both are found. A turn without a file is a fault
that names the file; no other turn is moved into its place. Nothing is spoken: words and seed are not used, and whether a file
holds the words of its turn is not checked here (the study's transcript of it shows that).

Options: `folder`; `pattern`, the file's place in the folder without its ending, of the fields {dialogue} and {position}, such as
"{dialogue}/user_{position:02d}"; `trim`, decibels below the loudest 20 ms of the file (the paper took 30): what is softer at both
ends is taken off, except 50 ms; by default nothing is.

Any format that the package reads (`.m4a` and the like with `pip install "turnwise[m4a]"`), at its own rate; several channels
become their mean. The recordings are named by file names, sizes and a part of each file's bytes. Only for the user's side: words
that belong to no turn cannot be spoken. The licence is that of the recordings.
"""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.speech.engine import Utterance
from turnwise.speech.level import frame_powers
from turnwise.speech.recorded_files import files_digest, sound_files
from turnwise.speech.silence import trim as without_silence

FIELDS = {"dialogue", "position"}


def synthesizer(folder: str, pattern: str = "{dialogue}_turn{position:02d}", trim: float | None = None) -> Recordings:
    if trim is not None and not trim > 0:
        raise InputError(f"recordings: trim is {trim:g}, expected decibels above 0 below the loudest part, or none")
    _check(pattern)
    return Recordings(folder, pattern, trim)


@dataclass(frozen=True)
class Recordings:
    """A folder of the user's turns."""

    folder: str
    pattern: str
    trim: float | None
    by_turn = True

    def identity(self) -> Mapping[str, str]:
        files = [path for paths in self.files.values() for path in paths]
        return {"shared": lineage(__file__), "recordings": files_digest(Path(self.folder), files)}

    def open(self) -> RecordingsPlayed:
        return RecordingsPlayed(self)

    @functools.cached_property
    def files(self) -> dict[str, tuple[Path, ...]]:
        return sound_files(Path(self.folder))

    def name(self, utterance: Utterance) -> str:
        """Of the file of a turn, without its ending."""
        return self.pattern.format(dialogue=utterance.dialogue, position=utterance.position)


@dataclass(frozen=True)
class RecordingsPlayed:
    """The folder at work."""

    recordings: Recordings
    batch = 1  # a turn whose file is missing fails alone

    def speak_many(self, utterances: Sequence[Utterance]) -> Sequence[Sound]:
        return [self._play(utterance) for utterance in utterances]

    def close(self) -> None:
        pass

    def _play(self, utterance: Utterance) -> Sound:
        recordings = self.recordings
        if not utterance.dialogue or utterance.position < 0:
            raise EngineError(
                "missing-recording", f"no recording belongs to {utterance.text[:40]!r}, which is no turn of a dialogue"
            )
        name = recordings.name(utterance)
        found = recordings.files.get(name, ())
        if not found:
            raise EngineError("missing-recording", f"{recordings.folder} holds no sound file {name}")
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise EngineError("ambiguous-recording", f"{recordings.folder} holds {names} for one turn")
        try:
            sound = read_sound(found[0])
        except InputError as error:
            raise EngineError("broken-recording", error.message) from error
        return sound if recordings.trim is None else _trimmed(sound, recordings.trim, found[0])


def _trimmed(sound: Sound, below: float, path: Path) -> Sound:
    loudest = float(frame_powers(sound).max(initial=0.0))
    if not loudest > 0:
        raise EngineError("empty-audio", f"{path} is silent from end to end")
    return without_silence(sound, 10 * math.log10(loudest) - below)


def _check(pattern: str) -> None:
    try:
        used = {field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None}
        if used == FIELDS:
            pattern.format(dialogue="merge_0001", position=0)
    except ValueError as error:
        raise InputError(f"recordings: pattern {pattern!r}: {error}") from error
    if used != FIELDS:
        raise InputError(f"recordings: pattern {pattern!r} must use the fields {{dialogue}} and {{position}} and no others")
