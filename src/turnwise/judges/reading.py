"""What a model's answer says: the JSON in it, wherever it stands, and the numbers in that; never a number that is not there.

Read are bare objects, fenced ones, and objects between sentences; of several the last complete one that holds what was asked
for. Keys are compared without case, blanks, hyphens and underscores. Trailing commas are forgiven; single quotes are not, as
apostrophes make them guesswork. An object that stands among other text and was said in the conversation is a quotation and no
answer. Whatever is missing, out of range, given twice with different values or no number is a `Defect`: a short stable cause
for accounting, and a sentence that can be told to the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from turnwise.foundation.plain_text import plain_text
from turnwise.judges.verdict import Score

LOW, HIGH = 0.0, 100.0  # ends of every scale
REASON = ("reason", "reasoning", "explanation", "justification", "rationale")
SCORE = ("score", "rating", "value")
MISSING = "parse"
OUT_OF_RANGE = "out-of-range"

_LONGEST = 200_000  # characters of an answer that are looked at, its last ones
_PATIENCE = 2_000_000  # characters read in vain for objects that end nowhere, after which the search ends
_ONE_TRY = 1000  # characters that a brace counts which begins no object
_DEPTH = 3  # objects inside objects that are looked into
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
# A string that never ends goes on to the end: so the text is read once, whatever it holds.
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.?)*(?:"|\Z))|,(?=\s*[}\]])', re.DOTALL)
_FENCE_BEFORE = re.compile(r"\s*(?:```\w*)?\s*")
_FENCE_AFTER = re.compile(r"\s*(?:```)?\s*")
_SEPARATORS = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"\s*([+-]?\d{1,9}(?:\.\d{1,9})?)\s*(?:%|/\s*100|out of 100|points?|points of 100)?\s*", re.ASCII)


class Defect(msgspec.Struct, frozen=True):
    """What is wrong with a part of an answer."""

    cause: str
    words: str  # as they can be told to the model


class Reading(msgspec.Struct, frozen=True):
    """What an answer says, by criterion; `wrong` may also name parts of the answer that are no criterion."""

    scores: Mapping[str, Score]
    wrong: Mapping[str, Defect]


class _Twice:
    """Stands for a key that is given twice with different values."""


_TWICE = _Twice()


def folded(key: str) -> str:
    """A key as keys are compared."""
    return _SEPARATORS.sub("", key.casefold())


def objects(text: str, said: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every complete JSON object of an answer with its keys folded, in order, each followed by those inside it.

    `said` are the turns of the conversation, of which an answer may quote an object.
    """
    text = text[-_LONGEST:]
    if _TRAILING_COMMA.search(text):
        text = _STRING_OR_TRAILING_COMMA.sub(lambda match: match[1] or "", text)
    found: list[dict[str, Any]] = []
    thinking, last = False, 0
    for value, start, end in _outermost(text):
        _, ended, between = text[last:start].rpartition("</think>")
        if ended:  # what came so far was a reasoning model's draft
            found.clear()
        thinking = "<think>" in between or (thinking and not ended)
        last = end
        alone = _FENCE_BEFORE.fullmatch(text[:start]) and _FENCE_AFTER.fullmatch(text[end:])
        if not thinking and (alone or not any(folded(text[start:end]) in folded(words) for words in said)):
            found += _with_inner(value, _DEPTH)
    if "</think>" in text[last:]:
        found.clear()
    return found


def fullest(found: Sequence[dict[str, Any]], wanted: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The last object that holds most of what is wanted, each thing given as the folded keys it may have; else an empty one."""
    best, most = {}, 0
    for value in found:
        held = sum(any(key in value for key in keys) for keys in wanted)
        if held and held >= most:
            best, most = value, held
    return best


def looked_up(value: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """What stands under the one of these folded keys that is there; None where none is."""
    given = [value[key] for key in keys if key in value]
    if len(given) > 1 and any(other != given[0] for other in given[1:]):
        return _TWICE
    return given[0] if given else None


def points(value: Any, name: str) -> float | Defect:
    """A number from 0 to 100: 85, 85.0, "85", "85%", "85/100"."""
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    number = float(match[1]) if match else value
    if value is None or value == "":
        return Defect(MISSING, f"{name} is missing")
    if isinstance(value, _Twice):
        return Defect(MISSING, f"{name} is given twice with different values")
    if isinstance(number, bool) or not isinstance(number, int | float):
        return Defect(MISSING, f"{name} is {_shown(value)}, which is not a number")
    if not LOW <= number <= HIGH:  # also where it is not finite
        return Defect(OUT_OF_RANGE, f"{name} is {_shown(value)}, which is not within 0 to 100")
    if 0 < number < 1:
        return Defect(MISSING, f"{name} is {_shown(value)}: if a share of 1 is meant, give it as points from 0 to 100")
    return float(number) + 0.0  # no negative zero


def truth(value: Any, name: str) -> bool | Defect:
    """A statement that is true or false."""
    if isinstance(value, bool):
        return value
    plain = value.strip().casefold() if isinstance(value, str) else ""
    if plain in ("true", "yes"):
        return True
    if plain in ("false", "no"):
        return False
    if value is None or value == "":
        return Defect(MISSING, f"{name} is missing")
    if isinstance(value, _Twice):
        return Defect(MISSING, f"{name} is given twice with different values")
    return Defect(MISSING, f"{name} is {_shown(value)}, expected true or false")


def sentence(value: Any) -> str:
    """A reason as it can be stored and shown: one line of what can be seen; empty where there is none."""
    if not isinstance(value, str):
        return ""
    return " ".join(value.split()) if value.isprintable() else plain_text(value)


def _outermost(text: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Objects that are complete and lie in no other complete one, with where they begin and end."""
    place, patience = text.find("{"), _PATIENCE
    while place >= 0 and patience > 0:
        try:
            value, end = _DECODER.raw_decode(text, place)
        except json.JSONDecodeError as error:
            patience -= _ONE_TRY + error.pos - place
            end = place + 1
        except (ValueError, RecursionError):  # a number of thousands of digits, or nested beyond all reason
            patience -= 10 * _ONE_TRY
            end = place + 1
        else:
            yield value, place, end
        place = text.find("{", end)


def _with_inner(value: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    yield value
    if depth:
        for inner in value.values():
            if isinstance(inner, dict):
                yield from _with_inner(inner, depth - 1)


def _folded_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        name = folded(key)
        found[name] = _TWICE if name in found and found[name] != value else value
    return found


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = sentence(value) if isinstance(value, str) else json.dumps(value)
    text = text if len(text) <= 60 else f"{text[:60]}…"
    return f'"{text}"' if isinstance(value, str) else text


# NaN and Infinity stay words; line breaks inside strings are let pass.
_DECODER = json.JSONDecoder(object_pairs_hook=_folded_keys, parse_constant=str, strict=False)
