"""Keys and tokens never reach a ledger, a log or a page."""

from __future__ import annotations

import os
import re

_NAMED_LIKE_A_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
_LEAST = 8  # characters; shorter values are ordinary words
_declared: set[str] = set()  # variables that endpoints of this process say hold a key, whatever they are called


def declare(name: str) -> None:
    """The variable of this name holds a secret."""
    _declared.add(name)


def without_keys(text: str) -> str:
    """The text with the value of every secret of the environment taken out, and otherwise as it is."""
    for name, value in sorted(os.environ.items()):
        value = value.strip()  # as it is sent
        if len(value) >= _LEAST and value in text and (name in _declared or _NAMED_LIKE_A_SECRET.search(name.upper())):
            text = text.replace(value, f"[{name}]")
    return text


def without_secrets(text: str) -> str:
    """The text without the secrets of the environment and without whatever looks like one."""
    return re.sub(r"\b(sk|hf|key)[-_][A-Za-z0-9_-]{16,}", "[secret]", without_keys(text))
