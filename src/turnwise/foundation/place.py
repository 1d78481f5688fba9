"""Where a plug-in works: a property of what it is, declared by it, so that the study can give it the right seat.

`worker`: in any worker process (quick, nothing to load; the default). `device`: in the one worker process that holds a GPU, or
all cores where there is none, because it loads weights: they are loaded once and freed when nothing needs them any more.
`driver`: on the driver's event loop, because it waits for a server or a program instead of computing.
"""

from __future__ import annotations

from typing import Any, Literal

Place = Literal["worker", "device", "driver"]


def place_of(plugin: Any) -> Place:
    """The declared place of a built plug-in."""
    place: Place = getattr(plugin, "place", "worker")
    return place
