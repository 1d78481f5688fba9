"""Schema-Guided Dialogue: task dialogues with every stated slot annotated, for checking an agent's memory.

Reads one `dialogues_*.json` or a folder of them; a `schema.json` beside them gives intents their description. A user's INFORM
becomes a fact with its canonical value in lower case ("dontcare" states nothing and is left out); REQUEST by either side
becomes a slot asked for. What a user confirms, selects or negates is not a fact here. The intent is the first one active in
the dialogue, also where several services follow each other; slot names are then those of whichever service is meant.
Phases are absent: SGD has no small talk. Agent turns are templates reworded by people, so they sound more alike than real
agents. Cannot be written back: the annotation is richer than what is kept.
Licence of the data: CC BY-SA 4.0 (google-research-datasets/dstc8-schema-guided-dialogue).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from turnwise.dialogues.corpus import Corpus, Irregularity, Reading
from turnwise.dialogues.dialogue import Dialogue, Fact, Speaker, Turn
from turnwise.dialogues.document import Document, read_json, required
from turnwise.dialogues.sieve import Remark, Sieve, Unusable, json_type
from turnwise.dialogues.spoken_text import mended
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import fingerprint

SPEAKERS: dict[str, Speaker] = {"USER": "user", "SYSTEM": "agent"}


def corpus() -> Corpus:
    return Corpus(licence="CC BY-SA 4.0", source="google-research-datasets/dstc8-schema-guided-dialogue", read=_read)


def _read(path: Path | None) -> Reading:
    return read(required(path, "sgd"))


def read(path: Path) -> Reading:
    """One file of dialogues, or all of a folder in the order of their names."""
    folder = path if path.is_dir() else path.parent
    paths = sorted(path.glob("dialogues_*.json")) if path.is_dir() else [path]
    if not paths:
        raise InputError(f"{path}: holds no dialogues_*.json")
    documents = [read_json(each) for each in paths]
    for document in documents:
        if not isinstance(document.content, list) or not document.content:
            raise InputError(f"{document.path}: expected a list of dialogues, found {json_type(document.content)}")
    sieve = Sieve("dialogue_id")
    schema = folder / "schema.json"
    descriptions: dict[tuple[str, str], str] = {}
    if schema.is_file():
        documents.append(read_json(schema))
        descriptions = _descriptions(documents[-1])
    else:
        sieve.irregularities.append(Irregularity("", None, "no-schema", f"{schema} is absent: intents have no description"))
    for document in documents[: len(paths)]:
        sieve.pass_through(document.content, document.path.name, partial(_dialogue, descriptions))
    odd = [item for document in documents for item in document.irregularities] + sieve.irregularities
    digests = [document.digest for document in documents]
    digest = digests[0] if len(digests) == 1 else fingerprint("sgd", *digests)
    return Reading(tuple(sieve.dialogues), tuple(odd), digest)


def _descriptions(schema: Document) -> dict[tuple[str, str], str]:
    """The description of each intent of each service."""
    found: dict[tuple[str, str], str] = {}
    try:
        for service in schema.content:
            for intent in service["intents"]:
                found[service["service_name"], intent["name"]] = str(intent["description"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{schema.path}: not a schema of services: {type(error).__name__}: {error}") from None
    return found


def _dialogue(descriptions: dict[tuple[str, str], str], name: str, raw: dict[str, Any], remark: Remark) -> Dialogue:
    raw_turns = raw.get("turns")
    if not isinstance(raw_turns, list) or not raw_turns:
        raise Unusable("wrong-type", f"turns: expected a list of turns, found {json_type(raw_turns)}")
    turns = tuple(_turn(position, each, remark) for position, each in enumerate(raw_turns))
    service, intent = _intent(raw_turns)
    return Dialogue(name, turns, intent, descriptions.get((service, intent), ""), source="sgd")


def _turn(position: int, raw: Any, remark: Remark) -> Turn:
    if not isinstance(raw, dict) or not isinstance(raw.get("utterance"), str):
        raise Unusable("wrong-type", "a turn needs an utterance that is a text", position)
    speaker = SPEAKERS.get(raw["speaker"]) if isinstance(raw.get("speaker"), str) else None
    if speaker is None:
        raise Unusable("unknown-speaker", f"speaker: expected USER or SYSTEM, found {raw.get('speaker')!r}", position)
    facts: list[Fact] = []
    asks: list[str] = []
    for action in _actions(position, raw, remark):
        slot = action.get("slot")
        values = action.get("canonical_values") or action.get("values") or []
        if not isinstance(slot, str) or not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            remark(position, "wrong-type", f"an action was passed over: {str(action)[:80]}")
        elif speaker == "user" and action.get("act") == "INFORM":
            facts += [Fact(slot, value.strip().lower()) for value in values if value.strip().lower() != "dontcare"]
        elif action.get("act") == "REQUEST":
            asks.append(slot)
    text, damaged = mended(raw["utterance"])
    if damaged:
        remark(position, "broken-character", damaged)
    return Turn(speaker, text.strip(), None, tuple(dict.fromkeys(facts)), tuple(dict.fromkeys(asks)))


def _actions(position: int, raw: dict[str, Any], remark: Remark) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    frames = raw.get("frames", [])
    for frame in frames if isinstance(frames, list) else [None]:
        actions = frame.get("actions") if isinstance(frame, dict) else None
        if isinstance(actions, list):
            found += [action for action in actions if isinstance(action, dict)]
        if not isinstance(actions, list) or not all(isinstance(action, dict) for action in actions):
            remark(position, "no-annotation", "a frame has no list of actions")
    return found


def _intent(raw_turns: list[Any]) -> tuple[str, str]:
    """Service and name of the first intent that is active in any turn, or two empty texts."""
    for raw in raw_turns:
        for frame in raw["frames"] if isinstance(raw.get("frames"), list) else []:
            state = frame.get("state") if isinstance(frame, dict) else None
            active = state.get("active_intent") if isinstance(state, dict) else None
            if isinstance(active, str) and active != "NONE":
                return str(frame.get("service", "")), active
    return "", ""
