"""Keys and tokens never reach a ledger, a log or a page."""

from __future__ import annotations

import os
import re

_NAMED_LIKE_A_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
_LEAST = 8  # characters; shorter values are ordinary words


def without_secrets(text: str) -> str:
    """The text with the value of every secret of the environment taken out."""
    for name, value in sorted(os.environ.items()):
        if len(value) >= _LEAST and _NAMED_LIKE_A_SECRET.search(name.upper()):
            text = text.replace(value, f"[{name}]")
    return re.sub(r"\b(sk|hf|key)[-_][A-Za-z0-9_-]{16,}", "[secret]", text)
