"""Recorded clips whose file is gone or damaged: found before anything needs them, and made again by the work that made them.

Mostly the same work gives the same samples, and only the file comes back. Where it gives others (a server, a model that draws),
the new result takes the place of the old one. Whatever follows from a clip is known by the digest of its samples, so all of it
has another name now and is done anew: nothing is ever said of a sound that cannot be heard any more.
"""

from __future__ import annotations

import asyncio

from turnwise.judges.verdict import Fault
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.study.caught import STOPPED
from turnwise.study.cell import Answer, Payload
from turnwise.study.clip_files import there, whole


def clip_of(result: Payload | Fault) -> Clip | None:
    """The sound that a cell made, if it made one."""
    if isinstance(result, Clip):
        return result
    return result.reply.clip if isinstance(result, Answer) else None


def _digest(result: Payload | Fault) -> str:
    clip = clip_of(result)
    return clip.digest if clip else ""


class Mending:
    """What a run knows of recorded clips, and what became of those that were not whole."""

    def __init__(self, clips: ClipStore) -> None:
        self._clips = clips
        self._whole: set[str] = set()  # digests that proved to be whole
        self.results: dict[str, Payload | Fault] = {}  # of cells whose clip was made again, by key
        self._same: set[str] = set()  # digests of clips that came back, and of those that are lost
        self._other: set[str] = set()
        self._failed: list[Fault] = []

    async def needed(self, found: Payload, *, thoroughly: bool) -> bool:
        """Whether a recorded result has lost its sound; thoroughly: whether each of its samples is still there."""
        clip = clip_of(found)
        if clip is None or clip.digest in self._whole:
            return False
        if not thoroughly:
            return not there(self._clips, clip)
        if not await asyncio.to_thread(whole, self._clips, clip):
            return True
        self._whole.add(clip.digest)
        return False

    def made(self, key: str, before: Payload, now: Payload | Fault) -> Payload | Fault:
        """What counts from now on: the recorded result where its very sound is back, else what was made."""
        if isinstance(now, Fault):
            if now.cause == STOPPED:
                return now
            self._failed.append(now)
        elif _digest(before) == _digest(now):
            self._same.add(_digest(before))
            now = before
        else:
            self._other.add(_digest(before))
        self.results[key] = now
        return now

    def kept(self, made: Payload | Fault) -> None:
        """What this run has made is whole."""
        if clip := clip_of(made):
            self._whole.add(clip.digest)

    @property
    def told(self) -> tuple[str, ...]:
        """What is to be said of it at the end."""
        said = []
        if self._same:
            said.append(f"clips that were gone or damaged, made again as they were: {len(self._same)}")
        if self._other:
            said.append(
                f"clips that were gone or damaged and came out otherwise when they were made again: {len(self._other)}; all that "
                "follows from them was done anew"
            )
        if self._failed:
            first = self._failed[0]
            said.append(
                f"clips that are gone or damaged and could not be made again: {len(self._failed)}, first {first.cause}: "
                f"{first.detail}; what follows from them waits for the next run"
            )
        return tuple(said)
