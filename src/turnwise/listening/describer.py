"""A describer: ratings, and where it listens itself the sound, in; a description of the quality in words out.

A description names what stands out in noise, coloration, discontinuity and loudness, says what that does to the whole, and
ends with the overall rating. A comparison says which of two sounds is better and by which aspects. What a describer writes is
checked against the ratings by others (`listening/faithfulness.py`); a describer never sees another's words.

Building a describer costs nothing. One that computes here has `open`; one that waits for a server declares `place = "driver"`
and has `reach` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import EngineError
from turnwise.listening.ratings import Ratings


class Describing(Protocol):
    """An opened describer."""

    def describe(self, ratings: Ratings, sound: Sound | None, *, seed: int) -> str: ...

    def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, *, seed: int) -> str: ...

    def close(self) -> None: ...


class DescribingMany(Describing, Protocol):
    """An opened describer to which several sounds at a time are cheaper than one after the other."""

    batch: int  # sounds it takes at a time

    def describe_many(
        self, ratings: Sequence[Ratings], sounds: Sequence[Sound | None], *, seeds: Sequence[int]
    ) -> Sequence[str | EngineError]:
        """What `describe` gives of each, or why there is none."""
        ...


class Describer(Protocol):
    """A describer that can be opened."""

    listens: bool  # whether it needs the sound

    def identity(self) -> Mapping[str, str]: ...

    def open(self) -> Describing: ...


class RemoteDescribing(Protocol):
    """A describer behind a server."""

    async def describe(self, ratings: Ratings, sound: Sound | None, *, seed: int) -> str: ...

    async def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None, *, seed: int) -> str: ...

    async def close(self) -> None: ...


class RemoteDescriber(Protocol):
    """A describer behind a server: `place` is "driver"."""

    listens: bool

    def identity(self) -> Mapping[str, str]: ...

    def reach(self, remote: Remote) -> RemoteDescribing: ...


DESCRIBERS = Catalog("describer", "turnwise.listening.describers", "turnwise.describers")
