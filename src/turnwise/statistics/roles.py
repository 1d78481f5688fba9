"""Which criteria of a run play which part: the thread, the failures, the sound.

Criteria are free; a report needs to know which one says whether the thread is kept. Names are compared without the judge's
label ("gpt/consistency" is consistency), without case, hyphens and underscores, and the names that other tools use for the same
failure are known. Where several criteria could play one part, the first in the study's order does; the report says which.
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
VOICE = ("voiceconsistency", "samevoice", "voiceconsistencyheard")  # whether a turn is in the voice of those before it
SOUND = (
    *VOICE, "audionaturalness", "audioclarity", "intelligibility", "predictedintelligibility", "mos",
    "noisiness", "noise", "coloration", "discontinuity", "loudness", "noi", "col", "dis", "loud",
)  # fmt: skip
SOUND_JUDGES = ("soundquality", "listener", "audioquality", "voiceconsistency", "samevoice", "quality")
# Rated by ear, but of the words as much as of the voice: set against the thread they would correlate by what they are.
WORDS_TOO = ("contextualappropriateness", "engagementquality")


class Roles(msgspec.Struct, frozen=True):
    """Criterion names by part; `thread` is None where no judge of the run says whether the thread is kept."""

    thread: str | None
    sense: tuple[str, ...]
    failures: tuple[str, ...]  # in the order of FAILURES
    sound: tuple[str, ...]
    passed_over: tuple[str, ...] = ()  # criteria that could have been the thread's, had they come first


def roles_of(instruments: Sequence[Instrument]) -> Roles:
    """The parts by name, unit and judge."""
    threads = [i for i in instruments if squeezed(plain_name(i)) in THREAD]
    thread = None
    if threads:
        # A judge that gives both is read by its consistency, whichever it names first.
        own = [i for i in threads if i.judge == threads[0].judge]
        thread = min(own, key=lambda i: THREAD.index(squeezed(plain_name(i)))).criterion.name
    first: dict[str, str] = {}
    for i in instruments:
        first.setdefault(measure(i), i.criterion.name)
    heard = {measure(i): i.criterion.name for i in reversed(instruments) if is_sound(i)}
    return Roles(
        thread=thread,
        sense=tuple(first[name] for name in SENSE if name in first),
        failures=tuple(first[names[0]] for names in FAILURES if names[0] in first),
        sound=tuple(i.criterion.name for i in instruments if heard.get(measure(i)) == i.criterion.name),
        passed_over=tuple(i.criterion.name for i in threads if i.criterion.name != thread),
    )


def label_of(instrument: Instrument) -> str:
    """The label that the study gives the judge, or ""."""
    return instrument.judge.rpartition("/")[0]


def plain_name(instrument: Instrument) -> str:
    """The criterion's name without the judge's label."""
    label = label_of(instrument)
    return instrument.criterion.name.removeprefix(f"{label}/") if label else instrument.criterion.name


def measure(instrument: Instrument) -> str:
    """What a criterion measures, in one word: two judges that give the same can be compared."""
    name = squeezed(plain_name(instrument))
    return next((names[0] for names in (*FAILURES, VOICE) if name in names), name)


def is_sound(instrument: Instrument) -> bool:
    """Whether a criterion is about how a turn sounds and not about what it says."""
    name, judge = squeezed(plain_name(instrument)), squeezed(instrument.judge.rpartition("/")[2])
    if name in WORDS_TOO:
        return False
    return name in SOUND or judge in SOUND_JUDGES or instrument.criterion.unit.upper().startswith("MOS")


def squeezed(name: str) -> str:
    """A name as it is compared."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
