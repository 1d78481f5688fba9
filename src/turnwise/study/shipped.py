"""Studies that come with this package: each is one file of text, to be saved, changed and run.

The Context Trap has three, which ask the same and differ in where its models run. What several of them share is written once
and joined here, so that a study is whole when it is printed and no two of them can drift apart.
"""

from __future__ import annotations

import difflib
from importlib.resources import files

from turnwise.foundation.errors import InputError

# By name: the file of the study's own, and those it shares with others, which stand between its head and its body. The head is
# the comment that the own file begins with.
_SHIPPED: dict[str, tuple[str, tuple[str, ...]]] = {
    "context_trap": ("context_trap/gpu.toml", ("context_trap/question.toml", "context_trap/speech.toml")),
    "context_trap_api": ("context_trap/api.toml", ("context_trap/question.toml",)),
    "context_trap_server": ("context_trap/server.toml", ("context_trap/question.toml", "context_trap/speech.toml")),
    "demo": ("demo.toml", ()),
}


def shipped_studies() -> dict[str, str]:
    """The names, each with the first line of its file."""
    return {name: _read(own).partition("\n")[0].removeprefix("# ") for name, (own, _) in _SHIPPED.items()}


def shipped_study(name: str) -> str:
    """The whole text of one."""
    plain = name.replace("-", "_")
    if plain not in _SHIPPED:
        close = difflib.get_close_matches(plain, _SHIPPED, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(_SHIPPED)}"
        raise InputError(f"no study that comes with turnwise is called {name!r}", hint)
    own, shared = _SHIPPED[plain]
    head, _, body = _read(own).partition("\n\n")
    return "\n".join([f"{head}\n", *(_read(part) for part in shared), body])


def _read(part: str) -> str:
    return files("turnwise.study").joinpath(part).read_text(encoding="utf-8")
