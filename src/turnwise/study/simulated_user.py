"""A user who is played by a model instead of being read: what it is told, what it is shown, when it stops.

The roles are turned round: the simulated user sees its own turns as its own and the agent's as those of the other side, so a chat
model goes on as the customer. Willingness is how many of the agent's offers it declines before it may accept one, the four labels
of SalesAgent: any, after two refusals, after four, none at all. A conversation ends when either side takes leave, when the agent
announces the hand-over that SalesAgent counts as success, or after a declared number of turns. Conversations of this kind are
another experiment than those with written turns: each arm hears another user.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from turnwise.agents.agent import Past, Reply, View
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import EngineError
from turnwise.judges.judge import Spoken
from turnwise.study.cell import UserTurn
from turnwise.study.study import SimulatedUser
from turnwise.study.view import opening

FIRST_WORDS = "Hi."
HAND_OVER = "proceed to task oriented dialog agent"
LEAVE = "[END]"
_GOODBYE = re.compile(
    r"\b(?:good ?bye|bye(?:[ -]bye)?|farewell|have a (?:great|good|nice|lovely) (?:day|evening|night|one))\b", re.I
)
_WILLING = {
    "no_preference": "You have nothing against being offered something, and accept an offer that suits you.",
    "not_interested_2": "Politely decline the first two things you are offered. Then you may accept an offer that suits you.",
    "not_interested_4": "Politely decline the first four things you are offered. Then you may accept an offer that suits you.",
    "not_interested_all": "You are not interested in anything that is offered to you, and politely decline all of it.",
}


def instructions(user: SimulatedUser, dialogue: Dialogue) -> str:
    """What the simulated user is told once."""
    task = user.task or _task(dialogue)
    lines = [
        "You play a customer who talks with an assistant by voice. You are not the assistant: never offer, recommend or book.",
        "Say only what the customer says next, in the first person, in one or two plain spoken sentences, without name tags.",
        "Do not give all you know at once, and answer what you are asked.",
        f"Who you are: {user.persona}" if user.persona else "",
        f"What you want: {task}" if task else "",
        _WILLING[user.willingness],
        f"When you have what you came for, or want to leave, say goodbye and write {LEAVE} after it.",
    ]
    return "\n".join(line for line in lines if line)


def view_of(user: SimulatedUser, dialogue: Dialogue, number: int, spoken: Sequence[Spoken]) -> View:
    """The conversation so far as the simulated user sees it: the other side's words as they were heard."""
    past = [Past("user", turn.text) for turn in opening(dialogue)]
    for one in spoken:
        past.append(Past("agent", one.user.text))
        if one.agent:
            past.append(Past("user", one.agent))
    heard = ""
    if past and past[-1].speaker == "user":
        heard = past.pop().text or ""
    return View(dialogue.id, number, instructions(user, dialogue), tuple(past), heard, None)


def turn_of(reply: Reply) -> UserTurn:
    """The simulated user's next turn out of its model's words."""
    words = reply.text.strip()
    left = LEAVE in words
    words = words.replace(LEAVE, "").strip()
    if not words and not left:
        raise EngineError("simulated-user", "the simulated user said nothing")
    return UserTurn(words, "the user left" if left or _GOODBYE.search(words) else "")


def ended(user: SimulatedUser, spoken: Sequence[Spoken], turn: UserTurn | None) -> str:
    """Why there is no further user turn, "" while there is one; `turn` is the latest user turn."""
    if turn is not None and turn.ended:
        return turn.ended
    if spoken and HAND_OVER in spoken[-1].agent.lower():
        return "the agent handed over"
    if spoken and _GOODBYE.search(spoken[-1].agent):
        return "the agent took leave"
    return f"{user.most_turns} turns" if len(spoken) >= user.most_turns else ""


def _task(dialogue: Dialogue) -> str:
    """The wish behind a written dialogue: its intent in words and what its user states."""
    facts = [f"{fact.slot.replace('_', ' ')}: {fact.value}" for turn in dialogue.turns for fact in turn.facts]
    wish = dialogue.description or dialogue.intent
    return "; ".join([*([wish] if wish else []), *dict.fromkeys(facts)])
