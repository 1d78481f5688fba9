"""Replies that exist already: an AudioConv output folder, played again to be judged.

A dialogue's replies lie in `<folder>/<config>/<dialogue id>/` as `agent_audio_round_000.wav` and so on, with `transcript.json`.
A study counts rounds from 1. AudioConv's files count from 0; a folder in which no dialogue has a file 000 counts from 1
(`first` says it where the files do not). The id may carry the prefix `merge_` on one side and not on the other. Any sound
format is read; where a config has no sound at all, the replies are the words alone. Where it has some, words without their sound
are a missing recording, and sound without a `transcript.json` (the run was cut) is taken without words.

What was recorded cannot be changed, so the arm's context policy, instructions and user's voice have no effect, and each reply
carries a note that what the agent was shown is unknown. An empty reply is silence. Refused, each as a fault of its turn: a round,
a dialogue or a sound that is not there (`missing-recording`); a sound that a resumed run wrote over, seen where `transcript.json`
names it for another round (`overwritten-recording`); a round whose recorded user says the words of another turn, as when a
failed turn shifted all that follow (`shifted-recording`); `error:` in place of a reply (`recorded-failure`); what cannot be read
(`broken-recording`). Noted: rounds without sound, sounds beyond the last round, a total that differs. A canned sentence that a
failing agent said instead of its own cannot be told from a reply. No seconds were recorded, so there is no latency.

Options: `folder`; `config`, the folder in it; `first`, 0 or 1, the number of the first file. The run is named by its transcripts
and by its sounds' names, sizes and a part of their bytes. The licence is that of the recordings.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from turnwise.agents.agent import Reply, Surroundings, View
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.audio_files import read_file
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import file_digest, fingerprint
from turnwise.foundation.lineage import lineage
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.recorded_files import ENDINGS, files_digest

UNKNOWN = "a recording: what its agent was shown is unknown"
TRANSCRIPT = "transcript.json"
UNHEARD = "[Audio input - transcription unavailable]"  # stands for the user's words where none were understood
LIKE, UNLIKE = 0.7, 0.5  # shares of equal words: of another turn at least, of the turn itself less, is a shift

_ROUND = re.compile(r"agent_audio_round_(\d+)")
_WORD = re.compile(r"[^\W_]+")


def agent(folder: str, config: str = "", first: int | None = None) -> Recordings:
    if first not in (None, 0, 1):
        raise InputError(f"recordings: first is {first}, expected 0 or 1, the number of the first round's file")
    return Recordings(folder, config, first)


class Said(msgspec.Struct, frozen=True):
    """One item of the history."""

    role: Literal["user", "agent"]
    content: str | None = None
    audio_path: str | None = None


class Transcript(msgspec.Struct, frozen=True):
    """What `transcript.json` says; other fields are passed over."""

    dialogue_history: tuple[Said, ...]
    dialogue_id: str | int | None = None
    agent_type: str = ""
    total_rounds: int | None = None


class Kept(msgspec.Struct, frozen=True):
    """The files of one dialogue."""

    folder: Path
    sounds: dict[int, tuple[Path, ...]]  # by the number in the name
    transcript: Path | None


class Played(msgspec.Struct, frozen=True):
    """One dialogue of the recorded run, read."""

    rounds: tuple[tuple[Said, Said | None], ...] | None  # the user's item and the agent's; None without a transcript
    agent_type: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Recordings:
    """A recorded run."""

    folder: str
    config: str
    first: int | None
    reads_corpus = True  # to see whether the recorded user says what is written
    models: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        return Path(self.folder, self.config)

    @property
    def speaks(self) -> bool:
        return any(kept.sounds for kept in self.kept.values())

    @functools.cached_property
    def kept(self) -> dict[str, Kept]:
        """The recorded dialogues by the names of their folders."""
        if not self.root.is_dir():
            raise InputError(f"recordings: {self.root} is not a folder", "name the folder that holds the recorded dialogues")
        found = {path.name: kept for path in sorted(self.root.iterdir()) if path.is_dir() and (kept := _kept(path))}
        if not found:
            inner = [path.name for path in sorted(self.root.iterdir()) if path.is_dir() and any(map(_kept, _folders(path)))]
            hint = f"its configs: {', '.join(inner)}" if inner else f"expected <dialogue id>/{TRANSCRIPT} in it"
            raise InputError(f"recordings: {self.root} holds no recorded dialogue", hint)
        return found

    @property
    def count_from(self) -> int:
        """The number of the first round's file."""
        if self.first is not None:
            return self.first
        numbers = {number for kept in self.kept.values() for number in kept.sounds}
        return 0 if 0 in numbers or not numbers else 1

    def identity(self) -> Mapping[str, str]:
        sounds = [path for kept in self.kept.values() for paths in kept.sounds.values() for path in paths]
        said = [f"{name} {file_digest(kept.transcript)}" for name, kept in self.kept.items() if kept.transcript]
        return {"shared": lineage(__file__), "sounds": files_digest(self.root, sounds), "transcripts": fingerprint(*said)}

    def open(self, surroundings: Surroundings) -> RecordingsSession:
        return RecordingsSession(self, surroundings.clips, {dialogue.id: dialogue for dialogue in surroundings.corpus})


class RecordingsSession:
    """A recorded run, looked up turn by turn."""

    def __init__(self, run: Recordings, clips: ClipStore, written: Mapping[str, Dialogue]) -> None:
        self.run = run
        self.clips = clips
        self.written = written
        self._speaks = run.speaks
        self._first = run.count_from
        self._played: dict[str, Played] = {}

    def answer(self, view: View, *, seed: int) -> Reply:
        name = self._folder(view.dialogue)
        kept = self.run.kept[name]
        if name not in self._played:
            self._played[name] = _read(name, kept, self._first)
        played = self._played[name]
        sound = self._sound(name, kept, view.round)
        notes = [UNKNOWN, *played.notes]
        text, heard = "", None
        if played.rounds is not None:
            user, said = self._round(name, played.rounds, view.round, sound)
            notes += self._aligned(name, user, view)
            text = (said.content or "").strip()
            heard = _words_of(user) if "sesame" in played.agent_type else None  # others did not hear by words
            if text.startswith("error:"):
                raise EngineError(
                    "recorded-failure", f"{name}, round {view.round}: an error stands in place of the reply: {text[:120]!r}"
                )
        if sound is None:
            if played.rounds is None or (text and self._speaks):
                raise EngineError("missing-recording", f"{kept.folder} holds no {self._file(view.round)}")
            return Reply(text, heard=heard, notes=tuple(notes))
        clip, note = self._clip(sound)
        return Reply(text, clip, heard, notes=(*notes, note) if note else tuple(notes))

    def close(self) -> None:
        self._played.clear()

    def _folder(self, dialogue: str) -> str:
        if dialogue in self.run.kept:
            return dialogue
        same = [name for name in self.run.kept if _number(name) == _number(dialogue)]
        if len(same) > 1:
            raise EngineError("ambiguous-recording", f"{self.run.root} holds {' and '.join(same)}, both for {dialogue}")
        if not same:
            raise EngineError("missing-recording", f"{self.run.root} holds no folder for the dialogue {dialogue}")
        return same[0]

    def _file(self, round: int) -> str:
        return f"agent_audio_round_{round - 1 + self._first:03d}"

    def _sound(self, name: str, kept: Kept, round: int) -> Path | None:
        found = kept.sounds.get(round - 1 + self._first, ())
        if len(found) > 1:
            raise EngineError("ambiguous-recording", f"{name} holds {' and '.join(path.name for path in found)} for one round")
        return found[0] if found else None

    def _round(self, name: str, rounds: Sequence[tuple[Said, Said | None]], number: int, sound: Path | None) -> tuple[Said, Said]:
        """What was said in a round, if this round is what the sound belongs to."""
        if number > len(rounds):
            stray = f", though {sound.name} is there, of another run" if sound else ""
            raise EngineError(
                "missing-recording", f"{name}: {TRANSCRIPT} ends with round {len(rounds)}, before round {number}{stray}"
            )
        user, said = rounds[number - 1]
        if said is None:
            raise EngineError("missing-recording", f"{name}: {TRANSCRIPT} holds no reply to round {number}")
        named = [_named(other.audio_path) if other else None for _, other in rounds]
        own = named[number - 1]
        expected = number - 1 + self._first
        if own is not None and own != expected:
            message = f"{name}: {TRANSCRIPT} names sound {own:03d} for round {number}, whose own is {expected:03d}"
            raise EngineError(
                "overwritten-recording", f"{message}; a resumed run counts anew and writes over the sounds before it"
            )
        if own is not None and named.count(own) > 1:
            others = " and ".join(str(place) for place, other in enumerate(named, 1) if other == own)
            raise EngineError("overwritten-recording", f"{name}: {TRANSCRIPT} names sound {own:03d} for rounds {others}")
        return user, said

    def _aligned(self, name: str, user: Said, view: View) -> list[str]:
        """A note where the recorded user's words are not those of the turn; those of another turn are refused."""
        words, dialogue = _words_of(user), self.written.get(view.dialogue)
        turns = [round.user.text for round in dialogue.rounds()] if dialogue else []
        if not words or view.round > len(turns):
            return []
        likeness = [_likeness(words, turn) for turn in turns]
        here = likeness[view.round - 1]
        best = max(range(len(turns)), key=likeness.__getitem__)
        if here < UNLIKE and likeness[best] >= LIKE:
            message = f"{name}: in recorded round {view.round} the user says the words of user turn {best + 1}: {words[:60]!r}"
            raise EngineError("shifted-recording", message)
        return [f"the recorded user's words differ from those of the turn: {words[:60]!r}"] if here < UNLIKE else []

    def _clip(self, path: Path) -> tuple[Clip, str]:
        try:
            read = read_file(path)
        except InputError as error:
            raise EngineError("broken-recording", error.message) from error
        return self.clips.keep(read.sound), read.note


def _kept(folder: Path) -> Kept | None:
    """The files of a recorded dialogue; None for another folder."""
    sounds: dict[int, tuple[Path, ...]] = {}
    for path in sorted(folder.iterdir()):
        number = _named(path.name)
        if number is not None and path.suffix.lower() in ENDINGS:
            sounds[number] = (*sounds.get(number, ()), path)
    transcript = folder / TRANSCRIPT
    there = transcript.is_file()
    return Kept(folder, sounds, transcript if there else None) if sounds or there else None


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


def _read(name: str, kept: Kept, first: int) -> Played:
    """A recorded dialogue as a whole, with what is odd about it."""
    numbers = sorted(kept.sounds)
    if kept.transcript is None:
        notes = [f"no {TRANSCRIPT}: the recorded run ended before its last round, and its words are unknown"]
        return Played(None, "", (*notes, *_gaps(numbers, numbers[-1] + 1 - first, first)))
    try:
        told = msgspec.json.decode(kept.transcript.read_bytes(), type=Transcript)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise EngineError("broken-recording", f"{kept.transcript} cannot be read: {error}") from error
    if told.dialogue_id is not None and _number(str(told.dialogue_id)) != _number(name):
        raise EngineError("broken-recording", f"{kept.transcript} is of the dialogue {told.dialogue_id}, not of {name}")
    rounds, stray = _rounds(told.dialogue_history)
    notes = [f"agent turns in {TRANSCRIPT} that answer no user turn, passed over: {stray}"] if stray else []
    answered = sum(said is not None for _, said in rounds)
    if told.total_rounds is not None and told.total_rounds != answered:
        notes.append(f"{TRANSCRIPT} says {told.total_rounds} rounds and holds {answered}")
    beyond = [number for number in numbers if number >= len(rounds) + first]
    if beyond:
        notes.append(f"sounds of another run, beyond the last round of {TRANSCRIPT}: {len(beyond)}")
    if numbers:
        notes += _gaps(numbers, len(rounds), first)
    return Played(tuple(rounds), told.agent_type, tuple(notes))


def _gaps(numbers: Sequence[int], rounds: int, first: int) -> list[str]:
    missing = [str(number - first + 1) for number in range(first, rounds + first) if number not in numbers]
    return [f"rounds without recorded sound: {', '.join(missing)}"] if missing else []


def _rounds(history: Sequence[Said]) -> tuple[list[tuple[Said, Said | None]], int]:
    """The user's items, each with the agent's that follows at once; and how many of the agent's follow none."""
    rounds: list[tuple[Said, Said | None]] = []
    stray = 0
    for item in history:
        if item.role == "user":
            rounds.append((item, None))
        elif rounds and rounds[-1][1] is None:
            rounds[-1] = rounds[-1][0], item
        else:
            stray += 1
    return rounds, stray


def _named(path: str | None) -> int | None:
    """The number in a sound's name, also of a path written on another machine."""
    found = _ROUND.fullmatch(re.split(r"[/\\]", path)[-1].rpartition(".")[0]) if path else None
    return int(found[1]) if found else None


def _number(dialogue: str) -> str:
    """An id without `merge_` and leading zeros."""
    plain = dialogue.removeprefix("merge_")
    return str(int(plain)) if plain.isdecimal() else plain


def _words_of(user: Said) -> str | None:
    words = (user.content or "").strip()
    return words if words and words != UNHEARD else None


def _likeness(one: str, other: str) -> float:
    """Share of equal words in order, 0 to 1."""
    ours, theirs = _WORD.findall(one.lower()), _WORD.findall(other.lower())
    return difflib.SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
