"""MSGD / SalesBot 2.0: sales dialogues that drift from small talk into a task, written by a language model.

Reads the published JSON list as it is, odd parts included, and says each departure: the agent opens, one speaker has two
turns in a row, a turn stands in quotation marks, holds a stage direction or has no known speaker, the intent is unknown, the
transition points nowhere. Intents may carry their own or their merged names (`SearchFlights`, `GetTransportation`).
Turns before the transition are chitchat, the transition turn and its reply are the transition, the rest is the task.
Only spoken words are kept as text: quotation marks around a whole turn, stage directions and emphasis stars are taken out and
reported; `(312) 555-0100` and other asides stay. Written back, a dialogue holds the spoken words. No facts are annotated.
The text was made with gpt-3.5-turbo, so it is more polite and more even than people are.
Licence: that of the file; the SalesBot data is published by its authors (MiuLab/SalesBot2, MiuLab/SalesAgent).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turnwise.dialogues.corpus import Corpus, Irregularity, Reading
from turnwise.dialogues.dialogue import Dialogue, Phase, Speaker, Turn
from turnwise.dialogues.document import read_json, required, write_text
from turnwise.dialogues.sieve import Remark, Sieve, Unusable, json_type
from turnwise.dialogues.spoken_text import mended, unquoted, without_directions, without_emphasis
from turnwise.foundation.errors import InputError

MERGED = {
    "SearchOnewayFlight": "SearchFlights",
    "SearchRoundtripFlights": "SearchFlights",
    "GetRide": "GetTransportation",
    "FindBus": "GetTransportation",
    "GetCarsAvailable": "GetTransportation",
}
PLAIN = ("LookupMusic", "FindMovie", "FindAttraction", "FindEvents", "SearchHotel", "FindRestaurants")
INTENTS = frozenset((*PLAIN, *MERGED, *MERGED.values()))
KEYS = frozenset(("id", "intent", "transition_sentence", "chitchat_context", "dialog", "source"))

_PREFIX = re.compile(r"\s*(user|agent)\s*:", re.IGNORECASE)
_ALIAS = re.compile(r"\s*(?:(customer|caller|client|human)|(assistant|system|salesperson|seller|bot))\s*:", re.IGNORECASE)


class Line(NamedTuple):
    """One turn as it stands in the file: who, the words to be spoken, and what was odd."""

    speaker: Speaker | None
    text: str
    remarks: tuple[tuple[str, str], ...] = ()  # kind, detail

    @property
    def words(self) -> tuple[Speaker | None, str]:
        return self.speaker, self.text


def corpus() -> Corpus:
    return Corpus(licence="that of the file", source="MiuLab/SalesBot2", read=_read, write=write)


def _read(path: Path | None) -> Reading:
    return read(required(path, "msgd"))


def read(path: Path) -> Reading:
    """Every item of the list, in its order."""
    document = read_json(path)
    if not isinstance(document.content, list) or not document.content:
        found = "an empty one" if document.content == [] else json_type(document.content)
        raise InputError(f"{path}: expected a list of dialogues, found {found}")
    sieve = Sieve("id")
    sieve.pass_through(document.content, path.name, _dialogue)
    odd = [*document.irregularities, *sieve.irregularities]
    used = {dialogue.intent for dialogue in sieve.dialogues}
    for merged in sorted(used & set(MERGED.values())):
        parts = sorted(name for name in used if MERGED.get(name) == merged)
        if parts:
            detail = f"{merged} stands beside {' and '.join(parts)}, which it includes: counts by intent are split"
            odd.append(Irregularity("", None, "mixed-intents", detail))
    return Reading(tuple(sieve.dialogues), tuple(odd), document.digest)


def write(dialogues: Sequence[Dialogue], path: Path) -> None:
    """The same format again; stated facts and asked slots have no place in it."""
    write_text(path, json.dumps([_item(dialogue) for dialogue in dialogues], ensure_ascii=False, indent=1) + "\n")


def spoken(raw: str) -> Line:
    """Speaker and spoken words of `User: …`; the result, written again, reads as itself."""
    text, damaged = mended(raw)
    found: dict[str, str] = {"broken-character": damaged} if damaged else {}
    inner = unquoted(text)
    if inner != text.strip():
        found["quoted-turn"] = "the turn and its speaker stand in quotation marks, which were taken off"
    text = inner
    speaker: Speaker | None = None
    if known := _PREFIX.match(text):
        speaker = "user" if known[1].lower() == "user" else "agent"
        if not text.startswith(("User: ", "Agent: ")) and text[known.end() :].strip():
            found["odd-prefix"] = f"{known[0]!r} was read as the {speaker}"
    elif known := _ALIAS.match(text):
        speaker = "user" if known[1] else "agent"
        found["odd-prefix"] = f"{known[0]!r} was read as the {speaker}"
    text = text[known.end() :].strip() if known else text.strip()
    return Line(speaker, _bare(text, speaker, found), tuple(found.items()))


def _bare(text: str, speaker: Speaker | None, found: dict[str, str]) -> str:
    """The words alone; repeated, since what is taken off may uncover more."""
    while True:
        before = text
        text = unquoted(text)
        if text != before:
            found["quoted-turn"] = "the turn stands in quotation marks, which were taken off"
        while (again := _PREFIX.match(text)) and again[1].lower() == speaker:
            found["double-prefix"] = f"{again[0]!r} stands twice; it is spoken not even once"
            text = text[again.end() :].strip()
        text, directions = without_directions(text)
        if directions:
            found["stage-direction"] = f"not spoken: {', '.join(directions)}"
        text, marked = without_emphasis(text)
        if marked:
            found["emphasis-mark"] = f"spoken without the stars: {', '.join(marked)}"
        if text == before:
            return text


def _dialogue(name: str, raw: dict[str, Any], remark: Remark) -> Dialogue:
    turns = _turns(raw.get("dialog"), remark)
    intent, description = _intent(raw.get("intent"), remark)
    position = _transition(raw.get("transition_sentence"), turns, remark)
    opening = _opening(raw.get("chitchat_context"), turns, position, remark)
    source = raw.get("source", "")
    if not isinstance(source, str):
        remark(None, "wrong-type", f"source: expected a text, found {json_type(source)}; passed over")
        source = ""
    for key in sorted(raw.keys() - KEYS):
        remark(None, "unknown-field", f"the key {key!r} was passed over")
    phased = tuple(Turn(turn.speaker, turn.text, phase) for turn, phase in zip(turns, _phases(turns, position), strict=True))
    return Dialogue(name, phased, intent, description, source, opening)


def _turns(raw: Any, remark: Remark) -> list[Turn]:
    if not isinstance(raw, list) or not raw:
        found = "an empty one" if raw == [] else json_type(raw)
        raise Unusable("no-turns" if raw == [] else "wrong-type", f"dialog: expected a list of turns, found {found}")
    lines: list[Line] = []
    for position, entry in enumerate(raw):
        if not isinstance(entry, str):
            raise Unusable("wrong-type", f"dialog: expected a text, found {json_type(entry)}", position)
        lines.append(spoken(entry))
    turns: list[Turn] = []
    for position, line in enumerate(lines):
        for kind, detail in line.remarks:
            remark(position, kind, detail)
        speaker = line.speaker
        if speaker is None:
            near = turns[-1].speaker if turns else next((each.speaker for each in lines if each.speaker), None)
            distance = 1 if turns else next((i for i, each in enumerate(lines) if each.speaker), 0)
            if near is None:
                raise Unusable("no-prefix", "dialog: no turn says who speaks", position)
            speaker = near if distance % 2 == 0 else ("agent" if near == "user" else "user")
            remark(position, "no-prefix", f"no speaker is named; taken for the {speaker}, whose turn it would be")
        turns.append(Turn(speaker, line.text))
    return turns


def _intent(raw: Any, remark: Remark) -> tuple[str, str]:
    if isinstance(raw, str):
        remark(None, "wrong-type", "intent: expected an object with type and description, found a text; taken as the type")
        raw = {"type": raw, "description": ""}
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or not raw["type"].strip():
        remark(None, "missing-field", "intent.type is absent, empty or not a text")
        kind = ""
    else:
        kind = raw["type"].strip()
        if kind not in INTENTS:
            remark(None, "unknown-intent", f"{kind!r} is none of the intents of SalesBot 2.0")
    description = raw.get("description") if isinstance(raw, dict) else ""
    if not isinstance(description, str):
        remark(None, "missing-field", "intent.description is absent or not a text")
        description = ""
    return kind, description


def _transition(raw: Any, turns: list[Turn], remark: Remark) -> int | None:
    """Where the intent first shows: the stated position, or where the stated words are if it points nowhere."""
    if not isinstance(raw, dict):
        remark(None, "missing-field", "transition_sentence is absent or not an object: the dialogue has no phases")
        return None
    utterance = raw.get("utterance")
    words = spoken(utterance).words if isinstance(utterance, str) else None
    same = [i for i, turn in enumerate(turns) if words is not None and (turn.speaker, turn.text) == words]
    if words is None:
        remark(None, "missing-field", "transition_sentence.utterance is absent or not a text")
    position = raw.get("position")
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position < len(turns):
        used = same[0] if len(same) == 1 else None
        then = "the dialogue has no phases" if used is None else f"its words are at {used}, which is used"
        remark(None, "transition-position", f"{position!r} is no position of the {len(turns)} turns: {then}")
        return used
    if words is not None and position not in same:
        where = f"; those words are at {', '.join(map(str, same))}" if same else ""
        remark(position, "transition-words", f"the transition sentence differs from turn {position}{where}")
    if turns[position].speaker != "user":
        remark(position, "transition-speaker", "the transition is at a turn of the agent")
    return position


def _opening(raw: Any, turns: list[Turn], position: int | None, remark: Remark) -> int | None:
    """How many turns the source counts as small talk; those that differ from the dialogue are said."""
    if not isinstance(raw, list):
        remark(None, "missing-field", "chitchat_context is absent or not a list")
        return None
    spoken_there = [(turn.speaker, turn.text) for turn in turns]
    for place, entry in enumerate(raw):
        if not isinstance(entry, str):
            remark(None, "wrong-type", f"chitchat_context {place}: expected a text, found {json_type(entry)}")
            continue
        words = spoken(entry).words
        if words not in spoken_there:
            remark(None, "chitchat-missing", f"chitchat_context {place} is not in the dialogue: {entry[:60]!r}")
        elif place >= len(turns) or words != spoken_there[place]:
            remark(None, "chitchat-order", f"chitchat_context {place} is at turn {spoken_there.index(words)} of the dialogue")
    if position is not None and len(raw) > position:
        remark(None, "chitchat-overlap", f"{len(raw)} turns of small talk, but the transition is at {position}")
    return min(len(raw), len(turns))


def _phases(turns: list[Turn], position: int | None) -> list[Phase | None]:
    if position is None:
        return [None] * len(turns)
    answered = turns[position].speaker == "user" and position + 1 < len(turns) and turns[position + 1].speaker == "agent"
    last = position + answered
    return ["chitchat" if i < position else "transition" if i <= last else "task" for i in range(len(turns))]


def _item(dialogue: Dialogue) -> dict[str, Any]:
    lines = [f"{turn.speaker.capitalize()}: {turn.text}" for turn in dialogue.turns]
    position = next((i for i, turn in enumerate(dialogue.turns) if turn.phase == "transition"), None)
    item: dict[str, Any] = {"id": dialogue.id, "intent": {"type": dialogue.intent, "description": dialogue.description}}
    if position is not None:
        item["transition_sentence"] = {"utterance": lines[position], "position": position}
    if dialogue.opening is not None:
        item["chitchat_context"] = lines[: dialogue.opening]
    item["dialog"] = lines
    if dialogue.source:
        item["source"] = dialogue.source
    return item
