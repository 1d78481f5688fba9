"""What can befall a request to a server, each under a name; for `servers/chaos.py`, which draws whom it befalls.

`attempt` is the cause under which the caller should account for the attempt; "" where the attempt succeeds as far as the line can
see. `fault` is the cause that the work should fail with if the misfortune never ends; "" where it is that of the attempt.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

from servers import wire

# Sorts of requests: a judge's question; a turn to be answered in sound, by a model that says something or nothing, or in words;
# words to be spoken; sound to be heard.
JUDGE, ALOUD, MUTE, WORDS, SPEECH, HEARING = "judge", "aloud", "mute", "words", "speech", "hearing"
STREAMS = frozenset((ALOUD, MUTE, WORDS))
WHOLE = frozenset((JUDGE, HEARING))  # answered with one piece of JSON
EVERY = STREAMS | WHOLE | {SPEECH}


@dataclass(frozen=True)
class Misfortune:
    """One of them."""

    name: str
    act: wire.Act
    sorts: frozenset[str]  # of requests that it can befall
    attempt: str = ""
    fault: str = ""
    strikes: Literal["all", "first", "last"] = "all"  # criteria of a judge
    weight: int = 8  # how often it is drawn, against the others
    again: bool = True  # whether it is worth another attempt

    @property
    def cause(self) -> str:
        """Of the fault that it leads to if it never ends."""
        return self.fault or self.attempt


# What an attempt can mend.
PASSING = (
    Misfortune("429", wire.status(429, "slow down", "rate_limit_exceeded"), EVERY, "rate-limit", weight=3),
    Misfortune(
        "429 seconds", wire.status(429, "slow down", "rate_limit", Retry_After=lambda: "0.5"), EVERY, "rate-limit", weight=4
    ),
    Misfortune(
        "429 ms", wire.status(429, "slow down", "rate_limit", retry_after_ms=lambda: "400"), EVERY, "rate-limit", weight=4
    ),
    Misfortune(
        "429 date",
        wire.status(429, "slow down", "rate_limit", Retry_After=lambda: formatdate(time.time() + 1, usegmt=True)),
        EVERY,
        "rate-limit",
        weight=4,
    ),
    Misfortune("500", wire.status(500, "it broke", "server_error"), EVERY, "server-error"),
    Misfortune("503", wire.status(503, "too busy", "unavailable"), EVERY, "server-error", weight=2),
    Misfortune(
        "503 later", wire.status(503, "too busy", "unavailable", Retry_After=lambda: "1"), EVERY, "server-error", weight=3
    ),
    Misfortune("502 page", wire.html, EVERY, "server-error"),
    Misfortune("500 in Latin", wire.latin, EVERY, "server-error"),
    Misfortune("garbage", wire.garbage, EVERY, "broken-answer"),
    Misfortune("not gzip", wire.not_gzip, EVERY, "broken-answer"),
    Misfortune("error inside", wire.inside, EVERY, "server-error"),
    Misfortune("reset", wire.reset, EVERY, "connection"),
    Misfortune("stall", wire.stall, EVERY, "timeout", weight=1),
    Misfortune("torn", wire.torn, WHOLE | {SPEECH}, "broken-answer"),
    Misfortune("cut JSON", wire.cut, WHOLE, "broken-answer"),
    Misfortune("page", wire.page, WHOLE, "broken-answer"),
    Misfortune("bad bytes", wire.bad_bytes, WHOLE, "broken-answer"),
    Misfortune("abyss", wire.abyss, WHOLE, "broken-answer"),
    Misfortune("empty", wire.empty, frozenset((SPEECH,)), "broken-answer"),
    Misfortune("ends early", wire.midway(None), STREAMS, "broken-answer"),
    Misfortune("cut event", wire.midway(None, cut=True), STREAMS, "broken-answer"),
    Misfortune("bad event", wire.midway(None, last=wire.bad_event), STREAMS, "broken-answer"),
    Misfortune("reset midway", wire.midway(wire.Wire.reset), STREAMS, "broken-answer"),
    Misfortune("stall midway", wire.midway(wire.Wire.never), STREAMS, "timeout", weight=1),
    Misfortune("error event", wire.midway(None, last=wire.error_event), STREAMS, "server-error"),
)

# What nothing mends while it lasts, beside the above without end.
LASTING = (
    Misfortune("400", wire.status(400, "the context is too long", "invalid_request_error"), EVERY, "refused", again=False),
    Misfortune("redirect", wire.redirect, EVERY, "refused", again=False),
    Misfortune(
        "prose", wire.said(lambda _, key: f"It is fine, I would say, {key}. Eighty or so."), frozenset((JUDGE,)), "", "parse"
    ),
    Misfortune("refusal", wire.refusal, frozenset((JUDGE,)), "", "refused"),
    Misfortune("out of range", wire.said(wire.first_number(180)), frozenset((JUDGE,)), "", "out-of-range", "first"),
    Misfortune("below range", wire.said(wire.first_number(-5)), frozenset((JUDGE,)), "", "out-of-range", "first"),
    Misfortune("words for a number", wire.said(wire.first_number("very good")), frozenset((JUDGE,)), "", "parse", "first"),
    Misfortune("not a number", wire.said(wire.first_number(float("nan"))), frozenset((JUDGE,)), "", "parse", "first"),
    Misfortune("wrong keys", wire.said(wire.other_keys), frozenset((JUDGE,)), "", "parse"),
    Misfortune("key missing", wire.said(wire.without_last), frozenset((JUDGE,)), "", "parse", "last"),
    Misfortune("no choices", wire.as_json(lambda data: wire.no_choices(data, 0)), frozenset((JUDGE,)), "", "broken-answer"),
    Misfortune("nothing", wire.said(lambda _, key: ""), frozenset((JUDGE,)), "", "parse"),
    Misfortune(
        "cut at the limit", wire.said(lambda given, _: json.dumps(given)[:20], "length"), frozenset((JUDGE,)), "", "truncated"
    ),
    Misfortune("no choices", wire.changed(wire.no_choices), STREAMS, "broken-answer", "broken-answer"),
    Misfortune("no words", wire.changed(wire.no_words), frozenset((WORDS,)), "broken-answer", "broken-answer"),
    Misfortune("no sound", wire.of_sound(lambda wav, n: None), frozenset((ALOUD,)), "", "empty-audio"),
    Misfortune("silent sound", wire.of_sound(lambda wav, n: silenced(wav)), frozenset((ALOUD,)), "", "empty-audio"),
    Misfortune("no rate", wire.of_sound(lambda wav, n: with_rate(wav, 0)), frozenset((ALOUD,)), "", "broken-audio"),
    Misfortune(
        "two rates",
        wire.of_sound(lambda wav, n: with_rate(wav, 16000) if n == 2 else wav),
        frozenset((ALOUD,)),
        "",
        "broken-audio",
    ),
    Misfortune("not base64", wire.changed(wire.not_base64), frozenset((ALOUD,)), "", "broken-audio"),
    Misfortune("silent sound", wire.as_bytes(silenced), frozenset((SPEECH,)), "", "empty-audio"),
    Misfortune("odd rate", wire.as_bytes(lambda wav: with_rate(wav, 4_000_000)), frozenset((SPEECH,)), "", "broken-audio"),
    Misfortune("cut sound", wire.as_bytes(lambda wav: wav[: len(wav) // 2]), frozenset((SPEECH,)), "", "broken-audio"),
    Misfortune("words for sound", wire.words_for_sound, frozenset((SPEECH,)), "", "broken-answer"),
    Misfortune("wrong keys", wire.as_json(lambda data: {"transcript": data["text"]}), frozenset((HEARING,)), "", "broken-answer"),
    Misfortune("a number", wire.as_json(lambda data: {"text": 42}), frozenset((HEARING,)), "", "broken-answer"),
)

# What should do no harm at all.
HARMLESS = (
    Misfortune("twice", wire.twice, STREAMS),
    Misfortune("numbers as strings", wire.said(wire.numbers_as("{}")), frozenset((JUDGE,))),
    Misfortune("numbers as shares", wire.said(wire.numbers_as("{}/100")), frozenset((JUDGE,))),
)
