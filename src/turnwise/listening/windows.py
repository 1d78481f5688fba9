"""A long sound in windows: the ratings of each, in order, and of the whole.

A sound of at most `window` seconds is rated at once. A longer one is cut into windows of that length, all equally long, each
beginning at most half a window after the one before, the last ending with the sound. The ratings of the whole are means over the
windows with speech, each weighing as many seconds as somebody speaks in it (`speech/voice_activity.py`, extra `embedded`): so a
long pause says nothing of the speech. The timeline holds all windows, those without speech too.

The default of 9 s is the length of a window of DNSMOS, and about that of the sentences that NISQA was trained on. Shorter windows
say better when something happened, and say it less surely.
"""

from __future__ import annotations

import asyncio
import math

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.listening.listener import Listening, RemoteListening
from turnwise.listening.ratings import DIMENSIONS, Dimension, Heard, Moment, Ratings
from turnwise.listening.sound_check import OneChannel, rated
from turnwise.speech.voice_activity import Span, speech_spans

WINDOW = 9.0  # seconds
SHORTEST_WINDOW = 1.0
OVERLAP = 0.5  # share of a window that the next one hears again, at least
LEAST_SPEECH = 0.3  # seconds in a window, less than which it says nothing of the whole


class Piece(msgspec.Struct, frozen=True):
    """A window of a sound."""

    start: float  # seconds
    end: float
    sound: Sound


def hear(listening: Listening, given: Sound | OneChannel, longest: float, window: float = WINDOW) -> Heard:
    """What a listener that takes at most `longest` seconds at once says of a sound."""
    file = _file(given)
    cut = pieces(file.sound, window, longest)
    size = max(1, listening.batch)
    ratings: list[Ratings] = []
    for start in range(0, len(cut), size):
        ratings += listening.rate_many([piece.sound for piece in cut[start : start + size]])
    return _heard(file, cut, ratings)


async def hear_remote(
    listening: RemoteListening, given: Sound | OneChannel, longest: float, window: float = WINDOW, *, seed: int
) -> Heard:
    """The same with a listener behind a server; all windows are asked about at the same time."""
    file = _file(given)
    cut = pieces(file.sound, window, longest)
    seeds = [seed] if len(cut) == 1 else [seed_of("window", seed, number) for number in range(len(cut))]
    asked = (listening.rate(piece.sound, seed=own) for piece, own in zip(cut, seeds, strict=True))
    ratings = await asyncio.gather(*asked)
    return await asyncio.to_thread(_heard, file, cut, ratings)


def pieces(sound: Sound, window: float = WINDOW, longest: float = math.inf) -> list[Piece]:
    """The windows of a sound: itself, where it is no longer than one."""
    if not window >= SHORTEST_WINDOW:
        raise InputError(f"window is {window}, expected at least {SHORTEST_WINDOW} seconds")
    length = int(min(window, longest) * sound.rate)
    over = len(sound.samples) - length
    if over <= 0:
        return [Piece(0.0, sound.seconds, sound)]
    steps = math.ceil(over / max(1, int(length * (1 - OVERLAP))))
    starts = [round(over * number / steps) for number in range(steps + 1)]
    return [
        Piece(start / sound.rate, (start + length) / sound.rate, Sound(sound.samples[start : start + length], sound.rate))
        for start in starts
    ]


def _file(given: Sound | OneChannel) -> OneChannel:
    return given if isinstance(given, OneChannel) else OneChannel(given, 1)


def _heard(file: OneChannel, cut: list[Piece], ratings: list[Ratings]) -> Heard:
    sound = file.sound
    if len(cut) == 1:
        whole = msgspec.structs.replace(ratings[0], notes=file.notes + ratings[0].notes)
        return Heard(whole, sound.seconds, sound.rate, file.channels)
    moments = tuple(Moment(piece.start, piece.end, rated) for piece, rated in zip(cut, ratings, strict=True))
    whole = over_windows(moments, speech_spans(Sound(np.nan_to_num(sound.samples, posinf=0.0, neginf=0.0), sound.rate)))
    whole = msgspec.structs.replace(whole, notes=file.notes + whole.notes)
    return Heard(whole, sound.seconds, sound.rate, file.channels, moments)


def over_windows(moments: tuple[Moment, ...], speech: tuple[Span, ...]) -> Ratings:
    """The ratings of the whole from those of its windows and the spans in which somebody speaks."""
    weights = [sum(max(0.0, min(end, m.end) - max(start, m.start)) for start, end in speech) for m in moments]
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
    for number, (moment, weight) in enumerate(zip(moments, weights, strict=True), start=1):
        if weight > 0 and not moment.ratings.whole:
            gone = ", ".join(moment.ratings.missing)
            reason = next(iter(moment.ratings.missing.values()))
            notes.append(f"window {number} ({moment.start:.1f} to {moment.end:.1f} s) lacks {gone}: {reason}")
    notes += dict.fromkeys(f"{note} (in a window)" for moment in moments for note in moment.ratings.notes)
    return rated(values, sources, missing, tuple(notes))


def _source(told: list[str]) -> str:
    """What the windows were rated by; of what differs between them, as "signal rule (noise 40 dB ...)", the part before."""
    different = dict.fromkeys(source for source in told if source)
    return next(iter(different)) if len(different) == 1 else "; ".join(dict.fromkeys(s.partition(" (")[0] for s in different))
