"""Keys and tokens never reach a ledger, a log or a page."""

from __future__ import annotations

import base64
import json
import os
import re
from functools import lru_cache
from urllib.parse import quote, quote_plus

_NAMED_LIKE_A_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
_LEAST = 8  # characters; shorter values are ordinary words
_declared: set[str] = set()  # variables that endpoints of this process say hold a key, whatever they are called


def declare(name: str) -> None:
    """The variable of this name holds a key that is sent to a server."""
    _declared.add(name)


def without_keys(text: str) -> str:
    """The text without the keys that servers are sent, and otherwise as it is: for what a server may have echoed."""
    for name in sorted(_declared):
        text = _without(text, name, os.environ.get(name, "").strip())  # as it is sent
    return text


def without_secrets(text: str) -> str:
    """The text with the value of every secret of the environment taken out, and whatever looks like one."""
    text = without_keys(text)
    for name, value in sorted(os.environ.items()):
        if _NAMED_LIKE_A_SECRET.search(name.upper()):
            text = _without(text, name, value)
    return re.sub(r"\b(sk|hf|key)[-_][A-Za-z0-9_-]{16,}", "[secret]", text)


def _without(text: str, name: str, value: str) -> str:
    for form in _forms(value) if len(value) >= _LEAST else ():
        text = text.replace(form, f"[{name}]")
    return text


@lru_cache(maxsize=256)
def _forms(value: str) -> tuple[str, ...]:
    """A value as it may be echoed: as it is, within JSON, within an address, in base64."""
    forms = (value, json.dumps(value)[1:-1], value.replace("/", "\\/"), quote(value, safe=""), quote_plus(value))
    coded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
    return tuple(dict.fromkeys((*forms, coded, coded.rstrip("="))))
