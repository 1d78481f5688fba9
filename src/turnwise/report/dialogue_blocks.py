"""Every dialogue as data for the page: compressed blocks that the browser opens only when a reader asks for one.

A block is base64 of zlib-compressed JSON and holds a few dialogues with all their arms; the index, one more block, says of every
dialogue what the filters need. 40,000 turns are some megabytes in the page, and nothing of them is parsed before it is wanted.

    index    {"dialogues": [[id, intent, block, rounds, [mark per arm]], ...]}
    mark     null where the arm did not play it, else [round of the loss or 0, failures as bits, silences, faults]
    block    [{"id", "intent", "about", "opening", "rounds": [[text, phase, facts]], "arms": [arm, ...],
               "audio" (where it is embedded): {path: data URI}}]
    arm      null, or {"lost", "shown": [line, ...], "turns": [turn, ...]}
    turn     {"u": clip, "h": heard, "a": clip, "t": transcript, "x": own text, "w": what its own ears heard,
              "s": [places in "shown"], "l": seconds per stage, "n": notes, "f": [cause, detail],
              "v": [[status, value, reason], ...] by criterion}
    clip     [path, seconds, what was done to it, whether the file is there]
"""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from turnwise.foundation.errors import InputError
from turnwise.judges.severity import MILD
from turnwise.judges.verdict import Abstention, Fault, Outcome, Score
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.statistics.summary import Summary
from turnwise.statistics.survival import Survival
from turnwise.study.results import Answered, Conversation, Results

BLOCK = 160_000  # characters of transcript-sized JSON per block: opening one dialogue unpacks no more than this
LEVEL = 4  # of zlib: 6 takes 60 % longer for 11 % less
AHEAD = 32  # blocks that may wait for compression: what waits is held uncompressed
THREADS = 2  # one makes the next block while the others compress
SCORED, ABSTAINED, FAULT, SILENT = range(4)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Packed:
    """The index, and the blocks as they become ready."""

    index: bytes
    compressing: tuple[Future[bytes], ...]

    def blocks(self) -> list[bytes]:
        """Every block, in order; waits for the last of them."""
        return [block.result() for block in self.compressing]


class Sounds:
    """Where the page finds a clip: beside it, or within."""

    def __init__(self, results: Results, page: Path, *, embed: bool) -> None:
        self.store = ClipStore(results.clips)
        self.root = str(results.clips)
        self.prefix = quote(os.path.relpath(self.root, page.parent).replace(os.sep, "/"))
        self.embed = embed
        self._known: dict[str, list[Any]] = {}
        self._folders: dict[str, frozenset[str]] = {}

    def entry(self, clip: Clip | None) -> list[Any] | None:
        """A clip as the page knows it."""
        if clip is None:
            return None
        if clip.digest not in self._known:
            self._known[clip.digest] = self._look(clip)
        path, there = self._known[clip.digest]
        return [path, round(clip.seconds, 2), clip.perturbation, there]

    def data(self, clip: Clip) -> str:
        """The clip as a data URI."""
        return "data:audio/flac;base64," + base64.b64encode(self.store.path(clip).read_bytes()).decode("ascii")

    def _look(self, clip: Clip) -> list[Any]:
        try:
            path = str(self.store.path(clip))
        except InputError:  # a ledger that was tampered with: no path is built from what is no fingerprint
            return ["", False]
        folder, name = os.path.split(path)
        return [self.prefix + path[len(self.root) :].replace(os.sep, "/"), name in self._listing(folder)]

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._folders:
            try:
                with os.scandir(folder) as entries:
                    self._folders[folder] = frozenset(e.name for e in entries if e.stat().st_size > 0)
            except OSError:
                self._folders[folder] = frozenset()
        return self._folders[folder]


def pack(results: Results, summary: Summary, page: Path, *, embed_audio: bool) -> Packed:
    """Index and blocks, dialogues in the order of the run. Blocks are compressed on the side: zlib lets this thread go on."""
    arms = [arm.name for arm in results.study.arms]
    places = {name: k for k, name in enumerate(arms)}
    criteria = [i.criterion.name for i in results.instruments]
    failures = [criteria.index(name) for name in summary.roles.failures]
    losses: dict[str, Survival] = {s.arm: s for s in summary.survival.arms} if summary.survival is not None else {}
    sounds = Sounds(results, page, embed=embed_audio)

    by_dialogue: dict[str, list[Conversation | None]] = {}
    for conversation in results.conversations:
        by_dialogue.setdefault(conversation.dialogue.id, [None] * len(arms))[places[conversation.arm]] = conversation

    rows: list[list[Any]] = []
    waiting: list[bytes] = []
    size = 0
    pool = ThreadPoolExecutor(THREADS)
    blocks: list[Future[bytes]] = []
    for name, conversations in by_dialogue.items():
        lost = [losses[arm].first_lost.get(name, 0) if arm in losses else 0 for arm in arms]
        record = _record(conversations, criteria, lost, sounds)
        line = _encode(record)
        if waiting and size + len(line) > BLOCK:
            blocks.append(pool.submit(_block, waiting))
            waiting, size = [], 0
            if len(blocks) > AHEAD:
                blocks[-AHEAD].result()
        waiting.append(line)
        size += len(line)
        marks = [None if c is None else [lost[k], *_marks(c, criteria, failures)] for k, c in enumerate(conversations)]
        rows.append([name, record["intent"], len(blocks), len(record["rounds"]), marks])
    if waiting:
        blocks.append(pool.submit(_block, waiting))
    pool.shutdown(wait=False)
    return Packed(_packed(_encode({"dialogues": rows})), tuple(blocks))


def _block(lines: list[bytes]) -> bytes:
    return _packed(b"[" + b",".join(lines) + b"]")


def _packed(data: bytes) -> bytes:
    return base64.b64encode(zlib.compress(data, LEVEL))


def _record(conversations: list[Conversation | None], criteria: list[str], lost: list[int], sounds: Sounds) -> dict[str, Any]:
    dialogue = next(c.dialogue for c in conversations if c is not None)
    rounds = dialogue.rounds()
    opening = dialogue.turns[: rounds[0].position] if rounds else dialogue.turns
    record: dict[str, Any] = {
        "id": dialogue.id,
        "intent": dialogue.intent,
        "about": dialogue.description,
        "opening": [turn.text for turn in opening],
        "rounds": [[r.user.text, r.user.phase, [f"{f.slot}: {f.value}" for f in r.user.facts]] for r in rounds],
        "arms": [None if c is None else _arm(c, criteria, at, sounds) for c, at in zip(conversations, lost, strict=True)],
    }
    if sounds.embed:
        record["audio"] = dict(_audio(conversations, sounds))
    return record


def _arm(conversation: Conversation, criteria: list[str], lost: int, sounds: Sounds) -> dict[str, Any]:
    # What is shown grows turn by turn and mostly repeats: each line is written once.
    lines: dict[str, int] = {}
    turns = [_turn(answered, criteria, lines, sounds) for answered in conversation.rounds]
    return {"lost": lost, "shown": list(lines), "turns": turns}


def _turn(answered: Answered, criteria: list[str], lines: dict[str, int], sounds: Sounds) -> dict[str, Any]:
    reply = answered.reply
    outcomes = answered.outcomes
    made: dict[str, Any] = {
        "u": sounds.entry(answered.user_clip),
        "h": answered.user_heard,
        "s": [lines.setdefault(line, len(lines)) for line in answered.shown],
        "v": [_outcome(outcomes[name]) for name in criteria],
    }
    if answered.fault is not None:
        made["f"] = [answered.fault.cause, answered.fault.detail]
    if reply is not None:
        times = reply.timings
        made["x"] = reply.text
        made["t"] = answered.transcript
        made["a"] = sounds.entry(reply.clip)
        made["l"] = [times.hear, times.think, times.speak, times.first_audio]
        if reply.heard is not None:
            made["w"] = reply.heard
        if reply.notes:
            made["n"] = reply.notes
    return made


def _outcome(outcome: Outcome) -> list[Any]:
    match outcome:
        case Score(value, reason):
            return [SCORED, round(value, 4), reason]
        case Abstention(reason):
            return [ABSTAINED, None, reason]
        case Fault(cause, detail):
            return [FAULT, cause, detail]
        case _:
            return [SILENT, None, ""]


def _marks(conversation: Conversation, criteria: list[str], failures: list[int]) -> tuple[int, int, int]:
    """Failures above mild as bits in the order of the roles, turns without a word, and turns with a fault."""
    bits = silences = faults = 0
    for answered in conversation.rounds:
        outcomes = answered.outcomes
        for bit, place in enumerate(failures):
            outcome = outcomes[criteria[place]]
            if type(outcome) is Score and outcome.value > MILD:
                bits |= 1 << bit
        kinds = {type(o) for o in outcomes.values()}
        faults += answered.fault is not None or Fault in kinds
        silences += answered.reply is not None and not answered.reply.text and answered.reply.clip is None
    return bits, silences, faults


def _audio(conversations: list[Conversation | None], sounds: Sounds) -> Iterator[tuple[str, str]]:
    """Every clip of one dialogue that is there, once."""
    for conversation in conversations:
        for answered in conversation.rounds if conversation is not None else ():
            for clip in (answered.user_clip, answered.reply.clip if answered.reply is not None else None):
                entry = sounds.entry(clip)
                if clip is not None and entry is not None and entry[3]:
                    yield entry[0], sounds.data(clip)
