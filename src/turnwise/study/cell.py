"""A cell: one piece of work, known by the fingerprint of everything that could change its result.

Cells form a graph: user clip -> what the line makes of it -> user transcript -> reply -> transcript -> verdicts; where the user
is simulated, each user turn is a cell too, made from all that was said before. A reply's inputs hold the fingerprint of
what the agent is shown, and what it is shown holds its earlier replies, so a change anywhere renames all that follows from it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from turnwise.agents.agent import Past, Reply, View
from turnwise.dialogues.dialogue import Turn
from turnwise.endpoints.calls import Call
from turnwise.foundation.fingerprint import Part, digest, fingerprint
from turnwise.judges.judge import Spoken
from turnwise.judges.verdict import Fault, Verdict
from turnwise.speech.clip import Clip

SILENCE_DBFS = -60.0  # peak level below which a clip holds no sound: half of what 11-bit telephony can carry

Kind = Literal["user-turn", "user-clip", "user-line", "user-transcript", "reply", "transcript", "verdict"]


class Transcript(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the study's transcriber heard."""

    text: str
    note: str = ""
    silent: bool = False  # there was no sound to hear


class Answer(msgspec.Struct, frozen=True):
    """A reply with what the agent was really shown."""

    reply: Reply
    view: View


class UserTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a simulated user said, or that it said no more."""

    text: str
    ended: str = ""  # why the conversation ends before or after this turn, "" while it goes on


class Ruling(msgspec.Struct, frozen=True):
    """One judge's verdicts on one turn, by criterion."""

    verdicts: dict[str, Verdict]


Payload = Clip | Transcript | Answer | Ruling | UserTurn
PAYLOADS: dict[Kind, type[Payload]] = {
    "user-turn": UserTurn,
    "user-clip": Clip,
    "user-line": Clip,
    "user-transcript": Transcript,
    "reply": Answer,
    "transcript": Transcript,
    "verdict": Ruling,
}


class Cell(msgspec.Struct, frozen=True):
    """Work that is wanted: its kind and its inputs."""

    kind: Kind
    inputs: tuple[Part, ...]

    @property
    def key(self) -> str:
        return fingerprint(self.kind, *self.inputs)


class Made(msgspec.Struct, frozen=True):
    """A cell with its result, to be recorded."""

    cell: Cell
    result: Payload | Fault


class Paid(msgspec.Struct, frozen=True):
    """A call to a server, made for a cell."""

    key: str  # of the cell
    purpose: str  # "arm NAME", "judge TITLE", "user", "transcriber"
    call: Call


_encode = msgspec.json.Encoder().encode


def text_digest(text: str) -> str:
    return digest(text.encode("utf-8", "surrogatepass"))


def past_digest(past: Past) -> str:
    """Name of one earlier turn as shown."""
    return fingerprint(past.speaker, past.text, past.clip.digest if past.clip else None)


def view_digest(view: View) -> str:
    """Name of all that an agent is shown for one turn."""
    return fingerprint(
        view.dialogue,
        view.round,
        text_digest(view.instructions),
        view.text,
        view.clip.digest if view.clip else None,
        *(past_digest(past) for past in view.past),
        *(("voice", *(past_digest(past) for past in view.voice)) if view.voice else ()),
    )


def spoken_digest(before: str, spoken: Spoken) -> str:
    """Name of a conversation up to this round, from the name of the conversation before it."""
    return fingerprint(before, digest(_encode(spoken)))


def opening_digest(dialogue: str, intent: str, opening: tuple[Turn, ...]) -> str:
    """Name of a conversation before its first round."""
    return fingerprint(dialogue, intent, digest(_encode(opening)))
