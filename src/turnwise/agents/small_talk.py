"""Small talk that picks up what the user said: its topic, its mood, and the thing it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from turnwise.agents.cues import any_of, found, plain, word_set
from turnwise.agents.domains import KNOWLEDGE, read_toml
from turnwise.agents.phrasebook import Chooser
from turnwise.speech.spoken_words import spoken_words

_OWNERS = frozenset(("my", "our"))
_NO_EPITHET = word_set("and or but own is are was has had to in of on at for i we he she they it so because who which")


def small_talk(text: str, earlier: Sequence[str], choose: Chooser, values: str) -> list[str]:
    """Sentences in answer to a turn that is not about business: first a reaction, then something to go on with.

    `earlier` are the user's earlier turns as shown; `values` names days or numbers just mentioned.
    """
    table = talk()
    line = plain(text)
    name, thing = topic(text)
    parts = []
    if not earlier and found(("hello", "hi", "hey", "good (?:morning|afternoon|evening)"), line):
        parts.append(choose.pick("greeting", table["plain"]["greetings"]))
    mood = next((m for m in table["moods"].values() if found(m["words"], line)), None)
    if mood is not None:
        parts.append(choose.pick("mood", mood["openers"]))
    elif name is None:
        parts.append(choose.pick("opener", table["plain"]["openers"]))
    chosen: Mapping[str, Any] = table["topics"][name] if name else table["plain"]
    if values:
        parts.append(choose.pick("facts", table["plain"]["facts"], values=values))
    else:
        lines = [one for one in chosen["lines"] if ("{it}" in one) == bool(thing)]
        parts.append(choose.pick(f"line {name}", lines or table["plain"]["lines"], it=thing))
    # The longer the talk, the more readily the agent offers its services.
    parts.append(choose.pick(f"next {name}", chosen["asks"] if len(earlier) < 1 else table["plain"]["leads"]))
    return parts


def topic(text: str) -> tuple[str | None, str]:
    """The topic of a turn and the thing it is about, in the agent's words ("your little brother"), "" where there is none."""
    words = spoken_words(text)
    table = talk()
    ranks = {}
    for name, entry in table["topics"].items():
        at = [m.start() for m in any_of(tuple(entry["words"])).finditer(plain(text))]
        if at:
            thing = _thing(words, frozenset(entry["words"]))
            ranks[name] = (-len(at) - bool(thing), at[0], thing)
    if not ranks:
        return None, _thing(words, frozenset(table["plain"]["things"]))
    best = min(ranks, key=lambda n: ranks[n][:2])
    return best, ranks[best][2]


def _thing(words: Sequence[str], nouns: frozenset[str]) -> str:
    """ "your" and what follows my or our up to a noun of the topic."""
    for place, word in enumerate(words):
        if word in _OWNERS:
            for end in range(place + 1, min(place + 4, len(words))):
                if words[end] in _NO_EPITHET or words[end] in _OWNERS:
                    break
                if words[end] in nouns:
                    return " ".join(("your", *words[place + 1 : end + 1]))
    return ""


@lru_cache(maxsize=1)
def talk() -> dict[str, Any]:
    return read_toml(KNOWLEDGE / "small_talk.toml")
