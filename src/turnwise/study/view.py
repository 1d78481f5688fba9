"""The context policy at work: what an agent is shown for one turn, cut from what has happened so far.

One function for every arm. It never shortens by itself: what an agent's own limits force is for the agent to do and to
say in `Reply.notes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from turnwise.agents.agent import Context, Past, Reply, View
from turnwise.dialogues.dialogue import Dialogue, Round, Speaker, Turn
from turnwise.speech.clip import Clip


class Happened(msgspec.Struct, frozen=True):
    """One round of this arm so far."""

    round: Round
    clip: Clip | None  # the user's sound
    transcript: str | None  # the study transcriber's words for it
    reply: Reply | None = None  # None where the agent has not answered, or failed and the study goes on


def opening(dialogue: Dialogue) -> tuple[Turn, ...]:
    """The agent turns written before the first user turn."""
    first = next((i for i, turn in enumerate(dialogue.turns) if turn.speaker == "user"), len(dialogue.turns))
    return dialogue.turns[:first]


def show(
    dialogue: Dialogue, instructions: str, context: Context, before: Sequence[Happened], now: Happened, *, remembers: int = 0
) -> View:
    """What the policy lets an agent see of this turn; its voice may remember so many of its own utterances besides."""
    shown = before if context.past == "all" else before[max(0, len(before) - context.past) :]
    past: list[Past] = []
    if len(shown) == len(before) and context.past != 0:  # nothing was cut: the agent's opening turns belong to the past too
        past += [Past("agent", turn.text) for turn in opening(dialogue)]
    for one in shown:
        past.append(_user(one, context))
        agent = _agent(one, context)
        if agent is not None:
            past.append(agent)
    own = [Past("agent", one.reply.text, one.reply.clip) for one in before if one.reply is not None and one.reply.clip]
    voice = tuple(own[-remembers:]) if remembers else ()
    if context.user == "audio":
        return View(dialogue.id, now.round.number, instructions, tuple(past), None, now.clip, voice)
    text = now.round.user.text if context.user == "written" else now.transcript
    return View(dialogue.id, now.round.number, instructions, tuple(past), text, None, voice)


def shown_lines(view: View) -> tuple[str, ...]:
    """The past as shown, for a reader."""
    return tuple(f"{past.speaker}: {'[audio]' if past.text is None else past.text}" for past in view.past)


def _user(one: Happened, context: Context) -> Past:
    if context.user == "written":
        words = one.round.user.text
    elif context.user == "audio" and one.reply is not None and one.reply.heard is not None:
        words = one.reply.heard  # what this agent itself understood
    else:
        words = one.transcript or ""
    return _formed("user", words, one.clip, context)


def _agent(one: Happened, context: Context) -> Past | None:
    if context.replies == "written":
        written = one.round.written
        return None if written is None else Past("agent", written.text)  # written turns have no sound
    if one.reply is None or (not one.reply.text and one.reply.clip is None):
        return None
    return _formed("agent", one.reply.text, one.reply.clip, context)


def _formed(speaker: Speaker, words: str, clip: Clip | None, context: Context) -> Past:
    form = context.form
    if form == "user-audio":
        form = "audio" if speaker == "user" else "text"
    if form == "text" or clip is None:
        return Past(speaker, words)
    return Past(speaker, None if form == "audio" else words, clip)
