"""Where a conversation stands, derived anew from what an agent is shown.

Nothing is kept between turns: the state is a function of the view alone, so whoever is shown less knows less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from turnwise.agents.acts import Acts, acts, asks_for
from turnwise.agents.agent import View
from turnwise.agents.catalogue import Catalogue, Item
from turnwise.agents.domains import Domains, Intent
from turnwise.agents.leaning import lean, named_in, wanted
from turnwise.agents.mentions import Mention, mentions


class State(msgspec.Struct, frozen=True):
    """What the present turn means in the light of the past shown."""

    text: str  # the user's present words
    acts: Acts
    intent: Intent | None
    opening: bool  # the intent became plain in this very turn
    known: Mapping[str, str]  # slot -> value, in the order first stated
    fresh: Mapping[str, str]  # stated or changed in this turn
    replaced: Mapping[str, str]  # slot -> the value given up in this turn
    asked: tuple[str, ...]  # slots the agent's own shown turns asked for, in order, repeats included
    offered: tuple[Item, ...]  # items its own shown turns named, in order
    booked: bool  # an own shown turn confirmed
    said: tuple[str, ...]  # its own shown turns
    heard: tuple[str, ...]  # the user's shown earlier turns

    @property
    def missing(self) -> tuple[str, ...]:
        return () if self.intent is None else tuple(name for name in self.intent.names if name not in self.known)


def derive(view: View, domains: Domains, catalogue: Catalogue, booked_words: Sequence[str]) -> State:
    """The state at the present turn."""
    turns = [(p.speaker, p.text or "") for p in view.past]
    turns.append(("user", view.text or ""))
    users = [text for speaker, text in turns if speaker == "user"]
    own = tuple(text for speaker, text in turns if speaker == "agent" and text)
    own_evidence = [lean(text, domains) for text in own]
    name, since = wanted([lean(text, domains) for text in users], own_evidence, named_in(view.instructions, domains))
    intent = None if name is None else domains.intent(name)
    known, fresh, replaced = _remember(turns, intent, domains, since)
    present = acts(users[-1], None if intent is None else intent.names)
    return State(
        text=users[-1],
        acts=present,
        intent=intent,
        opening=intent is not None and since == len(users) - 1,
        known=known,
        fresh=fresh,
        replaced=replaced,
        asked=tuple(slot for text in own for slot in _asked(text, intent)),
        offered=tuple(item for text in own for item in catalogue.named(text)),
        booked=any(word in text.lower() for text in own for word in booked_words),
        said=own,
        heard=tuple(users[:-1]),
    )


def _remember(
    turns: Sequence[tuple[str, str]], intent: Intent | None, domains: Domains, since: int
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Values after all turns, those that are new in the last, and those it replaced."""
    known: dict[str, str] = {}
    before: dict[str, str] = {}
    expected: str | None = None
    number = -1
    for place, (speaker, text) in enumerate(turns):
        if speaker == "agent":
            asked = _asked(text, intent)
            expected = asked[-1] if asked else None
            continue
        number += 1
        if place == len(turns) - 1:
            before = dict(known)
        for mention in _told(text, intent, domains, expected):
            _take(mention, known, text, intent, plain_yet=intent is not None and number >= since)
        expected = None
    fresh = {slot: value for slot, value in known.items() if before.get(slot) != value}
    return known, fresh, {slot: before[slot] for slot in fresh if slot in before}


def _told(text: str, intent: Intent | None, domains: Domains, expected: str | None) -> tuple[Mention, ...]:
    if intent is not None:
        return mentions(text, intent, expected)
    # Before it is plain what the user wants, days and numbers of people are understood alike in every domain.
    found: dict[tuple[str, int], Mention] = {}
    for each in domains.intents:
        for mention in mentions(text, each, alike=False):
            if mention.slot in ("day", "people") and not mention.weak:
                found.setdefault((mention.slot, mention.place), mention)
    return tuple(found.values())


def _take(mention: Mention, known: dict[str, str], text: str, intent: Intent | None, *, plain_yet: bool) -> None:
    """Fill or replace one value, or leave it be.

    What is not sure fills gaps only; a question about what was said replaces nothing unless the user changes their mind.
    """
    if mention.weak and not plain_yet:
        return
    if not mention.sure and not plain_yet:
        return
    if mention.slot in known and known[mention.slot] != mention.value:
        said = acts(text, None if intent is None else intent.names)
        if not said.changes and (not mention.sure or (mention.slot in said.probes or (said.framed and not said.book))):
            return
        if not mention.sure and not said.changes:
            return
    known[mention.slot] = mention.value


def _asked(text: str, intent: Intent | None) -> tuple[str, ...]:
    if intent is None:
        return ()
    line = text.lower()
    exact = [slot.name for slot in intent.slots if any(question.lower() in line for question in slot.ask)]
    return tuple(dict.fromkeys((*exact, *asks_for(text, intent.names))))
