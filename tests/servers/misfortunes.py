"""What can befall a request to a server, each under a name; for `servers/chaos.py`, which draws whom it befalls."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

from servers import wire
from servers.wire import Wire

# Sorts of requests: a judge's question; a turn to be answered in sound, by a model that says something or nothing, or in words;
# words to be spoken; sound to be heard.
JUDGE, ALOUD, MUTE, WORDS, SPEECH, HEARING = "judge", "aloud", "mute", "words", "speech", "hearing"
STREAMS = (ALOUD, MUTE, WORDS)
WHOLE = (JUDGE, HEARING)  # answered with one piece of JSON
EVERY = (*STREAMS, *WHOLE, SPEECH)


@dataclass(frozen=True)
class Misfortune:
    """One of them."""

    name: str
    act: wire.Act
    sorts: tuple[str, ...]  # of requests that it can befall
    attempt: str = ""  # the cause under which the attempt is accounted for; "" where it succeeds as far as the line can see
    fault: str = ""  # the cause that the work fails with if it never ends, where that is another
    strikes: Literal["all", "first", "last"] = "all"  # criteria of a judge
    weight: int = 8  # how often it is drawn, against the others
    again: bool = True  # whether it is worth another attempt

    @property
    def cause(self) -> str:
        """Of the fault that it leads to if it never ends."""
        return self.fault or self.attempt


_BUSY, _LIMIT = "unavailable", "rate_limit_exceeded"


def _soon() -> str:
    return formatdate(time.time() + 1, usegmt=True)


# What an attempt can mend.
PASSING = (
    Misfortune("429", wire.of_status(429, _LIMIT), EVERY, "rate-limit", weight=3),
    Misfortune("429 seconds", wire.of_status(429, _LIMIT, Retry_After=lambda: "0.5"), EVERY, "rate-limit", weight=4),
    Misfortune("429 ms", wire.of_status(429, _LIMIT, retry_after_ms=lambda: "400"), EVERY, "rate-limit", weight=4),
    Misfortune("429 date", wire.of_status(429, _LIMIT, Retry_After=_soon), EVERY, "rate-limit", weight=4),
    Misfortune("500", wire.of_status(500, "server_error"), EVERY, "server-error"),
    Misfortune("503", wire.of_status(503, _BUSY), EVERY, "server-error", weight=2),
    Misfortune("503 later", wire.of_status(503, _BUSY, Retry_After=lambda: "1"), EVERY, "server-error", weight=3),
    Misfortune("502 page", wire.html, EVERY, "server-error"),
    Misfortune("500 in Latin", wire.latin, EVERY, "server-error"),
    Misfortune("garbage", wire.garbage, EVERY, "broken-answer"),
    Misfortune("not gzip", wire.not_gzip, EVERY, "broken-answer"),
    Misfortune("error inside", wire.inside, EVERY, "server-error"),
    Misfortune("reset", Wire.reset, EVERY, "connection"),
    Misfortune("stall", Wire.never, EVERY, "timeout", weight=1),
    Misfortune("torn", wire.torn, (*WHOLE, SPEECH), "broken-answer"),
    Misfortune("cut JSON", wire.cut, WHOLE, "broken-answer"),
    Misfortune("page", wire.page, WHOLE, "broken-answer"),
    Misfortune("bad bytes", wire.bad_bytes, WHOLE, "broken-answer"),
    Misfortune("abyss", wire.abyss, WHOLE, "broken-answer"),
    Misfortune("empty", wire.empty, (SPEECH,), "broken-answer"),
    Misfortune("ends early", wire.midway(None), STREAMS, "broken-answer"),
    Misfortune("cut event", wire.midway(None, cut=True), STREAMS, "broken-answer"),
    Misfortune("bad event", wire.midway(None, last=wire.bad_event), STREAMS, "broken-answer"),
    Misfortune("reset midway", wire.midway(Wire.reset), STREAMS, "broken-answer"),
    Misfortune("stall midway", wire.midway(Wire.never), STREAMS, "timeout", weight=1),
    Misfortune("error event", wire.midway(None, last=wire.error_event), STREAMS, "server-error"),
)

# What nothing mends while it lasts, beside the above without end.
LASTING = (
    Misfortune("400", wire.of_status(400, "invalid_request_error"), EVERY, "refused", again=False),
    Misfortune("redirect", wire.redirect, EVERY, "refused", again=False),
    Misfortune("prose", wire.said(lambda _, key: f"Fine, I would say, {key}. Eighty or so."), (JUDGE,), fault="parse"),
    Misfortune("refusal", wire.refusal, (JUDGE,), fault="refused"),
    Misfortune("out of range", wire.said(wire.first_number(180)), (JUDGE,), fault="out-of-range", strikes="first"),
    Misfortune("below range", wire.said(wire.first_number(-5)), (JUDGE,), fault="out-of-range", strikes="first"),
    Misfortune("words for a number", wire.said(wire.first_number("very good")), (JUDGE,), fault="parse", strikes="first"),
    Misfortune("not a number", wire.said(wire.first_number(float("nan"))), (JUDGE,), fault="parse", strikes="first"),
    Misfortune("wrong keys", wire.said(wire.other_keys), (JUDGE,), fault="parse"),
    Misfortune("key missing", wire.said(wire.without_last), (JUDGE,), fault="parse", strikes="last"),
    Misfortune("nothing", wire.said(lambda _, key: ""), (JUDGE,), fault="parse"),
    Misfortune("cut at the limit", wire.said(lambda given, _: json.dumps(given)[:20], "length"), (JUDGE,), fault="truncated"),
    Misfortune("no choices", wire.as_json(wire.no_choices), (JUDGE,), fault="broken-answer"),
    Misfortune("no choices", wire.changed(wire.no_choices), STREAMS, "broken-answer"),
    Misfortune("no words", wire.changed(wire.no_words), (WORDS,), "broken-answer"),
    Misfortune("no sound", wire.of_sound(lambda wav, n: None), (ALOUD,), fault="empty-audio"),
    Misfortune("silent sound", wire.of_sound(lambda wav, n: wire.silenced(wav)), (ALOUD,), fault="empty-audio"),
    Misfortune("no rate", wire.of_sound(lambda wav, n: wire.with_rate(wav, 0)), (ALOUD,), fault="broken-audio"),
    Misfortune("two rates", wire.of_sound(lambda w, n: wire.with_rate(w, 16000) if n > 1 else w), (ALOUD,), fault="broken-audio"),
    Misfortune("not base64", wire.changed(wire.not_base64), (ALOUD,), fault="broken-audio"),
    Misfortune("silent sound", wire.as_bytes(wire.silenced), (SPEECH,), fault="empty-audio"),
    Misfortune("odd rate", wire.as_bytes(lambda wav: wire.with_rate(wav, 4_000_000)), (SPEECH,), fault="broken-audio"),
    Misfortune("cut sound", wire.as_bytes(lambda wav: wav[: len(wav) // 2]), (SPEECH,), fault="broken-audio"),
    Misfortune("words for sound", wire.words_for_sound, (SPEECH,), fault="broken-answer"),
    Misfortune("wrong keys", wire.as_json(lambda data: {"transcript": data["text"]}), (HEARING,), fault="broken-answer"),
    Misfortune("a number", wire.as_json(lambda data: {"text": 42}), (HEARING,), fault="broken-answer"),
)

# What should do no harm at all.
HARMLESS = (
    Misfortune("twice", wire.twice, STREAMS),
    Misfortune("numbers as strings", wire.said(wire.numbers_as("{}")), (JUDGE,)),
    Misfortune("numbers as shares", wire.said(wire.numbers_as("{}/100")), (JUDGE,)),
)

# What tells the key where nobody looks for one.
TELLING = (Misfortune("told", wire.telling, WHOLE), Misfortune("told in two", wire.telling_piecemeal, (ALOUD, WORDS)))
# What lets nothing go on.
NO_ENTRY = Misfortune("401", wire.of_status(401, "invalid_api_key"), EVERY)
# What nobody can see: a voice that is said to be twice as fast as it is.
LIE = Misfortune("a lie", wire.as_bytes(lambda wav: wire.with_rate(wav, 16000)), (SPEECH,))
