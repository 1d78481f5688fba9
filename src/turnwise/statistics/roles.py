"""Which criteria of a run play which part: the thread, the failures, the sound.

Criteria are free; a report needs to know which one says whether the thread is kept. Names are compared without case,
hyphens and underscores, and the names that other tools use for the same failure are known.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from turnwise.study.results import Instrument

THREAD = ("consistency", "coherence")
SENSE = ("consistency", "coherence", "naturalness", "smoothness")
FAILURES = (
    ("repetition",),
    ("generic", "genericresponse"),
    ("topicdrift", "topic", "topicswitching"),
    ("misunderstanding",),
    ("memory", "lackofmemory"),
)
SOUND = ("voiceconsistency", "mos", "overall", "noisiness", "noise", "coloration", "discontinuity", "loudness")
SOUND_JUDGES = ("soundquality", "audioquality", "voiceconsistency", "quality")


class Roles(msgspec.Struct, frozen=True):
    """Criterion names by part; `thread` is None where no judge of the run says whether the thread is kept."""

    thread: str | None
    sense: tuple[str, ...]
    failures: tuple[str, ...]  # in the order of FAILURES
    sound: tuple[str, ...]


def roles_of(instruments: Sequence[Instrument]) -> Roles:
    """The parts by name, unit and judge."""
    plain = {_plain(i.criterion.name): i.criterion.name for i in instruments}
    sound = tuple(
        i.criterion.name
        for i in instruments
        if _plain(i.criterion.name) in SOUND or _plain(i.judge) in SOUND_JUDGES or i.criterion.unit.upper().startswith("MOS")
    )
    return Roles(
        thread=next((plain[name] for name in THREAD if name in plain), None),
        sense=tuple(plain[name] for name in SENSE if name in plain),
        failures=tuple(next(plain[n] for n in names if n in plain) for names in FAILURES if any(n in plain for n in names)),
        sound=sound,
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
