"""Keys and tokens never reach a ledger, a log or a page.

What a server may have echoed is searched for its key however it is written: as it is, escaped for JSON, HTML or an address (also
twice over, or each character in its own way), in base64, and in pieces: the beginning or the end of a key, 8 characters or more,
or 12 from its middle. A piece that is plain words stays, since models say such words too.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from html.entities import html5
from urllib.parse import quote, quote_plus

_NAMED_LIKE_A_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
_LEAST = 8  # characters; shorter values are ordinary words
_END = 8  # characters of a key's beginning or end that give it away
_MIDDLE = 12  # of its middle
_STEP = _MIDDLE - _END + 1  # so that every piece of `_MIDDLE` characters holds one of the blocks that are looked for
_declared: set[str] = set()  # variables that endpoints of this process say hold a key, whatever they are called
# One character as it may be written: \u002b, \/ and \", &#43; &#x2b; &plus;, %2b; all of these again escaped, however often.
_ESCAPED = re.compile(
    r"\\+u00(?P<hex>[0-9A-Fa-f]{2})|\\+(?P<plain>[^\w\s\\])|%(?:25)*(?P<percent>[2-7][0-9A-Fa-f])"
    r"|&(?:amp;)*(?:#0*(?P<number>\d{2,3})|#[xX]0*(?P<sixteen>[0-9A-Fa-f]{2})|(?P<name>[A-Za-z]{2,8}));"
)


def declare(name: str) -> None:
    """The variable of this name holds a key that is sent to a server."""
    _declared.add(name)


def without_keys(text: str) -> str:
    """The text without the keys that servers are sent, and otherwise as it is: for what a server may have echoed."""
    for name in sorted(_declared):
        value = os.environ.get(name, "").strip()  # as it is sent
        if len(value) >= _LEAST:
            text = _without(text, name, value)
            text = _without_pieces(text, name, value)
    return text


def without_secrets(text: str) -> str:
    """The text with the value of every secret of the environment taken out, and whatever looks like one."""
    text = without_keys(text)
    for name, value in sorted(os.environ.items()):
        if len(value) >= _LEAST and _NAMED_LIKE_A_SECRET.search(name.upper()):
            text = _without(text, name, value)
    return re.sub(r"\b(sk|hf|key)[-_][A-Za-z0-9_-]{16,}", "[secret]", text)


def _without(text: str, name: str, value: str) -> str:
    for form in _forms(value):
        text = text.replace(form, f"[{name}]")
    return text


@lru_cache(maxsize=256)
def _forms(value: str) -> tuple[str, ...]:
    """A value as it may be echoed: as it is, within JSON, within an address, in base64."""
    forms = (value, json.dumps(value)[1:-1], value.replace("/", "\\/"), quote(value, safe=""), quote_plus(value))
    coded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
    return tuple(dict.fromkeys((*forms, coded, coded.rstrip("="))))


def _without_pieces(text: str, name: str, value: str) -> str:
    """The text without the pieces of a key, however its characters are written."""
    coded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode().rstrip("=")
    for form in (value, coded):
        plain, places = _unescaped(text)
        spans = list(_pieces(plain, form))
        for start, end in reversed(spans):
            begin, stop = (start, end) if places is None else (places[start], places[end])
            text = f"{text[:begin]}[{name}]{text[stop:]}"
    return text


def _unescaped(text: str) -> tuple[str, list[int] | None]:
    """The text with its escapes undone, and where in the text each character and the end are; None where nothing was escaped."""
    if not _ESCAPED.search(text):
        return text, None
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for match in _ESCAPED.finditer(text):
        character = _meant(match)
        if character is None:
            continue
        parts += (text[at : match.start()], character)
        places += (*range(at, match.start()), match.start())
        at = match.end()
    return "".join((*parts, text[at:])), [*places, *range(at, len(text) + 1)]


def _meant(match: re.Match[str]) -> str | None:
    """The character that an escape stands for; None for what is no escape of one character."""
    if match["plain"]:
        return match["plain"]
    if match["name"]:
        named = html5.get(f"{match['name']};", "")
        return named if len(named) == 1 else None
    if match["number"]:
        return chr(int(match["number"]))
    return chr(int(match["hex"] or match["percent"] or match["sixteen"], 16))


def _pieces(text: str, key: str) -> Iterator[tuple[int, int]]:
    """Where pieces of the key stand in the text, in order, none over another."""
    if len(key) < 2 * _END:
        blocks = {0: key}  # a short key is looked for as a whole
    else:
        blocks = {start: key[start : start + _END] for start in (*range(0, len(key) - _END, _STEP), len(key) - _END)}
    found: set[tuple[int, int]] = set()
    for start, block in blocks.items():
        place = text.find(block)
        while place >= 0:
            begin, end = place, place + len(block)
            first, last = start, start + len(block)
            while begin and first and text[begin - 1] == key[first - 1]:
                begin, first = begin - 1, first - 1
            while end < len(text) and last < len(key) and text[end] == key[last]:
                end, last = end + 1, last + 1
            whole = first == 0 and last == len(key)
            long = end - begin >= (_END if first == 0 or last == len(key) else _MIDDLE)
            if whole or (long and not _is_word(text[begin:end])):
                found.add((begin, end))
            place = text.find(block, max(place + 1, end - len(block) + 1))
    reached = 0
    for begin, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if begin >= reached:
            yield begin, end
            reached = end


def _is_word(piece: str) -> bool:
    """Whether a piece is plain words and nothing that only a key has."""
    return all(part.isalpha() and (part.islower() or part.istitle()) for part in re.split(r"[-_ .]", piece) if part)
